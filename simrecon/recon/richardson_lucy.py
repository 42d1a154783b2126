"""Joint Richardson–Lucy on all raw SIM frames (RL-SIM), accelerated, never losing likelihood.

    x ← x · Fᵀ[ w c⁺ / u ] / Fᵀ[ w (1 + c⁻ / u) ],    c = D + w r,  u = F x + w r

r is the variance of the read noise, added to both sides so that c is nearly Poisson (Snyder et
al., JOSA A 12, 272, 1995), and 1/w the variance per photo-electron: 1, or another number where the
frames were divided by something (:class:`simrecon.model.noise.FrameNoise`). Where read noise makes
a count negative, c⁻ = −c moves to the denominator: its term |c| log u is concave, so its tangent
majorises it and the step keeps both the monotone fall of the negative log-likelihood
Σ w (u − c log u) and its stationary points (clipping c at 0 would add light to dark frames).

Acceleration extrapolates along the last step (Biggs & Andrews, Appl. Opt. 36, 1766, 1997, eq. 8-10)
and is dropped for one step where it would lose likelihood.

``zsdeconv.baselines.richardson_lucy`` is the same iteration for any forward model in torch, with
boundary weights instead of a mirrored field (the start of a network and the baseline of its
benchmarks); this one runs on :class:`Reconstructor` and on every array library.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simrecon.backend import Array, like, namespace
from simrecon.model.noise import FrameNoise
from simrecon.recon.iterative import Estimate
from simrecon.recon.operator import Reconstructor

_FLOOR = 1e-4
"""Smallest value of image and prediction over the mean of the frames."""
_LARGEST_PULL = 0.95


class RichardsonLucy:
    """The iteration on one set of frames.

    Parameters
    ----------
    operator : Reconstructor
        Supplies F and Fᵀ.
    frames : array, shape (A, P, Y, X), float32, e
    noise : FrameNoise
        Numbers, or arrays of the frames' shape.
    """

    def __init__(self, operator: Reconstructor, frames: Array, noise: FrameNoise) -> None:
        xp = namespace(frames)
        self._operator = operator
        zero = xp.zeros_like(frames)
        self._weight = 1.0 / noise.shot_e
        self._shift = noise.read_variance_e2 * self._weight
        counts = frames + self._shift
        self._counts = counts
        self._positive, self._negative = xp.maximum(counts, zero), xp.maximum(-counts, zero)
        self._mean = max(float(xp.mean(frames)), 1e-6)

    def iterate(self) -> Iterator[Estimate]:
        """Yield estimates without end, from a flat image; the objective never rises."""
        operator = self._operator
        xp = namespace(self._counts)
        point = like(np.full(operator.sr_grid.shape, self._mean, np.float32), self._counts)
        old = here = point
        seen = operator.forward(point)
        objective = [self._objective(seen)]
        step = old_step = xp.zeros_like(point)
        while True:
            old, here = here, self._step(point, seen)
            old_step, step = step, here - point
            pull = self._pull(step, old_step)
            point = xp.maximum(here + pull * (here - old), self._least(here))
            seen = operator.forward(point)
            value = self._objective(seen)
            if value > objective[-1] and pull > 0.0:
                point, seen = here, operator.forward(here)
                value = self._objective(seen)
            objective.append(min(value, objective[-1]))  # float32 rounding at convergence
            yield Estimate(point, seen, tuple(objective), "")

    def run(self, iterations: int) -> Estimate:
        """The estimate after a number of iterations, at least 1."""
        for estimate in self.iterate():
            if estimate.iterations >= iterations:
                return estimate
        raise AssertionError("iterate() does not end")

    def _step(self, point: Array, seen: Array) -> Array:
        u = self._safe(seen)
        adjoint = self._operator.forward_adjoint
        xp = namespace(u)
        up = adjoint(self._weight * self._positive / u)
        down = adjoint(self._weight * (1.0 + self._negative / u))
        least = xp.full_like(down, 1e-3 * float(xp.max(down)))
        return xp.maximum(point * up / xp.maximum(down, least), self._least(point))

    def _objective(self, seen: Array) -> float:
        u = self._safe(seen)
        xp = namespace(u)
        terms = self._weight * (u - self._counts * xp.log(u))
        return float(xp.sum(terms, dtype=xp.float64))

    def _safe(self, seen: Array) -> Array:
        """F x + w r, kept positive where lobes of the OTF or missing read noise would not."""
        xp = namespace(seen)
        u = seen + self._shift
        return xp.maximum(u, xp.full_like(u, _FLOOR * self._mean))

    def _least(self, image: Array) -> Array:
        xp = namespace(image)
        return xp.full_like(image, _FLOOR * self._mean)

    @staticmethod
    def _pull(step: Array, old_step: Array) -> float:
        xp = namespace(step)
        below = float(xp.sum(old_step * old_step, dtype=xp.float64))
        if below <= 0.0:
            return 0.0
        return min(
            max(float(xp.sum(step * old_step, dtype=xp.float64)) / below, 0.0), _LARGEST_PULL
        )
