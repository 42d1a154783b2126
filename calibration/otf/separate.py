"""Orders of the pattern from beads that sit at different phases of it.

Frame j of bead i in one direction is, on the beads' common centre,

    D_ij = a_i g_j [ h_0 + Σ_m Re( exp(i m (δ_j + ψ_i)) h_m ) ]

with the brightness a_i and the phase ψ_i of the bead, brightness g_j and step δ_j of the frame.
Given these, all frames of all beads are linear in the pictures h_m (their contrast included); given
the pictures, the numbers follow from projections of the frames on them. Both are done in turns.
Steps are held near equal ones, and brightness near 1, as strongly as `STEP_PRIOR_RAD` and
`BRIGHTNESS_PRIOR` say: a single bead takes them as they are, a dozen measure them.

A round bead tells little more than one number per frame, and with a free phase and brightness each
the beads hardly determine the steps. Where the frequency is known, ψ_i follows from the place of
the bead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from simrecon.errors import QualityError

STEP_PRIOR_RAD = 0.3
"""Standard deviation of phase steps about equal ones, before they are measured.

Steps that are off by 0.3 rad rms come out with errors of 2.4, 2.3 and 2.3° with 0.1, 0.3 and 1 rad
(nine beads of 1000 e in a plane, two draws; here and below on recordings of bench_otf_gates.py).
"""
BRIGHTNESS_PRIOR = 0.15
"""Relative standard deviation of the frames' brightness; 0.05 and 0.5 give the same errors."""
LEAST_JACKKNIFE = 4
"""Beads from which on the scatter of the steps over them says something."""
MAX_CONDITION = 30.0
"""Of the mixing matrix; equal steps have √2, good recordings 1.4 to 1.5, wrong phases up to 4.1."""
_ROUNDS = 12
_SETTLED = 1e-4
_CORE = 0.03
"""Share of the brightest voxel above which voxels count; steps are as good with 0.01 and 0.1."""
_LEAST_SHARE = 1e-4
_PHASES = 360


@dataclass(frozen=True)
class Separation:
    """One direction.

    Attributes
    ----------
    orders : ndarray, shape (1 + M, Z, Y, X), complex128
        h_0 (real), h_1, …, contrast included, counts of the median bead and one frame.
    phase_rad : ndarray, shape (N,)
        ψ of the beads, relative to a common one.
    step_rad, step_sd_rad : ndarray, shape (P,)
        Phases of the frames, first one 0, and their standard deviations.
    intensity : ndarray, shape (P,)
        Brightness of the frames, mean 1.
    amplitude : ndarray, shape (N,)
        Brightness of the beads, median 1.
    order_sd : ndarray, shape (M,)
        Relative standard deviation of the size of orders 1, 2, …: of the noise, or of the scatter
        over the beads where that is larger.
    unexplained : float
        Share of the frames' modulation, its noise taken off, that the model leaves.
    condition : float
        Of the mixing matrix.
    """

    orders: np.ndarray
    phase_rad: np.ndarray
    step_rad: np.ndarray
    step_sd_rad: np.ndarray
    intensity: np.ndarray
    amplitude: np.ndarray
    order_sd: np.ndarray
    unexplained: float
    condition: float

    def turned(self, angle_rad: float) -> Separation:
        """The same with the common phase moved: h_m takes exp(−i m angle), ψ the angle."""
        turn = np.exp(-1j * angle_rad * np.arange(len(self.orders)))
        return replace(self, orders=self.orders * turn[:, None, None, None],
                       phase_rad=self.phase_rad + angle_rad)  # fmt: skip


@dataclass
class _Numbers:
    """Numbers of the frames and beads of one direction."""

    amplitude: np.ndarray
    phase: np.ndarray
    step: np.ndarray
    intensity: np.ndarray

    def rows(self, orders: int) -> np.ndarray:
        """Mixing (N, P, 1 + 2M): 1, cos mθ, −sin mθ, times the brightness."""
        angle = self.phase[:, None] + self.step[None, :]
        columns = [np.ones_like(angle)]
        for m in range(1, orders):
            columns += [np.cos(m * angle), -np.sin(m * angle)]
        bright = self.amplitude[:, None] * self.intensity[None, :]
        return np.asarray(np.stack(columns, axis=-1) * bright[..., None])

    def flat(self) -> np.ndarray:
        """As one vector for least squares."""
        return np.concatenate([np.log(self.amplitude), self.phase, self.step,
                               np.log(self.intensity)])  # fmt: skip

    @classmethod
    def of(cls, flat: np.ndarray, beads: int) -> _Numbers:
        """The inverse of :meth:`flat`."""
        frames = (flat.size - 2 * beads) // 2
        a, phase, step, g = np.split(flat, [beads, 2 * beads, 2 * beads + frames])
        return cls(np.exp(a), phase, step, np.exp(g))


