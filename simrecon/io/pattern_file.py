"""Pattern files: :class:`~simrecon.model.pattern.PatternFit` as ``simrecon/pattern/1`` JSON."""

from __future__ import annotations

import os

from simrecon.io.atomic import read_json, write_json
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


def write_pattern(path: str | os.PathLike[str], pattern: PatternFit) -> None:
    """Write a pattern file, atomically."""
    write_json(path, pattern.to_dict())
