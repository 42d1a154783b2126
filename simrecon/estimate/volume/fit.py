"""Fit of one direction: Gauss–Newton on the frozen form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.descent import descend
from simrecon.estimate.minimise import hold, pin_intensity
from simrecon.estimate.volume.correlation import OrderCorrelation, order_correlation
from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.flanks import without_flanks
from simrecon.estimate.volume.form import Form
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState
from simrecon.model.psf import VolumeOTF

PRIOR_SD_PHASE_RAD, PRIOR_SD_INTENSITY, PRIOR_SD_FREQUENCY_PX = 0.4, 0.05, 1.0
REACH_PX = 0.25
"""Farthest that the frequency may move from where the rows were demodulated, DFT samples."""
STALE_PX = 0.02
ROUNDS, FREEZES, STEPS = 3, 3, 8
MOST_SAMPLES, MOST_COMPARED = 800, 2500
"""Lateral frequencies in all iterations but the last, and those on which orders are compared."""
MAX_GROWTH = 2.0
"""Most that a modulation changes at a time, factor."""


@dataclass(frozen=True)
class VolumeFit:
    """Result of one direction.

    Attributes
    ----------
    state : VolumeState
    form : Form
        Frozen a tiny step from `state`.
    correlations : tuple of OrderCorrelation
        Of the orders 1…M.
    precision : ndarray (2P + 2 + M,)
        Of the priors of :func:`parameters`, 1/sd².
    """

    state: VolumeState
    form: Form
    correlations: tuple[OrderCorrelation, ...]
    precision: np.ndarray


def fit_direction(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    otf: VolumeOTF,
    start: VolumeState,
    *,
    fit_frequency: bool = True,
) -> VolumeFit:
    """Fit frequency, phases, intensities and modulations of one direction.

    Parameters
    ----------
    frames, variance_e2 : ndarray (P, Z, Y, X), float32
    field : VolumeField
    otf : VolumeOTF
    start : VolumeState
        Within about half a DFT sample.
    fit_frequency : bool
        False keeps the frequency of `start`.
    """
    sample = 1.0 / np.array(field.window.padded.extent_um)
    precision = _precision(start, sample)
    state = start
    few = field.some(MOST_SAMPLES)
    for round_ in range(ROUNDS):
        rows, kernels = demodulated(frames, variance_e2, few, otf, state)
        for _ in range(FREEZES):
            before = state
            form = Form.frozen(rows, kernels, few, state)
            state = rescaled(form, _minimise(form, state, start, precision, sample, fit_frequency))
            if _small(before, state, sample):
                break
        moved = np.abs((state.frequency_per_um - rows.state.frequency_per_um) / sample).max()
        if round_ and moved < STALE_PX:
            break
    rows, kernels = demodulated(frames, variance_e2, field, otf, state)
    form = Form.frozen(rows, kernels, field, state)
    state = rescaled(form, _minimise(form, state, start, precision, sample, fit_frequency))
    found = tuple(
        order_correlation(form.weights, state, m, MOST_COMPARED) for m in range(1, state.orders + 1)
    )
    return VolumeFit(state, form, found, precision)


def demodulated(
    frames: np.ndarray,
    variance_e2: np.ndarray,
    field: VolumeField,
    otf: VolumeOTF,
    state: VolumeState,
) -> tuple[Rows, Kernels]:
    """Rows at a state, without what the flanks of the window add, and their kernels."""
    rows, kernels = Rows.of(frames, variance_e2, field, state), Kernels.of(otf, field, state)
    return without_flanks(rows, kernels, frames, field, otf), kernels


def refit(
    form: Form, field: VolumeField, state: VolumeState, start: VolumeState, fit_frequency: bool
) -> VolumeState:
    """One descent on a frozen form, about a start."""
    sample = 1.0 / np.array(field.window.padded.extent_um)
    precision = _precision(start, sample)
    return rescaled(form, _minimise(form, state, start, precision, sample, fit_frequency))


def _precision(state: VolumeState, sample: np.ndarray) -> np.ndarray:
    phases = state.phase_rad.size
    deviation = np.concatenate(
        [
            np.full(phases, PRIOR_SD_PHASE_RAD),
            np.full(phases, PRIOR_SD_INTENSITY),
            PRIOR_SD_FREQUENCY_PX * sample,
            np.full(state.orders, np.inf),
        ]
    )
    return np.asarray(1.0 / deviation**2)


def parameters(state: VolumeState) -> np.ndarray:
    """(φ, g, f_y, f_x, ln m), (2P + 2 + M,)."""
    contrast = np.log(state.modulation)
    return np.concatenate([state.phase_rad, state.intensity, state.frequency_per_um, contrast])


def with_parameters(state: VolumeState, values: np.ndarray) -> VolumeState:
    """`state` with the values of :func:`parameters`."""
    phases = state.phase_rad.size
    return VolumeState(
        frequency_per_um=values[2 * phases : 2 * phases + 2],
        phase_rad=values[:phases],
        intensity=values[phases : 2 * phases],
        modulation=np.exp(values[2 * phases + 2 :]),
    )


def jacobian(rows: Rows, state: VolumeState, sample: np.ndarray) -> np.ndarray:
    """Derivatives of the rows' coefficients by :func:`parameters`, (2P + 2 + M, R) complex128."""
    values = parameters(state)
    phases = state.phase_rad.size
    steps = np.concatenate([np.full(2 * phases, 1e-5), 1e-3 * sample, np.full(state.orders, 1e-5)])
    result = []
    for n, step in enumerate(steps):
        move = np.zeros_like(values)
        move[n] = step
        up = rows.coefficients(with_parameters(state, values + move))
        down = rows.coefficients(with_parameters(state, values - move))
        result.append((up - down) / (2 * step))
    return np.array(result)