def separate(
    frames: np.ndarray,
    amplitude: np.ndarray,
    orders: int,
    noise: float,
    wave_rad: np.ndarray | None = None,
    wave_sd_rad: float = np.inf,
) -> Separation:
    """Separate one direction.

    Parameters
    ----------
    frames : ndarray, shape (N, P, Z, Y, X)
        From :class:`calibration.otf.crops.BeadFrames`.
    amplitude : ndarray, shape (N,)
    orders
        Orders, 0 included.
    noise
        Variance of a voxel of a frame in the beads' core, counts².
    wave_rad : ndarray, shape (N,), optional
        Phases of the beads by a frequency that is known.
    wave_sd_rad : float
        How far they may lie beside it.

    Raises
    ------
    QualityError
        When the phases of beads and frames do not tell the orders apart.
    """
    beads, phases = frames.shape[:2]
    mean = np.tensordot(amplitude, frames.mean(axis=1), 1)
    core = mean > _CORE * mean.max()
    data = frames[:, :, core].astype(np.float64)
    step = 2.0 * np.pi * np.arange(phases) / phases
    numbers = _Numbers(amplitude.copy(), np.zeros(beads), step.copy(), np.ones(phases))
    if wave_rad is None:
        numbers.phase = _first_phases(data, numbers, orders)
        wave = (numbers.phase, np.inf)
    else:
        numbers.phase = wave_rad.copy()
        wave = (wave_rad, wave_sd_rad)
    sd = np.full(phases, np.nan)
    for _ in range(_ROUNDS):
        before = numbers.flat()
        pictures = _pictures(data, numbers, orders)
        numbers, sd = _numbers(data, pictures, numbers, step, noise, orders, wave)
        if np.max(np.abs(numbers.flat() - before)) < _SETTLED:
            break
    if beads >= LEAST_JACKKNIFE:
        sd = np.maximum(sd, _scatter_of_steps(data, numbers, step, noise, orders, wave))
    condition = float(np.linalg.cond(_design(numbers, orders)))
    if condition > MAX_CONDITION:
        raise QualityError(
            "The phases of the frames do not tell the orders apart.",
            expected=f"{2 * orders - 1} or more well spread phases",
            got=f"a mixing matrix of condition {condition:.0f}",
            hint="check the number and order of phases with 'simrecon inspect'",
        )
    whole = _pictures(frames.reshape(beads, phases, -1), numbers, orders)
    out = [whole[0].astype(complex)]
    out += [whole[2 * m - 1] + 1j * whole[2 * m] for m in range(1, orders)]
    pictures = _pictures(data, numbers, orders)
    return Separation(
        np.stack(out).reshape(orders, *frames.shape[2:]), numbers.phase,
        numbers.step - numbers.step[0], sd, numbers.intensity, numbers.amplitude,
        _order_sd(data, pictures, numbers, orders, noise),
        _unexplained(data, pictures, numbers, orders, noise), condition,
    )  # fmt: skip


def _scatter_of_steps(
    data: np.ndarray,
    numbers: _Numbers,
    equal: np.ndarray,
    noise: float,
    orders: int,
    wave: tuple[np.ndarray, float],
) -> np.ndarray:
    """Standard deviations of the steps by leaving out one bead after the other (jackknife).

    Beads differ by more than noise: halos of others, places off by a nanometre.
    """
    beads, found = len(data), []
    for left_out in range(beads):
        rest = np.arange(beads) != left_out
        start = _Numbers(
            numbers.amplitude[rest], numbers.phase[rest], numbers.step, numbers.intensity
        )
        pictures = _pictures(data[rest], start, orders)
        there = (wave[0][rest], wave[1])
        one, _ = _numbers(data[rest], pictures, start, equal, noise, orders, there)
        found.append(one.step - one.step.mean())
    return np.asarray(np.std(found, axis=0) * np.sqrt(beads - 1.0))


def _design(numbers: _Numbers, orders: int) -> np.ndarray:
    rows = numbers.rows(orders)
    return rows.reshape(-1, rows.shape[-1])


def _pictures(data: np.ndarray, numbers: _Numbers, orders: int) -> np.ndarray:
    """h_0, Re h_1, Im h_1, … of voxels: least squares over all beads and frames, (Q, V)."""
    design = _design(numbers, orders)
    found, *_ = np.linalg.lstsq(design, data.reshape(len(design), -1), rcond=None)
    return np.asarray(found)


