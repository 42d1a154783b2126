"""``simcal otf``: the OTFs of all orders from SIM recordings of beads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from calibration.commands.psf import camera_of
from calibration.otf.measure import OtfMeasurement, measure_otf
from calibration.otf.report import facts, sections, to_record, to_text
from calibration.otf.settings import OtfModel, OtfSettings
from calibration.outputs import conditions_of, record_files, write_measurement
from calibration.psf.settings import TERMS, BeadSetup, PsfSettings
from calibration.record import worst
from simrecon.backend import select_device
from simrecon.errors import InputError, UsageError
from simrecon.io import (
    check_overwrite,
    read,
    write_fairsim_otf,
    write_image,
    write_otf_tiff,
    write_priism_otf,
)
from simrecon.io.reader import expand_paths
from simrecon.model.stack import SimStack
from simrecon.provenance import describe_files, record
from simrecon.qc.figures import new_figure
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from simrecon.shell_options import FileOptions, side_inputs

_PRIISM, _TIFF = (".mrc", ".dv", ".otf"), (".tif", ".tiff")
_SUFFIXES = (*_PRIISM, *_TIFF, ".xml")


def otf(
    beads: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    file: FileOptions | None = None,
    bead_nm: float = 100.0,
    model: OtfModel = "auto",
    full: bool = False,
    export: list[Path] | None = None,
    report: bool = False,
    channel: int | None = None,
    window_um: float | None = None,
    min_snr: float = 15.0,
    saturation: float | None = None,
    terms: list[int] | None = None,
    instrument: str = "",
    condition: list[str] | None = None,
    valid_days: float = 365.0,
    json: bool = False,
) -> int:
    """Measure the OTF of every order of the pattern from SIM recordings of fluorescent beads.

    --mode says what the light is: 2d (three phases or more), 3d (three beams, five phases, a
    z-stack of the objective) or lls. Beads are found, screened and aligned; the pattern's phase at
    each of them, its steps and contrast are measured, and the orders separated. Nothing is asked in
    pixels: the support follows from NA, wavelength and index. OUT.h5 is a record that 'simrecon
    reconstruct --otf' takes; OUT.qc.json has every number and every rejected bead.

    Exit code 0: measured; 3: files that are no SIM recordings of beads; 4: doubtful (written and
    marked), or no usable beads (not written).

    Parameters
    ----------
    beads
        SIM recordings of one shape: each argument is one file, or a folder or a glob in quotes of
        single-page TIFFs; of one bead or of many.
    output
        Record to write, .h5.
    bead_nm
        Diameter of the beads, nm; 0 takes them for points.
    model
        pupil: a pupil fitted to the beads, times the light of the orders along z (no noise, does
        not end with the window); measured: the mean beads themselves; auto: pupil where beads have
        planes and the fit does not fail.
    full
        Full arrays, of volumes per direction, instead of radial means: for aberrations that are not
        round (coma, astigmatism).
    export
        Also write the OTF for other programs; may be repeated: .mrc, .dv or .otf (Priism, as
        cudasirecon reads it), .tif (makeotf; of --mode 2d the PSF), .xml (fairSIM).
    report
        Also write OUT.report.html, a page with tables and plots.
    channel
        Channel of files with several, counted from 0.
    window_um
        Side of the square cut out around each bead, µm [default: from the optics].
    min_snr
        Beads with a smaller matched-filter signal, in noise sd, are too dim.
    saturation
        Counts at which the camera saturates [default: found in the data].
    terms
        Noll indices of the fitted aberrations; repeat the option [default: 5 to 11].
    instrument
        Microscope, objective and grating, for the record.
    condition
        What the OTF holds for, e.g. --condition objective=100x; may be repeated.
    valid_days
        Days after which the record asks to be measured again.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    device = select_device("cpu")
    speak.device(device)
    settings = (file or FileOptions()).settings()
    mode = settings.reconstruction.mode
    out = record_files(output)
    inputs = [path for source in beads for path in expand_paths(source)]
    _check_exports(export or [])
    check_overwrite([*out.all(), *(export or [])], [*inputs, *side_inputs(file, settings)])
    if report:
        new_figure(1.0, 1.0)  # a missing matplotlib is said before the work
    stacks = [read(source, mode=mode, **settings.reader_overrides()) for source in beads]
    setup = _setup(stacks, channel or 0, 1e-3 * bead_nm, settings.sheet.scan)
    chosen = OtfSettings(
        mode,  # type: ignore[arg-type]
        model, full, PsfSettings(window_um, min_snr, tuple(terms or TERMS), saturation=saturation),
    )  # fmt: skip
    noise, doubts = camera_of(
        settings.camera.camera, settings.camera.gain, settings.camera.offset,
        settings.camera.read_noise_e or 0.0,
    )  # fmt: skip
    data = [_frames(stack, channel, source) for stack, source in zip(stacks, beads, strict=True)]
    found = measure_otf(data, setup, chosen, camera=noise)
    if doubts:
        found = replace(found, verdict=worst(found.verdict, "weak"), notes=(*found.notes, *doubts))
    made = record(
        settings={"setup": asdict(setup), "settings": asdict(chosen)},
        device=f"{device.label}: {device.reason}", seed=None, inputs=describe_files(inputs),
        command=command_line("simcal"),
    )  # fmt: skip
    content = to_record(found, instrument=instrument, conditions=conditions_of(condition),
                        valid_days=valid_days, sources=made["inputs"], provenance=made)  # fmt: skip
    pages = sections(found) if report else []
    written = write_measurement(out, content, "Optical transfer function", pages)
    written += [_export(path, found, made) for path in export or []]
    notes = dict.fromkeys(text for stack in stacks for text in stack.notes)
    lines = [f"note: {text}" for text in notes] + [f"wrote {path}" for path in written]
    speak.finish({**facts(found), "files": written}, "\n".join([to_text(found), *lines]))
    return EXIT_OK if found.verdict == "ok" else EXIT_QUALITY


