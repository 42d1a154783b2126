"""Fit of one set of frames: fundamentals, phases and intensity of every frame, modulations.

As :mod:`simrecon.estimate.joint` for any number of carriers, each set on its own: weights are
frozen, modulations regressed, the quadratic form minimised over the rest, until nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.carriers.decorrelation import Decorrelation
from simrecon.estimate.carriers.reach import reaching
from simrecon.estimate.carriers.set_gram import SetGram, SetRows
from simrecon.estimate.descent import descend
from simrecon.estimate.prior import (
    PRIOR_SD_FREQUENCY_PX,
    PRIOR_SD_INTENSITY,
    PRIOR_SD_PHASE_RAD,
    REACH_PX,
)
from simrecon.estimate.rows import BandImages

MODULATION_FACTOR = 2.0
"""Most that a modulation changes in one iteration."""
LEAST_MODULATION = 1e-3
FULL_STEPS = 4
"""Iterations after which steps are halved."""
STALE_PX = 0.02
"""Rows are demodulated again when a carrier is farther than this from where they were made."""
MOST_PHASE_RAD, MOST_INTENSITY = 0.3, 0.2
"""Longest step of the minimisation."""


@dataclass(frozen=True)
class SetPrior:
    """Weak normal prior about the start values (see :mod:`simrecon.estimate.prior`).

    Attributes
    ----------
    centre : ndarray (n,)
    precision : ndarray (n,)
        0 for modulations.
    """

    centre: np.ndarray
    precision: np.ndarray

    @classmethod
    def about(cls, carriers: CarrierSet, state: SetState, images: BandImages) -> SetPrior:
        """Prior about start values."""
        sd = np.full(carriers.size, np.inf)
        sd[carriers.parameters_of("phase")] = PRIOR_SD_PHASE_RAD
        sd[carriers.parameters_of("intensity")] = PRIOR_SD_INTENSITY
        sample = PRIOR_SD_FREQUENCY_PX / np.array(images.field.window.padded.extent_um)
        sd[carriers.parameters_of("frequency")] = np.tile(sample, carriers.fundamentals)
        return cls(state.parameters, 1.0 / sd**2)

    def offset(self, values: np.ndarray) -> np.ndarray:
        """Distance from the centre; 0 where the prior says nothing."""
        return np.where(self.precision > 0, values - self.centre, 0.0)


@dataclass(frozen=True)
class SetFit:
    """Outcome of :func:`fit_set`.

    Attributes
    ----------
    state : SetState
    frozen : SetState
        State of the last but one iteration, where `gram` was frozen.
    gram : SetGram
    prior : SetPrior
    apart : Decorrelation
    images : BandImages
        At the samples of this set.
    last_step_px : float
        Largest change in the last iteration: DFT samples, or half turns of a phase.
    converged : bool
    """

    state: SetState
    frozen: SetState
    gram: SetGram
    prior: SetPrior
    apart: Decorrelation
    images: BandImages
    last_step_px: float
    converged: bool


def fit_set(
    carriers: CarrierSet,
    start: SetState,
    images: BandImages,
    frames: int,
    variance_e2: np.ndarray,
    *,
    fit_frequency: bool = True,
    iterations: int = 20,
    tolerance_px: float = 1e-3,
) -> SetFit:
    """Fit one set of frames from start values.

    Parameters
    ----------
    carriers : CarrierSet
    start : SetState
        Frequencies to about a DFT sample; the mean intensity stays.
    images : BandImages
    frames : int
        Place of the set along A.
    variance_e2 : ndarray (P, Y, X)
    fit_frequency : bool
        False keeps the frequencies of `start`.
    """
    length = np.array(images.field.window.padded.extent_um)
    current, prior = start, SetPrior.about(carriers, start, images)
    narrow, images = images, reaching(images, carriers, start)
    made = SetRows.at(carriers, current, images, frames, variance_e2, corrected=False)
    frame_noise = np.diag(made.noise).real[: carriers.phases]
    apart = Decorrelation.of(carriers, current, narrow, frames, frame_noise)
    current = settled(apart, current, prior)
    apart = apart.scaled(current)
    excess = max(apart.chance(current), 1.0)
    corrected, step = False, np.inf
    for number in range(iterations):
        moved = carriers.carrier_per_um(current.frequency_per_um - made.plan.made.frequency_per_um)
        if number and (not corrected or np.abs(moved * length).max() > STALE_PX):
            made = SetRows.at(carriers, current, images, frames, variance_e2, corrected=True)
            corrected = True
        gram = SetGram.frozen(made, current, images)
        frozen = current
        apart = apart.scaled(frozen, excess)
        regressed = with_modulations(gram, frozen)
        current = minimise(gram, regressed, prior, apart, length, fit_frequency=fit_frequency)
        if number >= FULL_STEPS:
            current = _halfway(frozen, current)
        step = _largest_step(carriers, frozen, current, length)
        if step < tolerance_px and corrected:
            break
    done = bool(step < tolerance_px)
    return SetFit(current, frozen, gram, prior, apart, images, float(step), done)


def settled(apart: Decorrelation, state: SetState, prior: SetPrior, steps: int = 6) -> SetState:
    """Phases and intensities at which the bands are least correlated, near start values."""
    free = slice(0, apart.carriers.parameters_of("intensity").stop)
    for _ in range(steps):
        apart = apart.scaled(state)
        gradient, hessian = apart.system(state)
        gradient = gradient + prior.offset(state.parameters) * prior.precision
        hessian = hessian + np.diag(prior.precision)
        move = np.zeros(gradient.size)
        move[free] = -np.linalg.solve(hessian[free, free], gradient[free])
        trial = state.with_parameters(
            state.parameters + move / max(float(np.abs(move).max()) / MOST_INTENSITY, 1.0)
        )
        lamp = trial.intensity * (state.intensity.mean() / trial.intensity.mean())
        trial = replace(trial, intensity=lamp)
        if apart.value(trial) >= apart.value(state):
            break
        state = trial
    return state


def with_modulations(gram: SetGram, state: SetState) -> SetState:
    """Modulations by regression of every carrier on what all other bands predict for it.

    Orders above 1 may change their sign.
    """
    modulation = state.modulation.copy()
    for c, (_, order) in enumerate(gram.plan.carriers.carriers):
        ratio = gram.overlap(c).ratio.real
        sign = -1.0 if ratio < 0 and order > 1 else 1.0
        size = abs(ratio) if order > 1 else ratio
        factor = float(np.clip(size, 1.0 / MODULATION_FACTOR, MODULATION_FACTOR))
        value = sign * factor * modulation[c]
        modulation[c] = np.sign(value) * max(abs(value), LEAST_MODULATION)
    return replace(state, modulation=modulation)


def minimise(
    gram: SetGram,
    state: SetState,
    prior: SetPrior,
    apart: Decorrelation,
    length_um: np.ndarray,
    *,
    fit_frequency: bool = True,
    iterations: int = 12,
) -> SetState:
    """Minimise the form over phases, intensities and frequencies; modulations stay."""
    carriers = gram.plan.carriers
    matrix = gram.safe_matrix(state)
    free = np.ones(carriers.size, dtype=bool)
    free[carriers.parameters_of("modulation")] = False
    free[carriers.parameters_of("frequency")] = fit_frequency

    def value(at: SetState) -> float:
        c = gram.plan.coefficients(at)
        away = prior.offset(at.parameters)
        plain = float(np.real(np.conj(c) @ matrix @ c) + 0.5 * np.sum(away**2 * prior.precision))
        return plain + apart.value(at)

    def at(point: SetState) -> tuple[np.ndarray, np.ndarray]:
        gradient, hessian = system(gram, point, matrix, prior, apart)
        return gradient[free], hessian[np.ix_(free, free)]

    def moved(point: SetState, step: np.ndarray) -> SetState:
        move = np.zeros(carriers.size)
        move[free] = step
        return _moved(gram, point, move, length_um)

    return descend(state, value, at, moved, iterations)


def system(
    gram: SetGram,
    state: SetState,
    matrix: np.ndarray,
    prior: SetPrior,
    apart: Decorrelation,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Gauss–Newton Hessian of all parameters, the common brightness made stiff."""
    c, jac = gram.plan.coefficients(state), gram.plan.jacobian(state)
    gradient = 2 * np.real(np.conj(jac) @ (matrix @ c))
    hessian = 2 * np.real(np.conj(jac) @ matrix @ jac.T)
    gradient += prior.offset(state.parameters) * prior.precision
    hessian += np.diag(prior.precision)
    slope, curvature = apart.system(state)
    gradient, hessian = gradient + slope, hessian + curvature
    common = np.zeros(gradient.size)
    common[gram.plan.carriers.parameters_of("intensity")] = 1.0
    shared = np.outer(common, common) / common.sum()
    keep = np.eye(common.size) - shared
    stiff = float(np.abs(np.diag(hessian)).max())
    return keep @ gradient, keep @ hessian @ keep + stiff * shared


