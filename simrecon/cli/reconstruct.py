"""``simrecon reconstruct``: raw frames to a picture with everything that explains it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from simrecon import pipeline
from simrecon.backend import select_device
from simrecon.cli.outputs import check_output, write_result
from simrecon.cli.text import direction_line
from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.io import otf_doubts, read_patterns
from simrecon.io.reader import expand_paths
from simrecon.loading import load_otfs, load_stack
from simrecon.presets import find_preset
from simrecon.provenance import describe_files, peak_memory_gb
from simrecon.qc.finding import Finding
from simrecon.result import Result
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from simrecon.shell_options import FileOptions, memory_gb, side_inputs


def reconstruct(
    files: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    file: FileOptions | None = None,
    otf: list[Path] | None = None,
    pattern: Path | None = None,
    drift: Literal["auto", "off"] | None = None,
    method: Literal["wiener", "tv", "hessian", "rl"] | None = None,
    attenuation: Literal["off", "auto"] | float | None = None,
    equalise: bool = False,
    device: str | None = None,
    max_memory: str | None = None,
    variance: bool = False,
    psf: bool = False,
    on_fit_failure: Literal["stop", "preset", "widefield"] | None = None,
    preset: str | None = None,
    json: bool = False,
) -> int:
    """Reconstruct raw 2D-SIM, TIRF-SIM or 3D-SIM frames.

    Beside OUT, OUT.prov.json (what made it) and OUT.qc.json (what to think of it) are written.

    Parameters
    ----------
    files
        Raw frames: a TIFF, OME-TIFF or MRC/DV file, or single-page TIFFs, a folder or a glob.
    output
        Picture to write: .ome.tif, or .tif for ImageJ. Float32 photo-electrons.
    otf
        Measured OTF or PSF file, or record of 'simcal otf' or 'simcal psf' (.h5), one or one per
        channel; for 3d with the OTFs of three orders, for all directions, or one per direction
        [default: theoretical].
    pattern
        Pattern file of 'simrecon estimate', one with frequencies only, or a record of 'simcal
        pattern' (.h5): frequencies and phase steps are the record's, the common phase and the
        contrast are fitted [default: all fitted].
    drift
        Motion of the sample between frames: measured and corrected, or off [default: auto].
    method
        wiener: linear, with variance and PSF. tv, hessian, rl: iterative, never negative, sharper,
        slower, without these two (docs/iterative.md) [default: wiener].
    attenuation
        Removal of out-of-focus light (2D of thick samples): off, auto (90 % where it is
        detected), or the share to remove, below 1 [default: off].
    equalise
        Even out smooth differences of brightness between the directions.
    device
        auto, cpu or cuda:N [default: auto].
    max_memory
        Refuse to need more, e.g. 6GB [default: no limit].
    variance
        Also write the variance map, OUT.variance.*, e².
    psf
        Also write the effective PSF, OUT.psf.tif.
    on_fit_failure
        When the pattern cannot be fitted: stop, fit at the nominal frequencies (preset), or write
        the (marked) widefield [default: stop].
    preset
        Known instrument whose published pattern '--on-fit-failure preset' uses; 'simrecon inspect'
        names those that fit [default: period and angles of the settings].
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    settings = (file or FileOptions()).settings(
        method=method,
        device=device,
        max_memory_gb=memory_gb(max_memory),
        variance=variance or None,
        on_fit_failure=on_fit_failure,
        preset=preset,
        drift=drift,
        attenuation=attenuation,
        equalise=equalise or None,
    )
    if settings.estimate.preset is not None:
        find_preset(settings.estimate.preset)  # a typing error is told now, not when a fit fails
    _check_linear(settings, variance=variance, psf=psf)
    if not variance:
        settings = _without_variance(settings)
    report.device(select_device(settings.reconstruction.device))
    paths = expand_paths(files)
    check_output(output, [*paths, *side_inputs(file, settings, otf, pattern)])
    start = time.perf_counter()
    stack = load_stack(files, settings)
    otfs = load_otfs(otf, stack, settings)
    stack = replace(stack, notes=(*stack.notes, *otf_doubts(otf or ())))
    given = None if pattern is None else read_patterns(pattern, stack.optics)
    report.say(pipeline.plan(stack, settings).to_text())
    with report.progress() as progress:
        result = pipeline.reconstruct(stack, settings, otf=otfs, pattern=given, progress=progress)
    made = {
        **result.provenance,
        "inputs": describe_files(paths),
        "otf_files": describe_files(otf or ()),
        "pattern_files": describe_files([pattern] if pattern else ()),
        "command": command_line("simrecon"),
        "reader": {"metadata": dict(stack.metadata), "order": stack.order,
                   "flipped_y": stack.flipped_y, "notes": list(stack.notes)},
    }  # fmt: skip
    qc = {**result.qc, "total_s": round(time.perf_counter() - start, 3),
          "peak_memory_gb": round(peak_memory_gb(), 3)}  # fmt: skip
    written = write_result(output, result, provenance=made, qc=qc, dz_um=stack.dz_um, psf=psf)
    report.finish({"files": [str(p) for p in written], **qc}, summary(result, written))
    return EXIT_OK if result.passed else EXIT_QUALITY


