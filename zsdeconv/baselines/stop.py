"""When to stop an iteration without the truth, and which one was best with it.

``held-out``     the iteration that runs on one re-corrupted copy is judged by how well its
                 prediction agrees with the independent copy (:mod:`zsdeconv.recorrupt`); the
                 picture itself then gets as many iterations
``discrepancy``  the first iteration that explains the picture within its noise, residual and
                 noise being filtered by Aᵀ first: Σ (Aᵀ(y − A f))² ≤ Σ h² · Σ variance, with the
                 variance of the *predicted* light (for Poisson noise Bertero et al., Inverse
                 Problems 26, 105004, 2010). Unfiltered, noise that no object could have made hides
                 what is left of the object. ``benchmarks/bench_baselines.py`` says what each rule
                 loses to the best iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from zsdeconv.baselines.lucy import LucyStep

StopRule = Literal["held-out", "discrepancy"]
PATIENCE = 5
"""Iterations without a better held-out score after which the search ends."""
_GAIN = 1e-5
_FLOOR = 0.02


@dataclass(frozen=True)
class Stop:
    """Where an iteration stops, and why.

    Attributes
    ----------
    iterations : int
    reason : str
        One sentence.
    scores : tuple of float
        The rule's quantity after every iteration that was tried.
    reached : bool
        False when the rule's condition was never met.
    """

    iterations: int
    reason: str
    scores: tuple[float, ...]
    reached: bool = True

    def after(self, failed: Stop) -> Stop:
        """The same stop, taken because another rule's condition was never met."""
        return replace(self, reason=f"{self.reason} ({failed.reason})", reached=False)


def chi2(
    image_e: np.ndarray,
    seen_e: np.ndarray,
    variance_e2: np.ndarray,
    weight: np.ndarray | None = None,
) -> float:
    """Weighted mean of the squared residuals over their variances."""
    floor = _FLOOR * float(np.mean(variance_e2, dtype=np.float64))
    squares = (image_e - seen_e) ** 2 / np.maximum(variance_e2, floor)
    return float(np.average(squares, weights=weight))


def held_out_stop(steps: Iterable[LucyStep], score: Callable[[LucyStep], float], most: int) -> Stop:
    """The iteration of the lowest `score`, tried until it has not fallen `PATIENCE` times.

    Parameters
    ----------
    steps
        Iterations on one copy.
    score
        Mean squared residual of the prediction against the independent copy.
    most
        Largest number of iterations.
    """
    scores: list[float] = []
    best = 0
    for step in steps:
        scores.append(score(step))
        if scores[-1] < scores[best] * (1.0 - _GAIN):
            best = len(scores) - 1
        if len(scores) - 1 - best >= PATIENCE or len(scores) >= most:
            break
    if best + 1 >= most:
        reason = f"the largest number of iterations, {most}; an independent copy still gains"
    else:
        reason = f"iteration {best + 1} predicts an independent copy of the data best"
    return Stop(best + 1, reason, tuple(scores))


def discrepancy_stop(
    steps: Iterable[LucyStep], score: Callable[[LucyStep], float], most: int
) -> Stop:
    """The first iteration whose `score` (filtered χ²) is 1 or less."""
    scores: list[float] = []
    for step in steps:
        scores.append(score(step))
        if scores[-1] <= 1.0:
            count = len(scores)
            return Stop(
                count,
                f"the residual is as small as the noise after {count} iterations",
                tuple(scores),
            )
        if len(scores) >= most:
            break
    reason = (
        f"the residual stayed {min(scores):.2f} times as strong as the noise in {len(scores)} "
        "iterations: is the noise or the PSF other than stated?"
    )
    return Stop(len(scores), reason, tuple(scores), reached=False)


def best_iteration(
    images: Iterable[np.ndarray], figure: Callable[[np.ndarray], float], most: int
) -> tuple[float, int, np.ndarray]:
    """Highest `figure` over iterations (for benchmarks that know the truth).

    Returns
    -------
    figure : float
    iteration : int
        From 1.
    image : ndarray
        A copy of the best estimate.
    """
    best: tuple[float, int, np.ndarray] | None = None
    for count, image in enumerate(images, 1):
        value = figure(image)
        if best is None or value > best[0]:
            best = value, count, image.copy()
        if count >= most:
            break
    assert best is not None, "no iteration was made"
    return best
