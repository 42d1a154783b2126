"""The program ``simcal``: calibration records, checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from calibration.record import CameraRecord, read_camera_record
from simrecon.backend import select_device
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, execute, make_app

app = make_app(
    "simcal",
    "Calibration records of cameras: this version checks records; measuring comes later.",
)
PLAUSIBLE = {"gain": (0.01, 100.0), "offset": (-1000.0, 20000.0), "read_noise_e": (0.0, 50.0)}
"""Ranges outside which a number is more likely a slip than a camera."""
UNITS = {"gain": "counts per electron", "offset": "counts", "read_noise_e": "electrons rms"}


@app.command
def check(record: Path, /, *, json: bool = False) -> int:
    """Read a calibration record, print what it says, and doubt implausible numbers.

    Exit code 0: readable and plausible; 3: no usable record; 4: readable but implausible.

    Parameters
    ----------
    record
        Record file (JSON; per-pixel maps lie beside it as .npz).
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    report.device(select_device("cpu"))
    found = read_camera_record(record)
    quantities = {name: summarise(getattr(found.camera, name)) for name in PLAUSIBLE}
    doubts = find_doubts(quantities)
    facts = {
        "record": str(record),
        "kind": "camera",
        "instrument": found.instrument,
        "created": found.created,
        "conditions": dict(found.conditions),
        "map_shape": found.map_shape,
        "quantities": quantities,
        "notes": list(found.notes),
        "doubts": doubts,
    }
    report.finish(facts, to_text(found, quantities, doubts))
    return EXIT_QUALITY if doubts else EXIT_OK


def summarise(value: Any) -> dict[str, float]:
    """Median, minimum and maximum of a number or a map."""
    array = np.asarray(value, dtype=np.float64)
    return {
        "median": float(np.median(array)),
        "minimum": float(array.min()),
        "maximum": float(array.max()),
    }


def find_doubts(quantities: dict[str, dict[str, float]]) -> list[str]:
    """One sentence per quantity whose median lies outside its plausible range."""
    doubts = []
    for name, (low, high) in PLAUSIBLE.items():
        median = quantities[name]["median"]
        if not low <= median <= high:
            doubts.append(
                f"{name} {median:g} {UNITS[name]} is implausible (expected {low:g}…{high:g})"
            )
    return doubts


def to_text(found: CameraRecord, quantities: dict[str, dict[str, float]], doubts: list[str]) -> str:
    """The record for people."""
    maps = "numbers only" if found.map_shape is None else f"maps of {found.map_shape} pixels"
    lines = [
        f"camera record: {found.instrument or 'instrument not named'}, {maps}",
        f"created: {found.created or 'unknown'}",
    ]
    for name, values in quantities.items():
        spread = f" ({values['minimum']:.4g}…{values['maximum']:.4g})"
        lines.append(
            f"{name}: {values['median']:.4g} {UNITS[name]}{spread if found.map_shape else ''}"
        )
    lines += [f"{key}: {value}" for key, value in found.conditions.items()]
    lines += [f"note: {text}" for text in found.notes]
    lines += [f"check: {text}" for text in doubts]
    lines.append(f"verdict: {'doubtful' if doubts else 'ok'}")
    return "\n".join(lines)


def run() -> None:
    """Entry point of the console script."""
    sys.exit(execute(app))


if __name__ == "__main__":
    run()
