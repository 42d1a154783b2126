"""What separated bands must not share: at one raw frequency they show different object ones.

Frame j at raw frequency q is ``g_j (B_0 + e^{iφ_j} B_1 + e^{−iφ_j} B_−1)``, B_b(q) ∝ S(q − b p):
three unrelated samples of the object. With intensities or phase steps slightly wrong, the
separated order 1 still contains some of order 0 or of order −1, and then

    β = Σ_q ω y_0* y_1   or   γ = Σ_q ω y_−1* y_1

is not zero. This is where smooth objects tell about intensities and steps: nearly all their light
is near q = 0 and ±p, where no other band overlaps. Neither β nor γ needs the OTF. The noise's
expectation is subtracted, and q = 0 (light that does not come from the lamp) left out.

For a Gaussian object ``var β = Σ ω² V_0 V_1`` with V_b the power of a band, which the weights
``ω = (signal/V)_0 / V_1`` assume; sparse objects scatter up to five times as far. The variance is
therefore taken from the scatter over blocks of the field, after the leaks themselves are removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.blocks import SMOOTH_SHARE, Blocks, coarse_image
from simrecon.estimate.mixing import DirectionState, unmixing
from simrecon.estimate.rows import BandImages
from simrecon.threads import on_all_cores

RING_WIDTH = 4
SIGNIFICANT = 3.0
"""Rings of the object's spectrum count up to the first that is not this many sd above noise."""
FALL = -2.0
"""Power law of the object's spectrum where too few rings are seen to fit one."""


@dataclass(frozen=True)
class Leaks:
    """β and γ of one direction as quadratic forms in its unmixing coefficients.

    Attributes
    ----------
    above, below : ndarray (P, P), complex128
        ``Σ ω conj(D_j) D_j'`` less the noise, ω the weights of β at q and at −q.
    mirror : ndarray (P, P), complex128
        The same for γ.
    scale : ndarray (2,)
        1/sd of β and γ.
    """

    above: np.ndarray
    below: np.ndarray
    mirror: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(
        cls, images: BandImages, direction: int, state: DirectionState, noise: np.ndarray
    ) -> Leaks:
        """Weights and variances at `state`; `noise` (P,) of each frame's samples."""
        rows, weights = images.zero[direction], _weights(images, direction, state, noise)
        forms = [noiseless_form(rows, one, noise) for one in weights]
        bands = unmixing(state.parameters, noise.size) @ rows
        sums = _block_sums(images, _without_leak(bands, weights), weights)
        return cls(forms[0], forms[1], forms[2], _scale(sums))

    def values(self, parameters: np.ndarray) -> np.ndarray:
        """β and γ in units of their standard deviations, (…, 2), from parameters (…, 2P + 1)."""
        c = unmixing(parameters, self.above.shape[0])
        zero, plus = c[..., 0, :], c[..., 1, :]
        beta = np.einsum("...i,ij,...j->...", np.conj(zero), self.above, plus)
        beta += np.conj(np.einsum("...i,ij,...j->...", np.conj(zero), self.below, np.conj(plus)))
        gamma = np.einsum("...i,ij,...j->...", plus, self.mirror, plus)
        values: np.ndarray = np.stack([beta, gamma], axis=-1) * self.scale
        return values

    def slopes(self, parameters: np.ndarray) -> np.ndarray:
        """Derivatives of :meth:`values` by (φ, g, ln m), (2P + 1, 2), by central differences."""
        step = 1e-5 * np.eye(parameters.size)
        both = self.values(np.concatenate([parameters + step, parameters - step]))
        slopes: np.ndarray = (both[: parameters.size] - both[parameters.size :]) / 2e-5
        return slopes


def leaks_of(
    images: BandImages, states: Sequence[DirectionState], noise: np.ndarray
) -> list[Leaks]:
    """Leaks of all directions; `noise` (D, P) is ``Σ w² σ²`` of every frame."""
    return on_all_cores(
        lambda d: Leaks.of(images, d, states[d], noise[d]), list(range(len(states)))
    )


