"""Frames of many files one by one, for stacks that do not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from simrecon.errors import InputError
from simrecon.io.reader import TIFF_SUFFIXES, expand_paths, read_raw
from simrecon.io.tiff import count_pages, iterate_pages


def stream_frames(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> Iterator[np.ndarray]:
    """Frames in file order, as stored; only one is in memory at a time.

    Parameters
    ----------
    paths
        File, folder, glob or a list of these, of any format that :func:`simrecon.read` reads.

    Yields
    ------
    ndarray, shape (Y, X)
        Row 0 at the top.

    Raises
    ------
    InputError
        When a file is missing or unreadable, a frame differs from the first one in size or type,
        is not real, or holds NaN or infinite values.
    """
    first: np.ndarray | None = None
    for path in expand_paths(paths):
        for number, frame in enumerate(_frames(path)):
            first = frame if first is None else first
            if frame.shape != first.shape or frame.dtype != first.dtype:
                raise InputError(
                    "The frames do not belong together.",
                    expected=f"{first.dtype} of shape {first.shape}, as the first frame",
                    got=f"{frame.dtype} of shape {frame.shape}",
                    where=f"{path}, frame {number}",
                )
            if frame.dtype.kind not in "uif" or not np.isfinite(frame).all():
                raise InputError(
                    "A frame holds NaN, infinite or complex values.",
                    expected="finite camera counts",
                    got=f"dtype {frame.dtype}",
                    where=f"{path}, frame {number}",
                )
            yield frame


def count_frames(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> int:
    """Number of frames that :func:`stream_frames` will give, from the headers alone."""
    return sum(
        count_pages(p) if p.suffix.lower() in TIFF_SUFFIXES else read_raw(p).count
        for p in expand_paths(paths)
    )


def _frames(path: Path) -> Iterator[np.ndarray]:
    """Frames of one file: TIFFs page by page, others from their memory map."""
    if path.suffix.lower() in TIFF_SUFFIXES:
        yield from iterate_pages(path)
        return
    frames = read_raw(path).frames
    yield from frames.reshape(-1, *frames.shape[-2:])
