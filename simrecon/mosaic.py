"""Raw acquisitions stored as one big tile per plane: phases across, directions down (N-SIM).

All tiles of such a mosaic show the same object, so their blurred pictures are alike; those of an
ordinary frame cut in the same way are not. The sizes of the axes need not be known.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.model.frames import RawFrames

TILINGS = ((3, 3), (3, 5), (5, 5), (5, 3), (1, 5), (1, 3))
"""Rows (directions) × columns (phases) of mosaics that are recognised."""
ALIKE = 0.6
"""Least correlation of a tile with the mean of the others. Measured on simulations at 30 to 1000
photo-electrons: tiles of a mosaic 0.98-1.00 (filaments, rings, blobs) and 0.83 (a few beads),
ninths of an ordinary frame −0.24 to −0.07."""
SMALLEST_TILE_PX = 32
_SMALL_PX, _BLUR_PX = 64, 1.5
"""Tiles are compared at about this size and after this blur: no pattern or noise is left."""


def find_mosaic(frame: np.ndarray) -> tuple[int, int] | None:
    """Rows and columns of tiles of one frame (Y, X), or None for an ordinary picture.

    Of several tilings that fit, the one with most tiles.
    """
    fitting = []
    for rows, columns in TILINGS:
        height, width = frame.shape[0] // rows, frame.shape[1] // columns
        if min(height, width) < SMALLEST_TILE_PX:
            continue
        if frame.shape[0] % rows or frame.shape[1] % columns:
            continue
        if likeness(cut(frame[None], rows, columns)[0]) >= ALIKE:
            fitting.append((rows, columns))
    return max(fitting, key=math.prod, default=None)


def likeness(tiles: np.ndarray) -> float:
    """Least correlation of a blurred tile with the mean of the others, tiles (n, Y, X)."""
    step = max(1, min(tiles.shape[-2:]) // _SMALL_PX)
    height, width = (n // step for n in tiles.shape[-2:])
    small = tiles[:, : height * step, : width * step].astype(np.float64)
    small = small.reshape(-1, height, step, width, step).mean(axis=(2, 4))
    smooth = [gaussian_filter(t, _BLUR_PX) for t in small]
    flat = np.stack([(s - s.mean()).ravel() for s in smooth])
    total = flat.sum(axis=0)
    found = []
    for one in flat:
        other = total - one
        norm = float(np.linalg.norm(one) * np.linalg.norm(other))
        found.append(float(one @ other) / norm if norm > 0 else 0.0)
    return min(found)


def cut(frames: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Frames (..., Y, X) as tiles (..., rows·columns, Y/rows, X/columns), columns fastest."""
    *lead, ny, nx = frames.shape
    tiles = frames.reshape(*lead, rows, ny // rows, columns, nx // columns)
    tiles = tiles.swapaxes(-3, -2)
    return tiles.reshape(*lead, rows * columns, ny // rows, nx // columns)


def untiled(raw: RawFrames) -> RawFrames:
    """The same frames with mosaics cut into one frame per direction and phase, and a note.

    Rows of tiles become directions (axis A), columns phases (P), where the file or the user does
    not say otherwise. Frames that are no mosaic come back unchanged.
    """
    names = {name for name, _ in raw.axes}
    if {"A", "P"} & names:
        return raw
    frames = raw.frames.reshape(-1, *raw.frames.shape[-2:])
    tiling = find_mosaic(np.asarray(frames[len(frames) // 2], dtype=np.float32))
    if tiling is None:
        return raw
    rows, columns = tiling
    order = (raw.order or "").upper()
    turned = (raw.angles, raw.phases) == (columns, rows) and rows != columns
    turned |= "A" in order and order.find("A") < order.find("P")
    words = "phases across, directions down"
    if turned:
        words = "directions across, phases down, as the given numbers say"
    axes = (("P", rows), ("A", columns)) if turned else (("A", rows), ("P", columns))
    tiles = cut(raw.frames, rows, columns)
    note = (
        f"Every frame is a mosaic of {rows} rows × {columns} columns of one field ({words}, as "
        "Nikon N-SIM writes it); it was cut into "
        f"{rows * columns} frames of {tiles.shape[-1]} × {tiles.shape[-2]} pixels."
    )
    return replace(
        raw,
        frames=tiles.reshape(*raw.frames.shape[:-2], rows, columns, *tiles.shape[-2:]),
        axes=(*raw.axes, *axes),
        notes=(*raw.notes, note),
    )
