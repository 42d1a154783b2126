"""Frames of many files one by one, for stacks that do not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from simrecon.errors import InputError
from simrecon.io.atomic import atomic_path, to_json
from simrecon.io.reader import TIFF_SUFFIXES, expand_paths, read_raw
from simrecon.io.tiff import PROVENANCE_SCHEMA, count_pages, iterate_pages


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


def write_frames(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    *,
    provenance: Mapping[str, Any],
) -> None:
    """Write uint16 frames one by one as a TIFF, atomically.

    Parameters
    ----------
    path
        Name; with ``.ome.tif`` an OME-TIFF with axes TYX.
    frames
        As many frames (Y, X) as `shape` says.
    shape
        Frames, rows, columns.
    provenance
        Goes into the file as JSON.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    text = to_json({PROVENANCE_SCHEMA: dict(provenance)}, indent=None)
    ome = str(path).lower().endswith((".ome.tif", ".ome.tiff"))
    facts: dict[str, Any] = {"description": text}
    if ome:
        note = {"Namespace": PROVENANCE_SCHEMA, "json": to_json(dict(provenance), indent=None)}
        facts = {"metadata": {"axes": "TYX", "MapAnnotation": [note]}}
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary, iter(frames), shape=shape, dtype=np.uint16, photometric="minisblack",
            ome=ome, bigtiff=2 * int(np.prod(shape, dtype=np.int64)) > 2**31, **facts,
        )  # fmt: skip
