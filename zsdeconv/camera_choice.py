"""Cameras that the user names: a record, or maps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from simrecon.config import Settings
from simrecon.errors import InputError, UsageError
from simrecon.io import read_camera_record
from simrecon.io.camera_maps import read_camera_maps
from simrecon.model.camera import Camera


def given_camera(engine: Settings, shape: tuple[int, int]) -> Camera | None:
    """Camera of a record or of maps, or None.

    Raises
    ------
    UsageError, InputError
    """
    c = engine.camera
    numbers = {k: getattr(c, k) for k in ("gain", "offset", "read_noise_e")}
    chosen = {k: v for k, v in numbers.items() if v is not None}
    named = {"gain": c.gain_map, "offset": c.offset_map, "read_noise_e": c.read_noise_map}
    maps = {k: v for k, v in named.items() if v is not None}
    if set(maps) & set(chosen) or (c.camera is not None and (chosen or maps)):
        raise UsageError("Give a camera record, or each number or its map once.")
    if c.camera is not None:
        found = read_camera_record(c.camera)
        if found.record.verdict == "failed":
            raise InputError("The camera record is a failed calibration.", where=c.camera)
        if found.map_shape not in (None, shape):
            raise InputError(
                "The camera record's maps do not fit the frames.", expected=f"maps of {shape}",
                got=str(found.map_shape), where=c.camera,
                hint="make the record with the same camera window (ROI) and binning",
            )  # fmt: skip
        return replace(found.usable, doubts=found.doubts(datetime.now(UTC).date()))
    if not maps:
        return None
    if not {"gain", "offset"} <= {*maps, *chosen}:
        raise UsageError(
            "Maps need the other camera numbers too.", expected="gain and offset, maps or numbers",
            got=", ".join({*maps, *chosen}),
        )  # fmt: skip
    arrays, source = read_camera_maps(maps, shape)
    return Camera(**{**chosen, **arrays}, source=source or "given")
