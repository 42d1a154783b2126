"""Plain pictures and movies from files, one at a time; raw SIM frames are refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simrecon.errors import InputError, UsageError
from simrecon.inspection import inspect
from simrecon.io import read_raw
from simrecon.io.reader import expand_paths
from simrecon.model.frames import RawFrames
from zsdeconv.pairs_image import checked
from zsdeconv.selection import chosen_index

_SIM_COUNTS = (9, 15)
"""Frames of one 2-D SIM acquisition: such a file is looked at for a pattern."""


@dataclass(frozen=True)
class PictureFile:
    """One file: a picture, or a movie.

    Attributes
    ----------
    path : Path
    raw : RawFrames
        Memory-mapped where the file allows it.
    frames : ndarray, shape (T, Y, X)
        The chosen channel and plane.
    """

    path: Path
    raw: RawFrames
    frames: np.ndarray

    @property
    def count(self) -> int:
        """Pictures in it."""
        return len(self.frames)

    def picture(self, index: int) -> np.ndarray:
        """One of them in counts, (Y, X), float64, checked.

        Raises
        ------
        InputError
            Naming file and picture.
        """
        try:
            return checked(np.asarray(self.frames[index]))
        except InputError as error:
            where = f"{self.path}, picture {index + 1} of {self.count}"
            raise InputError(
                error.message, expected=error.expected, got=error.got, where=where,
                hint=error.hint,
            ) from error  # fmt: skip


def open_pictures(
    files: Sequence[str], *, channel: int | None = None, plane: int | None = None
) -> list[PictureFile]:
    """Open files of pictures; sizes may differ.

    Parameters
    ----------
    files
        TIFF, OME-TIFF or MRC/DV files, folders or globs.
    channel, plane
        Which one, from 0; needed where a file declares several.

    Raises
    ------
    InputError, UsageError
        Unreadable files, raw SIM frames, several channels or planes and none named.
    """
    return [_open(path, channel, plane) for path in expand_paths(list(files))]


def _open(path: Path, channel: int | None, plane: int | None) -> PictureFile:
    raw = read_raw(path)
    refuse_sim(raw, path)
    frames, keep = raw.frames, []
    wanted = {"C": ("channel", channel), "Z": ("plane", plane)}
    index: list[int | slice] = []
    for name, size in raw.axes:
        if name in wanted:
            index.append(chosen_index(*wanted[name], size, str(path)))
        else:
            index.append(slice(None))
            keep.append(name)
    chosen = frames[tuple(index)]
    return PictureFile(path, raw, chosen.reshape(-1, *chosen.shape[-2:]))


def refuse_sim(raw: RawFrames, path: Path) -> None:
    """Raw SIM frames differ by their pattern: they are no movie of one scene.

    Raises
    ------
    InputError
        When the file says so, or 9 or 15 frames show a pattern.
    """
    evidence = ""
    if {"A", "P"} & {name for name, _ in raw.axes} or (raw.angles or 1) * (raw.phases or 1) > 1:
        evidence = f"{raw.angles or '?'} directions × {raw.phases or '?'} phases, says the file"
    elif raw.count in _SIM_COUNTS and min(raw.frames.shape[-2:]) >= 64:
        strong = [p for p in inspect(raw).peaks if p.grade == "strong"]
        if len(strong) >= 2:
            evidence = f"{raw.count} frames with the pattern of {len(strong)} directions"
    if evidence:
        raise InputError(
            "These are raw SIM frames.",
            expected="pictures or planes of a widefield, TIRF, confocal or other microscope",
            got=evidence,
            where=str(path),
            hint="'zsdeconv sim' reconstructs, trains and enhances planes; volumes are made by "
            "'simrecon reconstruct --mode 3d' or '--mode lls'",
        )


def consecutive(files: Sequence[PictureFile], at_most: int) -> list[np.ndarray]:
    """Pictures of one movie that follow each other, from its middle; counts.

    Raises
    ------
    UsageError
        Several files, or one picture: who is whose neighbour in time is not known.
    """
    if len(files) > 1 or files[0].count < 2 or at_most < 2:
        raise UsageError(
            "Pairs in time are made of one movie.",
            expected="one file of at least two pictures, and --pictures 2 or more",
            got=f"{len(files)} file(s), the first of {files[0].count}; --pictures {at_most}",
            where="--pairs",
        )  # fmt: skip
    first = max(0, (files[0].count - at_most) // 2)
    return [files[0].picture(i) for i in range(first, min(first + at_most, files[0].count))]


def each_picture(files: Sequence[PictureFile], at_most: int | None = None) -> Iterator[np.ndarray]:
    """Pictures of all files in counts, evenly spread when there are more than `at_most`."""
    places = [(f, i) for f in files for i in range(f.count)]
    if at_most is not None and len(places) > at_most:
        places = [places[i] for i in np.linspace(0, len(places) - 1, at_most).astype(int)]
    for file, index in places:
        yield file.picture(index)
