"""Regularised least squares on the raw frames: positivity, and a roughness penalty.

    minimise over x ≥ 0    J(x) = ½ Σ (F x − D)² / σ²  +  λ ‖K x‖

F is :meth:`Reconstructor.forward`, σ² the noise of the raw pixels from a prediction of the
frames, K from :mod:`.penalties`. Solved by FISTA (Beck & Teboulle, SIAM J. Imaging Sci. 2, 183,
2009, eq. 4.1-4.3) with a step per pixel and a restart whenever J would rise (O'Donoghue & Candès,
Found. Comput. Math. 15, 715, 2015, eq. 12), so that J never rises. The proximal step of the penalty
is inexact; it is given more dual steps when J would rise without momentum.

The step is 1/d with d = Fᵀ W F 1. For a non-negative F, diag(d) majorises FᵀWF (separable
quadratic surrogate, De Pierro, IEEE TMI 14, 132, 1995); the norm of D^-½ FᵀWF D^-½ is then exactly
1. A power iteration measures it, and d is raised where small negative lobes of OTF or pattern make
it larger. Steps that follow the light are what makes dim and bright places converge alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from simrecon.backend import Array, like, namespace
from simrecon.recon.operator import Reconstructor
from simrecon.recon.penalties import Penalty, Proximal

STOP_FRACTION = 0.02
"""J fell less than this share of the standard deviation that noise gives to ½χ² …"""
STOP_WINDOW = 10
"""… over so many iterations: what is still to come is far below the noise."""
_CURVATURE_FLOOR = 1e-3
_NORM_ITERATIONS = 12
_MOST_DUAL_STEPS = 48


@dataclass(frozen=True)
class Estimate:
    """An image that an iteration arrived at.

    Attributes
    ----------
    image : array, shape (zoom·Y, zoom·X), float32
    expected : array, shape (A, P, Y, X), float32
        Frames that it predicts, e.
    objective : tuple of float
        What was minimised, at the start and after each iteration.
    reason : str
        Why it stopped.
    dual : array or None
        Dual variable of the penalty, for a warm start.
    """

    image: Array
    expected: Array
    objective: tuple[float, ...]
    reason: str
    dual: Array | None = field(default=None, repr=False)

    @property
    def iterations(self) -> int:
        """Number of iterations done."""
        return len(self.objective) - 1


def operator_norm(apply: Callable[[Array], Array], start: Array, iterations: int) -> float:
    """Largest eigenvalue of a symmetric positive map, by power iteration from `start`.

    Deterministic; a lower bound that is close when `start` has a share in the leading vector.
    """
    xp = namespace(start)

    def length(x: Array) -> float:
        return math.sqrt(float(xp.sum(x * x, dtype=xp.float64)))

    vector, norm = start / length(start), 0.0
    for _ in range(iterations):
        image = apply(vector)
        norm = length(image)
        if norm == 0.0:
            return 0.0
        vector = image / norm
    return norm


class LeastSquares:
    """½ Σ w (F x − D)², its gradient, and a diagonal majoriser of its curvature.

    Parameters
    ----------
    operator : Reconstructor
        Supplies F and Fᵀ; its regularisation is not used.
    frames : array, shape (A, P, Y, X), float32, e
    weights : array, same shape
        1/σ² of every raw pixel, 1/e².

    Attributes
    ----------
    curvature : array, shape (zoom·Y, zoom·X)
        d, 1/e²; its root is the information on an SR pixel per photo-electron.
    """

    def __init__(self, operator: Reconstructor, frames: Array, weights: Array) -> None:
        self._operator, self._frames, self._weights = operator, frames, weights
        xp = namespace(frames)
        ones = like(np.ones(operator.sr_grid.shape, np.float32), frames)
        d = self._normal(ones)
        d = xp.maximum(d, xp.full_like(d, _CURVATURE_FLOOR * float(xp.max(d))))
        root = xp.sqrt(d)
        norm = operator_norm(lambda x: self._normal(x / root) / root, root, _NORM_ITERATIONS)
        self.curvature = d * max(1.0, norm)

    @property
    def samples(self) -> int:
        """Number of raw pixels."""
        return int(np.prod(self._frames.shape))

    @property
    def precision_per_e(self) -> float:
        """Root of the mean curvature, 1/e: the natural unit of λ."""
        xp = namespace(self.curvature)
        return math.sqrt(float(xp.mean(self.curvature)))

    def expected(self, image: Array) -> Array:
        """F x."""
        return self._operator.forward(image)

    def value(self, expected: Array) -> float:
        """½ χ² of predicted frames."""
        xp = namespace(expected)
        off = expected - self._frames
        return 0.5 * float(xp.sum(self._weights * off * off, dtype=xp.float64))

    def gradient(self, expected: Array) -> Array:
        """Fᵀ W (F x − D) of predicted frames F x."""
        return self._operator.forward_adjoint(self._weights * (expected - self._frames))

    def _normal(self, image: Array) -> Array:
        return self._operator.forward_adjoint(self._weights * self._operator.forward(image))


def minimise(
    data: LeastSquares,
    penalty: Penalty,
    weight_per_e: float,
    start: Array,
    *,
    dual: Array | None = None,
    max_iterations: int = 200,
    stop_fraction: float = STOP_FRACTION,
) -> Estimate:
    """Minimise J from `start`.

    Parameters
    ----------
    data
        The misfit.
    penalty, weight_per_e
        K and λ ≥ 0, 1/e.
    start : array, shape (zoom·Y, zoom·X)
        Clipped at 0.
    dual : array, shape (n, zoom·Y, zoom·X), optional
        From an earlier :class:`Estimate` at a similar λ.
    max_iterations, stop_fraction
        Stop after so many iterations, or when J fell less than ``stop_fraction · sqrt(M/2)`` over
        the last :data:`STOP_WINDOW` of them (M raw pixels; sqrt(M/2) is the noise of ½χ²).
    """
    xp = namespace(start)
    prox = Proximal(penalty, data.curvature, weight_per_e)
    here = xp.maximum(start, xp.zeros_like(start))
    dual = xp.zeros_like(penalty.apply(here)) if dual is None else prox.feasible(dual)
    seen = data.expected(here)
    objective = [data.value(seen) + weight_per_e * penalty.value(here)]
    point, seen_point, momentum = here, seen, 1.0
    enough = stop_fraction * (0.5 * data.samples) ** 0.5
    for _ in range(max_iterations):
        new, new_dual = prox(point - data.gradient(seen_point) / data.curvature, dual)
        seen_new = data.expected(new)
        value = data.value(seen_new) + weight_per_e * penalty.value(new)
        if value > objective[-1]:
            objective.append(objective[-1])
            if momentum == 1.0:  # without momentum only an inexact proximal step can rise
                if prox.iterations >= _MOST_DUAL_STEPS:
                    return Estimate(here, seen, tuple(objective), "converged", dual)
                prox, dual = replace(prox, iterations=2 * prox.iterations), new_dual
            point, seen_point, momentum = here, seen, 1.0
            continue
        larger = 0.5 * (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5)
        pull = (momentum - 1.0) / larger
        point, seen_point = new + pull * (new - here), seen_new + pull * (seen_new - seen)
        here, seen, dual, momentum = new, seen_new, new_dual, larger
        objective.append(value)
        past = objective[-1 - STOP_WINDOW] if len(objective) > STOP_WINDOW else float("inf")
        if past - value < enough:
            reason = f"the objective fell less than {stop_fraction:g} of its noise"
            return Estimate(here, seen, tuple(objective), reason, dual)
    return Estimate(here, seen, tuple(objective), f"limit of {max_iterations} iterations", dual)
