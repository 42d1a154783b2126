"""How well an order's bands agree with what the other orders say that they are.

The others tell little of some planes and kz and much of others: order 1 lies at ±kz1, where a stack
of a micrometre or dim light leaves the object open. What they do not tell is no disagreement. With
C the covariance that they leave of the object's column (whose power is P), a band's planes y have
the prediction p = A ŝ, the covariance R = N + A C A^H about it and T = N + P A A^H without it. The
weights ``W = R⁻¹ − T⁻¹`` vanish where nothing is predicted, and

    ρ = Re Σ p^H W y / sqrt(Σ p^H W p · Σ y^H W y) · sqrt(1 + Σ tr W R / Σ p^H W p)

is the correlation that remains without noise: the second root is its inverse for bands that agree
(ŝ being the expectation of s, p and y − p are not correlated).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.acceptance import CORRELATION_OK, MODULATION_OK
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import PRIOR_FACTOR, Weights, chunks

CHANCE_SD = 2.0
"""Products of so many standard deviations that noise alone gives count as none."""

DISAGREES = 0.5
"""Correlation below which an order makes a direction ``weak`` whose other order agrees: the 40
``ok`` directions of 45 stacks (`benchmarks/bench_volume_verdicts.py`) had 0.59 and more in all
orders."""


@dataclass(frozen=True)
class OrderCorrelation:
    """One order against what the other bands predict for it.

    Attributes
    ----------
    value : float
        Of the noise-free bands, 0…1.
    significance : float
        Their product in standard deviations of what noise alone gives.
    """

    value: float
    significance: float


def order_correlation(
    weights: Weights, state: VolumeState, order: int, most: int | None = None
) -> OrderCorrelation:
    """Correlation of the bands ±`order` with what all others predict, without noise, 0…1.

    Parameters
    ----------
    weights : Weights
        Frozen at `state`; its prior power is taken as it was measured, without `PRIOR_FACTOR`.
    state : VolumeState
    order : int
    most : int, optional
        Lateral frequencies that are compared, at most.
    """
    weights = replace(weights, power=weights.power / PRIOR_FACTOR)
    bands, noise, kernels = weights.rows.bands(state), weights.band_noise, weights.kernels
    sides = (2 * order - 1, 2 * order)
    rest = [i for i in range(len(bands)) if i not in sides]
    told = kernels.used[rest].any(axis=0)
    cross, predicted, measured, unknown, chance = (0.0,) * 5
    for i in sides:
        samples = np.flatnonzero(kernels.used[i] & told)
        if most is not None and samples.size > most // 2:
            samples = np.random.default_rng(1).permutation(samples)[: most // 2]
        for part in chunks(kernels, samples):
            whitened = weights.whitened(part, rest)
            left = np.linalg.inv(weights.precision(whitened, part))
            column = (left @ weights.back(whitened, bands, part, rest))[..., 0]
            a = kernels.matrices(i, part).astype(np.complex128)
            back = np.conj(a.transpose(0, 2, 1))
            own = noise[i] * np.eye(kernels.planes)
            about = own + a @ left @ back
            total = own + weights.power[part, None, None] * (a @ back)
            weight = np.linalg.inv(about) - np.linalg.inv(total)
            p = kernels.planes_of(i, part, column)[..., None].astype(np.complex128)
            y = bands[i][:, part].T[..., None].astype(np.complex128)
            wp = weight @ p
            cross += float(np.sum(np.conj(wp) * y).real)
            predicted += float(np.sum(np.conj(p) * wp).real)
            measured += float(np.sum(np.conj(y) * (weight @ y)).real)
            unknown += float(np.einsum("kij,kji->", weight, about).real)
            chance += 0.5 * float(np.sum(np.conj(wp) * (about @ wp)).real)
    if predicted <= 0 or measured <= 0 or chance <= 0:
        return OrderCorrelation(0.0, 0.0)
    significance = float(cross / np.sqrt(chance))
    if significance <= CHANCE_SD:
        return OrderCorrelation(0.0, significance)
    sure = cross**2 - CHANCE_SD**2 * chance
    value = np.sqrt(sure / (predicted * measured) * (1.0 + unknown / predicted))
    return OrderCorrelation(float(min(value, 1.0)), significance)


def disagreeing(correlations: Sequence[OrderCorrelation], modulation: np.ndarray) -> list[str]:
    """Sentences on orders 1…M that show another object than the others, which agree."""
    if max(one.value for one in correlations) < CORRELATION_OK:
        return []
    return [
        f"order {m} does not agree with the other orders (correlation {one.value:.2f}): its OTF, "
        "or the plane in which its light is brightest, is another"
        for m, (one, contrast) in enumerate(zip(correlations, modulation, strict=True), 1)
        if one.value < DISAGREES and contrast >= MODULATION_OK
    ]