def _check_linear(settings: Settings, *, variance: bool, psf: bool) -> None:
    """Refuse what only the linear picture has.

    Raises
    ------
    UsageError
        Naming the option.
    """
    for option, wanted in (("--variance", variance), ("--psf", psf)):
        if wanted and not settings.reconstruction.linear:
            raise UsageError(
                f"The method '{settings.reconstruction.method}' has no variance map and no PSF.",
                expected="--method wiener",
                got=settings.reconstruction.method,
                where=option,
                hint="a non-linear picture has neither: its noise and sharpness follow the object",
            )


def _without_variance(settings: Settings) -> Settings:
    chosen = settings.reconstruction.model_copy(update={"variance": False})
    return settings.model_copy(update={"reconstruction": chosen})


def summary(result: Result, written: list[Path]) -> str:
    """What came out, for people."""
    lines: list[str] = []
    if result.kind == "widefield":
        lost = [n for n in result.qc["acquisitions"] if n["kind"] == "widefield"]
        what = "no SIM picture was made"
        if len(lost) < len(result.qc["acquisitions"]):
            where = ", ".join(f"time {n['time']}, channel {n['channel']}" for n in lost)
            what += f" of {where}"
        lines.append(f"WIDEFIELD: the pattern fit failed, {what}")
    channels = result.patterns[0]
    for c, pattern in enumerate(channels):
        label = f"channel {c}, " if len(channels) > 1 else ""
        lines += [label + direction_line(i, d) for i, d in enumerate(pattern.directions)]
    lines += [f"note: {text}" for text in result.qc["notes"]]
    lines += [f"check: {text}" for text in result.qc["reasons"]]
    lines += [f"likely cause: {Finding(**f).sentence}" for f in result.qc["explanation"]]
    numbers: dict[str, Any] = result.qc["acquisitions"][0]
    if "iterative" in numbers:
        lines.append(iterative_line(numbers["iterative"]))
    negative = 100 * numbers["negative_fraction"]
    removed = " (attenuation removes light)" if "unmodulated_response" in numbers else ""
    removed += f" ({numbers['flux_note']})" if "flux_note" in numbers else ""
    lines.append(f"flux ratio {numbers['flux_ratio']:.3f}{removed}, negative {negative:.1f} %")
    lines.append(f"verdict: {result.verdicts['overall']}")
    lines += [f"wrote {path}" for path in written]
    return "\n".join(lines)


def iterative_line(numbers: dict[str, Any]) -> str:
    """How an iterative method went, for people."""
    strength = f"strength auto x {numbers['strength_factor']:g}"
    return (
        f"{numbers['method']}: {strength}, {numbers['iterations']} iterations "
        f"({numbers['stopped']}), chi2 of the raw frames {numbers['chi2_reduced']:.2f}"
    )
