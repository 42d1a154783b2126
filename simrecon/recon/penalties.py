"""Convex roughness penalties ‖K x‖: isotropic total variation and the Hessian norm.

``tv``       sum over pixels of |∇x| (Rudin, Osher & Fatemi, Physica D 60, 259, 1992, eq. 2.4)
``hessian``  sum over pixels of the Frobenius norm of the Hessian, sqrt(xx² + yy² + 2 xy²)
             (Lefkimmiatis et al., IEEE TIP 22, 1873, 2013, Schatten norm with p = 2), without
             staircases; used for SIM by Huang et al., Nat. Biotechnol. 36, 451, 2018

Differences are per SR pixel and zero across the border of the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from simrecon.backend import Array, device_of, namespace

PenaltyKind = Literal["tv", "hessian"]
_SQRT2 = 2.0**0.5
_TINY = 1e-30


def _difference(x: Array, axis: int) -> Array:
    """x[i+1] − x[i] along an axis of a 2-D array, one sample shorter."""
    return x[1:, :] - x[:-1, :] if axis == 0 else x[:, 1:] - x[:, :-1]


def _add_difference_transpose(out: Array, p: Array, axis: int) -> None:
    """Add the transpose of :func:`_difference` of p to `out`, in place."""
    if axis == 0:
        out[1:, :] += p
        out[:-1, :] -= p
    else:
        out[:, 1:] += p
        out[:, :-1] -= p


@dataclass(frozen=True)
class Penalty:
    """The linear map K of one penalty and the constants of its proximal step.

    Attributes
    ----------
    kind : {"tv", "hessian"}
    """

    kind: PenaltyKind

    @property
    def components(self) -> int:
        """Number of components of K x per pixel."""
        return 2 if self.kind == "tv" else 3

    @property
    def bound(self) -> float:
        """Largest |K| row sum times largest column sum: ‖K diag(c) Kᵀ‖ ≤ bound · max c locally
        (Pock & Chambolle, ICCV 2011, lemma 2).
        """
        return 8.0 if self.kind == "tv" else (4.0 * _SQRT2) * (8.0 + 4.0 * _SQRT2)

    def apply(self, x: Array) -> Array:
        """K x: image (Y, X) to components (n, Y, X), same dtype."""
        xp = namespace(x)
        out = xp.zeros((self.components, *x.shape), dtype=x.dtype, device=device_of(x))
        if self.kind == "tv":
            out[0, :-1, :] = _difference(x, 0)
            out[1, :, :-1] = _difference(x, 1)
        else:
            dy, dx = _difference(x, 0), _difference(x, 1)
            out[0, 1:-1, :] = _difference(dy, 0)
            out[1, :, 1:-1] = _difference(dx, 1)
            out[2, :-1, :-1] = _SQRT2 * _difference(dy, 1)
        return out

    def transpose(self, p: Array) -> Array:
        """Kᵀ p: components (n, Y, X) to an image (Y, X)."""
        xp = namespace(p)
        _, ny, nx = p.shape
        device = device_of(p)
        out = xp.zeros((ny, nx), dtype=p.dtype, device=device)
        if self.kind == "tv":
            _add_difference_transpose(out, p[0, :-1, :], 0)
            _add_difference_transpose(out, p[1, :, :-1], 1)
            return out
        dy = xp.zeros((ny - 1, nx), dtype=p.dtype, device=device)
        dx = xp.zeros((ny, nx - 1), dtype=p.dtype, device=device)
        _add_difference_transpose(dy, p[0, 1:-1, :], 0)
        _add_difference_transpose(dx, p[1, :, 1:-1], 1)
        _add_difference_transpose(dy, _SQRT2 * p[2, :-1, :-1], 1)
        _add_difference_transpose(out, dy, 0)
        _add_difference_transpose(out, dx, 1)
        return out

    def value(self, x: Array) -> float:
        """‖K x‖: the sum over pixels of the Euclidean length of the components."""
        xp = namespace(x)
        p = self.apply(x)
        return float(xp.sum(xp.sqrt(xp.sum(p * p, axis=0)), dtype=xp.float64))


@dataclass(frozen=True)
class Proximal:
    """Minimise ``½ Σ d (x − v)² + λ ‖K x‖`` over x ≥ 0 through the dual.

    The dual is solved by accelerated projected ascent (fast gradient projection, Beck & Teboulle,
    IEEE TIP 18, 2419, 2009, eq. 4.9-4.12) with a step per pixel, because d varies over the field.

    Attributes
    ----------
    penalty : Penalty
    metric : array, shape (Y, X)
        d > 0.
    weight : float
        λ > 0.
    iterations : int
        Dual steps per call; the dual variable of the last call starts the next one.
    """

    penalty: Penalty
    metric: Array
    weight: float
    iterations: int = 3

    def __call__(self, v: Array, dual: Array) -> tuple[Array, Array]:
        """Proximal point of v, shape (Y, X), and the new dual, shape (n, Y, X)."""
        step = self._step
        point, t = dual, 1.0
        for _ in range(self.iterations):
            ascent = point + step * self.penalty.apply(self._primal(v, point))
            new = self.feasible(ascent)
            t_new = 0.5 * (1.0 + (1.0 + 4.0 * t * t) ** 0.5)
            point = new + ((t - 1.0) / t_new) * (new - dual)
            dual, t = new, t_new
        return self._primal(v, dual), dual

    @cached_property
    def _step(self) -> Array:
        return 1.0 / (self.penalty.bound * _largest_neighbour(1.0 / self.metric))

    def feasible(self, dual: Array) -> Array:
        """The nearest dual variable of length λ or less at every pixel."""
        xp = namespace(dual)
        length = xp.sqrt(xp.sum(dual * dual, axis=0) + _TINY)
        return dual * xp.minimum(self.weight / length, xp.ones_like(length))

    def _primal(self, v: Array, dual: Array) -> Array:
        xp = namespace(v)
        return xp.maximum(v - self.penalty.transpose(dual) / self.metric, xp.zeros_like(v))


def _largest_neighbour(values: Array) -> Array:
    """Maximum over each pixel's 3 × 3 neighbourhood."""
    xp = namespace(values)
    for axis in (0, 1):
        out = xp.asarray(values, copy=True)
        if axis == 0:
            out[1:, :] = xp.maximum(out[1:, :], values[:-1, :])
            out[:-1, :] = xp.maximum(out[:-1, :], values[1:, :])
        else:
            out[:, 1:] = xp.maximum(out[:, 1:], values[:, :-1])
            out[:, :-1] = xp.maximum(out[:, :-1], values[:, 1:])
        values = out
    return values
