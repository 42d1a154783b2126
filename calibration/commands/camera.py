"""``simcal camera``: gain, offset and read noise, from dark and flat frames or from pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from calibration.camera import calibrate_camera
from calibration.camera_report import camera_rows, camera_sections
from calibration.commands.options import ValidDays
from calibration.image_camera import estimate_camera, image_rows, image_sections
from calibration.outputs import OutputFiles, conditions_of, record_files, write_measurement
from simrecon.backend import select_device
from simrecon.errors import UsageError
from simrecon.io import CalibrationRecord, check_overwrite, read_raw
from simrecon.io.reader import expand_paths
from simrecon.qc.figures import new_figure
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line

Files = Annotated[list[str] | None, Parameter(consume_multiple=True)]
Numbers = Annotated[list[float] | None, Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class PictureOptions:
    """For --image only: what is known makes the estimate better.

    Parameters
    ----------
    offset
        Counts without light, ADU [default: from the noise, together with the read noise].
    read_noise_e
        Read noise, e rms [default: from the noise; 0 when --offset is not given either].
    pixel_um
        Camera pixel in the sample, µm [default: from the file].
    na
        Numerical aperture of detection [default: from the file].
    emission_nm
        Emission wavelength, nm [default: from the file].
    """

    offset: float | None = None
    read_noise_e: float | None = None
    pixel_um: float | None = None
    na: float | None = None
    emission_nm: float | None = None


def camera(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    dark: Files = None,
    flat: Files = None,
    image: Files = None,
    exposure_ms: Numbers = None,
    picture: PictureOptions | None = None,
    instrument: str = "",
    condition: list[str] | None = None,
    valid_days: ValidDays = 365.0,
    report: bool = False,
    json: bool = False,
) -> int:
    """Calibrate a camera; writes OUT.h5, OUT.qc.json and, with --report, OUT.report.html.

    Give at least some hundred dark frames and as many flat frames, spread over two or more levels
    of even light. Every --flat is one level: a multi-page file, a folder, or a glob in quotes. A
    stack with varying light is split into levels by itself. Without such frames, --image estimates
    the gain from the noise of ordinary pictures; that record is always weak.

    Exit code 0: measured; 3: frames that cannot calibrate a camera; 4: doubtful (written and
    marked), or numbers that no camera has (not written).

    Parameters
    ----------
    output
        Record to write, .h5.
    dark
        Frames without light.
    flat
        Frames with even light; one level each, repeat the option.
    image
        Ordinary pictures instead of dark and flat frames.
    exposure_ms
        Exposure of each --flat, or any numbers proportional to its light: adds the linearity of the
        response [default: not measured].
    picture
        Options for --image.
    instrument
        Camera model and serial number.
    condition
        What the numbers hold for, e.g. --condition readout=slow; may be repeated.
    valid_days
        Days after which the record asks to be measured again.
    report
        Write a page with tables and plots.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    speak.device(select_device("cpu"))
    files = _refuse(output, dark, flat, image, picture, exposure_ms, report)
    about: dict[str, Any] = {
        "instrument": instrument, "conditions": conditions_of(condition),
        "valid_days": valid_days, "command": command_line("simcal"),
    }  # fmt: skip
    if image:
        record, pictured = estimate_camera(image, **_known(image, picture), **about)
        rows = image_rows(record)
        sections = image_sections(record, pictured) if report else []
    else:
        with speak.progress() as progress:
            record, found = calibrate_camera(
                dark or [], list(flat or ()), exposures=exposure_ms, progress=progress, **about
            )
        rows = camera_rows(record)
        sections = camera_sections(record, found) if report else []
    written = write_measurement(files, record, "Camera", sections)
    _finish(speak, record, rows, written)
    return EXIT_OK if record.verdict == "ok" else EXIT_QUALITY


def _refuse(
    output: Path,
    dark: list[str] | None,
    flat: list[str] | None,
    image: list[str] | None,
    picture: PictureOptions | None,
    exposure_ms: list[float] | None,
    report: bool,
) -> OutputFiles:
    """Refuse, before any work, what cannot be meant; give the names of the output."""
    names = {"--dark": dark, "--flat": flat, "--image": image}
    given = [name for name, value in names.items() if value]
    if given not in (["--dark", "--flat"], ["--image"]):
        raise UsageError(
            "A camera is calibrated from dark and flat frames, or estimated from pictures.",
            expected="--dark FILES and --flat FILES, or --image FILES",
            got=" ".join(given) or "none of them",
        )
    if (picture is not None and not image) or (exposure_ms and image):
        raise UsageError(
            "These options do not go together.",
            expected="--exposure-ms with --flat; --offset --read-noise-e --pixel-um --na "
            "--emission-nm with --image",
        )
    if report:
        new_figure(1, 1)  # refused here when matplotlib is missing
    files = record_files(output)
    check_overwrite(files.all(), expand_paths([*(dark or ()), *(flat or ()), *(image or ())]))
    return files


def _known(image: list[str], picture: PictureOptions | None) -> dict[str, Any]:
    """What is known about pictures: camera numbers, and the optical cut-off in cycles per pixel."""
    given = picture or PictureOptions()
    raw = read_raw(expand_paths(image)[0])
    stated = raw.emission_nm[0] if raw.emission_nm else None
    given = replace(
        given,
        pixel_um=given.pixel_um or raw.pixel_um,
        na=given.na or raw.na,
        emission_nm=given.emission_nm or stated,
    )
    cutoff = None
    if given.pixel_um and given.na and given.emission_nm:
        cutoff = 2.0 * given.na * given.pixel_um / (given.emission_nm / 1000.0)
    return {
        "cutoff_per_px": cutoff, "offset": given.offset, "read_noise_e": given.read_noise_e
    }  # fmt: skip


def _finish(
    speak: Reporter, record: CalibrationRecord, rows: list[tuple[str, str]], written: list[str]
) -> None:
    """Say what was found and where it is."""
    lines = [f"{name}: {value}" for name, value in rows]
    lines += [f"note: {note}" for note in record.notes]
    lines += [f"verdict: {record.verdict}"] + [f"wrote {path}" for path in written]
    facts: dict[str, Any] = {"files": written, "verdict": record.verdict, "notes": record.notes}
    for name, quantity in record.quantities.items():
        if isinstance(quantity.value, float):
            facts[name] = {"value": quantity.value, "sd": quantity.sd, "unit": quantity.unit}
    speak.finish({**facts, **record.results}, "\n".join(lines))
