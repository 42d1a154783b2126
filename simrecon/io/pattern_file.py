"""Pattern files: :class:`~simrecon.model.pattern.PatternFit` as ``simrecon/pattern/1`` JSON.

Where a pattern is asked for, a calibration record of kind "pattern" will do as well.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from simrecon.io.atomic import read_json, write_json
from simrecon.io.pattern_record import RECORD_SUFFIXES, read_pattern_record
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit


def read_pattern(path: str | os.PathLike[str]) -> PatternFit:
    """Read a pattern file.

    A hand-written file needs only ``schema``, ``pixel_um``, ``shape`` and, per direction,
    ``frequency_per_um``; without ``phase_rad`` and ``modulation`` (both or neither) these are
    fitted at the given frequencies. Unknown keys are refused.

    Raises
    ------
    InputError
        When the file is missing, is no JSON, or does not follow the schema.
    """
    return PatternFit.from_dict(read_json(path), where=str(path))


def read_patterns(
    path: str | os.PathLike[str], optics: Sequence[Optics]
) -> PatternFit | list[PatternFit]:
    """A pattern file, or a record's patterns for channels with these optics.

    Raises
    ------
    InputError
        As :func:`read_pattern`; also when the record holds no pattern for a channel's wavelength.
    """
    if Path(path).suffix.lower() in RECORD_SUFFIXES:
        return read_pattern_record(path).for_channels(optics)
    return read_pattern(path)


def write_pattern(path: str | os.PathLike[str], pattern: PatternFit) -> None:
    """Write a pattern file, atomically."""
    write_json(path, pattern.to_dict())
