"""How well one order of a direction agrees with what the other bands predict for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.acceptance import CORRELATION_WEAK
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import Weights, chunks

CLEAR_NATS, CLEAR_RIVALRY, CLEAR_SD_PX = 100.0, 0.7, 0.1
"""Evidence, that of the next candidate over it, and frequency sd of a direction that is clear.

The noise-corrected correlation of a volume's orders comes out far too low in dim stacks (0.1 to
0.2 where planes have 0.9). Of 252 directions (`benchmarks/bench_volume_verdicts.py`, 90 stacks) all
with a plausible contrast that were as clear as this and correlated below 0.3 were right (seven)."""


@dataclass(frozen=True)
class Agreement:
    """One order against what the other bands predict for it.

    Attributes
    ----------
    correlation : float
        Of the noise-free bands, 0…1.
    ratio : complex
        Order over prediction: 1 when phase and modulation are right.
    nats : float
        Evidence that they show the same object (:mod:`simrecon.estimate.coherence`).
    """

    correlation: float
    ratio: complex
    nats: float


def agreement(
    weights: Weights, state: VolumeState, order: int, most: int | None = None
) -> Agreement:
    """Compare the bands ±`order` with all others, on at most so many samples."""
    bands, noise, kernels = weights.rows.bands(state), weights.band_noise, weights.kernels
    samples = np.arange(bands.shape[2])
    if most is not None and samples.size > most:
        samples = np.random.default_rng(1).permutation(samples)[:most]
    sides = (2 * order - 1, 2 * order)
    rest = [i for i in range(len(bands)) if i not in sides]
    cross, predicted, measured = 0j, 0.0, 0.0
    all_p, all_m, amount, square = 0.0, 0.0, 0.0, 0.0
    for part in chunks(kernels, samples):
        whitened = weights.whitened(part, rest)
        inverse = np.linalg.inv(weights.precision(whitened, part))
        column = (inverse @ weights.back(whitened, bands, part, rest))[..., 0]
        others = kernels.used[rest][:, part].any(axis=0)
        for i in sides:
            a, y = kernels.matrices(i, part), bands[i][:, part].T
            prediction = kernels.planes_of(i, part, column)
            spread = a @ inverse
            doubt = np.sum(spread * np.conj(a), axis=2).real
            # the part of it that noise puts into the prediction; the rest is left open by the prior
            shown = doubt - np.sum(np.abs(spread) ** 2, axis=2) / weights.power[part][:, None]
            seen = (kernels.used[i, part] & others)[:, None]
            weight = np.where(seen, 1.0 / (noise[i] + np.maximum(doubt, 0.0)), 0.0)
            cross += complex(np.sum(weight * np.conj(prediction) * y, dtype=np.complex128))
            power_p, power_m = weight * np.abs(prediction) ** 2, weight * np.abs(y) ** 2
            all_p += float(power_p.sum(dtype=np.float64))
            all_m += float(power_m.sum(dtype=np.float64))
            predicted += float(np.sum(power_p - weight * shown, dtype=np.float64))
            measured += float(np.sum(power_m - weight * noise[i], dtype=np.float64))
            amount += float(np.sum(np.sqrt(power_p * power_m), dtype=np.float64))
            square += float(np.sum(power_p * power_m, dtype=np.float64))
    coherence = min(abs(cross) ** 2 / max(all_p * all_m, 1e-300), 1.0 - 1e-6)
    nats = -(amount**2) / square * np.log1p(-coherence) if square > 0 else 0.0
    plain = cross.real / np.sqrt(max(all_p * all_m, 1e-300))
    if predicted <= 0 or measured <= 0:
        return Agreement(float(np.clip(plain, 0.0, 1.0)), 0j, float(nats))
    # less is never right: the correction only takes noise away from both powers
    value = float(np.clip(cross.real / np.sqrt(predicted * measured), max(plain, 0.0), 1.0))
    return Agreement(value, cross / predicted, float(nats))


def judged_correlation(
    correlation: float, nats: float, rivalry: float, frequency_sd_px: float
) -> float:
    """The correlation that a direction is judged by: alone it does not fail a clear one."""
    clear = nats >= CLEAR_NATS and rivalry < CLEAR_RIVALRY and frequency_sd_px <= CLEAR_SD_PX
    return max(correlation, CORRELATION_WEAK) if clear else correlation
