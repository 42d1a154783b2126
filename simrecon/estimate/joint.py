"""Joint fit of all directions: frequency, phase and intensity of every frame, modulation.

Each outer iteration demodulates at the current frequencies, freezes the weights
(:mod:`consistency`) and minimises the quadratic form over all parameters by Gauss–Newton, which
is algebra on a matrix of some forty rows; frequencies move through the derivative rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.consistency import SEPARATE, Gram, build_gram
from simrecon.estimate.mixing import BANDS, DirectionState, unmixing, unmixing_jacobian
from simrecon.estimate.noise import noise_moments
from simrecon.estimate.overlap import mismatch_chi2, overlap
from simrecon.estimate.rows import (
    HalfPlane,
    OtfFunction,
    band_gains,
    band_rows,
    demodulated_rows,
    log_slopes,
    rows_per_direction,
)
from simrecon.estimate.window import FieldWindow

MAX_DISAGREEMENT = 0.1
"""Directions whose orders 0 differ by more than this share of their power show different objects
(drift, illumination, polarisation): then each direction is fitted to itself."""
MAX_MOVE_PHASE_RAD, MAX_MOVE_INTENSITY = 0.3, 0.2
"""Longest step of the inner minimisation."""
MODULATION_FACTOR = 2.0
"""Most that a modulation changes in one iteration."""
SLOPE_STEP_PX = 0.2
"""The OTF's slopes are evaluated again when a frequency moved farther than this."""


PRIOR_SD_PHASE_RAD = 0.6
PRIOR_SD_INTENSITY = 0.1
PRIOR_SD_FREQUENCY_PX = 1.0
REACH_PX = 0.15
FULL_STEPS = 4
"""Weak normal priors about the start values: a hundred times wider than the fit's own errors on
usable data (a bias of 1e-4 of them), and a leash where the data hardly say anything."""


