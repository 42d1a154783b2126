"""Pixels that do not behave: hot, noisy, dead."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from calibration.moments import Moments
from calibration.record import HOT_FACTOR

HOT, NOISY, DEAD = 1, 2, 4
"""Bits of the mask: offset far out, read noise above five medians, no or odd response to light."""
MASK_BITS = {"hot": HOT, "noisy": NOISY, "dead": DEAD}
OUTLIER_SIGMA = 8.0
"""An offset further out than so many robust standard deviations of all offsets is hot."""
RESPONSE_RANGE = (0.5, 2.0)
"""Signal relative to the median of 5×5 neighbours outside of which a pixel is called dead."""


def robust_sd(values: np.ndarray) -> float:
    """Standard deviation of a normal distribution with this median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def dark_mask(dark: Moments) -> np.ndarray:
    """Hot and noisy pixels of a dark stack: bits, uint8 (Y, X)."""
    variance = dark.variance
    typical = float(np.median(variance))
    far = np.abs(dark.mean - np.median(dark.mean))
    width = max(robust_sd(dark.mean), float(np.sqrt(typical / dark.count)))
    mask = np.where(far > OUTLIER_SIGMA * width, HOT, 0)
    return (mask | np.where(variance > HOT_FACTOR**2 * typical, NOISY, 0)).astype(np.uint8)


def dead_mask(signal: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Dead pixels of a flat: bits, uint8 (Y, X).

    Parameters
    ----------
    signal, variance : ndarray (Y, X)
        Mean above the dark mean, and temporal variance, of the brightest level.
    """
    around = median_filter(signal, size=5, mode="mirror")
    low, high = RESPONSE_RANGE
    odd = (signal < low * around) | (signal > high * around) | (variance <= 0)
    return np.where(odd, DEAD, 0).astype(np.uint8)


def describe_mask(mask: np.ndarray) -> dict[str, int]:
    """Number of pixels per kind."""
    return {name: int(np.count_nonzero(mask & bit)) for name, bit in MASK_BITS.items()}
