"""The program ``simcal``: calibration records, checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from calibration.record import RecordCheck, check_record, read_record
from simrecon.backend import select_device
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, execute, make_app

app = make_app(
    "simcal",
    "Calibration records of the instrument. This version checks records; measuring comes later.",
)


@app.command
def check(record: Path, /, *, json: bool = False) -> int:
    """Read a calibration record, print what it says, and doubt implausible numbers.

    Exit code 0: readable and plausible; 3: no usable record; 4: readable but doubtful.

    Parameters
    ----------
    record
        Record file (JSON; per-pixel maps lie beside it as .npz).
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    report.device(select_device("cpu"))
    found = read_record(record)
    judged = check_record(found)
    summary = found.summary()
    conditions = dict(found.content.conditions)
    facts = {
        **summary,
        "record": str(record),
        "conditions": conditions,
        "record_notes": list(found.content.notes),
        "verdict": judged.verdict,
        "notes": list(judged.notes),
    }
    report.finish(facts, to_text(summary, conditions, judged))
    return EXIT_OK if judged.verdict == "ok" else EXIT_QUALITY


def to_text(summary: dict[str, Any], conditions: dict[str, Any], judged: RecordCheck) -> str:
    """The record for people."""
    shape = summary["shape"]
    maps = "numbers only" if shape is None else f"maps of {shape[0]} × {shape[1]} pixels"
    lines = [
        f"{summary['kind']} record: {summary['instrument'] or 'instrument not named'}, {maps}",
        f"created: {summary['created'] or 'unknown'}",
    ]
    for name, values in summary["quantities"].items():
        spread = f" (1…99 %: {values['p01']:.4g}…{values['p99']:.4g})" if values["map"] else ""
        lines.append(f"{name}: {values['median']:.4g} {values['unit']}{spread}")
    lines += [f"{key}: {value}" for key, value in conditions.items()]
    lines += [f"check: {text}" for text in judged.notes]
    lines.append(f"verdict: {judged.verdict}")
    return "\n".join(lines)


def run() -> None:
    """Entry point of the console script."""
    sys.exit(execute(app))


if __name__ == "__main__":
    run()