@dataclass(frozen=True)
class Prior:
    """Normal prior of the free parameters.

    Attributes
    ----------
    centre : list of ndarray (2P + 1,)
        (φ, g, ln m) of each direction; ln m is free.
    frequency_per_um : ndarray (D, 2)
    precision : ndarray (2P + 3,)
        1/sd² of (φ, g, ln m, f_y, f_x).
    reach_per_um : ndarray (2,)
        Farthest that a frequency may move between two demodulations.
    """

    centre: list[np.ndarray]
    frequency_per_um: np.ndarray
    precision: np.ndarray
    reach_per_um: np.ndarray

    @classmethod
    def about(cls, states: Sequence[DirectionState], window: FieldWindow) -> Prior:
        """Prior about start values."""
        phases = states[0].phase_rad.size
        sample = 1.0 / np.array(window.padded.extent_um)
        deviation = np.concatenate(
            [
                np.full(phases, PRIOR_SD_PHASE_RAD),
                np.full(phases, PRIOR_SD_INTENSITY),
                [np.inf],
                PRIOR_SD_FREQUENCY_PX * sample,
            ]
        )
        return cls(
            [s.parameters for s in states],
            np.array([s.frequency_per_um for s in states]),
            1.0 / deviation**2,
            REACH_PX * sample,
        )

    def offset(self, parameters: Sequence[np.ndarray], frequency_per_um: np.ndarray) -> np.ndarray:
        """Distance from the centre, (D, 2P + 3); ln m counts as 0."""
        rows = []
        for p, c, f, f0 in zip(
            parameters, self.centre, frequency_per_um, self.frequency_per_um, strict=True
        ):
            inner = p - c
            inner[-1] = 0.0
            rows.append(np.concatenate([inner, f - f0]))
        return np.array(rows)


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
    half : HalfPlane
    last_step_px : float
        Largest frequency change (DFT samples) or phase change (half turns) of the last outer
        iteration.
    converged : bool
    """

    states: list[DirectionState]
    gram: Gram
    frozen: list[DirectionState]
    half: HalfPlane
    last_step_px: float
    converged: bool


def fit_jointly(
    frames: np.ndarray,
    spectra: np.ndarray,
    variance_e2: np.ndarray,
    states: Sequence[DirectionState],
    otf: OtfFunction,
    window: FieldWindow,
    *,
    cutoff_per_um: float,
    fit_frequency: bool = True,
    iterations: int = 10,
    tolerance_px: float = 1e-3,
) -> JointFit:
    """Fit the patterns of D directions that were found.

    Parameters
    ----------
    frames : ndarray (D, P, Y, X), float32
        Photo-electrons.
    spectra : ndarray (D, 3, P, KY, KX), complex64
        Transforms of the frames times w, ∂w/∂y, ∂w/∂x.
    variance_e2 : ndarray (D, P, Y, X)
        Noise variance, e².
    states : sequence of DirectionState
        Start values; intensities are relative to a mean of 1 over all frames.
    otf : callable
        H(ky, kx).
    window : FieldWindow
    cutoff_per_um : float
    fit_frequency : bool
        False keeps the frequencies of `states`.
    iterations : int
        Most outer iterations.
    tolerance_px : float
        Stop when no frequency moves more than this (DFT samples; phases: half turns).
    """
    current = list(states)
    half = HalfPlane.within(window, cutoff_per_um)
    separate_px = SEPARATE * cutoff_per_um * min(window.padded.extent_um)
    step = np.inf
    prior = Prior.about(current, window)
    coupled = True
    slopes: list[np.ndarray | None] = [None] * len(current)
    for number in range(iterations):
        if number == 1 or (number > 1 and step > SLOPE_STEP_PX):
            slopes = [log_slopes(otf, state, window, half) for state in current]
        gains = band_gains(otf, current, half)
        gram = freeze(
            frames, spectra, variance_e2, current, gains, slopes, window, half, separate_px, coupled
        )
        if coupled and gram.zero_order_disagreement() > MAX_DISAGREEMENT:
            coupled = False
            gram = build_gram(
                gram.rows,
                current,
                [
                    noise_moments(v, s.frequency_per_um, window)
                    for v, s in zip(variance_e2, current, strict=True)
                ],
                gains,
                half,
                separate_px,
                coupled,
            )
        frozen = current
        current = minimise(
            gram, with_modulation(gram, frozen), frozen, prior, fit_frequency=fit_frequency
        )
        if number >= FULL_STEPS:
            current = _halfway(frozen, current)
        step = _largest_step(frozen, current, window)
        if step < tolerance_px and number:
            break
    return JointFit(current, gram, frozen, half, float(step), bool(step < tolerance_px))


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


def _largest_step(
    before: Sequence[DirectionState], after: Sequence[DirectionState], window: FieldWindow
) -> float:
    """Largest change of a frequency (DFT samples), a phase (half turns) or ln m (× 0.3)."""
    length = np.array(window.padded.extent_um)
    changes = [0.0]
    for a, b in zip(before, after, strict=True):
        changes.append(float(np.abs((b.frequency_per_um - a.frequency_per_um) * length).max()))
        changes.append(float(np.abs(b.phase_rad - a.phase_rad).max()) / np.pi)
        changes.append(0.3 * abs(float(np.log(b.modulation / a.modulation))))
    return max(changes)


def freeze(
    frames: np.ndarray,
    spectra: np.ndarray,
    variance_e2: np.ndarray,
    states: list[DirectionState],
    gains: np.ndarray,
    slopes: Sequence[np.ndarray | None],
    window: FieldWindow,
    half: HalfPlane,
    separate_px: float,
    coupled: bool,
) -> Gram:
    """Quadratic form at `states`; arguments as in :func:`fit_jointly`."""
    rows = np.concatenate(
        [
            demodulated_rows(f, s, state, window, half, slope)
            for f, s, state, slope in zip(frames, spectra, states, slopes, strict=True)
        ]
    )
    moments = [
        noise_moments(v, state.frequency_per_um, window)
        for v, state in zip(variance_e2, states, strict=True)
    ]
    return build_gram(rows, states, moments, gains, half, separate_px, coupled)


def coefficient_vector(
    parameters: Sequence[np.ndarray],
    step_per_um: np.ndarray,
    half_modulation: Sequence[float],
    phases: int,
) -> np.ndarray:
    """Coefficients of all Gram rows, (R,) complex128.

    Parameters
    ----------
    parameters : sequence of ndarray (2P + 1,)
        (φ, g, ln m) per direction.
    step_per_um : ndarray (D, 2)
        Frequency change from the demodulation frequency.
    half_modulation : sequence of float
        m/2 at which the derivative rows were made.
    phases : int
    """
    size = rows_per_direction(phases)
    vector = np.zeros(len(parameters) * size, dtype=np.complex128)
    for d, values in enumerate(parameters):
        c = unmixing(values, phases)
        scale = 0.5 * np.exp(values[-1])
        for i, b in enumerate(BANDS):
            block = band_rows(d, i, phases)
            vector[block.start : block.start + phases] = c[i]
            if i:
                derivative = -2j * np.pi * b * step_per_um[d] * half_modulation[d]
                vector[block.start + phases : block.stop] = derivative / scale
    return vector


def jacobian(
    parameters: Sequence[np.ndarray],
    step_per_um: np.ndarray,
    half_modulation: Sequence[float],
    phases: int,
) -> np.ndarray:
    """Derivatives of :func:`coefficient_vector`, (D·(2P + 3), R) complex128.

    Per direction: φ (P), g (P), ln m, f_y, f_x.
    """
    size = rows_per_direction(phases)
    count = 2 * phases + 3
    result = np.zeros((len(parameters) * count, len(parameters) * size), dtype=np.complex128)
    for d, values in enumerate(parameters):
        inner = unmixing_jacobian(values, phases)
        scale = half_modulation[d] / (0.5 * np.exp(values[-1]))
        first = d * count
        for i, b in enumerate(BANDS):
            block = band_rows(d, i, phases)
            result[first : first + count - 2, block.start : block.start + phases] = inner[:, i]
            if i:
                tail = slice(block.start + phases, block.stop)
                result[first + count - 3, tail] = 2j * np.pi * b * step_per_um[d] * scale
                result[first + count - 2, tail.start] = -2j * np.pi * b * scale
                result[first + count - 1, tail.start + 1] = -2j * np.pi * b * scale
    return result


def curvature_scale(hessian: np.ndarray) -> np.ndarray:
    """Scale that brings the Hessian's diagonal to one, (n,) float64."""
    diagonal = np.diag(hessian).copy()
    diagonal[diagonal <= 0] = np.abs(diagonal).max() + 1e-300
    scale: np.ndarray = 1.0 / np.sqrt(diagonal)
    return scale


