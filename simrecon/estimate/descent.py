"""Damped Gauss–Newton descent, whatever the parameters are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

Point = TypeVar("Point")
TRIALS = 8
FIRST_DAMPING = 1e-6
"""Of the Hessian scaled to a diagonal of one."""


def curvature_scale(hessian: np.ndarray) -> np.ndarray:
    """Scale that brings the Hessian's diagonal to one, (n,) float64."""
    diagonal = np.diag(hessian).copy()
    diagonal[diagonal <= 0] = np.abs(diagonal).max() + 1e-300
    scale: np.ndarray = 1.0 / np.sqrt(diagonal)
    return scale


def descend(
    start: Point,
    value: Callable[[Point], float],
    system: Callable[[Point], tuple[np.ndarray, np.ndarray]],
    moved: Callable[[Point, np.ndarray], Point],
    iterations: int,
) -> Point:
    """The lowest point that damped Gauss–Newton steps reach; never above `start`.

    Parameters
    ----------
    start
        First parameters, of any type.
    value
        What is minimised.
    system
        Gradient (n,) and Hessian (n, n) of the free parameters at a point.
    moved
        The point a step (n,) away; it may shorten the step.
    iterations : int
        Most steps.
    """
    point, best, damping = start, value(start), FIRST_DAMPING
    for _ in range(iterations):
        gradient, hessian = system(point)
        scale = curvature_scale(hessian)
        scaled = hessian * scale[:, None] * scale[None, :]
        for _ in range(TRIALS):
            damped = scaled + damping * np.eye(scale.size)
            trial = moved(point, -scale * np.linalg.solve(damped, scale * gradient))
            candidate = value(trial)
            if candidate <= best:
                break
            damping = max(damping, FIRST_DAMPING) * 10
        else:
            break
        change, point, best, damping = best - candidate, trial, candidate, damping / 10
        if change < 1e-9 * abs(best) + 1e-6:
            break
    return point
