"""Fixed-pattern noise of sCMOS cameras: columns and rows that are a little too bright or dark.

The remedy is a calibration (:class:`simrecon.model.camera.Camera` with an offset map, ``simcal
camera``). Without one, a pattern that is constant along columns lies on the one line ky = 0 of the
spectrum, which the original cuts out with three columns of a Fourier mask, DC and horizontal
structure of the sample with it. Here every coefficient of that line gets a Wiener gain of its own:

    ĉ(k) = G(k) D(0, k),   G = P_c / max(P_c + P_n(k), smooth |D(0, k)|²),   G(0) = 0,

with D the orthonormal cosine transform (no jump at the border) of the picture without its clear
structures and its wide surroundings, P_n(k) the power on
the lines *beside* ky = 0 (sample and noise, which do not end at that line), and P_c the power of
the pattern, white because neighbouring columns have their own amplifiers. It is found where the
optics pass nothing, from the median of |D(0, k)|²/P_n(k) of the whole picture; where the sample has
more on the line than the pattern (the second term of the maximum), it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter, maximum_filter, uniform_filter1d

from simrecon.backend import usable_cores
from simrecon.errors import InputError, UsageError
from simrecon.model.camera import Camera

_BESIDE = slice(2, 18)
"""Lines whose power stands for sample and noise on the line of the pattern."""
_SMOOTH = 9
_MEDIAN = 0.4549
"""Median of a squared standard normal value."""
_SIGNIFICANCE = 4.0
_HIGH = 0.25
"""Cycles per pixel above which a sample of unknown optics is taken to have nothing."""
_FEWEST = 24
_WIDE_PX, _FINE_PX, _CLEAR = 12.0, 1.5, 3.0
_PASSES, _LEAST_WEIGHT = 3, 0.02
LEAST_SHAPE = 48


@dataclass(frozen=True)
class FixedPattern:
    """What was found and taken off.

    Attributes
    ----------
    columns, rows : ndarray, shape (X,), (Y,)
        The estimated patterns, counts, mean 0; 0 where none was significant.
    columns_sd, rows_sd : float
        Standard deviation of the true patterns as estimated from the data; 0: not significant.
    columns_z, rows_z : float
        Excess of the line's power over its neighbours', in standard errors.
    """

    columns: np.ndarray
    rows: np.ndarray
    columns_sd: float
    rows_sd: float
    columns_z: float
    rows_z: float

    @property
    def found(self) -> bool:
        """Whether anything was taken off."""
        return self.columns_sd > 0 or self.rows_sd > 0

    def sentence(self) -> str:
        """For a report."""
        parts = [
            f"{name} {sd:.3g} rms (z = {z:.1f})"
            for name, sd, z in (
                ("columns", self.columns_sd, self.columns_z), ("rows", self.rows_sd, self.rows_z)
            )
            if sd > 0
        ]  # fmt: skip
        if not parts:
            return "fixed pattern: none found in columns or rows"
        return f"fixed pattern taken off: {', '.join(parts)} (counts)"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; without the lines themselves."""
        return {
            "said": self.sentence(), "columns_sd": self.columns_sd, "rows_sd": self.rows_sd,
            "columns_z": self.columns_z, "rows_z": self.rows_z,
        }  # fmt: skip


def refuse_maps(camera: Camera) -> None:
    """Refuse to take a fixed pattern off where the camera's maps do it.

    Raises
    ------
    UsageError
    """
    if camera.map_shape is not None:
        raise UsageError(
            "The camera's maps hold its fixed pattern already.", expected="one of them",
            got="maps and a fixed pattern", where="--fixed-pattern",
        )  # fmt: skip


