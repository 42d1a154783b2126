"""Evidence that one order of a direction shows the object that the other bands show.

For the search, in the sum over the planes; how well the planes of a fitted direction agree is
told by :mod:`.correlation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import Weights, chunks


@dataclass(frozen=True)
class Agreement:
    """One order against what the other bands predict for it.

    Attributes
    ----------
    ratio : complex
        Order over prediction: 1 when phase and modulation are right.
    nats : float
        Evidence that they show the same object (:mod:`simrecon.estimate.coherence`).
    """

    ratio: complex
    nats: float


def agreement(weights: Weights, state: VolumeState, order: int) -> Agreement:
    """Compare the bands ±`order` with all others."""
    bands, noise, kernels = weights.rows.bands(state), weights.band_noise, weights.kernels
    samples = np.arange(bands.shape[2])
    sides = (2 * order - 1, 2 * order)
    rest = [i for i in range(len(bands)) if i not in sides]
    cross, predicted = 0j, 0.0
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
            amount += float(np.sum(np.sqrt(power_p * power_m), dtype=np.float64))
            square += float(np.sum(power_p * power_m, dtype=np.float64))
    coherence = min(abs(cross) ** 2 / max(all_p * all_m, 1e-300), 1.0 - 1e-6)
    nats = -(amount**2) / square * np.log1p(-coherence) if square > 0 else 0.0
    return Agreement(cross / predicted if predicted > 0 else 0j, float(nats))
