"""``simcal registration``: maps between channels and cameras, from beads that all of them see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from calibration.commands.options import ValidDays
from calibration.outputs import conditions_of, record_files, write_measurement
from calibration.psf.read import expand_each, needed
from calibration.registration.measure import measure_registration
from calibration.registration.read import ChannelFiles, read_channels
from calibration.registration.report import facts, sections, to_record, to_text
from simrecon.backend import select_device
from simrecon.errors import MetadataError
from simrecon.io import check_overwrite
from simrecon.model.optics import Optics
from simrecon.provenance import describe_files, record
from simrecon.qc.figures import new_figure
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line


def registration(
    beads: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    emission_nm: list[float] | None = None,
    reference_nm: float | None = None,
    pixel_um: float | None = None,
    na: float | None = None,
    index: float | None = None,
    bead_nm: float = 100.0,
    min_snr: float = 10.0,
    report: bool = False,
    instrument: str = "",
    condition: list[str] | None = None,
    valid_days: ValidDays = 90.0,
    json: bool = False,
) -> int:
    """Measure how channels or cameras lie on each other, from multi-colour beads.

    Writes OUT.h5, a calibration record that 'simrecon register' takes, OUT.qc.json with every pair
    of beads, and on request OUT.report.html. At least six beads must be seen by all channels,
    twelve or more for a good map; pairs of beads are found by themselves, also in mirrored or
    turned pictures.

    Exit code 0: measured; 3: files that are no such pictures; 4: doubtful (written and marked), or
    too few beads (not written).

    Parameters
    ----------
    beads
        Files with all channels, one per field of view; or one file per channel of one field, in
        the order of --emission-nm. Planes, times, phases and angles are averaged.
    output
        Record to write, .h5.
    emission_nm
        Emission wavelength of every channel, nm; repeat the option [default: from the files].
    reference_nm
        Channel to whose coordinates the maps lead [default: the first].
    pixel_um
        Camera pixel in the sample, µm [default: from the file].
    na
        Numerical aperture of detection [default: from the file].
    index
        Refractive index of the immersion [default: from the file, else 1.515].
    bead_nm
        Diameter of the beads, nm.
    min_snr
        Beads with a smaller matched-filter signal, in noise sd, are too dim.
    report
        Write a page with tables and plots.
    instrument
        Microscope, cameras, filters and dichroics, for the record.
    condition
        What the maps hold for, e.g. --condition dichroic=2; may be repeated.
    valid_days
        Days after which the record asks to be measured again.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    device = select_device("cpu")
    speak.device(device)
    out, inputs = record_files(output), expand_each(beads)
    check_overwrite(out.all(), inputs)
    if report:
        new_figure(1.0, 1.0)  # a missing matplotlib is said before the work
    files = read_channels(beads)
    optics = _optics(files, emission_nm, na, index)
    pixel = needed(pixel_um, files.pixel_um, "pixel size", "--pixel-um")
    wavelengths = [o.emission_nm for o in optics]
    if reference_nm is not None and reference_nm not in wavelengths:
        raise MetadataError("The reference is none of the channels.", got=f"{reference_nm:g} nm",
                            expected=", ".join(f"{nm:g} nm" for nm in wavelengths),
                            where="--reference-nm")  # fmt: skip
    reference = 0 if reference_nm is None else wavelengths.index(reference_nm)
    found = measure_registration(files.fields, pixel, optics, reference=reference,
                                 bead_um=1e-3 * bead_nm, min_snr=min_snr)  # fmt: skip
    made = record(
        settings={"pixel_um": pixel, "emission_nm": wavelengths, "na": optics[0].na,
                  "index": optics[0].immersion_index, "bead_nm": bead_nm, "min_snr": min_snr},
        device=f"{device.label}: {device.reason}", seed=None, inputs=describe_files(inputs),
        command=command_line("simcal"),
    )  # fmt: skip
    content = to_record(found, instrument=instrument, conditions=conditions_of(condition),
                        valid_days=valid_days, sources=made["inputs"], provenance=made)  # fmt: skip
    pages = sections(found) if report else []
    written = write_measurement(out, content, "Registration", pages)
    lines = [to_text(found), *(f"note: {n}" for n in files.notes), *(f"wrote {p}" for p in written)]
    speak.finish({**facts(found), "files": written}, "\n".join(lines))
    return EXIT_OK if found.verdict == "ok" else EXIT_QUALITY


def _optics(
    files: ChannelFiles, emission_nm: list[float] | None, na: float | None, index: float | None
) -> list[Optics]:
    """Optics of every channel."""
    count = files.fields[0].shape[0]
    wavelengths = emission_nm or list(files.emission_nm)
    if len(wavelengths) != count:
        raise MetadataError(
            "Every channel needs its emission wavelength.", expected=f"{count} for the channels",
            got=", ".join(f"{nm:g} nm" for nm in wavelengths) or "none", where="--emission-nm",
            hint="--emission-nm 525 --emission-nm 605, in the order of the channels or files",
        )  # fmt: skip
    aperture = needed(na, files.na, "detection NA", "--na")
    return [Optics(aperture, nm, index or files.index or 1.515) for nm in wavelengths]
