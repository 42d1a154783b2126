"""How structures move from plane to plane of the raw frames: the way of a stage scan.

What lies still in space moves by −shear · dz from plane to plane of the array. Planes a few apart
show the same structures as long as these are within the depth of field of detection, so that their
cross-correlation is highest at the true displacement. Noise differs from plane to plane and adds
nothing; each pair of planes is one measurement, and their scatter says how sure the answer is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy.fft

from simrecon.backend import usable_cores
from simrecon.estimate.window import tukey

StageMoves = Literal["up", "down", "left", "right"]
WAYS: tuple[StageMoves, ...] = get_args(StageMoves)
"""Ways in which structures move in the frames from plane to plane."""

SEEN_PX = 3.0
"""Planes are compared whose structures should be at least so far apart."""
DEPTH_OF_FIELD_UM = 1.0
SIDE_PX = 384
MOST_PAIRS = 24
LEAST_PAIRS = 4
CERTAIN = 5.0
"""Lead of one displacement over another, in standard errors, from which it is certain."""
COARSEST = 0.02
"""Frequencies below it (cycles/pixel) are brightness, which does not say where things are."""


def way_vector(way: StageMoves) -> tuple[float, float]:
    """Unit vector (y, x), y downwards."""
    return {"up": (-1.0, 0.0), "down": (1.0, 0.0), "left": (0.0, -1.0), "right": (0.0, 1.0)}[way]


@dataclass(frozen=True)
class PlanePairs:
    """Cross-spectra of planes `lag` apart, high-pass filtered and normalised to the power of both.

    Attributes
    ----------
    cross : ndarray (N, Y, X), complex128
    lag : int
    """

    cross: np.ndarray
    lag: int

    @classmethod
    def of(cls, planes: np.ndarray, lag: int) -> PlanePairs:
        """Pairs of the middle of up to `MOST_PAIRS` planes (Z, Y, X)."""
        middle = [slice(max(0, (n - SIDE_PX) // 2), (n + SIDE_PX) // 2) for n in planes.shape[-2:]]
        field = planes[:, middle[0], middle[1]].astype(np.float64)
        rows, columns = (int(n) for n in field.shape[-2:])
        window = np.outer(tukey(rows, 0.25), tukey(columns, 0.25))
        fy, fx = np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)
        kept = np.hypot(fy, fx) >= COARSEST
        last = len(field) - lag - 1
        first = np.unique(np.linspace(0, last, MOST_PAIRS).round().astype(int))
        cross = np.empty((len(first), rows, columns), np.complex128)
        with scipy.fft.set_workers(usable_cores()):
            for n, z in enumerate(first):
                one, other = (
                    scipy.fft.fft2((field[i] - field[i].mean()) * window) * kept
                    for i in (z, z + lag)
                )
                power = math.sqrt(float(np.sum(np.abs(one) ** 2) * np.sum(np.abs(other) ** 2)))
                cross[n] = one * np.conj(other) / max(power, np.finfo(np.float64).tiny)
        return cls(cross, lag)

    def likeness(self, move_px: tuple[float, float]) -> np.ndarray:
        """Correlation of every pair, −1…1 (N,), if structures move by (y, x) pixels a plane."""
        rows, columns = self.cross.shape[-2:]
        wave_y = np.exp(-2j * np.pi * np.fft.fftfreq(rows) * self.lag * move_px[0])
        wave_x = np.exp(-2j * np.pi * np.fft.fftfreq(columns) * self.lag * move_px[1])
        return np.asarray(np.real((self.cross @ wave_x) @ wave_y))

    def lead(self, move_px: tuple[float, float], over_px: tuple[float, float]) -> float:
        """How much better one displacement explains the planes than another, standard errors."""
        gain = self.likeness(move_px) - self.likeness(over_px)
        # neighbouring pairs show the same structures: only those a lag apart are independent
        spread = float(np.std(gain, ddof=1)) * math.sqrt(min(self.lag, len(gain)) / len(gain))
        return float(gain.mean()) / max(spread, 1e-9)

    def best(self) -> tuple[float, float]:
        """Displacement (y, x) that explains the planes best, whole pixels over the lag."""
        likeness = np.real(scipy.fft.ifft2(np.conj(self.cross.mean(axis=0))))
        place = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
        y, x = ((int(i) + n // 2) % n - n // 2 for i, n in zip(place, likeness.shape, strict=True))
        return y / self.lag, x / self.lag


def contradicting_way(
    planes: np.ndarray, step_px: float, dz_um: float, told: StageMoves
) -> StageMoves | None:
    """The way that the planes show, where it is for certain not the one told.

    Parameters
    ----------
    planes : ndarray (Z, Y, X)
        Mean of the raw frames of every plane, any unit.
    step_px
        Travel from plane to plane, pixels, positive.
    dz_um
        Distance of the planes along the detection axis, µm.
    told
        The way that is taken. Only the four ways are compared: structures that are bound to the
        focal plane (the line in which it cuts a cover slip) do not move at all.

    Returns
    -------
    str or None
        None also where nothing can be compared: planes too few, too far apart for the depth of
        field, or so close that the field hardly moves.
    """
    lag = max(1, math.ceil(SEEN_PX / step_px))
    if lag * dz_um > DEPTH_OF_FIELD_UM or len(planes) - lag < LEAST_PAIRS:
        return None
    if min(planes.shape[-2:]) < 4 * lag * step_px:
        return None
    pairs = PlanePairs.of(planes, lag)
    moves = {way: _move(way, step_px) for way in WAYS}
    best = max(WAYS, key=lambda way: float(pairs.likeness(moves[way]).mean()))
    certain = best != told and pairs.lead(moves[best], moves[told]) >= CERTAIN
    return best if certain else None


def unexpected_travel(planes: np.ndarray, dz_um: float) -> tuple[StageMoves, float] | None:
    """Way and step (whole pixels a plane) of structures that move where nothing was said of it."""
    if dz_um > DEPTH_OF_FIELD_UM or len(planes) <= LEAST_PAIRS:
        return None
    pairs = PlanePairs.of(planes, 1)
    y, x = pairs.best()
    step = abs(y) + abs(x)
    way = next((way for way in WAYS if step >= 1 and _move(way, step) == (y, x)), None)
    certain = way is not None and pairs.lead((y, x), (0.0, 0.0)) >= CERTAIN
    return (way, step) if way is not None and certain else None


def _move(way: StageMoves, step_px: float) -> tuple[float, float]:
    y, x = way_vector(way)
    return step_px * y, step_px * x
