"""Noise-corrected correlation of the orders ±1 of a direction with all other bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.consistency import Gram
from simrecon.estimate.mixing import BANDS

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


def overlap(gram: Gram, direction: int) -> Overlap:
    """Compare orders ±1 of `direction` with the other bands, low frequencies left out."""
    group = gram.common_group(direction)
    sides = range(direction * len(BANDS) + 1, (direction + 1) * len(BANDS))
    own = slice(sides.start, sides.stop)
    bands, gains, inverse = gram.bands[own, group.samples], group.gains[own], group.inverse[own]
    power = np.abs(gains) ** 2
    rest = group.density - np.sum(power * inverse, axis=0)
    seen = rest > ROUNDING * group.density
    density = np.where(seen, rest, 1.0)
    estimate = (group.matched - np.sum(np.conj(gains) * bands * inverse, axis=0)) / density
    cross, predicted, measured, raw = 0j, 0.0, 0.0, 0.0
    for i, band in enumerate(bands):
        doubt = power[i] / density
        weight = np.where(
            seen & (power[i] > 0), group.weight / (1.0 / inverse[i] + doubt), np.float32(0.0)
        )
        prediction = gains[i] * estimate
        square = np.abs(prediction) ** 2
        noise = np.float32(gram.band_noise[sides[i]])
        cross += complex(np.sum(weight * np.conj(prediction) * band, dtype=np.complex128))
        raw += float(np.sum(weight * square, dtype=np.float64))
        predicted += float(np.sum(weight * (square - doubt), dtype=np.float64))
        measured += float(np.sum(weight * (np.abs(band) ** 2 - noise), dtype=np.float64))
    if predicted <= 0 or measured <= 0:
        return Overlap(0.0, abs(cross) ** 2 / max(raw, 1e-30), 0j)
    # A negative or imaginary correlation means a wrong phase: only the real part agrees.
    value = float(np.clip(cross.real / np.sqrt(predicted * measured), 0.0, 1.0))
    return Overlap(value, abs(cross) ** 2 / max(raw, 1e-30), cross / predicted)


def mismatch_chi2(gram: Gram, coefficients: np.ndarray) -> float:
    """J before noise subtraction over its expectation from noise: 1 when the model is right."""
    full = np.real(np.conj(coefficients) @ (gram.matrix + gram.noise) @ coefficients)
    noise = np.real(np.conj(coefficients) @ gram.noise @ coefficients)
    return float(full / noise) if noise > 0 else float("inf")
