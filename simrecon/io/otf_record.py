"""OTFs of calibration records: kind "otf", and the picture of kind "psf"; read by the engine.

A record of kind "otf" has otf_real and otf_imag (orders, R, K): ``H_m(kr, kz)``, kz in FFT order,
H_0(0, 0) = 1, the contrast of the orders included; kr_step_per_um, kz_step_per_um, pixel_um and,
of volumes, dz_um (of a plane K = 1). Optional psf_real and psf_imag (A, orders, Z, Y, X) are the
PSFs of every direction and stand in place of the radial means. What else it holds is for people.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from simrecon.errors import InputError
from simrecon.io.calibration_record import (
    CalibrationRecord,
    malformed_record,
    read_record,
    record_doubts,
)
from simrecon.provenance import sha256_file

RECORD_SUFFIXES = (".h5", ".hdf5")
_TABLE = ("otf_real", "otf_imag", "kr_step_per_um", "kz_step_per_um", "pixel_um")


@dataclass(frozen=True)
class OtfRecord:
    """OTFs as a record keeps them.

    Attributes
    ----------
    table : ndarray, shape (orders, R, K), complex, or None
        Radial means, kz in FFT order; None of a "psf" record.
    kr_step_per_um, kz_step_per_um : float
        Steps of the table; the second is 0 for a plane.
    psfs : ndarray, shape (A, orders, Z, Y, X), complex, or None
        Focus on the middle voxel.
    pixel_um : float
    dz_um : float or None
        Pitches of the PSFs and of the beads.
    light_per_um : tuple of float or None
        How far the light of every order reaches along kz; None: not stated.
    source : str
        File, hash and instrument, for provenance.
    record : CalibrationRecord
    """

    table: np.ndarray | None
    kr_step_per_um: float
    kz_step_per_um: float
    psfs: np.ndarray | None
    pixel_um: float
    dz_um: float | None
    light_per_um: tuple[float, ...] | None
    source: str
    record: CalibrationRecord

    @property
    def is_volume(self) -> bool:
        """Whether it holds the OTFs of a volume."""
        return self.table is not None and self.table.shape[2] > 1


def is_record(path: str | os.PathLike[str]) -> bool:
    """Whether the name is that of a calibration record."""
    return Path(path).suffix.lower() in RECORD_SUFFIXES


def read_otf_record(path: str | os.PathLike[str]) -> OtfRecord:
    """Read a record of kind "otf" or "psf".

    Raises
    ------
    InputError
        When the file is missing, damaged, the record of something else, or malformed.
    """
    where = os.fspath(path)
    record = read_record(path)
    named = ", ".join(n for n in (record.instrument, record.created[:10]) if n)
    source = f"record {Path(path).name} (sha256 {sha256_file(Path(path))[:16]}…)"
    source += f", {named}" if named else ""
    if record.kind == "psf":
        return _of_psf(record, source, where)
    if record.kind != "otf":
        raise InputError(
            "This is not the record of an OTF.", expected='kind = "otf" or "psf"',
            got=f'kind = "{record.kind}"', where=where,
        )  # fmt: skip
    missing = [n for n in _TABLE if n not in record.quantities]
    if missing:
        raise malformed_record(where, "quantities " + ", ".join(_TABLE), f"no {missing[0]}")
    real, imag = (np.asarray(record.quantities[n].value) for n in _TABLE[:2])
    if real.ndim != 3 or real.shape != imag.shape or min(real.shape[:2]) < 1:
        raise malformed_record(where, "otf_real and otf_imag of one shape (orders, R, K)",
                               f"{real.shape} and {imag.shape}")  # fmt: skip
    psfs = None
    if {"psf_real", "psf_imag"} <= set(record.quantities):
        parts = [np.asarray(record.quantities[n].value) for n in ("psf_real", "psf_imag")]
        if parts[0].ndim != 5 or parts[0].shape != parts[1].shape:
            raise malformed_record(where, "psf_real and psf_imag (A, orders, Z, Y, X)",
                                   f"{parts[0].shape} and {parts[1].shape}")  # fmt: skip
        psfs = parts[0] + 1j * parts[1]
    return OtfRecord(
        real + 1j * imag, _number(record, "kr_step_per_um", where),
        _number(record, "kz_step_per_um", where, zero=real.shape[2] == 1), psfs,
        _number(record, "pixel_um", where),
        _number(record, "dz_um", where) if real.shape[2] > 1 else None,
        _reach(record, real.shape[0]), source, record,
    )  # fmt: skip


def _of_psf(record: CalibrationRecord, source: str, where: str) -> OtfRecord:
    if "psf" not in record.quantities:
        raise malformed_record(where, "quantity psf", "none")
    psf = np.asarray(record.quantities["psf"].value)
    if psf.ndim != 3:
        raise malformed_record(where, "a PSF (Z, Y, X)", str(psf.shape))
    return OtfRecord(None, 0.0, 0.0, psf[None, None].astype(complex),
                     _number(record, "pixel_um", where), None, None, source, record)  # fmt: skip


def _reach(record: CalibrationRecord, orders: int) -> tuple[float, ...] | None:
    if "light_reach_per_um" not in record.quantities:
        return None
    values = np.asarray(record.quantities["light_reach_per_um"].value, dtype=np.float64)
    return tuple(float(v) for v in values) if values.shape == (orders,) else None


def _number(record: CalibrationRecord, name: str, where: str, *, zero: bool = False) -> float:
    if name not in record.quantities:
        raise malformed_record(where, f"quantity {name}", "none")
    value = np.asarray(record.quantities[name].value, dtype=np.float64)
    if value.ndim or not (value > 0 or (zero and value == 0)):
        raise malformed_record(where, f"{name} above 0", str(value))
    return float(value)


def otf_doubts(
    paths: Iterable[str | os.PathLike[str]], today: date | None = None
) -> tuple[str, ...]:
    """Why the calibration records among OTF files should not be trusted blindly."""
    day = today or datetime.now(UTC).date()
    records = (read_record(p) for p in paths if is_record(p))
    return tuple(doubt for record in records for doubt in record_doubts(record, day))
