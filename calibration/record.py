"""Calibration records: what was measured about an instrument, in one file format.

``calibration/record/1`` is JSON with arrays in an ``.npz`` beside it (see
:mod:`simrecon.io.camera_record`, which the engine uses to read the camera part). A record has a
`kind`; "camera" is the first, others join with their own content under the same schema.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simrecon.errors import InputError
from simrecon.io.atomic import read_json
from simrecon.io.camera_record import (
    QUANTITIES,
    RECORD_SCHEMA,
    CameraRecord,
    read_camera_record,
    write_camera_record,
)
from simrecon.model.pattern import Verdict

Kind = Literal["camera"]
KINDS: tuple[Kind, ...] = ("camera",)
HOT_FACTOR = 5.0
HOT_FRACTION_NOTED = 0.02
_PLAUSIBLE = {"gain": (0.02, 200.0), "offset": (0.0, 5000.0), "read_noise_e": (0.1, 50.0)}
_UNIT = {"gain": "ADU/e", "offset": "ADU", "read_noise_e": "e"}


@dataclass(frozen=True)
class CalibrationRecord:
    """A record of any kind.

    Attributes
    ----------
    kind : {"camera"}
    content : CameraRecord
        The measured values.
    """

    kind: Kind
    content: CameraRecord

    def summary(self) -> dict[str, Any]:
        """Medians and 1 to 99 % ranges of the quantities, JSON-ready."""
        quantities = {}
        for name in QUANTITIES:
            value = np.asarray(getattr(self.content.camera, name), dtype=np.float64)
            low, middle, high = np.percentile(value, [1, 50, 99])
            quantities[name] = {
                "median": float(middle), "p01": float(low), "p99": float(high),
                "map": bool(value.ndim), "unit": _UNIT[name],
            }  # fmt: skip
        shape = self.content.map_shape
        return {
            "schema": RECORD_SCHEMA, "kind": self.kind, "instrument": self.content.instrument,
            "created": self.content.created, "shape": None if shape is None else list(shape),
            "quantities": quantities,
        }  # fmt: skip


@dataclass(frozen=True)
class RecordCheck:
    """Verdict on a record, with the sentences that explain it."""

    verdict: Verdict
    notes: tuple[str, ...]


def read_record(path: str | os.PathLike[str]) -> CalibrationRecord:
    """Read a record of any kind.

    Raises
    ------
    InputError
        When the file is no record, of an unknown kind, or malformed.
    """
    data = read_json(path)
    if data.get("schema") != RECORD_SCHEMA or data.get("kind") not in KINDS:
        raise InputError(
            "This is not a calibration record that can be read.",
            expected=f'"schema": "{RECORD_SCHEMA}" and a kind of {", ".join(KINDS)}',
            got=f'"schema": {data.get("schema")!r}, "kind": {data.get("kind")!r}',
            where=str(path),
        )
    return CalibrationRecord("camera", read_camera_record(path))


def write_record(path: str | os.PathLike[str], record: CalibrationRecord) -> None:
    """Write a record, atomically (maps first, JSON last)."""
    write_camera_record(path, record.content)


def check_record(record: CalibrationRecord) -> RecordCheck:
    """Judge a record by what cameras are like.

    Implausible medians (gain 0.02…200 ADU/e, offset 0…5000 ADU, read noise 0.1…50 e) are
    "failed"; more than 2 % pixels whose read noise exceeds five medians, and missing facts that
    tell what the record holds for, are "weak".
    """
    notes: list[str] = []
    verdict: Verdict = "ok"
    for name, (low, high) in _PLAUSIBLE.items():
        median = float(np.median(np.asarray(getattr(record.content.camera, name))))
        if not low <= median <= high:
            verdict = "failed"
            notes.append(
                f"{name} {median:.4g} {_UNIT[name]} is not plausible "
                f"(expected {low:g} to {high:g})."
            )
    read_noise = np.asarray(record.content.camera.read_noise_e)
    if read_noise.ndim:
        hot = float(np.mean(read_noise > HOT_FACTOR * np.median(read_noise)))
        if hot > HOT_FRACTION_NOTED:
            verdict = "weak" if verdict == "ok" else verdict
            notes.append(f"{100 * hot:.1f} % of the pixels are noisy (above five medians).")
    for name in ("instrument", "created"):
        if not getattr(record.content, name):
            verdict = "weak" if verdict == "ok" else verdict
            notes.append(f"The record does not say its {name}.")
    return RecordCheck(verdict, tuple(notes))
