"""The registration part of calibration records: kind "registration", read by the engine.

Quantities, with C channels: emission_nm (C,), matrix (C, 2, 2) and shift_um (C, 2): the map of
points (y, x) in µm of each channel to the reference channel, whose own is the identity; residual_nm
(C,): rms distance of beads that had no part in the map. Pairs of channels are composed through the
reference.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from simrecon.errors import InputError
from simrecon.io.calibration_record import (
    CalibrationRecord,
    malformed_record,
    read_record,
    record_doubts,
)
from simrecon.io.pattern_record import SAME_WAVELENGTH
from simrecon.model.affine import Affine2D


@dataclass(frozen=True)
class RegistrationRecord:
    """Measured maps between channels.

    Attributes
    ----------
    emission_nm : tuple of float
        One per channel.
    to_reference : tuple of Affine2D
        One per channel.
    pixel_um : float
        Camera pixel of the bead pictures, in the sample.
    shape : (int, int)
        Their size (Y, X): the raw field for which the maps were measured.
    record : CalibrationRecord
    """

    emission_nm: tuple[float, ...]
    to_reference: tuple[Affine2D, ...]
    pixel_um: float
    shape: tuple[int, int]
    record: CalibrationRecord

    def doubts(self, today: date) -> tuple[str, ...]:
        """Why the record should not be trusted blindly, for the user."""
        return record_doubts(self.record, today)

    def channel(self, emission_nm: float) -> int:
        """Which channel has this emission wavelength.

        Raises
        ------
        InputError
            None has, within 2 %.
        """
        away = np.abs(np.log(emission_nm / np.array(self.emission_nm)))
        nearest = int(np.argmin(away))
        if away[nearest] > SAME_WAVELENGTH:
            raise InputError(
                "The registration record holds no such channel.",
                expected="an emission of " + " or ".join(f"{nm:g} nm" for nm in self.emission_nm),
                got=f"{emission_nm:g} nm", where="--emission-nm",
            )  # fmt: skip
        return nearest

    def between(self, from_nm: float, to_nm: float) -> Affine2D:
        """The map of points of one channel to another, through the reference."""
        start, end = self.channel(from_nm), self.channel(to_nm)
        if start == end:
            return Affine2D()
        return self.to_reference[end].inverse().after(self.to_reference[start])


def read_registration_record(path: str | os.PathLike[str]) -> RegistrationRecord:
    """Read a registration record.

    Raises
    ------
    InputError
        When the file is missing or damaged, no record of a registration, or malformed.
    """
    return registration_of(read_record(path), os.fspath(Path(path)))


def registration_of(record: CalibrationRecord, where: str) -> RegistrationRecord:
    """The maps that a record describes.

    Raises
    ------
    InputError
        When it is the record of something else, or its quantities make no maps.
    """
    if record.kind != "registration":
        raise InputError(
            "This is not a registration record.",
            expected='kind = "registration"', got=f'kind = "{record.kind}"', where=where,
        )  # fmt: skip
    names = ("emission_nm", "matrix", "shift_um", "pixel_um", "shape")
    missing = [n for n in names if n not in record.quantities]
    if missing:
        raise malformed_record(where, "quantities " + ", ".join(names), f"no {missing[0]}")
    emission, matrix, shift, pixel, shape = (
        np.asarray(record.quantities[n].value, np.float64) for n in names
    )
    count = emission.size
    right = emission.shape == (count,) and matrix.shape == (count, 2, 2)
    if not right or shift.shape != (count, 2) or shape.shape != (2,) or np.any(emission <= 0):
        raise malformed_record(where, "shapes (C,), (C, 2, 2), (C, 2)", matrix.shape)
    try:
        maps = tuple(Affine2D.of(m, s) for m, s in zip(matrix, shift, strict=True))
    except ValueError as error:
        raise malformed_record(where, "maps with an inverse", error) from error
    return RegistrationRecord(
        tuple(float(v) for v in emission), maps, float(pixel), (int(shape[0]), int(shape[1])),
        record,
    )  # fmt: skip
