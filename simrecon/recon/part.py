"""A part of the field, with the pattern as that part sees it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter

from simrecon.model.pattern import PatternFit


def brightest(image: np.ndarray, side_px: int) -> tuple[slice, slice]:
    """The part of at most `side_px` pixels a side with the most light."""
    ny, nx = (min(side_px, n) for n in image.shape)
    mean = uniform_filter(image.astype(np.float64), (ny, nx), mode="nearest")
    inner = mean[ny // 2 : image.shape[0] - (ny - 1) // 2, nx // 2 : image.shape[1] - (nx - 1) // 2]
    y, x = (int(i) for i in np.unravel_index(int(inner.argmax()), inner.shape))
    return slice(y, y + ny), slice(x, x + nx)


def shifted(pattern: PatternFit, start: tuple[int, int], shape: tuple[int, int]) -> PatternFit:
    """The pattern of a part of the field: phases at that part's pixel (0, 0)."""
    y, x = (n * pattern.pixel_um for n in start)
    directions = []
    for d in pattern.directions:
        turn = 2 * np.pi * (d.frequency_per_um[0] * y + d.frequency_per_um[1] * x)
        phase = tuple(float(p + turn) for p in d.phase_rad)
        local = None if d.local is None else d.local.moved((y, x))
        directions.append(replace(d, phase_rad=phase, local=local))
    return replace(pattern, shape=shape, directions=tuple(directions))
