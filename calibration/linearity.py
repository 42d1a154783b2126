"""Linearity of the response, where the exposures are known (as EMVA 1288 Release 4.0 does)."""

from __future__ import annotations

import numpy as np


def linearity_errors_percent(exposure: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Deviations from the straight line of least relative squares, %, one per level.

    Parameters
    ----------
    exposure : ndarray (levels,)
        Exposure times, or any numbers proportional to the light.
    signal : ndarray (levels,)
        Mean counts above the dark level, positive; at least three.
    """
    design = np.stack([np.ones_like(exposure), exposure], axis=1)
    weighted = design / signal[:, None]
    fit = np.linalg.lstsq(weighted, np.ones_like(signal), rcond=None)[0]
    predicted = design @ fit
    return np.asarray(100.0 * (signal - predicted) / predicted)