def _setup(stacks: Sequence[SimStack], channel: int, bead_um: float, scan: str | None) -> BeadSetup:
    first = stacks[0]
    if scan == "stage":
        raise UsageError(
            "Beads that a stage carries through the focus at an angle are not measured.",
            expected="--scan objective", got="stage", where="--scan",
            hint="the OTF is the same: record the beads with the objective's piezo",
        )  # fmt: skip
    if not 0 <= channel < len(first.optics):
        raise UsageError("There is no such channel.", got=str(channel), where="--channel",
                         expected=f"0…{len(first.optics) - 1}")  # fmt: skip
    for stack in stacks[1:]:
        if abs(stack.pixel_um / first.pixel_um - 1.0) > 0.01 or stack.dz_um != first.dz_um:
            raise InputError("The recordings differ in pixel size or plane distance.",
                             expected=f"{first.pixel_um:g} and {first.dz_um} µm",
                             got=f"{stack.pixel_um:g} and {stack.dz_um} µm")  # fmt: skip
        if stack.optics != first.optics:
            raise InputError("The recordings differ in their optics: one OTF cannot hold both.",
                             expected=str(first.optics), got=str(stack.optics),
                             hint="measure them one by one")  # fmt: skip
    planes = int(first.data.shape[4])
    return BeadSetup(first.pixel_um, first.dz_um if planes > 1 else None, first.optics[channel],
                     bead_um)  # fmt: skip


def _frames(stack: SimStack, channel: int | None, where: str) -> np.ndarray:
    """Counts (A, P, Z, Y, X) of one channel and time."""
    times, channels = stack.data.shape[:2]
    if times > 1:
        raise InputError("A recording of beads is one time point.", got=f"{times} times",
                         expected="one; give --planes where planes were read as times",
                         where=where)  # fmt: skip
    if channels > 1 and channel is None:
        raise UsageError("Which channel holds the beads?", got=f"{channels} channels",
                         expected=f"--channel 0…{channels - 1}", where=where)  # fmt: skip
    return np.asarray(stack.data[0, channel or 0])


def _check_exports(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix.lower() not in _SUFFIXES:
            raise UsageError("No program's OTF format has this suffix.", got=path.name,
                             expected=", ".join(_SUFFIXES), where="--export")  # fmt: skip


def _export(path: Path, found: OtfMeasurement, made: dict[str, Any]) -> str:
    table, optics, suffix = found.table, found.setup.optics, path.suffix.lower()
    if suffix in _PRIISM:
        write_priism_otf(path, table.values, table.kr_step_per_um, table.kz_step_per_um,
                         emission_nm=optics.emission_nm,
                         title=f"simcal otf, {found.settings.mode}, {found.model}")  # fmt: skip
    elif suffix == ".xml":
        write_fairsim_otf(path, table.values, table.kr_step_per_um, na=optics.na,
                          emission_nm=optics.emission_nm)  # fmt: skip
    elif found.settings.mode == "2d":
        write_image(path, found.plane_psf(), pixel_um=found.setup.pixel_um,
                    provenance={**made, "quantity": "PSF of a point, sum 1"})  # fmt: skip
    else:
        write_otf_tiff(path, table.values)
    return str(path)