def minimise(
    gram: Gram,
    states: Sequence[DirectionState],
    frozen: Sequence[DirectionState],
    prior: Prior,
    *,
    fit_frequency: bool = True,
    iterations: int = 12,
) -> list[DirectionState]:
    """Minimise the quadratic form (made at `frozen`) over phases, intensities and frequencies.

    Starts from `states`; modulations stay, and so does the mean intensity.
    """
    phases = states[0].phase_rad.size
    start = [s.parameters for s in states]
    parameters = [p.copy() for p in start]
    halves = [0.5 * s.modulation for s in frozen]
    step = np.zeros((len(states), 2))
    count = 2 * phases + 3
    origin = np.array([s.frequency_per_um for s in frozen])
    held = [2 * phases] + ([] if fit_frequency else [count - 2, count - 1])

    matrix = _safe_matrix(gram, coefficient_vector(parameters, step, halves, phases))

    def value(p: Sequence[np.ndarray], s: np.ndarray) -> float:
        c = coefficient_vector(p, s, halves, phases)
        away = prior.offset(p, origin + s)
        held_back = 0.5 * float(np.sum(away**2 * prior.precision))
        return float(np.real(np.conj(c) @ matrix @ c)) + held_back

    damping = 1e-6
    best = value(parameters, step)
    for _ in range(iterations):
        c = coefficient_vector(parameters, step, halves, phases)
        jac = jacobian(parameters, step, halves, phases)
        gradient = 2 * np.real(np.conj(jac) @ (matrix @ c))
        hessian = 2 * np.real(np.conj(jac) @ matrix @ jac.T)
        gradient += (prior.offset(parameters, origin + step) * prior.precision).ravel()
        hessian += np.diag(np.tile(prior.precision, len(states)))
        gradient, hessian = pin_intensity(
            gradient, hessian, len(states), phases, coupled=gram.coupled
        )
        hold(gradient, hessian, held, count)
        scale = curvature_scale(hessian)
        scaled = hessian * scale[:, None] * scale[None, :]
        improved = False
        for _ in range(8):
            move = -scale * np.linalg.solve(scaled + damping * np.eye(scale.size), scale * gradient)
            trial, trial_step = _moved(parameters, step, move, count, prior.reach_per_um)
            trial = _unit_mean(trial, phases)
            candidate = value(trial, trial_step)
            if candidate <= best:
                improved = True
                break
            damping = max(damping, 1e-6) * 10
        if not improved:
            break
        change = best - candidate
        parameters, step, best = trial, trial_step, candidate
        damping = damping / 10
        if change < 1e-9 * abs(best) + 1e-6:
            break
    return [_state(s, p, d, phases) for s, p, d in zip(states, parameters, step, strict=True)]


