"""``simcal check``: what a record says, whether to believe it, and whether data fit it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from calibration.bead_check import check_otf_beads, check_psf_beads
from calibration.data_check import Finding, check_age, check_camera, check_optics
from calibration.otf.read import read_recordings
from calibration.pattern.compare import check_pattern
from calibration.psf.read import needed, read_beads
from calibration.psf.settings import BeadSetup
from calibration.record import check_record, summary, worst
from calibration.registration.compare import check_registration
from calibration.registration.read import read_channels
from simrecon.backend import select_device
from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.io import CalibrationRecord, read, read_raw, read_record
from simrecon.io.frame_stream import stream_frames
from simrecon.io.reader import expand_paths
from simrecon.model.frames import RawFrames
from simrecon.model.optics import Optics
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter
from simrecon.shell_options import FileOptions

_OF_BEADS = ("psf", "otf")
_SAMPLE = ("sample_index", "depth_um")


def check(
    record: Path,
    data: list[str] | None = None,
    /,
    *,
    dark: bool = False,
    beads: bool = False,
    file: FileOptions | None = None,
    json: bool = False,
) -> int:
    """Print a calibration record, doubt implausible numbers, and say whether data fit it.

    With DATA: size, pixel size, wavelength, for cameras the offset and the noise of the frames (at
    most 200), for patterns spacing, angle and phase steps, and for registrations the places of
    beads are held against the record; with --beads also the PSF or OTF that new beads give.

    Exit code 0: plausible, and the data fit; 3: record or data cannot be read; 4: doubtful.

    Parameters
    ----------
    record
        Record file (.h5).
    data
        Raw frames, of any format that 'simrecon reconstruct' reads.
    dark
        DATA are at least ten dark frames: measures the drift of offset and read noise.
    beads
        For PSF and OTF records: DATA are beads as the record was made from (a bead stack, or a SIM
        recording of beads); measures them anew, with the same settings.
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    report.device(select_device("cpu"))
    found = read_record(record)
    judged = check_record(found, str(record))
    findings = [check_age(found, datetime.now(UTC).date())]
    if data:
        findings += _compare(found, data, (file or FileOptions()).settings(),
                             dark=dark, beads=beads)  # fmt: skip
    verdict = worst(judged.verdict, *(f.verdict for f in findings if f.verdict is not None))
    facts = {
        **summary(found),
        "record": str(record),
        "conditions": dict(found.conditions),
        "record_notes": list(found.notes),
        "verdict": verdict,
        "notes": list(judged.notes),
        "checks": [finding.to_dict() for finding in findings],
    }
    report.finish(facts, to_text(facts, findings))
    return EXIT_OK if verdict == "ok" else EXIT_QUALITY


def _compare(
    record: CalibrationRecord, data: list[str], settings: Settings, *, dark: bool, beads: bool
) -> list[Finding]:
    """Everything about the data that the record can be held against."""
    for option, wrong, kinds in (("--dark", dark and record.kind != "camera", "camera"),
                                 ("--beads", beads and record.kind not in _OF_BEADS,
                                  " and ".join(_OF_BEADS))):  # fmt: skip
        if wrong:
            raise UsageError(f"This is the record of a {record.kind}.", where=option,
                             expected=f"{option} with records of {kinds}")  # fmt: skip
    given = settings.reader_overrides()
    optics = _optics(record, read_raw(expand_paths(data)[0]), given)
    findings = check_optics(record, optics)
    if record.kind == "camera":
        findings += check_camera(record, stream_frames(data), optics, dark)
    elif record.kind == "pattern":
        stack = read(data, mode=settings.reconstruction.mode, **given)
        findings += check_pattern(record, stack, settings)
    elif record.kind == "registration":
        findings += _registration(record, data, given)
    elif record.kind in _OF_BEADS and beads:
        findings += _beads(record, data, optics, given)
    elif record.kind in _OF_BEADS:
        findings.append(Finding("drift", None, "not compared; give new beads with --beads"))
    return findings


