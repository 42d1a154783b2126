"""Noise-corrected correlation of the orders ±1 of a direction with all other bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.consistency import Gram
from simrecon.estimate.mixing import BANDS
from simrecon.threads import on_all_cores

ROUNDING = 1e-5
"""Share of the whole precision below which what is left without orders ±1 is rounding."""


@dataclass(frozen=True)
class Overlap:
    """Agreement of one direction's orders ±1 with what the other bands predict for them.

    Attributes
    ----------
    correlation : float
        Correlation coefficient of the noise-free bands, 0…1; 0 when no signal is left after the
        noise is subtracted.
    explained : float
        Power of orders ±1 that the prediction explains, in units of the noise of one sample (a
        likelihood ratio; 1 is expected from noise alone).
    ratio : complex
        Order ±1 over its prediction: 1 when phase and modulation are right.
    """

    correlation: float
    explained: float
    ratio: complex


@dataclass(frozen=True)
class Prediction:
    """Orders ±1 of a direction and what the other bands of the common group predict for them.

    Attributes
    ----------
    order : ndarray (2, K), complex64
        Measured orders +1 and −1.
    predicted : ndarray (2, K), complex64
        ``G_i Ŝ`` with Ŝ the estimate from all other bands.
    doubt : ndarray (2, K), float32
        Noise power of `predicted`.
    weight : ndarray (2, K), float32
        Of the regression: 0 where either is missing.
    density : ndarray (K,), float32
        ``Σ|G|²/(N f)`` of the other bands (1 where they show nothing).
    """

    order: np.ndarray
    predicted: np.ndarray
    doubt: np.ndarray
    weight: np.ndarray
    density: np.ndarray

    @classmethod
    def of(cls, gram: Gram, direction: int) -> Prediction:
        """For orders ±1 of `direction`, low frequencies left out."""
        group, own = gram.common_group(direction), side_bands(direction)
        bands, gains, inverse = gram.bands[own, group.samples], group.gains[own], group.inverse[own]
        power = np.abs(gains) ** 2
        rest = group.density - np.sum(power * inverse, axis=0)
        seen = rest > ROUNDING * group.density
        density = np.where(seen, rest, np.float32(1.0))
        estimate = (group.matched - np.sum(np.conj(gains) * bands * inverse, axis=0)) / density
        doubt = power / density
        usable = seen & (power > 0)
        weight = np.where(usable, group.weight / (1.0 / inverse + doubt), np.float32(0.0))
        return cls(bands, gains * estimate, doubt, weight, density)

    @property
    def signal(self) -> np.ndarray:
        """Weighted power of the prediction without its noise, (2, K) float32."""
        power: np.ndarray = self.weight * (np.abs(self.predicted) ** 2 - self.doubt)
        return power


def side_bands(direction: int) -> slice:
    """Where orders ±1 of a direction are among the bands of all."""
    return slice(direction * len(BANDS) + 1, (direction + 1) * len(BANDS))


def overlap(gram: Gram, direction: int) -> Overlap:
    """Compare orders ±1 of `direction` with the other bands, low frequencies left out."""
    found = Prediction.of(gram, direction)
    noise = gram.band_noise[side_bands(direction)].astype(np.float32)[:, None]
    cross = complex(
        np.sum(found.weight * np.conj(found.predicted) * found.order, dtype=np.complex128)
    )
    raw = float(np.sum(found.weight * np.abs(found.predicted) ** 2, dtype=np.float64))
    predicted = float(np.sum(found.signal, dtype=np.float64))
    measured = float(np.sum(found.weight * (np.abs(found.order) ** 2 - noise), dtype=np.float64))
    if predicted <= 0 or measured <= 0:
        return Overlap(0.0, abs(cross) ** 2 / max(raw, 1e-30), 0j)
    # A negative or imaginary correlation means a wrong phase: only the real part agrees.
    value = float(np.clip(cross.real / np.sqrt(predicted * measured), 0.0, 1.0))
    return Overlap(value, abs(cross) ** 2 / max(raw, 1e-30), cross / predicted)


def overlaps(gram: Gram) -> list[Overlap]:
    """:func:`overlap` of every direction."""
    return on_all_cores(lambda d: overlap(gram, d), range(len(gram.states)))


def mismatch_chi2(gram: Gram, coefficients: np.ndarray) -> float:
    """J before noise subtraction over its expectation from noise: 1 when the model is right."""
    full = np.real(np.conj(coefficients) @ (gram.matrix + gram.noise) @ coefficients)
    noise = np.real(np.conj(coefficients) @ gram.noise @ coefficients)
    return float(full / noise) if noise > 0 else float("inf")
