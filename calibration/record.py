"""Calibration records for people: what they say in short, and whether that is plausible.

The file format is :mod:`simrecon.io.calibration_record`, which the engine reads too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

import numpy as np

from simrecon.io.calibration_record import (
    RECORD_SCHEMA,
    CalibrationRecord,
    Quantity,
    malformed_record,
)
from simrecon.io.camera_record import CAMERA_UNITS, camera_of
from simrecon.model.pattern import Verdict

HOT_FACTOR = 5.0
"""A pixel is noisy when its read noise exceeds so many medians."""
HOT_FRACTION_NOTED = 0.02
_PLAUSIBLE = {"gain": (0.02, 200.0), "offset": (0.0, 5000.0), "read_noise_e": (0.1, 50.0)}
_NEEDED: dict[str, tuple[str, ...]] = {
    "camera": tuple(CAMERA_UNITS),
    "psf": ("psf", "pixel_um", "fwhm_um"),
    "otf": ("otf_real", "otf_imag", "kr_step_per_um", "kz_step_per_um", "pixel_um", "contrast",
            "phase_step_rad"),
    "pattern": ("emission_nm", "frequency_per_um", "frequency_repeat_per_um", "phase_step_rad",
                "phase_step_repeat_rad", "modulation", "pixel_um"),
    "registration": ("emission_nm", "matrix", "shift_um", "pixel_um", "shape"),
}  # fmt: skip
"""Quantities without which a record of that kind is of no use."""
_ORDER: tuple[Verdict, ...] = ("ok", "weak", "failed")


@dataclass(frozen=True)
class RecordCheck:
    """Verdict on a record, with the sentences that explain it."""

    verdict: Verdict
    notes: tuple[str, ...]


class Dates(TypedDict):
    """When a record was made and until when it holds (empty: for ever)."""

    created: str
    expires: str


def dated(valid_days: float | None) -> Dates:
    """A record made now, in ISO 8601; None: it never expires."""
    now = datetime.now(UTC)
    ends = "" if valid_days is None else (now + timedelta(days=valid_days)).date().isoformat()
    return {"created": now.isoformat(timespec="seconds"), "expires": ends}


def worst(*verdicts: Verdict) -> Verdict:
    """The worst of some verdicts; "ok" of none."""
    return max(verdicts, key=_ORDER.index, default="ok")


def summary(record: CalibrationRecord) -> dict[str, Any]:
    """Facts of a record, and per quantity its median, 1 to 99 % range and error; JSON-ready."""
    return {
        "schema": RECORD_SCHEMA, "kind": record.kind, "instrument": record.instrument,
        "created": record.created, "expires": record.expires, "verdict": record.verdict,
        "quantities": {name: _range(q) for name, q in record.quantities.items()},
    }  # fmt: skip


def _range(quantity: Quantity) -> dict[str, Any]:
    value = np.asarray(quantity.value, dtype=np.float64)
    low, middle, high = np.percentile(value, [1, 50, 99])
    sd = None if quantity.sd is None else float(np.median(np.asarray(quantity.sd)))
    return {
        "median": float(middle), "p01": float(low), "p99": float(high), "sd": sd,
        "shape": list(value.shape), "unit": quantity.unit,
    }  # fmt: skip


def check_record(record: CalibrationRecord, where: str = "") -> RecordCheck:
    """Judge a record by itself.

    A record whose measurement was doubtful stays so, and missing facts that tell what it holds
    for are "weak". Of cameras, implausible medians (gain 0.02…200 ADU/e, offset 0…5000 ADU, read
    noise 0.1…50 e) are "failed"; more than 2 % noisy pixels are "weak".

    Raises
    ------
    InputError
        A kind that is not known, a quantity of its kind that is missing, or a camera record without
        a usable camera.
    """
    if record.kind not in _NEEDED:
        raise malformed_record(where, "a kind: " + ", ".join(_NEEDED), record.kind)
    missing = [name for name in _NEEDED[record.kind] if name not in record.quantities]
    if missing:
        raise malformed_record(where, f"quantities of a {record.kind} record: "
                               + ", ".join(_NEEDED[record.kind]), f"no {missing[0]}")  # fmt: skip
    notes: list[str] = []
    verdict = record.verdict
    if verdict != "ok":
        notes.append(f"The measurement was {verdict}; see the record's own notes.")
    for name in ("instrument", "created"):
        if not getattr(record, name):
            verdict = worst(verdict, "weak")
            notes.append(f"The record does not say its {name}.")
    if record.kind == "camera":
        camera_verdict, camera_notes = _check_camera(record, where)
        verdict = worst(verdict, camera_verdict)
        notes += camera_notes
    return RecordCheck(verdict, tuple(notes))


def _check_camera(record: CalibrationRecord, where: str) -> tuple[Verdict, list[str]]:
    camera = camera_of(record, "", where).camera
    notes: list[str] = []
    verdict: Verdict = "ok"
    for name, (low, high) in _PLAUSIBLE.items():
        median = float(np.median(np.asarray(getattr(camera, name))))
        if not low <= median <= high:
            verdict = "failed"
            notes.append(
                f"{name} {median:.4g} {CAMERA_UNITS[name]} is not plausible "
                f"(expected {low:g} to {high:g})."
            )
    read_noise = np.asarray(camera.read_noise_e)
    if read_noise.ndim:
        hot = float(np.mean(read_noise > HOT_FACTOR * np.median(read_noise)))
        if hot > HOT_FRACTION_NOTED:
            verdict = worst(verdict, "weak")
            notes.append(f"{100 * hot:.1f} % of the pixels are noisy (above five medians).")
    return verdict, notes
