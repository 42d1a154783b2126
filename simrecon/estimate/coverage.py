"""How much of the field the sample's structure covers, where it is narrowest.

A frequency is known as well as phases are over the distance on which they are compared. The
structure of a single filament is a line: across it there is no distance, and the little that the
data seem to say there is the mismatch of the OTF, which no statistical error tells.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

FINE = 0.3
"""Width σ to which the mean frame is smoothed, in cycles of the cut-off, and"""
COARSE = 4.0
"""how much wider the background is that is taken off."""


def coverage(
    frames_e: np.ndarray, variance_e2: np.ndarray, pixel_um: float, cutoff_per_um: float
) -> float:
    """Smallest rms extent of the structure's power over that of an evenly filled field.

    Parameters
    ----------
    frames_e, variance_e2 : ndarray (A, P, Y, X)
        Photo-electrons and their noise variance, whose share of the power is taken off.
    pixel_um : float
    cutoff_per_um : float
        Detection cut-off, cycles/µm.

    Returns
    -------
    float
        About 1 for structure all over the field, 0.1 for a single line, 1 when there is none.
    """
    count = frames_e.shape[0] * frames_e.shape[1]
    sigma = FINE / (cutoff_per_um * pixel_um)
    mean = frames_e.mean(axis=(0, 1), dtype=np.float64)
    fine, coarse = (gaussian_filter(mean, s, mode="nearest") for s in (sigma, COARSE * sigma))
    noise = variance_e2.mean(axis=(0, 1), dtype=np.float64) / count
    power = (fine - coarse) ** 2 - _noise_gain(sigma, COARSE * sigma) * noise
    if (total := float(power.sum())) <= 0:
        return 1.0
    y, x = (np.arange(n) / n for n in power.shape)
    rows, columns = power.sum(axis=1) / total, power.sum(axis=0) / total
    my, mx = float(rows @ y), float(columns @ x)
    both = float((y - my) @ power @ (x - mx)) / total
    moments = np.array([[rows @ (y - my) ** 2, both], [both, columns @ (x - mx) ** 2]])
    return float(np.sqrt(12.0 * max(float(np.linalg.eigvalsh(moments)[0]), 0.0)))


def _noise_gain(fine: float, coarse: float) -> float:
    """Sum of squares of the difference of two normal kernels in the plane."""
    alone = 1.0 / (4.0 * np.pi * fine**2) + 1.0 / (4.0 * np.pi * coarse**2)
    return float(alone - 1.0 / (np.pi * (fine**2 + coarse**2)))
