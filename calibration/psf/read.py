"""Bead stacks from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simrecon.errors import InputError, MetadataError
from simrecon.io import read_raw
from simrecon.io.reader import expand_paths
from simrecon.model.frames import RawFrames


@dataclass(frozen=True)
class BeadFiles:
    """Stacks (Z, Y, X) with what their files say; None: not stated."""

    stacks: tuple[np.ndarray, ...]
    pixel_um: float | None
    dz_um: float | None
    na: float | None
    index: float | None
    emission_nm: float | None
    notes: tuple[str, ...]


def expand_each(sources: Sequence[str]) -> list[Path]:
    """Every file that the sources name: files, folders, globs."""
    return [path for source in sources for path in expand_paths(source)]


def read_beads(sources: Sequence[str], channel: int | None = None) -> BeadFiles:
    """Read bead stacks, one per source, in any format that `simrecon` reads.

    A source is a file, or a folder or glob of single planes.

    Raises
    ------
    InputError
        Unreadable files, stacks of different shapes, more axes than z, or a missing channel.
    """
    raws = [read_raw(source) for source in sources]
    stacks = [_stack(raw, channel, source) for raw, source in zip(raws, sources, strict=True)]
    shapes = {s.shape for s in stacks}
    if len(shapes) > 1:
        raise InputError(
            "The bead stacks have different shapes.", expected="one shape for all files",
            got="; ".join(f"{p} {s.shape}" for p, s in zip(sources, stacks, strict=True)),
            hint="measure them one by one",
        )  # fmt: skip
    first = raws[0]
    wavelengths = first.emission_nm
    emission = None
    if wavelengths:
        emission = wavelengths[channel or 0] if len(wavelengths) > 1 else wavelengths[0]
    return BeadFiles(tuple(stacks), first.pixel_um, first.dz_um, first.na, first.index, emission,
                     tuple(dict.fromkeys(n for raw in raws for n in raw.notes)))  # fmt: skip


def _stack(raw: RawFrames, channel: int | None, where: str) -> np.ndarray:
    data, axes = np.asarray(raw.frames), [name for name, _ in raw.axes]
    if "C" in axes and data.shape[axes.index("C")] > 1:
        place = axes.index("C")
        if channel is None or not 0 <= channel < data.shape[place]:
            raise InputError(
                "Which channel holds the beads?", got=f"{data.shape[place]} channels",
                expected=f"--channel 0…{data.shape[place] - 1}", where=where,
            )  # fmt: skip
        data = np.take(data, channel, axis=place)
        axes.pop(place)
    long = [(name, n) for name, n in zip(axes, data.shape[:-2], strict=True) if n > 1]
    if len(long) > 1:
        raise InputError(
            "The file is not one z-stack.", expected="planes of one channel, time and position",
            got="axes " + ", ".join(f"{name} {n}" for name, n in long), where=where,
        )  # fmt: skip
    return data.reshape(-1, *data.shape[-2:])


def needed(given: float | None, stated: float | None, what: str, option: str) -> float:
    """`given`, else what the file states.

    Raises
    ------
    MetadataError
        Neither is there.
    """
    value = given if given is not None else stated
    if value is None:
        raise MetadataError(f"The {what} is neither in the file nor given.", expected=option)
    return float(value)