def estimate_fixed_pattern(pictures: np.ndarray, *, cutoff_px: float | None = None) -> FixedPattern:
    """Column and row pattern that is common to all pictures.

    Parameters
    ----------
    pictures : ndarray, shape (Y, X) or (N, Y, X)
        Counts of one camera window (the pattern is the read-out's, so it is taken off before gain
        and offset), not filtered; several pictures (a movie, a stack) are averaged, which shows a
        weaker pattern.
    cutoff_px
        Cut-off of the optics, cycles per pixel; None: 0.25 is taken.

    Raises
    ------
    UsageError
        For other shapes, or pictures too small to tell.
    InputError
        For values that are not finite.
    """
    stack = np.asarray(pictures)
    if stack.ndim not in (2, 3) or min(stack.shape[-2:]) < LEAST_SHAPE:
        raise UsageError(
            "A fixed pattern cannot be told from these pictures.",
            expected=f"(Y, X) or (N, Y, X), at least {LEAST_SHAPE} x {LEAST_SHAPE} pixels",
            got=str(stack.shape),
        )
    mean = stack if stack.ndim == 2 else stack.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise InputError("The picture holds NaN or infinite values.", where="fixed pattern")
    picture = np.asarray(mean, np.float64)
    rest, weight = _quiet(picture)
    columns, column_sd, column_z = _line(picture, rest, weight, cutoff_px)
    rows, row_sd, row_z = _line(picture.T, rest.T, weight.T, cutoff_px)
    return FixedPattern(columns, rows, column_sd, row_sd, column_z, row_z)


def without_fixed_pattern(
    pictures: np.ndarray, *, cutoff_px: float | None = None
) -> tuple[np.ndarray, FixedPattern]:
    """The pictures, float32, without the pattern that they share, and the pattern.

    Parameters
    ----------
    pictures, cutoff_px
        See :func:`estimate_fixed_pattern`.
    """
    found = estimate_fixed_pattern(pictures, cutoff_px=cutoff_px)
    off = found.columns[None, :] + found.rows[:, None]
    return np.asarray(pictures - off, dtype=np.float32), found


def _quiet(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture minus its wide surroundings, and a mask without clear structures."""
    weight = np.ones(picture.shape)
    rest = picture
    for _ in range(_PASSES):
        wide = gaussian_filter(weight * picture, _WIDE_PX) / gaussian_filter(weight, _WIDE_PX)
        rest = picture - wide
        fine = gaussian_filter(rest, _FINE_PX)
        typical = fine[weight > 0]
        middle = float(np.median(typical))
        spread = 1.4826 * float(np.median(np.abs(typical - middle)))
        clear = np.abs(fine - middle) > _CLEAR * spread
        mask = np.where(maximum_filter(clear, 3), 0.0, 1.0)
        # every column and row, and every neighbourhood, keeps something to be told by
        weight = np.maximum(mask, _LEAST_WEIGHT)
    return rest, weight


def _line(
    picture: np.ndarray, rest: np.ndarray, weight: np.ndarray, cutoff_px: float | None
) -> tuple[np.ndarray, float, float]:
    """Pattern along axis 1, its standard deviation and significance."""
    count, size = picture.shape
    line, beside = _powers(_cosines(picture))
    frequency = np.arange(size) / (2.0 * size)
    empty = frequency > min(_HIGH if cutoff_px is None else cutoff_px, 0.45)
    if int(empty.sum()) < _FEWEST:  # finely enough sampled optics pass hardly anything there
        empty = frequency >= frequency[-_FEWEST]
    ratio = float(np.median(line[empty] / beside[empty])) / _MEDIAN
    error = 1.6 / float(np.sqrt(empty.sum()))  # of the median of squared normal values, relative
    z = (ratio - 1.0) / error
    if z < _SIGNIFICANCE:
        return np.zeros(size), 0.0, z
    power = (ratio - 1.0) * float(np.median(beside[empty]))
    spectrum = _cosines(weight * rest / weight.mean(axis=0))  # line 0: weighted column means
    line, beside = _powers(spectrum)
    most = uniform_filter1d(line, _SMOOTH, mode="nearest")
    gain = power / np.maximum(power + beside, most)
    gain[0] = 0.0
    pattern = fft.idct(gain * spectrum[0], norm="ortho") / np.sqrt(count)
    return pattern, float(np.sqrt(power / count)), z


def _cosines(picture: np.ndarray) -> np.ndarray:
    return np.asarray(fft.dctn(picture, norm="ortho", workers=usable_cores()))


def _powers(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power on the line of the pattern, and the smoothed one on the lines beside it."""
    beside = uniform_filter1d(np.mean(spectrum[_BESIDE] ** 2, axis=0), _SMOOTH, mode="nearest")
    least = 1e-12 * float(beside.max()) + float(np.finfo(float).tiny)
    return spectrum[0] ** 2, np.maximum(beside, least)
