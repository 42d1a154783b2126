"""Bead pictures of several channels from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.errors import InputError
from simrecon.io import read_raw
from simrecon.model.frames import RawFrames


@dataclass(frozen=True)
class ChannelFiles:
    """Pictures (C, Y, X), one per field of view, with what their files say; None: not stated."""

    fields: tuple[np.ndarray, ...]
    pixel_um: float | None
    na: float | None
    index: float | None
    emission_nm: tuple[float, ...]
    notes: tuple[str, ...]


def read_channels(sources: Sequence[str]) -> ChannelFiles:
    """Bead pictures: files with several channels are fields of view, files with one are channels.

    Everything but the channels is averaged: phases and angles to the widefield, planes and times.

    Raises
    ------
    InputError
        Unreadable files, different shapes, or files with several channels beside files with one.
    """
    raws = [read_raw(source) for source in sources]
    pictures = [_channels(raw) for raw in raws]
    shapes = {p.shape for p in pictures}
    if len(shapes) > 1:
        raise InputError(
            "The bead pictures have different shapes.",
            expected="files with equal channels, rows and columns",
            got="; ".join(f"{s} {p.shape}" for s, p in zip(sources, pictures, strict=True)),
        )  # fmt: skip
    first = raws[0]
    if pictures[0].shape[0] == 1:
        pictures = [np.concatenate(pictures)]
        emission = tuple(nm for raw in raws for nm in raw.emission_nm[:1])
    else:
        emission = first.emission_nm
    return ChannelFiles(tuple(pictures), first.pixel_um, first.na, first.index, emission,
                        tuple(dict.fromkeys(n for raw in raws for n in raw.notes)))  # fmt: skip


def _channels(raw: RawFrames) -> np.ndarray:
    """(C, Y, X) float64."""
    names = [name for name, _ in raw.axes]
    data = np.asarray(raw.frames)
    data = np.moveaxis(data, names.index("C"), 0) if "C" in names else data[None]
    flat = data.reshape(data.shape[0], -1, *data.shape[-2:])
    if flat.shape[1] == 1:  # counts stay counts: saturation is seen in them
        return flat[:, 0]
    return np.asarray(flat.mean(axis=1, dtype=np.float64))
