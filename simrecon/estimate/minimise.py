"""Gauss–Newton on the frozen quadratic form: algebra on a matrix of some forty rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.consistency import Gram
from simrecon.estimate.descent import descend
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.overlap import mismatch_chi2
from simrecon.estimate.prior import Prior

MAX_MOVE_PHASE_RAD, MAX_MOVE_INTENSITY = 0.3, 0.2
"""Longest step of the minimisation."""


@dataclass(frozen=True)
class _Point:
    """Parameters (φ, g, ln m) of each direction and frequencies (D, 2)."""

    parameters: list[np.ndarray]
    frequency_per_um: np.ndarray


@dataclass(frozen=True)
class _Problem:
    """What is minimised: the quadratic form and the priors."""

    gram: Gram
    matrix: np.ndarray
    prior: Prior
    held: list[int]

    def value(self, at: _Point) -> float:
        c = self.gram.model.coefficients(at.parameters, at.frequency_per_um)
        away = self.prior.offset(at.parameters, at.frequency_per_um)
        held_back = 0.5 * float(np.sum(away * self.prior.force(away)))
        value = float(np.real(np.conj(c) @ self.matrix @ c)) + held_back
        if self.gram.redundancy is not None:
            value += self.gram.redundancy.value(at.parameters)
        return value

    def system(self, at: _Point) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian of the free parameters."""
        model = self.gram.model
        c = model.coefficients(at.parameters, at.frequency_per_um)
        jac = model.jacobian(at.parameters, at.frequency_per_um)
        gradient = 2 * np.real(np.conj(jac) @ (self.matrix @ c))
        hessian = 2 * np.real(np.conj(jac) @ self.matrix @ jac.T)
        if self.gram.redundancy is not None:
            extra, curvature = self.gram.redundancy.system(at.parameters)
            gradient, hessian = gradient + extra, hessian + curvature
        away = self.prior.offset(at.parameters, at.frequency_per_um)
        gradient += self.prior.force(away).ravel()
        hessian += self.prior.matrix
        gradient, hessian = pin_intensity(
            gradient, hessian, len(at.parameters), model.phases, coupled=self.gram.coupled
        )
        hold(gradient, hessian, self.held, model.count)
        return gradient, hessian

    def moved(self, at: _Point, move: np.ndarray) -> _Point:
        """A step of limited length, the mean intensity brought back to one."""
        phases = self.gram.model.phases
        moves = move.reshape(-1, self.gram.model.count)
        largest = max(
            float(np.abs(moves[:, :phases]).max()) / MAX_MOVE_PHASE_RAD,
            float(np.abs(moves[:, phases : 2 * phases]).max()) / MAX_MOVE_INTENSITY,
            1.0,
        )
        moves = moves / largest
        trial = [p + m[:-2] for p, m in zip(at.parameters, moves, strict=True)]
        # Beyond the reach of the derivative rows the frequency waits for the next demodulation.
        origin, reach = self.gram.model.frequency_per_um, self.prior.reach_per_um
        frequency = np.clip(at.frequency_per_um + moves[:, -2:], origin - reach, origin + reach)
        mean = float(np.mean([p[phases : 2 * phases] for p in trial]))
        for p in trial:
            p[phases : 2 * phases] /= mean
        return _Point(trial, frequency)


def minimise(
    gram: Gram,
    states: Sequence[DirectionState],
    prior: Prior,
    *,
    fit_frequency: bool = True,
    iterations: int = 12,
) -> list[DirectionState]:
    """Minimise the quadratic form over phases, intensities and frequencies.

    Starts from `states`; modulations stay, and so does the mean intensity.
    """
    phases, count = gram.model.phases, gram.model.count
    point = _Point([s.parameters for s in states], np.array([s.frequency_per_um for s in states]))
    matrix = safe_matrix(gram, gram.model.coefficients(point.parameters, point.frequency_per_um))
    held = [2 * phases] + ([] if fit_frequency else [count - 2, count - 1])
    problem = _Problem(gram, matrix, prior, held)
    point = descend(point, problem.value, problem.system, problem.moved, iterations)
    return [
        replace(s, frequency_per_um=f, phase_rad=p[:phases], intensity=p[phases : 2 * phases])
        for s, p, f in zip(states, point.parameters, point.frequency_per_um, strict=True)
    ]


def safe_matrix(gram: Gram, coefficients: np.ndarray, margin: bool = True) -> np.ndarray:
    """J's matrix with no more noise subtracted than there is, and with `margin` slightly less.

    Were more subtracted than there is, mixing that amplifies the noise without bound would seem
    to be the best. The share follows the data when they are quieter than predicted; the margin is
    the scatter of a noise estimate from this many samples. Errors are taken without it: the noise
    that it leaves looks like knowledge of the frequency.
    """
    share = min(1.0, mismatch_chi2(gram, coefficients))
    if margin:
        share -= max(0.02, 4.0 / np.sqrt(max(gram.bands.shape[1], 1)))
    safe: np.ndarray = gram.matrix + (1.0 - max(share, 0.0)) * gram.noise
    return safe


def hold(gradient: np.ndarray, hessian: np.ndarray, held: Sequence[int], count: int) -> None:
    """Take the parameters `held` of each `count` out of the fit, in place."""
    for one in held:
        index = np.arange(one, gradient.size, count)
        stiff = hessian[index, index].copy()
        gradient[index] = 0.0
        hessian[index, :] = 0.0
        hessian[:, index] = 0.0
        hessian[index, index] = np.maximum(np.abs(stiff), 1e-300)


def pin_intensity(
    gradient: np.ndarray, hessian: np.ndarray, directions: int, phases: int, *, coupled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Make the common brightness, which the data cannot tell, stiff.

    Directions that are not coupled have one such brightness each. Parameters of a direction: its
    phases, its intensities, others.
    """
    count = gradient.size // directions
    common = np.zeros((directions, directions * count))
    for d in range(directions):
        common[d, d * count + phases : d * count + 2 * phases] = 1.0
    if coupled:
        common = common.sum(axis=0, keepdims=True)
    common /= np.linalg.norm(common, axis=1, keepdims=True)
    shared = common.T @ common
    keep = np.eye(shared.shape[0]) - shared
    stiff = float(np.abs(np.diag(hessian)).max())
    return keep @ gradient, keep @ hessian @ keep + stiff * shared
