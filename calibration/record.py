"""The record file that calibration shares with the engine.

The schema ``calibration/record/1`` lives in :mod:`simrecon.io.camera_record`, because the engine
reads records and imports nothing from here; this module is its home for those who measure.
"""

from __future__ import annotations

from simrecon.io.camera_record import (
    QUANTITIES,
    RECORD_SCHEMA,
    CameraRecord,
    read_camera_record,
    write_camera_record,
)

__all__ = [
    "QUANTITIES",
    "RECORD_SCHEMA",
    "CameraRecord",
    "read_camera_record",
    "write_camera_record",
]
