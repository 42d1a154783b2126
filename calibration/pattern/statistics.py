"""Means of values whose errors are known, with a scatter between them that is not.

Random-effects model: ``x_i = μ + b_i + e_i``, var e_i = s_i² known, var b_i = τ² from the excess of
``Q = Σ (x_i − x̄)²/s_i²`` over its expectation (the moment estimator of DerSimonian and Laird,
Control. Clin. Trials 7, 177 (1986)); weights 1/(s_i² + τ²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as t_distribution


@dataclass(frozen=True)
class Mean:
    """Weighted mean of repeated measurements; arrays have the shape of one measurement.

    Attributes
    ----------
    value : ndarray
    sd : ndarray
        Standard deviation of the mean, scatter included.
    between : ndarray
        Standard deviation τ between measurements beyond their own errors.
    count : int
    """

    value: np.ndarray
    sd: np.ndarray
    between: np.ndarray
    count: int

    @property
    def repeat(self) -> np.ndarray:
        """How far the truth of one more measurement may lie from the mean, sd."""
        return np.asarray(np.hypot(self.between, self.sd))


def combine(values: ArrayLike, sd: ArrayLike) -> Mean:
    """Mean of measurements (N, …) with standard deviations of the same shape.

    The standard deviation of few measurements is enlarged as Student's t has it: to the 68 % of a
    normal distribution, but never below what the errors alone give.
    """
    values, sd = np.asarray(values, np.float64), np.maximum(np.asarray(sd, np.float64), 1e-12)
    count = values.shape[0]
    weight = 1.0 / sd**2
    mean = np.sum(weight * values, axis=0) / weight.sum(axis=0)
    if count == 1:
        return Mean(mean, sd[0], np.zeros_like(mean), 1)
    excess = np.sum(weight * (values - mean) ** 2, axis=0) - (count - 1)
    scale = weight.sum(axis=0) - np.sum(weight**2, axis=0) / weight.sum(axis=0)
    between2 = np.maximum(excess / scale, 0.0)
    weight = 1.0 / (sd**2 + between2)
    mean = np.sum(weight * values, axis=0) / weight.sum(axis=0)
    own = 1.0 / np.sqrt(weight.sum(axis=0))
    # τ itself is known from count − 1 differences only
    few = float(t_distribution.ppf(0.8413, count - 1))
    error = np.where(between2 > 0, few * own, own)
    return Mean(mean, error, np.sqrt(between2), count)


@dataclass(frozen=True)
class Drift:
    """Straight line through measurements in their order.

    Attributes
    ----------
    slope, slope_sd : float
        Change per step of time.
    total : float
        Change from the first to the last.
    significant : bool
        Above `DRIFT_SIGMAS` of its error, of four measurements or more.
    """

    slope: float
    slope_sd: float
    total: float
    significant: bool


DRIFT_SIGMAS = 3.5
"""About one false alarm in 2000 lines."""


def drift(time: np.ndarray, values: np.ndarray, sd: np.ndarray) -> Drift | None:
    """Weighted line through values (N,); None for fewer than four.

    Its error is widened where the values scatter more than they should.
    """
    if values.size < 4 or np.ptp(time) == 0:
        return None
    weight = 1.0 / np.maximum(sd, 1e-12) ** 2
    centre = np.sum(weight * time) / weight.sum()
    at = time - centre
    power = float(np.sum(weight * at**2))
    mean = float(np.sum(weight * values) / weight.sum())
    slope = float(np.sum(weight * at * (values - mean)) / power)
    chi2 = float(np.sum(weight * (values - mean - slope * at) ** 2)) / (values.size - 2)
    error = float(np.sqrt(max(chi2, 1.0) / power))
    few = float(t_distribution.ppf(0.8413, values.size - 2))
    return Drift(slope, error, slope * float(np.ptp(time)), abs(slope) > DRIFT_SIGMAS * few * error)
