"""``simcal otf``: the OTFs of all orders from SIM recordings of beads."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from calibration.commands.options import ValidDays
from calibration.commands.psf import camera_of
from calibration.otf.export import check_exports, export_otf
from calibration.otf.measure import measure_otf
from calibration.otf.read import read_recordings
from calibration.otf.report import facts, sections, to_record, to_text
from calibration.otf.settings import OtfModel, OtfSettings
from calibration.outputs import conditions_of, record_files, write_measurement
from calibration.psf.settings import TERMS, PsfSettings
from calibration.record import worst
from simrecon.backend import select_device
from simrecon.errors import UsageError
from simrecon.io import check_overwrite
from simrecon.io.reader import expand_paths
from simrecon.provenance import describe_files, record
from simrecon.qc.figures import new_figure
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from simrecon.shell_options import FileOptions, side_inputs


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
    valid_days: ValidDays = 365.0,
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
    check_exports(export or [])
    check_overwrite([*out.all(), *(export or [])], [*inputs, *side_inputs(file, settings)])
    if report:
        new_figure(1.0, 1.0)  # a missing matplotlib is said before the work
    if settings.sheet.scan == "stage":
        raise UsageError(
            "Beads that a stage carries through the focus at an angle are not measured.",
            expected="--scan objective", got="stage", where="--scan",
            hint="the OTF is the same: record the beads with the objective's piezo",
        )  # fmt: skip
    recorded = read_recordings(beads, mode=mode, given=settings.reader_overrides(),
                               bead_um=1e-3 * bead_nm, channel=channel)  # fmt: skip
    chosen = OtfSettings(
        mode,  # type: ignore[arg-type]
        model, full, PsfSettings(window_um, min_snr, tuple(terms or TERMS), saturation=saturation),
    )  # fmt: skip
    noise, doubts = camera_of(
        settings.camera.camera, settings.camera.gain, settings.camera.offset,
        settings.camera.read_noise_e or 0.0,
    )  # fmt: skip
    found = measure_otf(recorded.frames, recorded.setup, chosen, camera=noise)
    if doubts:
        found = replace(found, verdict=worst(found.verdict, "weak"), notes=(*found.notes, *doubts))
    made = record(
        settings={"setup": asdict(recorded.setup), "settings": asdict(chosen)},
        device=f"{device.label}: {device.reason}", seed=None, inputs=describe_files(inputs),
        command=command_line("simcal"),
    )  # fmt: skip
    content = to_record(found, instrument=instrument, conditions=conditions_of(condition),
                        valid_days=valid_days, sources=made["inputs"], provenance=made)  # fmt: skip
    pages = sections(found) if report else []
    written = write_measurement(out, content, "Optical transfer function", pages)
    written += [export_otf(path, found, made) for path in export or []]
    lines = [f"note: {text}" for text in recorded.notes] + [f"wrote {path}" for path in written]
    speak.finish({**facts(found), "files": written}, "\n".join([to_text(found), *lines]))
    return EXIT_OK if found.verdict == "ok" else EXIT_QUALITY
