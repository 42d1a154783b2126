"""The camera part of calibration records: kind "camera", read by the engine.

Quantities: gain (ADU/e), offset (ADU) and read_noise_e (e), numbers or maps (Y, X) of one shape;
what else the record holds (masks, tables) is for people and for ``simcal check``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from simrecon.errors import InputError, UsageError
from simrecon.io.calibration_record import (
    CalibrationRecord,
    Quantity,
    malformed_record,
    read_record,
    record_doubts,
    write_record,
)
from simrecon.model.camera import Camera, ScalarOrMap
from simrecon.provenance import sha256_file

CAMERA_UNITS = {"gain": "ADU/e", "offset": "ADU", "read_noise_e": "e"}
"""The three quantities of the camera model and their units."""

UNUSABLE_BITS = 1 | 4
"""Bits of a record's "mask" (Y, X): hot offset, dead. Noisy pixels (2) keep their read noise."""


@dataclass(frozen=True)
class CameraRecord:
    """A measured camera.

    Attributes
    ----------
    camera : Camera
        Gain (ADU/e), offset (ADU) and read noise (e), numbers or maps (Y, X).
    record : CalibrationRecord
        The whole record: uncertainties, instrument, date, conditions, sources, notes.
    """

    camera: Camera
    record: CalibrationRecord

    @property
    def map_shape(self) -> tuple[int, int] | None:
        """Shape (Y, X) of the maps, or None when all three are numbers."""
        for name in CAMERA_UNITS:
            value = np.asarray(getattr(self.camera, name))
            if value.ndim:
                return int(value.shape[0]), int(value.shape[1])
        return None

    def doubts(self, today: date) -> tuple[str, ...]:
        """Why the record should not be trusted blindly: weak, or past its end; for the user."""
        return record_doubts(self.record, today)

    @property
    def usable(self) -> Camera:
        """The camera with NaN in the offset of pixels that the record's mask calls hot or dead."""
        mask = self.record.quantities.get("mask")
        if mask is None or np.ndim(mask.value) != 2:
            return self.camera
        unusable = (np.asarray(mask.value).astype(np.int64) & UNUSABLE_BITS) != 0
        if not unusable.any():
            return self.camera
        offset = np.where(unusable, np.float32(np.nan), np.asarray(self.camera.offset, np.float32))
        return replace(self.camera, offset=offset)


def camera_of(record: CalibrationRecord, source: str, where: str) -> CameraRecord:
    """The camera that a record describes.

    Parameters
    ----------
    record
        Of kind "camera".
    source
        What :attr:`simrecon.model.camera.Camera.source` shall say.
    where
        File name for error messages.

    Raises
    ------
    InputError
        When it is the record of something else, or its quantities make no camera.
    """
    if record.kind != "camera":
        raise InputError(
            "This is not a camera record.",
            expected='kind = "camera"', got=f'kind = "{record.kind}"', where=where,
        )  # fmt: skip
    values: dict[str, ScalarOrMap] = {}
    for name, unit in CAMERA_UNITS.items():
        quantity = record.quantities.get(name)
        if quantity is None or quantity.unit != unit or np.ndim(quantity.value) not in (0, 2):
            raise malformed_record(where, f"{name} in {unit}, a number or a (Y, X) map", quantity)
        array = np.asarray(quantity.value)
        values[name] = array.astype(np.float32) if array.ndim else float(array)
    shapes = {np.shape(v) for v in values.values()} - {()}
    if len(shapes) > 1:
        raise malformed_record(where, "maps of one shape", sorted(shapes))
    try:
        camera = Camera(**values, source=source)  # type: ignore[arg-type]
    except UsageError as error:
        raise malformed_record(where, "gain > 0 and read noise ≥ 0", error.message) from error
    return CameraRecord(camera, record)


def read_camera_record(path: str | os.PathLike[str]) -> CameraRecord:
    """Read a camera record.

    The camera's `source` names the file and its SHA-256, and so does the provenance of what is
    made with it.

    Raises
    ------
    InputError
        When the file is missing or damaged, no record of a camera, or malformed.
    """
    record = read_record(path)
    source = f"record {Path(path).name} sha256 {sha256_file(Path(path))}"
    return camera_of(record, source, os.fspath(path))


def camera_quantities(camera: Camera) -> dict[str, Quantity]:
    """A camera as quantities of a record, without uncertainties."""
    found = {}
    for name, unit in CAMERA_UNITS.items():
        value = np.asarray(getattr(camera, name))
        found[name] = Quantity(value.astype(np.float32) if value.ndim else float(value), unit)
    return found


def write_camera_record(
    path: str | os.PathLike[str], camera: Camera, *, instrument: str = "", created: str = ""
) -> None:
    """Write known camera numbers or maps as a record without uncertainties, atomically."""
    write_record(
        path,
        CalibrationRecord("camera", camera_quantities(camera), instrument, created),
    )
