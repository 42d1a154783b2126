"""``simcal psf``: the point-spread function from bead stacks."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from calibration.commands.options import ValidDays
from calibration.outputs import OutputFiles, conditions_of, record_files, write_measurement
from calibration.psf.measure import PsfMeasurement, measure_psf
from calibration.psf.read import BeadFiles, expand_each, needed, read_beads
from calibration.psf.report import facts, sections, to_record, to_text
from calibration.psf.settings import TERMS, BeadSetup, PsfSettings
from calibration.record import worst
from simrecon.backend import select_device
from simrecon.errors import UsageError
from simrecon.io import check_overwrite, read_camera_record, write_image
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.provenance import describe_files, record
from simrecon.qc.figures import new_figure
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line


def psf(
    beads: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    psf_tiff: Path | None = None,
    report: bool = False,
    pixel_um: float | None = None,
    dz_um: float | None = None,
    na: float | None = None,
    emission_nm: float | None = None,
    index: float | None = None,
    sample_index: float | None = None,
    depth_um: float = 0.0,
    bead_nm: float = 100.0,
    reverse_z: bool = False,
    channel: int | None = None,
    window_um: float | None = None,
    min_snr: float = 15.0,
    saturation: float | None = None,
    terms: list[int] | None = None,
    fit: Annotated[bool, Parameter(negative="--no-fit")] = True,
    fit_na: bool = False,
    fit_depth: bool = False,
    camera: Path | None = None,
    gain: float | None = None,
    offset: float | None = None,
    read_noise_e: float = 0.0,
    instrument: str = "",
    condition: list[str] | None = None,
    valid_days: ValidDays = 365.0,
    json: bool = False,
) -> int:
    """Measure the point-spread function from stacks (or single planes) of fluorescent beads.

    Writes OUT.h5, a calibration record, and OUT.qc.json with every number and every rejected
    bead; on request a PSF picture for 'simrecon reconstruct --otf', and OUT.report.html.

    Exit code 0: measured; 3: files that are no bead stacks; 4: doubtful (written and marked), or
    no usable beads (not written).

    Parameters
    ----------
    beads
        Stacks of one shape, in any format that simrecon reads: each argument is one stack; a
        folder or a glob in quotes is a stack of single planes.
    output
        Record to write, .h5.
    psf_tiff
        Also write the PSF, a point in the camera's pixels without noise, as TIFF.
    report
        Also write OUT.report.html, a page with tables and plots.
    pixel_um
        Camera pixel in the sample, µm [default: from the file].
    dz_um
        Distance between planes, µm [default: from the file].
    na
        Numerical aperture of detection [default: from the file].
    emission_nm
        Emission wavelength, nm [default: from the file].
    index
        Refractive index of the immersion [default: from the file, else 1.515].
    sample_index
        Refractive index around the beads [default: that of the immersion].
    depth_um
        Depth of the beads below the coverslip, µm; matters when the indices differ.
    bead_nm
        Diameter of the beads, nm; 0 takes them for points.
    reverse_z
        Plane numbers grow as the beads come nearer to the objective.
    channel
        Channel of a file with several, counted from 0.
    window_um
        Side of the square cut out around each bead, µm [default: from the optics].
    min_snr
        Beads with a smaller matched-filter signal, in noise sd, are too dim.
    saturation
        Counts at which the camera saturates [default: found in the data].
    terms
        Noll indices of the fitted aberrations; repeat the option
        [default: 5 6 7 8 9 10 11: astigmatism, coma, trefoil, primary spherical].
    fit
        Fit a pupil; without it the PSF is the mean bead.
    fit_na, fit_depth
        Fit the NA as well, where the given one is doubtful; fit the depth as well, which needs
        --sample-index (it shows only where that differs from the immersion's).
    camera
        Camera record, for the noise, instead of the three numbers.
    gain, offset, read_noise_e
        Camera: counts per electron, counts without light, electrons rms; --gain and --offset
        go together [default: noise measured in the stacks].
    instrument
        Microscope and objective, with serial numbers, for the record.
    condition
        What the PSF holds for, e.g. --condition objective=100x; may be repeated.
    valid_days
        Days after which the record asks to be measured again.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    device = select_device("cpu")
    speak.device(device)
    files, inputs = record_files(output), expand_each(beads)
    _check_outputs(files, psf_tiff, [*inputs, *([camera] if camera else [])])
    if report:
        new_figure(1.0, 1.0)  # a missing matplotlib is said before the work
    if fit_depth and sample_index is None:
        raise UsageError("The depth matters only with another index around the beads.",
                         expected="--sample-index", where="--fit-depth")  # fmt: skip
    read = read_beads(beads, channel)
    optics = Optics(
        na=needed(na, read.na, "detection NA", "--na"),
        emission_nm=needed(emission_nm, read.emission_nm, "emission wavelength", "--emission-nm"),
        immersion_index=index or read.index or 1.515, sample_index=sample_index,
        depth_um=depth_um,
    )  # fmt: skip
    setup = BeadSetup(
        needed(pixel_um, read.pixel_um, "pixel size", "--pixel-um"), _spacing(dz_um, read),
        optics, 1e-3 * bead_nm, reverse_z,
    )  # fmt: skip
    settings = PsfSettings(window_um, min_snr, tuple(terms or TERMS) if fit else (), fit_na,
                           fit_depth, "auto", saturation)  # fmt: skip
    noise, doubts = camera_of(camera, gain, offset, read_noise_e)
    found = measure_psf(read.stacks, setup, settings, camera=noise)
    if doubts:
        found = replace(found, verdict=worst(found.verdict, "weak"), notes=(*found.notes, *doubts))
    made = record(
        settings={"setup": asdict(setup), "settings": asdict(settings)},
        device=f"{device.label}: {device.reason}", seed=None, inputs=describe_files(inputs),
        command=command_line("simcal"),
    )  # fmt: skip
    content = to_record(found, instrument=instrument, conditions=conditions_of(condition),
                        valid_days=valid_days, sources=made["inputs"], provenance=made)  # fmt: skip
    pages = sections(found, read.stacks[0]) if report else []
    written = _write_tiff(psf_tiff, found, made) if psf_tiff else []
    written += write_measurement(files, content, "Point-spread function", pages)
    assumed = [] if index or read.index else ["Immersion index not given: 1.515 (oil) assumed."]
    lines = [f"note: {text}" for text in (*read.notes, *assumed)]
    lines += [f"wrote {path}" for path in written]
    speak.finish({**facts(found), "files": written}, "\n".join([to_text(found), *lines]))
    return EXIT_OK if found.verdict == "ok" else EXIT_QUALITY


def _spacing(dz_um: float | None, read: BeadFiles) -> float | None:
    if read.stacks[0].shape[0] == 1:
        return None
    return needed(dz_um, read.dz_um, "distance between planes", "--dz-um")


def camera_of(
    path: Path | str | None, gain: float | None, offset: float | None, read_noise_e: float
) -> tuple[Camera | None, tuple[str, ...]]:
    """The camera, and why it should not be trusted blindly."""
    if path is not None:
        if gain is not None or offset is not None:
            raise UsageError("Give either a camera record or camera numbers.", where="--camera")
        known = read_camera_record(path)
        return known.camera, known.doubts(datetime.now(UTC).date())
    if (gain is None) != (offset is None):
        raise UsageError("Gain and offset belong together.", expected="--gain and --offset")
    return None if gain is None else Camera(gain, float(offset or 0.0), read_noise_e), ()


def _check_outputs(files: OutputFiles, psf_tiff: Path | None, inputs: list[Path]) -> None:
    outputs = files.all()
    if psf_tiff is not None:
        if psf_tiff.suffix.lower() not in (".tif", ".tiff"):
            raise UsageError("The PSF is written as TIFF.", expected=".tif or .ome.tif",
                             got=psf_tiff.suffix or "no suffix", where="--psf-tiff")  # fmt: skip
        outputs = [*outputs, psf_tiff]
    check_overwrite(outputs, inputs)


def _write_tiff(path: Path, found: PsfMeasurement, made: dict[str, Any]) -> list[str]:
    inside = {**made, "quantity": "PSF of a point, brightest plane sum 1",
              "verdict": found.verdict}  # fmt: skip
    write_image(path, found.psf(), pixel_um=found.setup.pixel_um, dz_um=found.setup.dz_um,
                provenance=inside)  # fmt: skip
    return [str(path)]