def _weights(
    images: BandImages, direction: int, state: DirectionState, noise: np.ndarray
) -> np.ndarray:
    """ω of β at q and at −q, and of γ, (3, K) float32."""
    half = images.half
    c = unmixing(state.parameters, noise.size)
    band_noise = np.abs(c) ** 2 @ noise
    gain = np.abs(images.otf(half.ky, half.kx)) ** 2
    law = _radial_law(images, np.abs(c[0] @ images.zero[direction]) ** 2, gain, band_noise[0])
    per_ring = min(images.field.window.padded.extent_um) / RING_WIDTH

    def power(order: int) -> np.ndarray:
        fy, fx = order * state.frequency_per_um
        ring = np.hypot(half.ky - fy, half.kx - fx) * per_ring
        expected: np.ndarray = gain * np.exp(np.interp(ring, np.arange(law.size) + 0.5, law))
        return expected

    zero, plus, minus = power(0), power(1), power(-1)
    all_plus, all_minus = plus + band_noise[1], minus + band_noise[2]
    share = zero / (zero + band_noise[0])
    mirror = (minus + plus) / (all_minus * all_plus)
    return np.stack([share / all_plus, share / all_minus, mirror]).astype(np.float32)


def _radial_law(
    images: BandImages, power: np.ndarray, gain: np.ndarray, noise: float
) -> np.ndarray:
    """Logarithm of the object's power per ring, continued as a power law where it is not seen."""
    ring = images.half.ring // RING_WIDTH
    above, norm = np.bincount(ring, power - noise), np.bincount(ring, gain)
    seen = above > SIGNIFICANT * noise * np.sqrt(np.bincount(ring))
    last = seen.size if seen.all() else int(np.argmin(seen))
    radius = np.arange(3 * seen.size) + 0.5
    if last == 0:
        return np.full(radius.size, np.log(max(noise, 1e-30)))
    known = np.log(above[:last] / norm[:last])
    outer = slice(last // 2, last)
    fall = np.polyfit(np.log(radius[outer]), known[outer], 1)[0] if last > 3 else FALL
    law: np.ndarray = known[-1] + min(fall, 0.0) * np.log(radius / radius[last - 1])
    law[:last] = known
    return law


def noiseless_form(rows: np.ndarray, weight: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """``Σ ω conj(D_j) D_j'`` less its expectation from noise, (P, P) complex128."""
    form = ((np.conj(rows) * weight) @ rows.T).astype(np.complex128)
    result: np.ndarray = form - np.diag(noise * np.sum(weight, dtype=np.float64))
    return result


def _without_leak(bands: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Bands (0, +1, −1) after the regression of ±1 on 0, (3, K)."""
    zero, plus, minus = bands
    above, below = weights[:2]
    leak = np.sum(above * np.conj(zero) * plus) + np.sum(below * zero * np.conj(minus))
    leak /= max(float(np.sum((above + below) * np.abs(zero) ** 2)), 1e-300)
    return np.stack([zero, plus - leak * zero, minus - np.conj(leak) * zero])


def _block_sums(images: BandImages, bands: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """β and γ of overlapping blocks of the field, (2, blocks) complex128."""
    zero, plus, minus = bands.astype(np.complex64)
    first = coarse_image(plus, minus, images)
    at, at_mirrored = (
        [weights[0] * zero, weights[2] * minus],
        [weights[1] * zero, weights[2] * plus],
    )
    other = coarse_image(np.stack(at), np.stack(at_mirrored), images)
    other[1] *= 0.5
    sums = Blocks.on(images).smooth_sums(np.conj(other) * first).astype(np.complex128)
    whole: np.ndarray = sums * (images.field.shape[0] * images.field.shape[1])
    return whole


def _scale(sums: np.ndarray) -> np.ndarray:
    """1/sd of the totals, from the scatter of sums over blocks (n, blocks).

    Few blocks that carry most of it underestimate the variance (see :mod:`.uncertainty`).
    """
    power = np.abs(sums - sums.mean(axis=1, keepdims=True)) ** 2
    variance = power.sum(axis=1)
    number = np.maximum(variance**2 / np.maximum(np.sum(power**2, axis=1), 1e-300), 1.0)
    enlarged = variance / SMOOTH_SHARE * number / np.maximum(number - 2.0, 0.25 * number)
    scale: np.ndarray = 1.0 / np.sqrt(np.maximum(enlarged, 1e-300))
    return scale
