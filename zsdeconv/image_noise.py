"""The noise of plain pictures: camera numbers given or estimated, and whether it is white."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from simrecon.errors import InputError, QualityError
from simrecon.estimate.image_noise import (
    OPTICS_UNKNOWN,
    ImageCamera,
    block_noise,
    camera_from_images,
)
from simrecon.estimate.noise_colour import LOWEST_PER_PX, NoiseColour, noise_colour
from simrecon.model.camera import Camera

GAIN_SIGMAS, GAIN_SHARE = 4.0, 0.15
"""Errors, and share, by which the gain seen must differ from the one given to be used instead
(``benchmarks/bench_images.py gain``: false alarms and what is found)."""

Pictures = Callable[[], Iterable[np.ndarray]]
"""Gives the pictures anew at every call, as counts (Y, X)."""


@dataclass(frozen=True)
class PictureNoise:
    """What is known about the noise before training.

    Attributes
    ----------
    camera : Camera
        Given, or estimated from the pictures (also where they contradict the gain that is given).
    errors : dict of str to float
        Standard deviations of estimated gain, offset and read noise; empty when given.
    shot_noise : bool
        False: the noise does not visibly grow with the light; its size is `camera.read_noise_e`.
    colour : NoiseColour
        Result of the whiteness test.
    kernel : ndarray or None
        Filter of correlated noise (see :class:`zsdeconv.measurement.Measurement`).
    notes, doubts : tuple of str
        For people; doubts make the verdict weak.
    """

    camera: Camera
    errors: dict[str, float]
    shot_noise: bool
    colour: NoiseColour
    kernel: np.ndarray | None
    notes: tuple[str, ...]
    doubts: tuple[str, ...]


def find_noise(
    pictures: Pictures,
    *,
    gain: float | None = None,
    offset: float | None = None,
    read_noise_e: float | None = None,
    camera: Camera | None = None,
    cutoff_per_px: float | None = None,
) -> PictureNoise:
    """Test whether the noise is white, and estimate what is not given.

    Parameters
    ----------
    pictures
        At most 8 of them are tested, at most 60 used for the gain.
    gain, offset, read_noise_e
        ADU/e, ADU, e; None: estimated (:func:`simrecon.estimate.image_noise.camera_from_images`).
        A gain that the noise of the pictures clearly contradicts is replaced by the estimate, with
        a doubt.
    camera
        A whole camera instead of the three numbers (from a record, with maps).
    cutoff_per_px
        2 · NA · pixel / wavelength; None: unknown. From 0.5 on the optics pass nearly all that the
        pixels show: the estimate then assumes what it assumes of unknown optics.

    Raises
    ------
    InputError
        Neither given nor to be estimated: too small or too coarsely sampled pictures.
    """
    colour = noise_colour(pictures())
    correlated = colour.verdict == "correlated"
    doubts = [colour.sentence()] if colour.verdict in ("correlated", "lines") else []
    notes = [] if doubts else [colour.sentence()]
    kernel = colour.kernel() if correlated else None
    if camera is not None:
        return PictureNoise(camera, {}, True, colour, kernel, tuple(notes), tuple(doubts))
    if gain is not None:
        if offset is None:
            notes.append("camera: offset not given, 0 assumed (--offset)")
        if read_noise_e is None:
            notes.append("camera: read noise not given, 0 assumed (--read-noise-e)")
        known = Camera(gain, offset or 0.0, read_noise_e or 0.0, offset_known=offset is not None)
        seen = _contradiction(pictures, gain, offset, read_noise_e, cutoff_per_px,
                              colour if correlated else None)  # fmt: skip
        if seen is None:
            return PictureNoise(known, {}, True, colour, kernel, tuple(notes), tuple(doubts))
        doubts.append(
            f"camera: the noise of the pictures is that of a gain of {seen.gain:.3g} ± "
            f"{seen.gain_sd:.1g}, which is used, not of the {gain:.3g} counts per photo-electron "
            "that are given: check --gain, --offset and --read-noise-e (a record given by --camera "
            "is used as it is)"
        )
        return _estimated(seen, offset, colour, kernel, notes, doubts)
    tint = colour if correlated else None
    why = OPTICS_UNKNOWN
    if cutoff_per_px is not None and cutoff_per_px >= 0.5:
        why = "Pixels too coarse for these optics (cut-off not below 0.5 cycles per pixel)"
        cutoff_per_px = None
    try:
        found = camera_from_images(
            pictures(), cutoff_per_px=cutoff_per_px, offset=offset, read_noise_e=read_noise_e,
            colour=tint, blind_because=why,
        )  # fmt: skip
    except QualityError as error:
        flat = _constant(pictures, cutoff_per_px, tint)
        doubts.append(
            f"camera: {error.message} Noise of one size everywhere, {flat:.3g} counts, is assumed "
            "and 1 count per photo-electron: give --gain, --offset, --read-noise-e"
        )
        return PictureNoise(
            Camera(1.0, offset or 0.0, flat, "assumed", offset is not None), {}, False, colour,
            kernel, tuple(notes), tuple(doubts),
        )  # fmt: skip
    notes += [_estimate(found), *(f"camera: {n}" for n in found.notes[1:])]
    return _estimated(found, offset, colour, kernel, notes, doubts)


def _estimated(
    found: ImageCamera,
    offset: float | None,
    colour: NoiseColour,
    kernel: np.ndarray | None,
    notes: Iterable[str],
    doubts: Iterable[str],
) -> PictureNoise:
    """The camera that the pictures show (`offset`: the one given)."""
    known = Camera(found.gain, found.offset, found.read_noise_e, "estimated", offset is not None)
    errors = {
        "gain": found.gain_sd, "offset": found.offset_sd, "read_noise_e": found.read_noise_sd_e
    }  # fmt: skip
    return PictureNoise(known, errors, True, colour, kernel, tuple(notes), tuple(doubts))


def _contradiction(
    pictures: Pictures,
    gain: float,
    offset: float | None,
    read_noise_e: float | None,
    cutoff: float | None,
    colour: NoiseColour | None,
) -> ImageCamera | None:
    """What the noise of the pictures shows where that is clearly another gain than the given."""
    try:
        seen = camera_from_images(
            pictures(), cutoff_per_px=cutoff, offset=offset, read_noise_e=read_noise_e,
            colour=colour,
        )  # fmt: skip
    except (InputError, QualityError):
        return None  # the pictures show no gain: there is nothing to compare with
    off = abs(seen.gain - gain)
    if off < GAIN_SIGMAS * seen.gain_sd or off < GAIN_SHARE * gain:
        return None
    return seen


def _estimate(found: ImageCamera) -> str:
    return (
        f"camera, from the pictures: gain {found.gain:.3g} ± {found.gain_sd:.1g} counts per "
        f"photo-electron, offset {found.offset:.4g} ± {found.offset_sd:.1g} counts, read noise "
        f"{found.read_noise_e:.2g} ± {found.read_noise_sd_e:.1g} e"
    )


def _constant(pictures: Pictures, cutoff: float | None, colour: NoiseColour | None) -> float:
    """Median noise of the blocks, counts."""
    blind = 0.4 if colour is None else LOWEST_PER_PX
    variance = float(np.median(block_noise(pictures(), 1.05 * (cutoff or blind), colour).variance))
    if not variance > 0:
        raise InputError(
            "The pictures hold no noise: there is nothing to learn from.",
            expected="camera pictures with their noise",
            got="a noise variance of 0",
            hint="smoothed, compressed or simulated without noise?",
        )
    return float(np.sqrt(variance))
