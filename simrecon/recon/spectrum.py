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
    step = float(np.min(k_per_um[k_per_um > 0]))
    use = (precision > 1e-3 * precision.max()) & (k_per_um > 1.5 * step)
    ring = np.rint(k_per_um[use] / (2 * step)).astype(int)
    count = np.bincount(ring).astype(float)
    keep = count > 0
    count = count[keep]
    d = np.bincount(ring, precision[use])[keep] / count
    k = np.bincount(ring, k_per_um[use])[keep] / count
    observed = np.bincount(ring, matched_power[use] / precision[use])[keep] / count

    def negative_log_likelihood(theta: np.ndarray) -> float:
        model = SignalPower(float(np.exp(theta[0])), float(np.exp(theta[1])), float(theta[2]))
        expected = 1.0 + d * model(k)
        return float(np.sum(count * (np.log(expected) + observed / expected)))

    excess = np.maximum(observed - 1.0, 1e-6) / d
    start_power = float(np.max(excess))
    tiny = 1e-6 / float(d.max())
    best = None
    for corner in (4 * step, 0.15 * float(k.max())):
        start = np.array([np.log(max(start_power, tiny)), np.log(corner), 1.0])
        fit = minimize(
            negative_log_likelihood,
            start,
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
