"""``simcal check``: what a record says, and whether to believe it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibration.record import RecordCheck, check_record, summary
from simrecon.backend import select_device
from simrecon.io import read_record
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter


def check(record: Path, /, *, json: bool = False) -> int:
    """Read a calibration record, print what it says, and doubt implausible numbers.

    Exit code 0: readable and plausible; 3: no usable record; 4: readable but doubtful.

    Parameters
    ----------
    record
        Record file (.h5).
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    report.device(select_device("cpu"))
    found = read_record(record)
    judged = check_record(found, str(record))
    facts = {
        **summary(found),
        "record": str(record),
        "conditions": dict(found.conditions),
        "record_notes": list(found.notes),
        "verdict": judged.verdict,
        "notes": list(judged.notes),
    }
    report.finish(facts, to_text(facts, judged))
    return EXIT_OK if judged.verdict == "ok" else EXIT_QUALITY


def to_text(facts: dict[str, Any], judged: RecordCheck) -> str:
    """The record for people."""
    lines = [
        f"{facts['kind']} record: {facts['instrument'] or 'instrument not named'}",
        f"created: {facts['created'] or 'unknown'}, expires: {facts['expires'] or 'not stated'}",
    ]
    for name, values in facts["quantities"].items():
        size = " × ".join(map(str, values["shape"]))
        spread = f", {values['p01']:.4g}…{values['p99']:.4g} (1…99 %), {size}" if size else ""
        error = "" if values["sd"] is None else f" ± {values['sd']:.2g}"
        lines.append(f"{name}: {values['median']:.4g}{error} {values['unit']}{spread}")
    lines += [f"{key}: {value}" for key, value in facts["conditions"].items()]
    lines += [f"note: {text}" for text in facts["record_notes"]]
    lines += [f"check: {text}" for text in judged.notes]
    lines.append(f"verdict: {judged.verdict}")
    return "\n".join(lines)
