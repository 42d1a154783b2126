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


@dataclass(frozen=True)
class JointFit:
    """Outcome of :func:`fit_jointly`.

    Attributes
    ----------
    states : list of DirectionState
    gram : Gram
        Frozen at `states` (the last iterate, before its own tiny step).
    half : HalfPlane
    last_step_px : float
        Largest frequency change (DFT samples) or phase change (half turns) of the last outer
        iteration.
    converged : bool
    """

    states: list[DirectionState]
    gram: Gram
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
    iterations: int = 6,
    tolerance_px: float = 1e-4,
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
    for _ in range(iterations):
        gram = freeze(frames, spectra, variance_e2, current, otf, window, half, separate_px)
        if step < tolerance_px:
            return JointFit(current, gram, half, float(step), True)
        moved = minimise(gram, current, fit_frequency=fit_frequency)
        step = _largest_step(current, moved, window)
        current = moved
    gram = freeze(frames, spectra, variance_e2, current, otf, window, half, separate_px)
    return JointFit(current, gram, half, float(step), bool(step < tolerance_px))


def _largest_step(
    before: Sequence[DirectionState], after: Sequence[DirectionState], window: FieldWindow
) -> float:
    """Largest change of a frequency (DFT samples) or of a phase (half turns)."""
    length = np.array(window.padded.extent_um)
    changes = [0.0]
    for a, b in zip(before, after, strict=True):
        changes.append(float(np.abs((b.frequency_per_um - a.frequency_per_um) * length).max()))
        changes.append(float(np.abs(b.phase_rad - a.phase_rad).max()) / np.pi)
    return max(changes)


def freeze(
    frames: np.ndarray,
    spectra: np.ndarray,
    variance_e2: np.ndarray,
    states: list[DirectionState],
    otf: OtfFunction,
    window: FieldWindow,
    half: HalfPlane,
    separate_px: float,
) -> Gram:
    """Quadratic form at `states`; arguments as in :func:`fit_jointly`."""
    rows = np.concatenate(
        [
            demodulated_rows(f, s, state, window, half, log_slopes(otf, state, window, half))
            for f, s, state in zip(frames, spectra, states, strict=True)
        ]
    )
    moments = [
        noise_moments(v, state.frequency_per_um, window)
        for v, state in zip(variance_e2, states, strict=True)
    ]
    return build_gram(rows, states, moments, band_gains(otf, states, half), half, separate_px)


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
    *,
    fit_frequency: bool = True,
    iterations: int = 12,
) -> list[DirectionState]:
    """Minimise the frozen quadratic form from `states`; mean intensity is kept at 1."""
    phases = states[0].phase_rad.size
    start = [s.parameters for s in states]
    parameters = [p.copy() for p in start]
    halves = [0.5 * s.modulation for s in states]
    step = np.zeros((len(states), 2))
    count = 2 * phases + 3

    def value(p: Sequence[np.ndarray], s: np.ndarray) -> float:
        c = coefficient_vector(p, s, halves, phases)
        return float(np.real(np.conj(c) @ gram.matrix @ c))

    damping = 1e-6
    best = value(parameters, step)
    for _ in range(iterations):
        c = coefficient_vector(parameters, step, halves, phases)
        jac = jacobian(parameters, step, halves, phases)
        gradient = 2 * np.real(np.conj(jac) @ (gram.matrix @ c))
        hessian = 2 * np.real(np.conj(jac) @ gram.matrix @ jac.T)
        gradient, hessian = pin_intensity(gradient, hessian, len(states), phases)
        if not fit_frequency:
            hold_frequency(gradient, hessian, count)
        scale = curvature_scale(hessian)
        scaled = hessian * scale[:, None] * scale[None, :]
        improved = False
        for _ in range(8):
            move = -scale * np.linalg.solve(
                scaled + damping * np.eye(scale.size), scale * gradient
            )
            trial, trial_step = _moved(parameters, step, move, count)
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
    return [
        _state(s, p, d, phases) for s, p, d in zip(states, parameters, step, strict=True)
    ]


def hold_frequency(gradient: np.ndarray, hessian: np.ndarray, count: int) -> None:
    """Take the frequencies (last two of each `count` parameters) out of the fit, in place."""
    for held in (count - 2, count - 1):
        index = np.arange(held, gradient.size, count)
        stiff = hessian[index, index].copy()
        gradient[index] = 0.0
        hessian[index, :] = 0.0
        hessian[:, index] = 0.0
        hessian[index, index] = np.maximum(stiff, 1e-300)


def pin_intensity(
    gradient: np.ndarray, hessian: np.ndarray, directions: int, phases: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make the common brightness, which the data cannot tell, stiff."""
    count = 2 * phases + 3
    common = np.zeros(directions * count)
    for d in range(directions):
        common[d * count + phases : d * count + 2 * phases] = 1.0
    common /= np.linalg.norm(common)
    keep = np.eye(common.size) - np.outer(common, common)
    stiff = float(np.abs(np.diag(hessian)).max())
    return keep @ gradient, keep @ hessian @ keep + stiff * np.outer(common, common)


def _moved(
    parameters: Sequence[np.ndarray], step: np.ndarray, move: np.ndarray, count: int
) -> tuple[list[np.ndarray], np.ndarray]:
    moves = move.reshape(-1, count)
    trial = [p + m[:-2] for p, m in zip(parameters, moves, strict=True)]
    for t, p in zip(trial, parameters, strict=True):
        t[-1] = np.clip(t[-1], p[-1] - 1.0, p[-1] + 1.0)
    return trial, step + moves[:, -2:]


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
