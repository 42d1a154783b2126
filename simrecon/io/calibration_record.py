"""Calibration records: one HDF5 file per measurement, schema ``calibration/record/1``.

    /                       attributes: schema, kind, instrument, created, expires, verdict (text);
                            conditions, results, sources, provenance, notes (JSON text)
    /quantities/NAME        dataset of any shape; attributes: unit, meaning
    /uncertainty/NAME       its standard deviation, same unit, same shape or a number (optional)

Arrays of two dimensions are maps (Y, X) with row 0 at the top, as :func:`simrecon.read` gives
frames. They are stored in their own type, compressed, with checksums, so a damaged file is not
read as a wrong number. The engine reads records; :mod:`calibration` makes them.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from simrecon.errors import InputError
from simrecon.io.atomic import atomic_path, to_json
from simrecon.model.pattern import Verdict

RECORD_SCHEMA = "calibration/record/1"
_TEXT = ("kind", "instrument", "created", "expires", "verdict")
_JSON: dict[str, type] = {
    "conditions": dict, "results": dict, "sources": list, "provenance": dict, "notes": list,
}  # fmt: skip
_BROKEN = (OSError, KeyError, ValueError, TypeError, RuntimeError)
"""What h5py raises on files that are no HDF5, damaged, or built otherwise."""


@dataclass(frozen=True)
class Quantity:
    """A measured number, map or table.

    Attributes
    ----------
    value : float or ndarray
        Any shape; finite.
    unit : str
        "ADU", "e", "ADU/e", "µm", …; empty for pure numbers.
    sd : float or ndarray or None
        Standard deviation in the same unit: the shape of `value`, or one number for all.
    meaning : str
        One sentence.
    """

    value: float | np.ndarray
    unit: str = ""
    sd: float | np.ndarray | None = None
    meaning: str = ""


@dataclass(frozen=True)
class CalibrationRecord:
    """What was measured about an instrument.

    Attributes
    ----------
    kind : str
        "camera", "psf", …: which quantities are in it.
    quantities : mapping of str to Quantity
    instrument : str
        Model and serial number, as the user knows them.
    created, expires : str
        ISO 8601 dates of the measurement and of the end of its validity; empty: not stated.
    conditions : mapping
        What the numbers hold for: exposure, temperature, read-out mode, wavelength, …
    results : mapping
        Further numbers and tables of the measurement, JSON-ready.
    sources : tuple of mapping
        Files that were measured: path, bytes, sha256.
    provenance : mapping
        Software, settings and command that made the record.
    notes : tuple of str
    verdict : {"ok", "weak", "failed"}
        Of the measurement.
    """

    kind: str
    quantities: Mapping[str, Quantity]
    instrument: str = ""
    created: str = ""
    expires: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Mapping[str, Any], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    verdict: Verdict = "ok"


def malformed_record(where: str, expected: str, got: object) -> InputError:
    """The error for a record whose content is not what its schema says."""
    return InputError(
        "The calibration record is malformed.", expected=expected, got=str(got), where=where
    )


def read_record(path: str | os.PathLike[str]) -> CalibrationRecord:
    """Read a calibration record of any kind.

    Raises
    ------
    InputError
        When the file is missing, damaged, no record, or malformed.
    """
    where = os.fspath(path)
    if not Path(path).exists():
        raise InputError("The file does not exist.", where=where)
    try:
        with h5py.File(path, "r") as file:
            schema = file.attrs.get("schema")
            if schema != RECORD_SCHEMA:
                raise InputError(
                    "This is not a calibration record.",
                    expected=f'HDF5 with the attribute schema = "{RECORD_SCHEMA}"',
                    got="no such attribute" if schema is None else f'schema = "{schema}"',
                    where=where,
                )
            return CalibrationRecord(quantities=_quantities(file, where), **_header(file, where))
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            "This is not a calibration record that can be read.",
            expected="a whole HDF5 file written by simcal",
            got=f"{type(error).__name__}: {error}",
            where=where,
        ) from error


def _header(file: h5py.File, where: str) -> dict[str, Any]:
    """The attributes of the root as keyword arguments of CalibrationRecord."""
    found: dict[str, Any] = {name: str(file.attrs.get(name, "")) for name in _TEXT}
    for name, kind in _JSON.items():
        value = json.loads(str(file.attrs.get(name, "null")))
        if not isinstance(value, kind):
            raise malformed_record(where, f"a JSON {kind.__name__} in attribute {name}", value)
        found[name] = value
    if not found["kind"] or found["verdict"] not in get_args(Verdict):
        raise malformed_record(where, "attributes kind and verdict (ok, weak or failed)", found)
    for name in ("created", "expires"):
        if found[name] and _date(found[name]) is None:
            raise malformed_record(where, f"an ISO 8601 date as {name}", found[name])
    found["sources"] = tuple(found["sources"])
    found["notes"] = tuple(str(n) for n in found["notes"])
    return found


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _quantities(file: h5py.File, where: str) -> dict[str, Quantity]:
    """All quantities with their uncertainties, checked to be finite numbers."""
    found = {}
    uncertainties = file.get("uncertainty", {})
    for name, dataset in file["quantities"].items():
        value, sd = _values(dataset, where), None
        if name in uncertainties:
            sd = _values(uncertainties[name], where)
            if np.shape(sd) not in ((), np.shape(value)) or np.any(np.less(sd, 0)):
                raise malformed_record(
                    where, f"standard deviations of {name} ≥ 0, of its shape", np.shape(sd)
                )
        attributes = dataset.attrs
        found[name] = Quantity(
            value, str(attributes.get("unit", "")), sd, str(attributes.get("meaning", ""))
        )
    return found


def _values(dataset: h5py.Dataset, where: str) -> float | np.ndarray:
    value = np.asarray(dataset[()])
    if value.dtype.kind not in "uifb" or not np.isfinite(value).all():
        raise malformed_record(where, f"finite numbers in {dataset.name}", value.dtype)
    return float(value) if value.ndim == 0 else value


def record_doubts(record: CalibrationRecord, today: date) -> tuple[str, ...]:
    """Why a record should not be trusted blindly: weak, or past its end; for the user."""
    found = []
    if record.verdict != "ok":
        text = f"The {record.kind} record is {record.verdict}: {' '.join(record.notes)}"
        found.append(text.strip())
    if record.expires and today > date.fromisoformat(record.expires[:10]):
        found.append(f"The {record.kind} record expired on {record.expires[:10]}: measure again.")
    return tuple(found)


def write_record(path: str | os.PathLike[str], record: CalibrationRecord) -> None:
    """Write a record, atomically: an interrupted write leaves an earlier file whole.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    path = Path(path)
    # HDF5 crashes the process where a disk is full, so it never sees the disk
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs["schema"] = RECORD_SCHEMA
        for name in _TEXT:
            file.attrs[name] = getattr(record, name)
        for name, kind in _JSON.items():
            file.attrs[name] = to_json(kind(getattr(record, name)), indent=None)
        for name, quantity in record.quantities.items():
            dataset = _store(file, f"quantities/{name}", quantity.value)
            dataset.attrs["unit"] = quantity.unit
            dataset.attrs["meaning"] = quantity.meaning
            if quantity.sd is not None:
                _store(file, f"uncertainty/{name}", quantity.sd)
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


def _store(file: h5py.File, name: str, value: float | np.ndarray) -> h5py.Dataset:
    array = np.asarray(value)
    filters: dict[str, Any] = {}
    if array.ndim:
        filters = {"compression": "gzip", "shuffle": True}  # zlib has a checksum
    return file.create_dataset(name, data=array, **filters)
