"""Does the network see, or does it remember? Two simulated measurements say it.

A network that is trained on one recording could draw the structures of that recording wherever
it is asked to. Two probes go through the forward model, fresh noise, the lift and the method that
made the result:

1. *Erased structure.* Bright places of the object are replaced by their surroundings before the
   measurement is simulated. What the network shows there beyond what the classical start shows,
   which has no memory but the same neighbours, was not in the data.
2. *Blank field.* An even field as bright as the background of the frames. Every structure in its
   restoration is made of noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, percentile_filter

from zsdeconv.held_out import Restore
from zsdeconv.measurement import Measurement

PLACES = 12
"""Places erased at most."""
_RADIUS_RESOLUTIONS = 1.5
_LEAST_RADIUS_PX = 4.0
_APART_RADII = 4.0
_SURROUNDINGS_RADII = 3.0
_SURROUNDINGS_PERCENTILE = 20.0
_BACKGROUND_PERCENTILE = 5.0


@dataclass(frozen=True)
class Probes:
    """What the probes found.

    Attributes
    ----------
    remembered : float
        Share of the erased structures that the network shows all the same (regression of what
        it shows too much on what was erased), less that of the classical start. 0: none; 1: all.
    remembered_sd : float
        Its standard error over the places.
    places : int
        Number of places erased.
    blank_share : float
        Structure in the restored blank field (99.9th percentile of the deviation from its mean)
        over the contrast of the result (99.9th percentile over the median).
    """

    remembered: float
    remembered_sd: float
    places: int
    blank_share: float


def probe(
    measurement: Measurement,
    objects: np.ndarray,
    network: Restore,
    start: Restore,
    rng: np.random.Generator,
) -> Probes:
    """Run both probes on a plane: two simulated measurements, three restorations.

    Parameters
    ----------
    objects : ndarray, shape (Y, X)
        The result, e.
    network, start : callable
        ``frames (F, Y, X) → object (Y, X)``: the method that made the result, and the classical
        one that it started from.
    rng
        Generator of the simulated noise.
    """
    shown = measurement.shown(objects)
    low = np.percentile(objects, _BACKGROUND_PERCENTILE)
    flat = np.full_like(objects, max(float(low), 0.0))
    blank = measurement.shown(network(_simulated(measurement, flat, rng)))
    contrast = float(np.percentile(shown, 99.9) - np.median(shown))
    deviation = float(np.percentile(np.abs(blank - blank.mean()), 99.9))
    share = deviation / max(contrast, 1e-12)
    masks = erased_places(measurement, objects)
    erased = _without(objects, masks, _radius_px(measurement))
    left = measurement.shown(erased)
    gone = [m for m in masks if np.any((shown - left)[m > 0])]  # what is shown is not negative
    if not gone:
        return Probes(0.0, 0.0, 0, share)
    frames = _simulated(measurement, erased, rng)
    ours, theirs = (
        _returned(measurement.shown(method(frames)) - left, shown - left, gone)
        for method in (network, start)
    )
    extra = ours - theirs
    spread = float(extra.std(ddof=1) / np.sqrt(len(extra))) if len(extra) > 1 else 0.0
    return Probes(float(extra.mean()), spread, len(extra), share)


def _returned(extra: np.ndarray, missing: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """Regression of `extra` on `missing` under every mask, shape (N,)."""
    return np.array([(extra * missing)[m > 0].sum() / (missing**2)[m > 0].sum() for m in masks])


def erased_places(measurement: Measurement, objects: np.ndarray) -> np.ndarray:
    """Soft masks (N, Y, X) around the most structured places, apart from each other and the border.

    A place counts while it stands out from its surroundings by a tenth of what the strongest does.
    """
    radius = _radius_px(measurement)
    contrast = gaussian_filter(objects - _surroundings(objects, radius), radius / 2, mode="reflect")
    y, x = np.ogrid[: objects.shape[0], : objects.shape[1]]
    border = round(2 * radius)
    free = np.zeros(objects.shape, bool)
    free[border:-border, border:-border] = True
    masks: list[np.ndarray] = []
    least = 0.0
    while len(masks) < PLACES and free.any():
        at = np.unravel_index(np.argmax(np.where(free, contrast, -np.inf)), objects.shape)
        if contrast[at] <= least:
            break
        least = least or 0.1 * float(contrast[at])
        distance = np.hypot(y - at[0], x - at[1])
        inside = np.clip(distance / radius, 0.0, 1.0)
        masks.append(np.where(distance < radius, 0.5 + 0.5 * np.cos(np.pi * inside**2), 0.0))
        free &= distance > _APART_RADII * radius
    return np.array(masks).reshape(-1, *objects.shape)


def _radius_px(measurement: Measurement) -> float:
    """Radius of an erased place in image pixels: some resolution lengths."""
    cutoff = float(np.min(measurement.image_cutoff_px))
    return max(_LEAST_RADIUS_PX, _RADIUS_RESOLUTIONS / cutoff)


def _surroundings(objects: np.ndarray, radius: float) -> np.ndarray:
    """A low level of the neighbourhood, smooth."""
    size = 2 * round(_SURROUNDINGS_RADII * radius) + 1
    low = percentile_filter(objects, _SURROUNDINGS_PERCENTILE, size=size, mode="reflect")
    return np.asarray(gaussian_filter(low, radius, mode="reflect"))


def _without(objects: np.ndarray, masks: np.ndarray, radius: float) -> np.ndarray:
    """The object with the masked places replaced by their surroundings."""
    mask = np.minimum(masks.sum(axis=0), 1.0)
    mixed = (1.0 - mask) * objects + mask * np.minimum(_surroundings(objects, radius), objects)
    return np.asarray(mixed, dtype=np.float32)


def _simulated(
    measurement: Measurement, objects: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Frames of an object with fresh noise."""
    expected = measurement.predict(objects)
    noise = measurement.draw_noise(rng, measurement.expected_variance(expected))
    return np.asarray(expected + noise, dtype=np.float32)