def _first_phases(data: np.ndarray, numbers: _Numbers, orders: int) -> np.ndarray:
    """Phases against the brightest bead, which gives the first pictures."""
    bands = []
    for m in range(1, orders):
        turn = np.exp(-1j * m * numbers.step)
        bands.append(np.tensordot(data, turn, ([1], [0])) / numbers.amplitude[:, None])
    reference = int(np.argmax(numbers.amplitude))
    guess = 2.0 * np.pi * np.arange(_PHASES) / _PHASES
    model = [band[reference] for band in bands]
    phase = np.zeros(len(data))
    for _ in range(5):
        score = np.zeros((len(data), _PHASES))
        for m, (band, one) in enumerate(zip(bands, model, strict=True), start=1):
            score += np.real(np.exp(-1j * m * guess) * (band @ one.conj())[:, None])
        phase = guess[np.argmax(score, axis=1)]
        weight = numbers.amplitude**2 / np.sum(numbers.amplitude**2)
        model = [(weight * np.exp(-1j * m * phase)) @ band for m, band in enumerate(bands, 1)]
    return phase


def _numbers(
    data: np.ndarray,
    pictures: np.ndarray,
    start: _Numbers,
    equal: np.ndarray,
    noise: float,
    orders: int,
    wave: tuple[np.ndarray, float],
) -> tuple[_Numbers, np.ndarray]:
    """Numbers of beads and frames given the pictures, and the standard deviations of the steps."""
    beads = len(data)
    values, vectors = np.linalg.eigh(pictures @ pictures.T)
    kept = values > _LEAST_SHARE * values[-1]
    root = np.sqrt(values[kept])
    basis = vectors[:, kept]
    seen = (data @ pictures.T) @ basis / root  # (N, P, kept)
    scale = 1.0 / np.sqrt(noise)

    def residual(flat: np.ndarray) -> np.ndarray:
        now = _Numbers.of(flat, beads)
        model = (now.rows(orders) @ basis) * root
        return np.concatenate([
            (scale * (model - seen)).ravel(),
            (now.step - equal) / STEP_PRIOR_RAD,
            np.log(now.intensity) / BRIGHTNESS_PRIOR,
            (now.phase - wave[0]) / wave[1],
        ])  # fmt: skip

    found = least_squares(residual, start.flat(), method="trf", x_scale="jac", max_nfev=30)
    best = _Numbers.of(found.x, beads)
    freedom = max(1, seen.size - 2 * beads)  # priors are no data, and hold as many numbers
    spread = max(1.0, 2.0 * float(found.cost) / freedom)
    covariance = spread * np.linalg.pinv(found.jac.T @ found.jac)
    frames = data.shape[1]
    place = 2 * beads + np.arange(frames)
    # a step counts from the mean of all: what they have in common is the beads' phase
    centre = np.eye(frames) - 1.0 / frames
    sd = np.sqrt(np.diag(centre @ covariance[np.ix_(place, place)] @ centre))
    best.amplitude *= best.intensity.mean()
    best.intensity /= best.intensity.mean()
    best.amplitude /= np.median(best.amplitude)
    return best, sd


def _order_sd(
    data: np.ndarray, pictures: np.ndarray, numbers: _Numbers, orders: int, noise: float
) -> np.ndarray:
    """Relative standard deviations of the orders' sizes: every bead's own, against all beads'."""
    beads = len(data)
    rows = numbers.rows(orders)
    parts = [slice(0, 1), *(slice(2 * m - 1, 2 * m + 1) for m in range(1, orders))]
    model = np.stack([(rows[..., part] @ pictures[part]).reshape(beads, -1) for part in parts], 1)
    gram = model @ model.transpose(0, 2, 1)
    sizes = np.linalg.solve(gram, model @ data.reshape(beads, -1, 1))[..., 0]
    ratios = sizes[:, 1:] / sizes[:, :1]
    weight = numbers.amplitude**2 / np.sum(numbers.amplitude**2)
    each = noise * np.diagonal(np.linalg.inv(gram), axis1=1, axis2=2)[:, 1:]
    own = np.sqrt(weight**2 @ each)
    if beads < LEAST_JACKKNIFE:
        return np.asarray(own)
    about = ratios - weight @ ratios
    scatter = np.sqrt(weight**2 @ about**2 * beads / (beads - 1.0))
    return np.asarray(np.maximum(own, scatter))


def _unexplained(
    data: np.ndarray, pictures: np.ndarray, numbers: _Numbers, orders: int, noise: float
) -> float:
    """Share of the modulation that the model leaves, noise taken off both."""
    model = numbers.rows(orders) @ pictures
    left = float(np.mean((data - model) ** 2)) - noise
    about = data - data.mean(axis=1, keepdims=True)
    moved = float(np.mean(about**2)) * data.shape[1] / (data.shape[1] - 1) - noise
    return float(max(left, 0.0) / max(moved, noise * 1e-3))
