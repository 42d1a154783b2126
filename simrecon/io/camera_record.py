"""Camera part of calibration records: ``calibration/record/1`` with kind "camera".

The file is JSON; numbers stand in it directly, per-pixel maps in an ``.npz`` beside it whose name
holds its hash, so that JSON and maps cannot be of different dates:

    {"schema": "calibration/record/1", "kind": "camera",
     "camera": {"gain": 2.17, "offset": {"map": "offset"}, "read_noise_e": {"map": "read_noise_e"}},
     "arrays": {"file": "cam.1a2b3c4d.npz", "sha256": "…"},
     "instrument": "…", "created": "…", "conditions": {…}, "provenance": {…}, "notes": […]}

Maps have shape (Y, X) with row 0 at the top, as :func:`simrecon.read` gives frames. A record
with numbers only can be written by hand.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import InputError, UsageError
from simrecon.io.atomic import atomic_path, read_json, write_json
from simrecon.model.camera import Camera, ScalarOrMap

RECORD_SCHEMA = "calibration/record/1"
QUANTITIES = ("gain", "offset", "read_noise_e")


@dataclass(frozen=True)
class CameraRecord:
    """A measured camera.

    Attributes
    ----------
    camera : Camera
        Gain (ADU/e), offset (ADU) and read noise (e), numbers or maps (Y, X).
    instrument : str
        Camera model and serial number, as the user knows them.
    created : str
        ISO 8601 date of the measurement.
    conditions : mapping
        Exposure, temperature, read-out mode: whatever the numbers hold for.
    provenance : mapping
        What made the record.
    notes : tuple of str
    """

    camera: Camera
    instrument: str = ""
    created: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def map_shape(self) -> tuple[int, int] | None:
        """Shape (Y, X) of the maps, or None when all three are numbers."""
        for name in QUANTITIES:
            value = np.asarray(getattr(self.camera, name))
            if value.ndim:
                return int(value.shape[0]), int(value.shape[1])
        return None


def _malformed(where: str, expected: str, got: object) -> InputError:
    return InputError(
        "The camera record is malformed.", expected=expected, got=str(got), where=where
    )


def _load_maps(data: dict[str, Any], path: Path) -> dict[str, np.ndarray]:
    """Arrays of the npz beside the record, checked against their hash."""
    arrays = data.get("arrays")
    if not arrays:
        return {}
    if not isinstance(arrays, dict) or Path(str(arrays.get("file"))).name != arrays.get("file"):
        raise _malformed(str(path), '"arrays": {"file": "NAME.npz", "sha256": "…"}', arrays)
    source = path.parent / arrays["file"]
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InputError(
            "The maps of the camera record are missing.",
            expected=f"{source.name} beside {path.name}",
            got=str(error),
            where=str(path),
            hint="copy both files together",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if arrays.get("sha256") not in (None, digest):
        raise InputError(
            "The maps of the camera record are damaged or belong to another record.",
            expected=f"sha256 {arrays['sha256']}", got=digest, where=str(source),
        )  # fmt: skip
    with np.load(source, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _quantity(name: str, entry: Any, maps: dict[str, np.ndarray], where: str) -> ScalarOrMap:
    if isinstance(entry, dict):
        value = maps.get(str(entry.get("map")))
        if value is None:
            raise _malformed(where, f"an array for {name}", sorted(maps))
        if value.ndim != 2 or not np.isfinite(value).all():
            raise _malformed(where, f"a finite (Y, X) map for {name}", f"shape {value.shape}")
        return value.astype(np.float32)
    if isinstance(entry, bool) or not isinstance(entry, (int, float)) or not np.isfinite(entry):
        raise _malformed(where, f"a number or a map for {name}", entry)
    return float(entry)


def read_camera_record(path: str | os.PathLike[str]) -> CameraRecord:
    """Read a camera record.

    Raises
    ------
    InputError
        When the file is no record of a camera, is malformed, or its maps are missing, damaged or
        of unequal shapes.
    """
    path = Path(path)
    data = read_json(path)
    if data.get("schema") != RECORD_SCHEMA or data.get("kind") != "camera":
        raise InputError(
            "This is not a camera record.",
            expected=f'"schema": "{RECORD_SCHEMA}", "kind": "camera"',
            got=f'"schema": {data.get("schema")!r}, "kind": {data.get("kind")!r}',
            where=str(path),
        )
    maps = _load_maps(data, path)
    entries = data.get("camera")
    if not isinstance(entries, dict) or set(entries) != set(QUANTITIES):
        raise _malformed(str(path), f'"camera" with {", ".join(QUANTITIES)}', entries)
    values = {name: _quantity(name, entries[name], maps, str(path)) for name in QUANTITIES}
    shapes = {np.shape(v) for v in values.values()} - {()}
    if len(shapes) > 1:
        raise _malformed(str(path), "maps of one shape", sorted(shapes))
    try:
        camera = Camera(
            gain=values["gain"],
            offset=values["offset"],
            read_noise_e=values["read_noise_e"],
            source=f"record {path.name}",
        )
    except UsageError as error:
        raise _malformed(str(path), "gain > 0 and read noise ≥ 0", error.message) from error
    return CameraRecord(
        camera=camera,
        instrument=str(data.get("instrument", "")),
        created=str(data.get("created", "")),
        conditions=dict(data.get("conditions", {})),
        provenance=dict(data.get("provenance", {})),
        notes=tuple(str(n) for n in data.get("notes", ())),
    )


def write_camera_record(path: str | os.PathLike[str], record: CameraRecord) -> None:
    """Write a camera record; maps go to ``NAME.<hash>.npz`` beside it, both atomically.

    The JSON is replaced last, so an interrupted write leaves the earlier record whole.
    """
    path = Path(path)
    entries: dict[str, Any] = {}
    maps: dict[str, np.ndarray] = {}
    for name in QUANTITIES:
        value = np.asarray(getattr(record.camera, name))
        if value.ndim:
            maps[name] = value.astype(np.float32)
            entries[name] = {"map": name}
        else:
            entries[name] = float(value)
    data: dict[str, Any] = {
        "schema": RECORD_SCHEMA, "kind": "camera", "camera": entries,
        "instrument": record.instrument, "created": record.created,
        "conditions": dict(record.conditions), "provenance": dict(record.provenance),
        "notes": list(record.notes),
    }  # fmt: skip
    if maps:
        data["arrays"] = _write_maps(path, maps)
    write_json(path, data)


def _write_maps(path: Path, maps: dict[str, np.ndarray]) -> dict[str, str]:
    """Write the maps under a name that holds their hash; return the record's "arrays" entry."""
    digest = hashlib.sha256()
    for name in sorted(maps):
        digest.update(name.encode() + str(maps[name].shape).encode() + maps[name].tobytes())
    target = path.parent / f"{path.stem}.{digest.hexdigest()[:8]}.npz"
    with atomic_path(target) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **maps)  # type: ignore[arg-type]
    content = target.read_bytes()
    return {"file": target.name, "sha256": hashlib.sha256(content).hexdigest()}
