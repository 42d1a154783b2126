"""Object power spectrum from the data: the automatic regularisation.

The matched-filter sum ``Y = Σ_i conj(G_i) B_i / N_i`` of all bands has, per DFT sample and
pixel, the expectation ``D² P + D`` with ``D = Σ_i |G_i|²/N_i`` and P the power spectrum of the
object. A smooth radial P is fitted to the observed rings by the Whittle likelihood; the
regulariser of the reconstruction is then Γ = 1/P, the noise-to-signal ratio of MMSE
estimation (physics.md §3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

_EXPONENT = (0.3, 4.0)


@dataclass(frozen=True)
class SignalPower:
    """Radial object power spectrum ``P(k) = power_e2 / (1 + (k/corner)²)^exponent``.

    Attributes
    ----------
    power_e2 : float
        Value at k → 0, e² per raw pixel (white noise of variance σ² has the power σ²).
    corner_per_um : float
        Corner frequency, cycles/µm.
    exponent : float
        Half the slope of the power law at high frequency.
    """

    power_e2: float
    corner_per_um: float
    exponent: float

    def __call__(self, k_per_um: np.ndarray) -> np.ndarray:
        """Power at radial frequencies in cycles/µm, e²; same shape."""
        ratio = (np.asarray(k_per_um) / self.corner_per_um) ** 2
        return np.asarray(self.power_e2 / (1.0 + ratio) ** self.exponent)


class PowerRings:
    """Matched-filter power of rings (shells) of frequencies, added up part by part.

    Parameters
    ----------
    step_per_um : float
        Smallest distance of the DFT's frequencies; rings are two of them wide.
    largest_precision : float
        Greatest D of all parts, 1/e²; frequencies below a thousandth of it are left out. That
        includes what no band of a volume sees, along the optical axis.
    """

    def __init__(self, step_per_um: float, largest_precision: float) -> None:
        self._step, self._floor = step_per_um, 1e-3 * largest_precision
        self._sums = np.zeros((4, 0))  # count, D, k, observed over D

    def add(self, matched_power: np.ndarray, precision: np.ndarray, k_per_um: np.ndarray) -> None:
        """Take in some frequencies; the arguments of :func:`fit_signal_power`."""
        use = (precision > self._floor) & (k_per_um > 1.5 * self._step)
        d, k = precision[use], k_per_um[use]
        ring = np.rint(k / (2 * self._step)).astype(int)
        size = max(int(ring.max(initial=-1)) + 1, self._sums.shape[1])
        self._sums = np.pad(self._sums, ((0, 0), (0, size - self._sums.shape[1])))
        for total, weight in zip(self._sums, (None, d, k, matched_power[use] / d), strict=True):
            total += np.bincount(ring, weight, minlength=size)

    def fit(self) -> SignalPower:
        """The smooth radial model of the rings so far."""
        count, *sums = self._sums[:, self._sums[0] > 0]
        d, k, observed = (total / count for total in sums)
        return _fit(count, d, k, observed, self._step)


def fit_signal_power(
    matched_power: np.ndarray, precision: np.ndarray, k_per_um: np.ndarray
) -> SignalPower:
    """Fit the radial model to a matched-filter power spectrum.

    Parameters
    ----------
    matched_power : ndarray
        ``|Y|²`` divided by the number of raw samples of the transform.
    precision : ndarray
        D on the same frequencies, 1/e².
    k_per_um : ndarray
        Radial frequency of each sample, cycles/µm.

    Returns
    -------
    SignalPower
        For frames without any signal the power tends to zero, so the reconstruction tends to
        a blank picture rather than to amplified noise.
    """
    rings = PowerRings(float(np.min(k_per_um[k_per_um > 0])), float(precision.max()))
    rings.add(matched_power, precision, k_per_um)
    return rings.fit()


def _fit(
    count: np.ndarray, d: np.ndarray, k: np.ndarray, observed: np.ndarray, step: float
) -> SignalPower:
    def negative_log_likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Of (ln power, ln corner, exponent), with its gradient."""
        ratio = (k / np.exp(theta[1])) ** 2
        signal = d * np.exp(theta[0]) / (1.0 + ratio) ** theta[2]
        expected = 1.0 + signal
        slope = count * signal * (1.0 - observed / expected) / expected
        along = [np.ones_like(k), 2.0 * theta[2] * ratio / (1.0 + ratio), -np.log1p(ratio)]
        value = float(np.sum(count * (np.log(expected) + observed / expected)))
        return value, np.array([np.sum(slope * one) for one in along])

    excess = np.maximum(observed - 1.0, 1e-6) / d
    start_power = float(np.max(excess))
    tiny = 1e-6 / float(d.max())
    best = None
    for corner in (4 * step, 0.15 * float(k.max())):
        start = np.array([np.log(max(start_power, tiny)), np.log(corner), 1.0])
        fit = minimize(
            negative_log_likelihood,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[
                (np.log(tiny), np.log(max(start_power, tiny)) + 14.0),
                (np.log(0.5 * step), np.log(float(k.max()))),
                _EXPONENT,
            ],
        )
        if best is None or fit.fun < best.fun:
            best = fit
    assert best is not None
    return SignalPower(float(np.exp(best.x[0])), float(np.exp(best.x[1])), float(best.x[2]))