def _optics(
    record: CalibrationRecord, raw: RawFrames, given: Mapping[str, Any]
) -> dict[str, float]:
    """Numbers of the data; of several channels the wavelength next to the record's."""
    stated = {"pixel_um": raw.pixel_um, "na": raw.na, "index": raw.index,
              "emission_nm": raw.emission_nm or None}  # fmt: skip
    stated |= {name: given[name] for name in stated if name in given}
    known = record.conditions.get("emission_nm")
    found = {}
    for name, value in stated.items():
        if value is None:
            continue
        values = [float(v) for v in np.ravel(value)]
        near = isinstance(known, int | float) and name == "emission_nm"
        found[name] = min(values, key=lambda v: abs(v - float(known))) if near else values[0]  # type: ignore[arg-type]
    return found


def _registration(
    record: CalibrationRecord, data: list[str], given: Mapping[str, Any]
) -> list[Finding]:
    beads = read_channels(data)
    aperture = needed(given.get("na"), beads.na, "detection NA", "--na")
    pixel = needed(given.get("pixel_um"), beads.pixel_um, "pixel size", "--pixel-um")
    channels = np.ravel(given.get("emission_nm", beads.emission_nm))
    every = [Optics(aperture, float(nm), given.get("index", 1.515)) for nm in channels]
    return check_registration(record, beads, every, pixel)


def _beads(
    record: CalibrationRecord,
    data: list[str],
    optics: Mapping[str, float],
    given: Mapping[str, Any],
) -> list[Finding]:
    """Measure new beads with what the data state, and the record where they do not."""
    size_um = float(record.conditions.get("bead_um", 0.1))
    if record.kind == "otf":
        mode = str(record.conditions.get("mode", "2d"))
        recorded = read_recordings(data, mode=mode, given=given, bead_um=size_um)
        return check_otf_beads(record, recorded.frames, recorded.setup)
    known = {**record.conditions, **optics}
    before = record.results.get("setup", {})
    sample = {n: v for n, v in before.get("optics", {}).items() if n in _SAMPLE}
    na, nm, index = (needed(None, known.get(n), n, f"--{n.replace('_', '-')}")
                     for n in ("na", "emission_nm", "index"))  # fmt: skip
    light = Optics(na, nm, index, **sample)
    beads = read_beads(data)
    dz = None
    if beads.stacks[0].shape[0] > 1:
        dz = needed(given.get("dz_um"), beads.dz_um, "distance between planes", "--dz-um")
    pixel = needed(None, known.get("pixel_um"), "pixel size", "--pixel-um")
    setup = BeadSetup(pixel, dz, light, size_um, bool(before.get("reverse_z", False)))
    return check_psf_beads(record, beads.stacks, setup)


def to_text(facts: dict[str, Any], findings: list[Finding]) -> str:
    """The record for people."""
    lines = [
        f"{facts['kind']} record: {facts['instrument'] or 'instrument not named'}",
        f"created: {facts['created'] or 'unknown'}, expires: {facts['expires'] or 'not stated'}",
    ]
    for name, values in facts["quantities"].items():
        size = " × ".join(map(str, values["shape"]))
        spread = f", {values['p01']:.4g}…{values['p99']:.4g} (1…99 %), {size}" if size else ""
        error = "" if values["sd"] is None else f" ± {values['sd']:.2g}"
        unit = f" {values['unit']}" if values["unit"] else ""
        lines.append(f"{name}: {values['median']:.4g}{error}{unit}{spread}")
    lines += [f"{key}: {value}" for key, value in facts["conditions"].items()]
    lines += [f"note: {text}" for text in facts["record_notes"]]
    lines += [f"check: {text}" for text in facts["notes"]]
    lines += [f"check {f.name}: {f.verdict or 'unknown'}, {f.text}" for f in findings]
    lines.append(f"verdict: {facts['verdict']}")
    return "\n".join(lines)