def _moved(gram: SetGram, state: SetState, move: np.ndarray, length_um: np.ndarray) -> SetState:
    """A step of limited length, the mean intensity kept."""
    carriers = gram.plan.carriers
    phase, lamp = (carriers.parameters_of(what) for what in ("phase", "intensity"))
    largest = max(
        float(np.abs(move[phase]).max()) / MOST_PHASE_RAD,
        float(np.abs(move[lamp]).max()) / MOST_INTENSITY,
        1.0,
    )
    trial = state.with_parameters(state.parameters + move / largest)
    origin = gram.plan.made.frequency_per_um
    reach = REACH_PX / length_um / max(order for _, order in carriers.carriers)
    frequency = np.clip(trial.frequency_per_um, origin - reach, origin + reach)
    lamp_now = trial.intensity * (state.intensity.mean() / trial.intensity.mean())
    return replace(trial, frequency_per_um=frequency, intensity=lamp_now)


def _halfway(before: SetState, after: SetState) -> SetState:
    """Half of a step: at low light the linearised steps overshoot to and fro."""
    return SetState(
        0.5 * (after.frequency_per_um + before.frequency_per_um),
        0.5 * (after.phase_rad + before.phase_rad),
        0.5 * (after.intensity + before.intensity),
        np.sign(after.modulation) * np.sqrt(np.abs(after.modulation * before.modulation)),
    )


def _largest_step(
    carriers: CarrierSet, before: SetState, after: SetState, length_um: np.ndarray
) -> float:
    """Largest change of a carrier (DFT samples), a phase (half turns) or ln m (× 0.3)."""
    moved = carriers.carrier_per_um(after.frequency_per_um - before.frequency_per_um)
    floor = np.maximum(np.abs(before.modulation), 0.02)
    return max(
        float(np.abs(moved * length_um).max()),
        float(np.abs(after.phase_rad - before.phase_rad).max()) / np.pi,
        0.3 * float((np.abs(after.modulation - before.modulation) / floor).max()),
    )
