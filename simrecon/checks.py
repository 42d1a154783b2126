"""Is this what a camera gives? Pure checks of raw arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simrecon.errors import InputError

FULL_SCALES = (255, 1023, 4095, 16383, 65535)
"""Largest counts of 8-, 10-, 12-, 14- and 16-bit cameras."""
SATURATION_NOTED, SATURATION_FAILED = 1e-4, 0.05
"""Share of saturated pixels that is said, and that nothing is reconstructed from."""
SMALLEST_FRAME = 32
"""Pixels along y and x that a pattern fit needs (:mod:`simrecon.estimate.task`)."""
PILE_SHARE, PILE_STEP = 1e-3, 5
_SAMPLE = 2_000_000
_FULL_CHECK_BYTES = 2**29

CountsVerdict = Literal["counts", "not camera counts", "unclear"]


@dataclass(frozen=True)
class CountsEvidence:
    """Whether values look like camera counts, and why.

    Attributes
    ----------
    verdict : {"counts", "not camera counts", "unclear"}
    reason : str
        One sentence.
    levels : int
        Number of distinct values in the sample.
    step : float
        Median distance of neighbouring occupied levels in the well-filled part.
    minimum, maximum : float
    """

    verdict: CountsVerdict
    reason: str
    levels: int
    step: float
    minimum: float
    maximum: float


def frame_indices(shape: tuple[int, ...], bytes_per_frame: int) -> Iterator[tuple[int, ...]]:
    """Indices (t, c, a, p, z) to look at: all, or three time points of a large stack."""
    total = math.prod(shape[:5]) * bytes_per_frame
    times = set(range(shape[0])) if total <= _FULL_CHECK_BYTES else {0, shape[0] // 2, shape[0] - 1}
    for index in np.ndindex(*shape[:5]):
        if index[0] in times:
            yield index


def check_frames(data: Any) -> tuple[str, ...]:
    """Refuse frames that cannot be data; note what makes them doubtful.

    Parameters
    ----------
    data : array_like, shape (T, C, A, P, Z, Y, X)
        Raw counts. Of stacks above 512 MB the first, middle and last time points are examined.

    Returns
    -------
    tuple of str
        Notes for the user.

    Raises
    ------
    InputError
        For complex or boolean samples, NaN or infinity, and frames of one constant value.
    """
    dtype = np.dtype(data.dtype)
    check_kind(dtype)
    shape = tuple(int(n) for n in data.shape)
    highest = -math.inf
    for index in frame_indices(shape, shape[5] * shape[6] * dtype.itemsize):
        frame = np.asarray(data[index])
        low, high = float(frame.min()), float(frame.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise _not_finite(frame, _name(index))
        if low == high:
            raise InputError(
                "A raw frame is constant: it holds no picture.",
                got=f"every pixel is {low:g}",
                where=_name(index),
                hint="a blocked shutter, a missing exposure or a padded file?",
            )
        highest = max(highest, high)
    notes = []
    if dtype.itemsize == 1:
        notes.append(
            "The data are 8-bit: probably a display copy, not camera counts. Photon statistics "
            "(variance map, automatic regularisation) cannot be trusted."
        )
    fraction, level = saturation(data)
    if fraction > SATURATION_NOTED:
        notes.append(
            f"{100 * fraction:.2g} % of the pixels are saturated (at {level:g}); there the "
            "pattern is clipped and the reconstruction wrong."
        )
    return tuple(notes)


def check_kind(dtype: Any, where: str | None = None) -> None:
    """Refuse complex numbers, truth values and whatever else no camera gives.

    Raises
    ------
    InputError
    """
    kind = np.dtype(dtype)
    if kind.kind not in "uif":
        raise InputError(
            "Raw frames must be real numbers.",
            expected="integers or floats, as the camera gave them",
            got=f"values of type {kind.name}",
            where=where,
            hint="export the raw frames again, unprocessed (no mask, no Fourier transform)",
        )


def check_finite(frames: Any) -> None:
    """Refuse NaN and infinity in frames (..., Y, X) whose order is not known yet.

    Raises
    ------
    InputError
        With the frame's number in the file, from 1.
    """
    lead = tuple(int(n) for n in frames.shape[:-2])
    for number, index in enumerate(np.ndindex(*lead), 1):
        frame = np.asarray(frames[index])
        if not np.isfinite(frame).all():
            raise _not_finite(frame, f"frame {number} of {math.prod(lead)}")


def _not_finite(frame: np.ndarray, where: str) -> InputError:
    return InputError(
        "A raw frame holds NaN or infinite values.",
        expected="finite counts",
        got=f"{int(np.count_nonzero(~np.isfinite(frame)))} such pixels",
        where=where,
        hint="export the raw frames again, unprocessed",
    )


def _name(index: tuple[int, ...]) -> str:
    """A frame for people: counted from 1, like directions and phases in every report."""
    words = zip(("time", "channel", "direction", "phase", "plane"), index, strict=True)
    return ", ".join(f"{word} {number + 1}" for word, number in words) + " (from 1)"


def saturation(data: Any) -> tuple[float, float]:
    """Fraction of pixels at the camera's full scale, and that level.

    The full scale is the largest value of the data if that is the full scale of a camera
    (2^8, 10, 12, 14, 16 − 1), or if an implausible pile of pixels sits there: at least 0.1 % of
    all, and five times as many as one count below. Else there is no
    saturation. Shape as in :func:`check_frames`.
    """
    shape = tuple(int(n) for n in data.shape)
    at: dict[float, int] = {}
    seen = 0
    for index in frame_indices(shape, shape[5] * shape[6] * np.dtype(data.dtype).itemsize):
        frame = np.asarray(data[index])
        high = float(frame.max())
        for value in (high, high - 1.0):
            at[value] = at.get(value, 0) + int(np.count_nonzero(frame == value))
        seen += frame.size
    # below the top a camera's counts fall off smoothly; clipped ones pile up on one level
    top = max(at)
    whole = np.dtype(data.dtype).kind in "ui" or float(top).is_integer()
    piled = whole and at[top] >= PILE_SHARE * seen and at[top] >= PILE_STEP * at.get(top - 1.0, 0)
    level = max(at)
    if level not in FULL_SCALES and not piled:
        return 0.0, level
    return at[level] / seen, level


def counts_evidence(frames: Any) -> CountsEvidence:
    """Look at the values' grid: are they a camera's integers, or something made from them?

    A camera gives integers that fill every level where there are many pixels. Stretched,
    normalised or averaged data give non-integers, or a comb: few levels with gaps.

    Parameters
    ----------
    frames : array_like, shape (..., Y, X)
        Raw values; at most about two million pixels, whole frames, are looked at.
    """
    shape = tuple(int(n) for n in frames.shape)
    lead = list(np.ndindex(*shape[:-2]))
    wanted = max(1, _SAMPLE // (shape[-2] * shape[-1]))
    chosen = [lead[i] for i in np.unique(np.linspace(0, len(lead) - 1, wanted).astype(int))]
    values = np.concatenate([np.asarray(frames[i]).ravel() for i in chosen])
    low, high = float(values.min()), float(values.max())
    levels, occupancy = np.unique(values, return_counts=True)
    step, gcd = _level_steps(levels, occupancy)

    def evidence(verdict: CountsVerdict, reason: str) -> CountsEvidence:
        return CountsEvidence(verdict, reason, int(levels.size), step, low, high)

    if values.dtype.kind == "f" and np.any(values != np.rint(values)):
        tiny = f"; the values are tiny ({low:.3g} to {high:.3g})" if high < 10 else ""
        return evidence("not camera counts", f"the values are not integers{tiny}")
    if values.dtype.itemsize == 1:
        return evidence(
            "not camera counts", "8-bit values: most likely a display copy of the camera's counts"
        )
    filled = occupancy.mean() >= 20
    if not filled:
        return evidence("unclear", "too few pixels per level to tell counts from stretched data")
    if gcd > 1:
        return evidence(
            "unclear",
            f"all values lie on multiples of {gcd}: counts that were shifted or multiplied; "
            f"divide, or give a gain {gcd} times the camera's",
        )
    if step >= 1.9:
        return evidence(
            "not camera counts",
            f"only {levels.size} distinct levels between {low:g} and {high:g}, about {step:.0f} "
            "apart: a comb, as min-max stretching or averaging leaves it",
        )
    return evidence("counts", f"integers that fill the levels between {low:g} and {high:g}")


def _level_steps(levels: np.ndarray, occupancy: np.ndarray) -> tuple[float, int]:
    """Median step of the levels up to the 90 % quantile, and the common divisor of all steps."""
    if levels.size < 3:
        return 0.0, 1
    cumulative = np.cumsum(occupancy) / occupancy.sum()
    dense = levels[: max(3, int(np.searchsorted(cumulative, 0.9)) + 1)].astype(np.float64)
    steps = np.diff(levels.astype(np.float64))
    whole = bool(np.all(steps == np.rint(steps))) and steps.max() < 2**31
    gcd = int(np.gcd.reduce(steps.astype(np.int64))) if whole else 1
    return float(np.median(np.diff(dense))), gcd
