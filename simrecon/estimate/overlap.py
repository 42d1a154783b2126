"""Noise-corrected correlation of the orders ±1 of a direction with all other bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.consistency import Gram
from simrecon.estimate.mixing import BANDS


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
    bands = gram.bands[:, group.samples]
    noise = gram.band_noise.astype(np.float32)
    sides = [direction * len(BANDS) + i for i in range(1, len(BANDS))]
    rest = [i for i in range(noise.size) if i not in sides]
    inverse = group.inverse[rest]
    density = np.sum(np.abs(group.gains[rest]) ** 2 * inverse, axis=0)
    seen = density > 0
    density = np.where(seen, density, 1.0)
    estimate = np.sum(np.conj(group.gains[rest]) * bands[rest] * inverse, axis=0) / density
    cross, predicted, measured, raw = 0j, 0.0, 0.0, 0.0
    for i in sides:
        gain = group.gains[i]
        doubt = np.abs(gain) ** 2 / density
        weight = np.where(
            seen & (np.abs(gain) > 0), group.weight / (1.0 / group.inverse[i] + doubt), 0.0
        )
        prediction = gain * estimate
        cross += complex(np.sum(weight * np.conj(prediction) * bands[i], dtype=np.complex128))
        raw += float(np.sum(weight * np.abs(prediction) ** 2, dtype=np.float64))
        predicted += float(np.sum(weight * (np.abs(prediction) ** 2 - doubt), dtype=np.float64))
        measured += float(np.sum(weight * (np.abs(bands[i]) ** 2 - noise[i]), dtype=np.float64))
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