def _minimise(
    form: Form,
    state: VolumeState,
    start: VolumeState,
    precision: np.ndarray,
    sample: np.ndarray,
    fit_frequency: bool,
) -> VolumeState:
    """Gauss–Newton steps on the frozen form."""
    phases = state.phase_rad.size
    centre = parameters(start)
    expected = form.noise @ form.rows.coefficients(state) + form.left
    reach = REACH_PX * sample

    def value(at: VolumeState) -> float:
        c = form.rows.coefficients(at)
        away = parameters(at) - centre
        misfit = float(np.real(np.conj(c) @ (form.matrix @ c - 2 * expected)))
        return misfit + 0.5 * float(np.sum(away**2 * precision))

    def system(at: VolumeState) -> tuple[np.ndarray, np.ndarray]:
        c, jac = form.rows.coefficients(at), jacobian(form.rows, at, sample)
        away = parameters(at) - centre
        gradient = 2 * np.real(np.conj(jac) @ (form.matrix @ c - expected)) + away * precision
        hessian = 2 * np.real(np.conj(jac) @ form.matrix @ jac.T) + np.diag(precision)
        gradient, hessian = pin_intensity(gradient, hessian, 1, phases, coupled=False)
        count = gradient.size  # the modulations have a step of their own
        hold(gradient, hessian, range(2 * phases + 2 * fit_frequency, count), count)
        return gradient, hessian

    def moved(at: VolumeState, move: np.ndarray) -> VolumeState:
        """A step of limited length, the mean intensity brought back to one."""
        largest = max(
            float(np.abs(move[:phases]).max()) / 0.3,
            float(np.abs(move[phases : 2 * phases]).max()) / 0.2,
            1.0,
        )
        trial = parameters(at) + move / largest
        origin = form.rows.state.frequency_per_um
        place = slice(2 * phases, 2 * phases + 2)
        trial[place] = np.clip(trial[place], origin - reach, origin + reach)
        trial[phases : 2 * phases] *= phases / trial[phases : 2 * phases].sum()
        return with_parameters(at, trial)

    return descend(state, value, system, moved, STEPS)


def rescaled(form: Form, state: VolumeState) -> VolumeState:
    """Modulations at which the slope of the form vanishes.

    An order's bands go with t = 1/m: ``t² (J − E_noise)_bb + t (J − E_noise)_br = (E_object)_b``
    with b the rows of the order and r all others.
    """
    c = form.rows.coefficients(state)
    growth = []
    for m in range(1, state.orders + 1):
        own = np.isin(form.rows.band, (2 * m - 1, 2 * m))
        side, rest = np.where(own, c, 0), np.where(own, 0, c)
        data = form.matrix - form.noise
        square = float(np.real(np.conj(side) @ data @ side))
        cross = float(np.real(np.conj(side) @ data @ rest))
        level = max(float(np.real(np.conj(side) @ form.left)), 0.0)
        root = np.sqrt(cross**2 + 4 * max(square, 0.0) * level)
        t = (root - cross) / (2 * square) if square > 0 else 1.0 / MAX_GROWTH
        growth.append(np.clip(1.0 / max(t, 1e-9), 1.0 / MAX_GROWTH, MAX_GROWTH))
    return replace(state, modulation=state.modulation * growth)


def _small(before: VolumeState, after: VolumeState, sample: np.ndarray) -> bool:
    moved = np.abs((after.frequency_per_um - before.frequency_per_um) / sample).max()
    turned = np.abs(after.phase_rad - before.phase_rad).max()
    grown = np.abs(np.log(after.modulation / before.modulation)).max()
    return bool(moved < 1e-4 and turned < 1e-4 and grown < 1e-3)
