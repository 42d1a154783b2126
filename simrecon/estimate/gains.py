"""What the OTF does to every band on the object's spectrum: gains and logarithmic slopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simrecon.estimate.half_plane import HalfPlane
from simrecon.estimate.mixing import BANDS, DirectionState
from simrecon.threads import on_all_cores

FLOOR = 0.05
"""Bands are used where their |H| is at least this: below, a model of the OTF means little."""
SLOPE_STEP_SAMPLES = 0.5

OtfFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``H(ky, kx)`` of equal-shaped frequency arrays in cycles/µm."""


def band_gains(
    otf: OtfFunction, states: Sequence[DirectionState], half: HalfPlane, floor: float = FLOOR
) -> np.ndarray:
    """``G_i(k) = H(k + b p_d)`` of all bands, (3D, K) complex64; below `floor` set to 0."""
    zero = floored(otf(half.ky, half.kx), floor)
    gains = np.empty((len(BANDS) * len(states), zero.size), dtype=np.complex64)

    def fill(band: int) -> None:
        b = BANDS[band % len(BANDS)]
        fy, fx = b * states[band // len(BANDS)].frequency_per_um
        gains[band] = floored(otf(half.ky + fy, half.kx + fx), floor) if b else zero

    on_all_cores(fill, range(len(gains)))
    return gains


def floored(values: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """An OTF's values, 0 where smaller than `floor`."""
    return np.where(np.abs(values) < floor, 0.0, values)


def log_slopes(
    otf: OtfFunction,
    shift_per_um: np.ndarray,
    half: HalfPlane,
    extent_um: float,
    floor: float = FLOOR,
) -> np.ndarray:
    """``∇H/H`` at ``k + shift``, (2, K) complex64, µm; 0 where |H| < `floor`.

    Parameters
    ----------
    otf, half
    shift_per_um : ndarray (2,)
        ``b p`` of a band.
    extent_um : float
        Shorter side of the padded field; the difference quotient spans one of its samples.
    """
    ky, kx = half.ky + shift_per_um[0], half.kx + shift_per_um[1]
    value = otf(ky, kx)
    seen = np.nonzero(np.abs(value) >= floor)[0]
    ky, kx, value = ky[seen], kx[seen], value[seen]
    step = SLOPE_STEP_SAMPLES / extent_um
    slopes = np.zeros((2, half.ky.size), dtype=np.complex64)
    slopes[0, seen] = (otf(ky + step, kx) - otf(ky - step, kx)) / (2 * step * value)
    slopes[1, seen] = (otf(ky, kx + step) - otf(ky, kx - step)) / (2 * step * value)
    return slopes
