"""Raw consistency: does the enhanced object explain every raw frame within its noise?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zsdeconv.measurement import Measurement


@dataclass(frozen=True)
class Consistency:
    """Comparison of ``forward(object)`` with the raw frames in units of their noise.

    Attributes
    ----------
    chi2_map : ndarray, shape (Y, X), float32
        Mean over the frames of ``(y − e)²/σ²`` on the raw grid; 1 where the data agree.
    chi2 : float
        Its mean. The divisor is the number of raw values: the object was fitted to these
        values, so a perfect result lies below 1 by (fitted degrees of freedom)/(raw values),
        a few per cent.
    chi2_sd : float
        Standard deviation of `chi2` from the noise alone.
    """

    chi2_map: np.ndarray
    chi2: float
    chi2_sd: float


def flux_factor(measurement: Measurement, objects: np.ndarray) -> float:
    """Factor that gives the object the flux of the raw frames."""
    expected = float(measurement.predict(objects).sum(dtype=np.float64))
    measured = float(measurement.frames_e.sum(dtype=np.float64))
    if not (expected > 0 and measured > 0):
        return 1.0
    return measured / expected


def raw_consistency(measurement: Measurement, objects: np.ndarray) -> Consistency:
    """Send an object (image grid, e) through the forward model and compare.

    σ² is that of the *expected* frames (shot noise of the expectation plus read noise).
    """
    expected = measurement.predict(objects)
    variance = measurement.expected_variance(expected)
    squares = (measurement.frames_e - expected) ** 2 / variance
    return Consistency(
        chi2_map=squares.mean(axis=0, dtype=np.float64).astype(np.float32),
        chi2=float(squares.mean(dtype=np.float64)),
        chi2_sd=float(np.sqrt(2.0 / squares.size)),
    )
