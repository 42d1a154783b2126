"""``simcal check``: what a record says, whether to believe it, and whether data fit it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from calibration.data_check import Finding, check_age, check_camera, check_optics
from calibration.pattern.compare import check_pattern
from calibration.psf.read import needed
from calibration.record import check_record, summary, worst
from calibration.registration.compare import check_registration
from calibration.registration.read import read_channels
from simrecon.backend import select_device
from simrecon.config import Settings
from simrecon.io import CalibrationRecord, read, read_raw, read_record
from simrecon.io.frame_stream import stream_frames
from simrecon.io.reader import expand_paths
from simrecon.model.optics import Optics
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter
from simrecon.shell_options import FileOptions


def check(
    record: Path,
    data: list[str] | None = None,
    /,
    *,
    dark: bool = False,
    file: FileOptions | None = None,
    json: bool = False,
) -> int:
    """Print a calibration record, doubt implausible numbers, and say whether data fit it.

    With DATA: size, pixel size, wavelength, for cameras the offset and the noise of the frames (at
    most 200), for patterns spacing, angle and phase steps, and for registrations the places of
    beads are held against the record.

    Exit code 0: plausible, and the data fit; 3: record or data cannot be read; 4: doubtful.

    Parameters
    ----------
    record
        Record file (.h5).
    data
        Raw frames, of any format that 'simrecon reconstruct' reads.
    dark
        DATA are at least ten dark frames: measures the drift of offset and read noise.
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    report.device(select_device("cpu"))
    found = read_record(record)
    judged = check_record(found, str(record))
    findings = [check_age(found, datetime.now(UTC).date())]
    if data:
        findings += _compare(found, data, (file or FileOptions()).settings(), dark)
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
    record: CalibrationRecord, data: list[str], settings: Settings, dark: bool
) -> list[Finding]:
    """Everything about the data that the record can be held against."""
    given = settings.reader_overrides()
    raw = read_raw(expand_paths(data)[0])
    stated = {
        "pixel_um": raw.pixel_um, "dz_um": raw.dz_um, "na": raw.na, "index": raw.index,
        "emission_nm": raw.emission_nm[0] if raw.emission_nm else None,
    }  # fmt: skip
    stated |= {name: given[name] for name in stated if name in given}
    optics = {name: float(np.ravel(value)[0]) for name, value in stated.items() if value}
    findings = check_optics(record, optics)
    if record.kind == "camera":
        findings += check_camera(record, stream_frames(data), optics, dark)
    if record.kind == "pattern":
        stack = read(data, mode=settings.reconstruction.mode, **given)
        findings += check_pattern(record, stack, settings)
    if record.kind == "registration":
        beads = read_channels(data)
        aperture = needed(given.get("na"), beads.na, "detection NA", "--na")
        pixel = needed(given.get("pixel_um"), beads.pixel_um, "pixel size", "--pixel-um")
        channels = np.ravel(given.get("emission_nm", beads.emission_nm))
        every = [Optics(aperture, float(nm), given.get("index", 1.515)) for nm in channels]
        findings += check_registration(record, beads, every, pixel)
    return findings


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
