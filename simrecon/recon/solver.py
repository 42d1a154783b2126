"""Non-linear reconstructions with a strength that the data choose: ``tv``, ``hessian``, ``rl``.

The strength (λ of a penalty, or the number of Richardson–Lucy iterations) is the one that predicts
held-out frames best (:mod:`.holdout`), found on the brightest part of the field. λ counts in units
of :attr:`LeastSquares.precision_per_e`, so that it may serve other planes and brighter or dimmer
frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from simrecon.backend import Array, namespace, to_numpy
from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.noise import FrameNoise
from simrecon.recon.holdout import HeldOut
from simrecon.recon.iterative import Estimate, LeastSquares, minimise
from simrecon.recon.operator import Reconstructor
from simrecon.recon.part import brightest, shifted
from simrecon.recon.penalties import Penalty
from simrecon.recon.richardson_lucy import RichardsonLucy

IterativeMethod = Literal["tv", "hessian", "rl"]

TUNING_SIDE_PX = 160
TUNING_ITERATIONS = 60
FIRST_ITERATIONS = 15
"""Iterations before the weights are taken from the prediction itself."""
MISFIT_NOTED = 1.2
_DECADES = (-4.0, 0.0)
_FIRST_DECADE = -2.0
_STEP_DECADES, _FINE_DECADES = 1.0, 0.5
_PATIENCE = 8
_LEAST_VARIANCE = 0.25


@dataclass(frozen=True)
class Strength:
    """How strongly to regularise, and why.

    Attributes
    ----------
    value : float
        λ in units of the data's precision, or the number of iterations for ``rl``.
    tried : tuple of (value, error)
        Held-out χ² per pixel of every strength that was tried.
    degrees_of_freedom : float
        Effective parameters per raw pixel at `value`.
    misfit : float
        Reduced χ² on the part where the strength was chosen. Above :data:`MISFIT_NOTED` the model
        (pattern, OTF, camera) misses more than noise: what it misses is in both copies, so that
        fitting it would seem to pay. It was then counted as noise, σ² × misfit.
    """

    value: float
    tried: tuple[tuple[float, float], ...]
    degrees_of_freedom: float
    misfit: float = 1.0


@dataclass(frozen=True)
class Solution:
    """One picture and how it came about.

    Attributes
    ----------
    image : array, shape (zoom·Y, zoom·X), float32, e per raw pixel area, ≥ 0
    expected : array, shape (A, P, Y, X), float32, e
        Raw frames that it predicts.
    chi2 : float
        Mean of (expected − D)²/σ², σ² from the prediction itself.
    chi2_reduced : float
        The same divided by 1 − degrees of freedom per pixel: 1 when noise alone is left.
    estimate : Estimate
        Objective, number of iterations, reason for stopping.
    """

    image: Array
    expected: Array
    chi2: float
    chi2_reduced: float
    estimate: Estimate = field(repr=False)


class IterativeSolver:
    """Solve for the object with one operator; build once, apply to every plane.

    Parameters
    ----------
    operator : Reconstructor
        Its forward model defines the problem, its regularisation the starting point.
    method : {"tv", "hessian", "rl"}
    factor : float
        Multiplies the automatic λ, or divides the automatic number of iterations.
    max_iterations : int
    """

    def __init__(
        self,
        operator: Reconstructor,
        method: IterativeMethod,
        *,
        factor: float = 1.0,
        max_iterations: int = 300,
    ) -> None:
        if operator.regularization is None:
            raise UsageError(
                "The iterative solver starts from the linear picture.",
                expected="an operator with a regularisation",
                got="regularization=None",
            )
        if len(operator.grid.shape) != 2:
            raise UsageError(
                "Iterative methods are for planes.",
                expected="method wiener for volumes",
                got=method,
                where="reconstruction.method",
            )
        self.operator, self.method = operator, method
        self.factor, self.max_iterations = factor, max_iterations

    def tune(self, frames: Array, variance_e2: Array, noise: FrameNoise) -> Strength:
        """Choose the strength on the brightest part of an acquisition.

        Parameters
        ----------
        frames : array, shape (A, P, Y, X), float32, e
        variance_e2 : array, same shape
            Noise variance from a smooth expectation (:func:`.preprocess.raw_variance`).
        noise : FrameNoise
            The same for any other expectation; arrays in it have the frames' shape.
        """
        xp = namespace(frames)
        mean = to_numpy(xp.mean(frames, axis=(0, 1)))
        rows, columns = brightest(mean, TUNING_SIDE_PX)
        part = (slice(None), slice(None), rows, columns)
        frames, variance, noise = frames[part], variance_e2[part], noise.part(part)
        operator = _sharp(self.operator, (rows, columns))
        reference = operator.forward(_positive(operator.reconstruct(frames)))
        found = self._tune(operator, HeldOut.of(frames, variance), noise, reference)
        if found.misfit <= MISFIT_NOTED:
            return found
        again = HeldOut.of(frames, variance * found.misfit)
        return replace(self._tune(operator, again, noise, reference), misfit=found.misfit)

    def _tune(
        self, operator: Reconstructor, held: HeldOut, noise: FrameNoise, reference: Array
    ) -> Strength:
        if self.method == "rl":
            value, tried, expected = _tune_iterations(operator, held, noise, self.max_iterations)
        else:
            value, tried, expected = _tune_weight(operator, held, Penalty(self.method))
        freedom = min(max(held.degrees_of_freedom(expected, reference), 0.0), 0.9)
        return Strength(value, tried, freedom, held.fit_error(expected) / (1.0 - freedom))

    def solve(
        self, frames: Array, variance_e2: Array, noise: FrameNoise, strength: Strength
    ) -> Solution:
        """Reconstruct one acquisition; arguments as in :meth:`tune`."""
        if self.method == "rl":
            iterations = min(max(1, round(strength.value / self.factor)), self.max_iterations)
            found = RichardsonLucy(self.operator, frames, noise).run(iterations)
            why = "limit of" if iterations == self.max_iterations else "held-out frames say"
            found = replace(found, reason=f"{why} {iterations} iterations")
        else:
            raised = strength.misfit**0.5 if strength.misfit > MISFIT_NOTED else 1.0
            value = strength.value * self.factor * raised  # λ ∝ 1/σ, in units of 1/σ of the frames
            found = self._penalised(frames, variance_e2, noise, value)
        xp = namespace(frames)
        off = found.expected - frames
        variance = _predicted_variance(found.expected, variance_e2, noise)
        chi2 = float(xp.mean(off * off / variance))
        reduced = chi2 / (1.0 - strength.degrees_of_freedom)
        return Solution(found.image, found.expected, chi2, reduced, found)

    def _penalised(
        self, frames: Array, variance: Array, noise: FrameNoise, value: float
    ) -> Estimate:
        penalty = Penalty("tv" if self.method == "tv" else "hessian")
        data = LeastSquares(self.operator, frames, 1.0 / variance)
        weight = value * data.precision_per_e
        start = _positive(_sharp(self.operator).reconstruct(frames))
        first = minimise(data, penalty, weight, start, max_iterations=FIRST_ITERATIONS)
        better = _predicted_variance(first.expected, variance, noise)
        data = LeastSquares(self.operator, frames, 1.0 / better)
        return minimise(
            data,
            penalty,
            value * data.precision_per_e,
            first.image,
            dual=first.dual,
            max_iterations=self.max_iterations,
        )


def _sharp(operator: Reconstructor, part: tuple[slice, slice] | None = None) -> Reconstructor:
    """The operator without apodization, on a part of the field or all of it."""
    pattern, grid = operator.pattern, operator.grid
    if part is not None:
        start = (part[0].start, part[1].start)
        shape = (part[0].stop - start[0], part[1].stop - start[1])
        pattern = shifted(pattern, start, shape)
        grid = Grid(shape, grid.pixel_um, grid.offset_um)
    return Reconstructor(
        pattern,
        operator.otf,
        grid,
        frame_variance_e2=operator.frame_variance_e2,
        regularization=operator.regularization,
        zoom=operator.zoom,
        apodization_kind="none",
        margin_um=operator.margin_um,
        reference=operator.reference,
    )


def _positive(image: Array) -> Array:
    xp = namespace(image)
    return xp.maximum(image, xp.zeros_like(image))


def _predicted_variance(expected: Array, smooth_e2: Array, noise: FrameNoise) -> Array:
    """Noise of the predicted frames, at least a quarter of the smooth one."""
    xp = namespace(expected)
    return xp.maximum(noise.variance(expected), _LEAST_VARIANCE * smooth_e2)


def _tune_iterations(
    operator: Reconstructor, held: HeldOut, noise: FrameNoise, limit: int
) -> tuple[float, tuple[tuple[float, float], ...], Array]:
    """Number of iterations whose prediction of the held-out copy is best."""
    tried: list[tuple[float, float]] = []
    best: Estimate | None = None
    for found in RichardsonLucy(operator, held.fit, noise).iterate():
        error = held.error(found.expected)
        if best is None or error < min(e for _, e in tried):
            best = found
        tried.append((float(found.iterations), error))
        if found.iterations >= min(best.iterations + _PATIENCE, limit):
            break
    assert best is not None
    return float(best.iterations), tuple(tried), best.expected


def _tune_weight(
    operator: Reconstructor, held: HeldOut, penalty: Penalty
) -> tuple[float, tuple[tuple[float, float], ...], Array]:
    """λ, in units of the precision, whose prediction of the held-out copy is best.

    Decades downhill from 0.01, each started from its neighbour, then half decades, then a parabola
    in log λ. Less than converged pictures predict better than converged ones where λ is too small:
    after a walk down, larger λ are tried again from where it ended.
    """
    data = LeastSquares(operator, held.fit, held.fit_weights)
    found: dict[float, tuple[float, Estimate]] = {}

    def error(decade: float, neighbour: float | None) -> float:
        start, dual = _positive(operator.reconstruct(held.fit)), None
        if neighbour is not None:
            start, dual = found[neighbour][1].image, found[neighbour][1].dual
        weight = 10.0**decade * data.precision_per_e
        estimate = minimise(
            data, penalty, weight, start, dual=dual, max_iterations=TUNING_ITERATIONS
        )
        found[decade] = (held.error(estimate.expected), estimate)
        return found[decade][0]

    here = _FIRST_DECADE
    error(here, None)
    step = -_STEP_DECADES
    if error(here + step, here) >= found[here][0]:
        step = _STEP_DECADES
    else:
        here += step
    while _DECADES[0] <= here + step <= _DECADES[1] and error(here + step, here) < found[here][0]:
        here += step
    while step < 0 and here - step <= _DECADES[1] and error(here - step, here) < found[here][0]:
        here -= step
    for side in (here - _FINE_DECADES, here + _FINE_DECADES):
        error(side, here)
    here = min(found, key=lambda d: found[d][0])
    decade = _parabola(sorted((d, e) for d, (e, _) in found.items()), here)
    tried = tuple((10.0**d, found[d][0]) for d in sorted(found))
    return 10.0**decade, tried, found[here][1].expected


def _parabola(points: list[tuple[float, float]], best: float) -> float:
    """Minimum of the parabola through the best of equidistant points and its neighbours."""
    values = dict(points)
    left, right = values.get(best - _FINE_DECADES), values.get(best + _FINE_DECADES)
    if left is None or right is None:
        return best
    bend = left - 2.0 * values[best] + right
    return best if bend <= 0 else best + 0.5 * _FINE_DECADES * (left - right) / bend
