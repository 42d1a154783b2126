"""What ``zsdeconv deconvolve`` does; imported when it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import UsageError
from simrecon.io import check_overwrite, write_image
from simrecon.io.atomic import check_writable
from simrecon.io.ome_tiff import check_format
from simrecon.io.reader import expand_paths
from simrecon.model.camera import Camera
from simrecon.provenance import describe_files, record
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from zsdeconv.baselines.deconvolution import Deconvolved
from zsdeconv.classical import ClassicalSettings, deconvolve_all
from zsdeconv.commands.volume import VolumeOptions
from zsdeconv.fpn import refuse_maps, without_fixed_pattern
from zsdeconv.picture_files import open_pictures
from zsdeconv.picture_options import PictureOptions
from zsdeconv.picture_setup import imaging_of
from zsdeconv.qc import CHI2_WEAK
from zsdeconv.volume_files import open_volume
from zsdeconv.volume_psf import volume_psf


@dataclass(frozen=True)
class VolumeChoice:
    """What a volume needs beyond a picture."""

    dz_um: float | None
    psf_dz_um: float | None
    time: int | None


@dataclass(frozen=True)
class _Job:
    """Pictures or a volume, ready to be deconvolved."""

    path: Path
    pictures: np.ndarray
    psf: np.ndarray
    camera: Camera
    pixel_um: float
    dz_um: float | None
    about: dict[str, Any]
    doubts: tuple[str, ...] = ()
    pattern: dict[str, Any] | None = None


def run_classical(
    report: Reporter,
    file: str,
    output: Path,
    options: PictureOptions,
    volume: VolumeChoice | None,
    values: dict[str, Any],
) -> int:
    """Open, deconvolve, write, say why it stopped."""
    settings = ClassicalSettings(**values)
    check_format(output)
    check_writable(output)
    job = _pictures(report, file, output, options) if volume is None else _volume(
        report, file, output, options, volume
    )  # fmt: skip
    with report.progress() as progress:
        done = deconvolve_all(job.pictures, job.psf, job.camera, settings, progress=progress)
    facts: dict[str, Any] = {
        "chi2": [d.chi2 for d in done],
        "iterations": [d.iterations for d in done],
        "reasons": [d.reason for d in done],
        "background_e": [d.background_e for d in done],
        "doubts": list(job.doubts),
    }
    if job.pattern is not None:
        facts["fixed_pattern"] = job.pattern
    made = record(
        settings=values, device="cpu", seed=settings.seed,
        method=f"classical deconvolution, {settings.method}", imaging=job.about,
        inputs=describe_files([job.path]), command=command_line("zsdeconv"), **facts,
    )  # fmt: skip
    write_image(
        output, _picture(done, job.dz_um), pixel_um=job.pixel_um, dz_um=job.dz_um, provenance=made
    )
    lines = _sentences(done)
    code, verdict = _verdict(done, job.doubts)
    lines += [verdict, f"wrote {output}"]
    report.finish({"file": str(output), "verdict": verdict, **facts}, "\n".join(lines))
    return code


def _picture(done: list[Deconvolved], dz_um: float | None) -> np.ndarray:
    """(Y, X), (Z, Y, X), or a movie (T, 1, 1, Y, X)."""
    frames = np.concatenate([np.reshape(d.image, (-1, *d.image.shape[-2:])) for d in done])
    if dz_um is not None:
        return frames
    return frames[0] if len(frames) == 1 else frames[:, None, None]


def _pictures(report: Reporter, file: str, output: Path, options: PictureOptions) -> _Job:
    _, engine = options.settings(None)
    opened = open_pictures([file], channel=options.channel, plane=options.plane)[0]
    check_overwrite([output], [opened.path, *options.side_files(engine)])
    imaging, notes = imaging_of([opened], options, engine)
    for note in notes:
        report.say(note)
    pictures = np.stack([imaging.without_lines(opened.picture(i)) for i in range(opened.count)])
    about = imaging.card()
    return _Job(
        opened.path, pictures, imaging.psf, imaging.camera, imaging.pixel_um, None, about,
        imaging.doubts, about.get("fixed_pattern"),
    )  # fmt: skip


def _volume(
    report: Reporter, file: str, output: Path, options: PictureOptions, volume: VolumeChoice
) -> _Job:
    if options.microscope == "two-photon":
        raise UsageError(
            "The PSF of a two-photon volume is not computed.", expected="--psf FILE, or widefield "
            "or confocal", where="--microscope",
        )  # fmt: skip
    known = {f.name for f in fields(VolumeOptions)} & set(vars(options))
    given = VolumeOptions(**{k: getattr(options, k) for k in known}, dz_um=volume.dz_um)
    _, engine = given.settings(None, None)
    (path, *more) = expand_paths([file])
    if more:
        raise UsageError("This works on one stack.", got=f"{1 + len(more)} files", where=file)
    check_overwrite([output], [path, *options.side_files(engine)])
    found = open_volume(path, engine, time=volume.time, channel=options.channel)
    kernel, said = volume_psf(
        found, options.microscope, options.psf, options.psf_pixel_um, volume.psf_dz_um
    )
    report.say(said)
    cutoff = None if found.optics is None else found.optics.cutoff_per_um * found.pixel_um
    about = {"psf": said, "camera": found.camera.summary(), "pixel_um": found.pixel_um,
             "dz_um": found.dz_um}  # fmt: skip
    planes, pattern = found.counts, None
    if options.fixed_pattern == "auto":
        refuse_maps(found.camera)
        planes, lines = without_fixed_pattern(planes, cutoff_px=cutoff)
        pattern = lines.to_dict()
        report.say(pattern["said"])
    return _Job(
        path, planes, kernel, found.camera, found.pixel_um, found.dz_um, about,
        found.camera.doubts, pattern,
    )  # fmt: skip


def _sentences(done: list[Deconvolved]) -> list[str]:
    """Why every picture stopped; many alike are counted."""
    if len(done) > 4:
        counts = [d.iterations for d in done]
        mean = float(np.mean([d.chi2 for d in done]))
        return [
            f"{len(done)} pictures, {min(counts)} to {max(counts)} iterations; chi2 = {mean:.3f}",
            f"the first: {done[0].reason}",
        ]
    return [f"stopped: {d.reason}; chi2 = {d.chi2:.3f}" for d in done]


def _verdict(done: list[Deconvolved], doubts: tuple[str, ...]) -> tuple[int, str]:
    mean = float(np.mean([d.chi2 for d in done]))
    if not CHI2_WEAK[0] <= mean <= CHI2_WEAK[1]:  # noise, camera or PSF are other than stated
        return EXIT_QUALITY, (
            "verdict: weak (the picture is not explained within its noise: are gain, read noise "
            "and PSF right?)"
        )
    if doubts:
        return EXIT_QUALITY, f"verdict: weak ({doubts[0]})"
    return EXIT_OK, "verdict: ok"
