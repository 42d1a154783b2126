"""Joint fit of all directions: frequency, phase and intensity of every frame, modulation.

The rows are demodulated at the start values, and again only if a frequency moves far. In between,
each iteration freezes the weights (:mod:`consistency`) and minimises the quadratic form over all
parameters; small changes of the frequencies go through the derivative rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.consistency import Demodulated, Gram, build_gram
from simrecon.estimate.gains import band_gains
from simrecon.estimate.groups import SEPARATE
from simrecon.estimate.minimise import minimise
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.noise import noise_moments
from simrecon.estimate.overlap import overlaps
from simrecon.estimate.prior import KnownSteps, Prior
from simrecon.estimate.redundancy import Redundancy
from simrecon.estimate.rows import BandImages, rows_per_direction
from simrecon.estimate.window import FieldWindow
from simrecon.threads import on_all_cores

MAX_DISAGREEMENT = 0.1
"""Directions whose orders 0 differ by more than this share of their power show different objects
(drift, illumination, polarisation): then each direction is fitted to itself."""
MODULATION_FACTOR = 2.0
"""Most that a modulation changes in one iteration."""
FULL_STEPS = 4
"""Iterations after which steps are halved."""
STALE_PX = 0.01
"""Rows are demodulated again when a frequency is farther than this from where they were made: to
first order only, a step enlarges order 1 by up to (2π·0.01)²/24 = 2e-4 along each axis."""


@dataclass(frozen=True)
class JointFit:
    """Outcome of :func:`fit_jointly`.

    Attributes
    ----------
    states : list of DirectionState
    gram : Gram
        Frozen at `frozen`.
    frozen : list of DirectionState
        States of the last but one iteration, a tiny step from `states`.
    images : BandImages
        Of the fitted directions.
    prior : Prior
    noise : ndarray (D, P)
        ``Σ w² σ²`` of every frame.
    last_step_px : float
        Largest frequency change (DFT samples) or phase change (half turns) of the last outer
        iteration.
    converged : bool
    """

    states: list[DirectionState]
    gram: Gram
    frozen: list[DirectionState]
    images: BandImages
    prior: Prior
    noise: np.ndarray
    last_step_px: float
    converged: bool


def fit_jointly(
    images: BandImages,
    variance_e2: Sequence[np.ndarray],
    states: Sequence[DirectionState],
    *,
    fit_frequency: bool = True,
    steps: Sequence[KnownSteps | None] = (),
    iterations: int = 24,
    tolerance_px: float = 1e-3,
) -> JointFit:
    """Fit the patterns of D directions that were found.

    Parameters
    ----------
    images : BandImages
        Of these directions.
    variance_e2 : sequence of ndarray (P, Y, X)
        Noise variance of each direction, e².
    states : sequence of DirectionState
        Start values; intensities are relative to a mean of 1 over all frames.
    fit_frequency : bool
        False keeps the frequencies of `states`.
    steps : sequence of KnownSteps or None
        Phase steps that are known, one per direction, or empty.
    iterations : int
        Most iterations.
    tolerance_px : float
        Stop when no frequency moves more than this (DFT samples; phases: half turns).
    """
    window, current = images.field.window, list(states)
    prior = Prior.about(current, window, steps)
    rows = demodulate(images, variance_e2, current)
    coupled, step = True, np.inf
    for number in range(iterations):
        if _largest_move(rows.states, current, window) > STALE_PX:
            rows = demodulate(images, variance_e2, current)
        gram = freeze(images, rows, current, coupled)
        if coupled and number < 2 and gram.zero_order_disagreement() > MAX_DISAGREEMENT:
            coupled = False
            gram = freeze(images, rows, current, coupled)
        frozen = current
        start = with_modulation(gram, frozen)
        current = minimise(gram, start, prior, fit_frequency=fit_frequency)
        if number >= FULL_STEPS:
            current = _halfway(frozen, current)
        step = _largest_step(frozen, current, window)
        if step < tolerance_px:
            break
    noise = np.array([m[:, 0, 0].real for m in rows.moments])
    done = bool(step < tolerance_px)
    return JointFit(current, gram, frozen, images, prior, noise, float(step), done)


def demodulate(
    images: BandImages,
    variance_e2: Sequence[np.ndarray],
    states: Sequence[DirectionState],
) -> Demodulated:
    """Rows and noise moments of all directions at `states`."""
    size = rows_per_direction(images.zero.shape[1])
    rows = np.empty((len(states) * size, images.half.index.size), dtype=np.complex64)

    def one(d: int) -> np.ndarray:
        images.rows(d, states[d], rows[d * size : (d + 1) * size])
        return noise_moments(variance_e2[d], states[d].frequency_per_um, images.field.window)

    return Demodulated(rows, list(states), on_all_cores(one, range(len(states))))


def freeze(
    images: BandImages, rows: Demodulated, states: Sequence[DirectionState], coupled: bool
) -> Gram:
    """Quadratic form with the weights at `states`."""
    field = images.field
    separate_px = SEPARATE * field.cutoff_per_um * min(field.window.padded.extent_um)
    gains = band_gains(images.otf, states, images.half)
    noise = np.array([m[:, 0, 0].real for m in rows.moments])
    redundancy = Redundancy.of(images.zero, noise, [s.parameters for s in states])
    return build_gram(rows, states, gains, images.half, separate_px, coupled, redundancy)


def with_modulation(gram: Gram, states: Sequence[DirectionState]) -> list[DirectionState]:
    """Modulations by regression of orders ±1 on what all other bands predict for them.

    The quadratic form alone would shrink orders ±1 to nothing (a large modulation) when they do
    not fit the rest; the regression does not, and its noise is subtracted.
    """
    result = []
    for state, one in zip(states, overlaps(gram), strict=True):
        factor = float(np.clip(one.ratio.real, 1.0 / MODULATION_FACTOR, MODULATION_FACTOR))
        result.append(replace(state, modulation=max(state.modulation * factor, 1e-3)))
    return result


def _halfway(
    before: Sequence[DirectionState], after: Sequence[DirectionState]
) -> list[DirectionState]:
    """Half of a step: at low light the linearised steps overshoot to and fro."""
    return [
        DirectionState(
            frequency_per_um=0.5 * (a.frequency_per_um + b.frequency_per_um),
            phase_rad=0.5 * (a.phase_rad + b.phase_rad),
            intensity=0.5 * (a.intensity + b.intensity),
            modulation=float(np.sqrt(a.modulation * b.modulation)),
        )
        for a, b in zip(before, after, strict=True)
    ]


def _largest_move(
    before: Sequence[DirectionState], after: Sequence[DirectionState], window: FieldWindow
) -> float:
    """Largest change of a frequency, DFT samples."""
    length = np.array(window.padded.extent_um)
    moves = [b.frequency_per_um - a.frequency_per_um for a, b in zip(before, after, strict=True)]
    return float(np.abs(np.array(moves) * length).max())


def _largest_step(
    before: Sequence[DirectionState], after: Sequence[DirectionState], window: FieldWindow
) -> float:
    """Largest change of a frequency (DFT samples), a phase (half turns) or ln m (× 0.3)."""
    changes = [_largest_move(before, after, window)]
    for a, b in zip(before, after, strict=True):
        changes.append(float(np.abs(b.phase_rad - a.phase_rad).max()) / np.pi)
        changes.append(0.3 * abs(float(np.log(b.modulation / a.modulation))))
    return max(changes)
