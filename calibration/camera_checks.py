"""Stacks that cannot calibrate a camera are refused here, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.emva1288 import quadratic_surface
from calibration.flat_levels import MIN_FRAMES, FlatLevel, too_few
from calibration.moments import Moments
from simrecon.errors import InputError

ZERO_FRACTION = 0.01
"""Dark samples at zero beyond which the offset is cut off: the mean is then too high by more than
1 % of the noise (half-normal tail at 2.3 sigma)."""
DARK_JUMP_SIGMA = 3.0
"""Range of the dark frame means, in read noises of one pixel, that only light can make."""
SATURATED_PIXELS = 0.01
DISTINCT_LEVELS = 1.3
LIGHT_SIGMA, LIGHT_IN_NOISES = 5.0, 1.0
"""Light in the dark stack: significance, and size in read noises, from which it is refused."""


def check_dark(dark: Moments, where: str) -> None:
    """Refuse dark stacks that are too short, constant, cut off at zero, or lit in some frames.

    Raises
    ------
    InputError
    """
    if dark.count < MIN_FRAMES:
        raise too_few("dark", dark.count, where)
    noise = float(np.sqrt(np.median(dark.variance)))
    if noise == 0.0:
        raise InputError(
            "The dark stack has no noise: its frames are copies of each other.",
            expected="raw frames of a camera without light",
            got=f"median temporal variance 0 in {dark.count} frames",
            where=where,
        )
    zeros = dark.zeros / (dark.count * dark.mean.size)
    if zeros > ZERO_FRACTION:
        raise InputError(
            "The dark stack is cut off at zero: its offset and noise cannot be measured.",
            expected=f"less than {100 * ZERO_FRACTION:g} % of zeros",
            got=f"{100 * zeros:.1f} %",
            where=where,
            hint="raise the camera's offset (black level), or save raw counts without subtraction",
        )
    own = float(np.sqrt(max(noise**2 - dark.frame_mean_variance, 0.0)))  # without common changes
    span = float(np.ptp(dark.frame_means))
    if span > DARK_JUMP_SIGMA * own:
        raise InputError(
            "The dark stack is not dark: its frames differ in brightness.",
            expected=f"frame means within {DARK_JUMP_SIGMA * own:.3g} ADU of each other",
            got=f"{min(dark.frame_means):.5g} to {max(dark.frame_means):.5g} ADU",
            where=where,
            hint="close the shutter, cap the camera, and leave the light off for all dark frames",
        )


@dataclass(frozen=True)
class Usable:
    """Levels that can be used, and why others are not."""

    levels: list[FlatLevel]
    notes: tuple[str, ...]


def usable_levels(levels: list[FlatLevel], dark: Moments, good: np.ndarray) -> Usable:
    """Leave out dark and saturated levels; at least two different ones must remain.

    Raises
    ------
    InputError
        Saying which of these is the case.
    """
    dark_level = float(dark.mean[good].mean())
    noise = float(np.sqrt(np.median(dark.variance)))
    light = [float(lv.moments.mean[good].mean()) - dark_level for lv in levels]
    lit = [lv for lv, amount in zip(levels, light, strict=True) if amount > noise]
    notes = [f"{lv.name}: no light; left out." for lv in levels if lv not in lit]
    if not lit or min(light) < -noise:
        means = ", ".join(f"{lv.moments.mean.mean():.5g}" for lv in levels)
        raise InputError(
            "A flat stack is not brighter than the dark stack.",
            expected=f"flats above {dark_level + noise:.5g} ADU",
            got=f"mean counts {means}",
            hint="are --dark and --flat exchanged, or is the dark stack not dark?",
        )
    kept = [lv for lv in lit if saturated_pixels(lv.moments, good) <= SATURATED_PIXELS]
    notes += [f"{lv.name}: saturated; left out." for lv in lit if lv not in kept]
    signals = [float(lv.moments.mean[good].mean()) - dark_level for lv in kept]
    if len(kept) < 2 or max(signals) < DISTINCT_LEVELS * min(signals):
        _refuse_levels(kept, lit, signals)
    return Usable(kept, tuple(notes))


def _refuse_levels(kept: list[FlatLevel], lit: list[FlatLevel], signals: list[float]) -> None:
    saturated = len(lit) - len(kept)
    found = ", ".join(f"{s:.5g}" for s in signals) or "none"
    raise InputError(
        "The flat stacks are saturated."
        if saturated and len(kept) < 2
        else "The flat stacks show one level of light only.",
        expected=f"two or more levels below saturation, the brightest {DISTINCT_LEVELS} times "
        "the dimmest, to test the straight line of variance against mean",
        got=f"levels of {found} ADU above the dark level, {saturated} saturated",
        hint="several --flat options, or one stack with varying light or exposure",
    )


def saturated_pixels(flat: Moments, good: np.ndarray) -> float:
    """Fraction of good pixels whose counts reach the camera's full scale (3 sigma).

    The full scale is found as in :func:`simrecon.checks.saturation`.
    """
    if flat.saturated_fraction == 0.0:
        return 0.0
    reach = flat.mean + 3.0 * np.sqrt(flat.variance)
    return float(np.mean(reach[good] >= flat.top))


@dataclass(frozen=True)
class LightInDark:
    """Light found in the dark stack: mean ADU and its standard deviation."""

    adu: float
    sd_adu: float


def light_in_dark(
    dark: Moments, dim: np.ndarray, bright: np.ndarray, good: np.ndarray
) -> LightInDark:
    """How much of the pattern of response to light is in the dark mean.

    Parameters
    ----------
    dim, bright : ndarray (Y, X)
        Signals of two levels. Their difference holds the response of each pixel but not its
        offset; the dark mean is regressed on it after quadratic surfaces are removed, because
        smooth glow and smooth vignetting may look alike.
    """
    step = (bright - dim).astype(np.float64)
    fine = (step - quadratic_surface(step))[good]
    offset = (dark.mean - quadratic_surface(np.where(good, dark.mean, np.median(dark.mean))))[good]
    fine, offset = fine - fine.mean(), offset - offset.mean()
    power = float(np.sum(fine**2))
    share = float(np.sum(fine * offset)) / power
    rest = offset - share * fine
    sd = float(np.sqrt(np.mean(rest**2) / power))
    mean = float(step[good].mean())
    return LightInDark(share * mean, sd * mean)


def refuse_lit_dark(found: LightInDark, read_noise_adu: float, where: str) -> None:
    """Refuse a dark stack that shows the pattern of the flats.

    Raises
    ------
    InputError
    """
    if found.adu > max(LIGHT_SIGMA * found.sd_adu, LIGHT_IN_NOISES * read_noise_adu):
        raise InputError(
            "The dark stack is not dark: the response pattern of the flats shows in it.",
            expected=f"less light than one read noise ({read_noise_adu:.3g} ADU)",
            got=f"{found.adu:.3g} ± {found.sd_adu:.2g} ADU of light",
            where=where,
            hint="close the shutter, cap the camera, and leave the light off for the dark frames",
        )