def _safe_matrix(gram: Gram, coefficients: np.ndarray) -> np.ndarray:
    """J's matrix with slightly less noise subtracted than expected.

    Were more subtracted than there is, mixing that amplifies the noise without bound would seem
    to be the best. The share follows the data when they are quieter than predicted, less the
    scatter of a noise estimate from this many samples.
    """
    samples = max(gram.bands.shape[1], 1)
    share = min(1.0, mismatch_chi2(gram, coefficients)) - max(0.02, 4.0 / np.sqrt(samples))
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


def with_modulation(gram: Gram, states: Sequence[DirectionState]) -> list[DirectionState]:
    """Modulations by regression of orders ±1 on what all other bands predict for them.

    The quadratic form alone would shrink orders ±1 to nothing (a large modulation) when they do
    not fit the rest; the regression does not, and its noise is subtracted.
    """
    result = []
    for d, state in enumerate(states):
        ratio = overlap(gram, d).ratio.real
        factor = float(np.clip(ratio, 1.0 / MODULATION_FACTOR, MODULATION_FACTOR))
        result.append(replace(state, modulation=max(state.modulation * factor, 1e-3)))
    return result


def pin_intensity(
    gradient: np.ndarray, hessian: np.ndarray, directions: int, phases: int, *, coupled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Make the common brightness, which the data cannot tell, stiff.

    Directions that are not coupled have one such brightness each.
    """
    count = 2 * phases + 3
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


def _moved(
    parameters: Sequence[np.ndarray],
    step: np.ndarray,
    move: np.ndarray,
    count: int,
    reach_per_um: np.ndarray,
) -> tuple[list[np.ndarray], np.ndarray]:
    moves = move.reshape(-1, count)
    phases = (count - 3) // 2
    largest = max(
        float(np.abs(moves[:, :phases]).max()) / MAX_MOVE_PHASE_RAD,
        float(np.abs(moves[:, phases : 2 * phases]).max()) / MAX_MOVE_INTENSITY,
        1.0,
    )
    moves = moves / largest
    trial = [p + m[:-2] for p, m in zip(parameters, moves, strict=True)]
    # Beyond the reach of the derivative rows the frequency has to wait for the next demodulation.
    return trial, np.clip(step + moves[:, -2:], -reach_per_um, reach_per_um)


def _unit_mean(parameters: Sequence[np.ndarray], phases: int) -> list[np.ndarray]:
    mean = float(np.mean([p[phases : 2 * phases] for p in parameters]))
    result = []
    for p in parameters:
        q = p.copy()
        q[phases : 2 * phases] /= mean
        result.append(q)
    return result


def _state(
    before: DirectionState, parameters: np.ndarray, step: np.ndarray, phases: int
) -> DirectionState:
    return replace(
        before,
        frequency_per_um=before.frequency_per_um + step,
        phase_rad=parameters[:phases],
        intensity=parameters[phases : 2 * phases],
        modulation=float(np.exp(parameters[-1])),
    )
