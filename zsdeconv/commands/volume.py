"""``zsdeconv volume``: train on one stack of planes and restore it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.io import check_overwrite
from simrecon.io.reader import expand_paths
from simrecon.provenance import describe_files
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from zsdeconv.config import VOLUME_DEFAULTS, PairKind, ZsSettings
from zsdeconv.options import TrainOptions, both_settings, file_options

SHOWN_GAIN = 1.5


@Parameter(name="*")
@dataclass(frozen=True)
class VolumeOptions:
    """Optics and camera of the stack; the same keys work in --config and --set.

    Parameters
    ----------
    pixel_um
        Pixel in the sample, µm [default: from the file].
    dz_um
        Distance between planes, µm [default: from the file].
    na
        Numerical aperture of detection [default: from the file].
    index
        Refractive index of the immersion [default: from the file, else 1.515].
    emission_nm
        Emission wavelength, nm [default: from the file].
    excitation_nm
        Excitation wavelength, nm, for confocal [default: from the file].
    gain
        Camera: counts per photo-electron.
    offset
        Camera: counts without light [default: 0].
    read_noise_e
        Camera: read noise, photo-electrons rms [default: 0].
    camera
        Camera record file, instead of the three numbers.
    gain_map
        TIFF with the gain of every pixel, instead of --gain.
    offset_map
        TIFF with the offset of every pixel.
    read_noise_map
        TIFF with the read noise of every pixel, photo-electrons.
    config
        Settings file (TOML, or JSON).
    set
        One setting, a.b=c or zsdeconv.b=c; may be repeated; see 'zsdeconv config'.
    """

    pixel_um: float | None = None
    dz_um: float | None = None
    na: float | None = None
    index: float | None = None
    emission_nm: float | None = None
    excitation_nm: float | None = None
    gain: float | None = None
    offset: float | None = None
    read_noise_e: float | None = None
    camera: str | None = None
    gain_map: str | None = None
    offset_map: str | None = None
    read_noise_map: str | None = None
    config: Path | None = None
    set: Annotated[list[str] | None, Parameter(negative=())] = None

    def settings(
        self, train: TrainOptions | None, pairs: PairKind | None
    ) -> tuple[ZsSettings, Settings]:
        """Settings of the training, with the defaults of volumes, and of the engine."""
        chosen = {} if pairs is None else {"pairs": pairs}
        return both_settings(file_options(self), train, defaults={**VOLUME_DEFAULTS, **chosen})


def volume(
    file: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    stack: VolumeOptions | None = None,
    train: TrainOptions | None = None,
    pairs: PairKind | None = None,
    microscope: Literal["widefield", "confocal"] = "widefield",
    psf: Path | None = None,
    psf_pixel_um: float | None = None,
    psf_dz_um: float | None = None,
    time: int | None = None,
    channel: int | None = None,
    axial: bool = False,
    resume: bool = False,
    json: bool = False,
) -> int:
    """Train on one stack of planes and restore it, with nothing but the stack itself.

    Writes DIR/{image,variance,denoised,deconvolved,uncertainty,consistency}.ome.tif (float32
    photo-electrons), with --axial also isotropic.ome.tif, and overview.png, qc.json and model/.

    Parameters
    ----------
    file
        A widefield, confocal or light-sheet stack: TIFF, OME-TIFF or MRC/DV.
    output
        Folder to write.
    pairs
        recorrupted: noise of the camera's size is added and subtracted; interleaved: every other
        plane is judged by the planes between [default: recorrupted].
    microscope
        Kind of PSF that is computed.
    psf
        Stack of a bead, instead of the computed PSF.
    psf_pixel_um
        Pixel of that stack, µm [default: from its file, else as the volume].
    psf_dz_um
        Distance of its planes, µm [default: from its file, else as the volume].
    time
        Time point, from 0; needed where there are several.
    channel
        Channel, from 0; needed where there are several.
    axial
        Also sharpen along z with what the lateral planes show (docs/volume_enhancement.md).
    resume
        Continue an interrupted training in the same folder.
    json
        Write one JSON document to standard output.
    """
    from zsdeconv.bridge import select_device
    from zsdeconv.checkpoint import require_state
    from zsdeconv.outputs import MODEL_FOLDER, check_folder, output_paths
    from zsdeconv.pairs_volume import camera_volume
    from zsdeconv.volume_files import open_volume
    from zsdeconv.volume_psf import volume_psf

    report = Reporter(json)
    options = stack or VolumeOptions()
    settings, engine = options.settings(train, pairs)
    if not settings.of_volumes:
        raise UsageError(
            "This network is one of planes.", expected="compact3d, rcan3d, unet3d or rln3d",
            got=settings.network, where="--network",
        )  # fmt: skip
    report.device(select_device(settings.device))
    (path, *more) = expand_paths([file])
    if more:
        raise UsageError("This works on one stack.", got=f"{1 + len(more)} files", where=file)
    beside = [Path(p) for p in (psf, options.config, *engine.camera.files) if p is not None]
    check_overwrite(output_paths(output), [path, *beside])
    check_folder(output)
    if resume:
        require_state(output / MODEL_FOLDER)
    found = open_volume(path, engine, time=time, channel=channel)
    kernel, said = volume_psf(found, microscope, psf, psf_pixel_um, psf_dz_um)
    report.say(said)
    measurement = camera_volume(
        found.counts, kernel, found.pixel_um, found.dz_um, found.camera, shown_gain=SHOWN_GAIN
    )
    facts = {
        "inputs": describe_files([path]),
        "psf": said,
        "psf_files": describe_files([] if psf is None else [psf]),
        "camera": found.camera.summary(),
        "acquisition": {"time": time or 0, "channel": channel or 0},
    }
    return _run(report, measurement, settings, output, facts, path.name, resume, axial)


def _run(
    report: Reporter,
    measurement: Any,
    settings: ZsSettings,
    output: Path,
    facts: dict[str, Any],
    title: str,
    resume: bool,
    axial: bool,
) -> int:
    """Plan, enhance, write, report."""
    from zsdeconv.axial import write_isotropic
    from zsdeconv.enhancement import enhance
    from zsdeconv.outputs import MODEL_FOLDER, write_enhanced
    from zsdeconv.plan import planned

    expected = planned(settings, 1, measurement.frames_e.shape[1:], 1)
    report.say(expected.to_text())
    with report.progress() as progress:
        enhanced = enhance(
            measurement, settings, folder=output / MODEL_FOLDER, resume=resume, progress=progress
        )
    made = {
        **enhanced.provenance,
        **facts,
        "command": command_line("zsdeconv"),
        "plan": expected.to_dict(),
    }
    written = write_enhanced(enhanced, output, provenance=made, title=title)
    reasons = list(enhanced.qc["reasons"])
    if axial:
        with report.progress() as progress:
            path, said = write_isotropic(enhanced, output, settings, made, progress)
        written.append(path)
        reasons.append(said)
    lines = [*reasons, *(f"wrote {p}" for p in written)]
    report.finish({"files": [str(p) for p in written], **enhanced.qc}, "\n".join(lines))
    return EXIT_OK if enhanced.passed else EXIT_QUALITY
