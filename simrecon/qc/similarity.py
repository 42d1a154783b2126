"""Structural similarity and flux linearity against a known truth."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.errors import InputError
from simrecon.qc._rings import checked_plane

_SIGMA_PX, _TRUNCATE = 1.5, 3.5
_RADIUS_PX = int(_TRUNCATE * _SIGMA_PX + 0.5)
_K1, _K2 = 0.01, 0.03


def structural_similarity(image: np.ndarray, reference: np.ndarray, span: float) -> float:
    """Mean SSIM (Wang et al., IEEE TIP 13, 600, 2004, eq. 13) with their Gaussian window.

    Parameters
    ----------
    image, reference : ndarray, (Y, X)
        In the same unit: bring a gain and an offset off before (:func:`simrecon.qc.metrics.ssim`).
    span
        The reference's range.
    """
    x, y = checked_plane(image), checked_plane(reference, "reference")

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, _SIGMA_PX, truncate=_TRUNCATE))

    mx, my = smooth(x), smooth(y)
    vx, vy = smooth(x * x) - mx * mx, smooth(y * y) - my * my
    cross = smooth(x * y) - mx * my
    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    top = (2.0 * mx * my + c1) * (2.0 * cross + c2)
    found = top / ((mx * mx + my * my + c1) * (vx + vy + c2))
    inner = (slice(_RADIUS_PX, -_RADIUS_PX),) * 2
    return float(found[inner].mean())


def flux_slope(image: np.ndarray, truth: np.ndarray, block_px: int = 8) -> float:
    """Slope of the light in blocks of `image` over that in blocks of `truth`: 1 when linear.

    Blocks wider than the resolution compare flux and not sharpness. A background that is only
    shifted does not count; compressed bright structures give less than 1.

    Parameters
    ----------
    image, truth : ndarray, (Y, X)
        In the same unit.
    block_px
        Side of the blocks; an incomplete rim is left out.

    Raises
    ------
    InputError
        For other shapes, fewer than 2 × 2 blocks, or a truth without contrast.
    """
    x, y = checked_plane(image), checked_plane(truth, "truth")
    if x.shape != y.shape:
        raise InputError("The two images differ in size.", expected=str(y.shape), got=str(x.shape))
    rows, columns = (n // block_px for n in x.shape)
    if min(rows, columns) < 2:
        raise InputError("Too few blocks for a slope.", expected="2 x 2", got=f"{rows} x {columns}")
    sums = [
        a[: rows * block_px, : columns * block_px]
        .reshape(rows, block_px, columns, block_px)
        .sum(axis=(1, 3))
        .ravel()
        for a in (x, y)
    ]
    light, true = (s - s.mean() for s in sums)
    power = float(true @ true)
    if power <= 0:
        raise InputError("The truth has no contrast between blocks.", where="truth")
    return float(light @ true) / power
