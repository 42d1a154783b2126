"""How far the enhanced object may be off: the measurement simulated again, and what it cannot see.

Two terms, in quadrature:

1. *Parametric bootstrap.* The object goes through the forward model, fresh noise of the expected
   variance is added to the raw frames, they are reconstructed by the same frozen operator and
   enhanced by the same trained network. The mean distance of these repeats from the object holds
   noise and smoothing; averaged over a small neighbourhood.
2. *Detail that the result lacks.* No repeat shows it, because the object that they start from
   lacks it too. It lies where the result is bright and fine: its local amount is taken as
   ``√(brightness · rms of f − P ⊛ f)``, with the PSF P of the picture that the network saw, and
   its mean as a fixed multiple of the mean distance.

The three weights are calibrated on simulated scenes (docs/decisions/0007). Neither term contains a
wrong PSF, pattern or camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.result import Progress, no_progress
from zsdeconv.measurement import Measurement

SMOOTHING_PX = 1.5
DETAIL_PX = 1.0
"""Neighbourhood over which brightness and fineness are averaged."""
DETAIL_WEIGHT = 2.0
"""Squared mean of the missing detail over that of the simulated distance. Chosen, as the scales
below, on ten simulated trainings; twenty others were the test."""
SCALE = 0.90
SCALE_OF_ONE_FRAME = 1.14
"""One standard error over both terms. A picture of one frame has as many values as its object: its
network learns more of their noise, which repeats with fresh noise do not show."""
DARK_PERCENTILE = 5.0

Enhance = Callable[[np.ndarray], np.ndarray]


def estimated_uncertainty(
    measurement: Measurement,
    objects: np.ndarray,
    enhance: Enhance,
    repeats: int,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Standard error of the object as it is shown, e, on its grid, float32.

    Parameters
    ----------
    objects : ndarray, shape (Y, X)
        The result.
    enhance : callable
        ``enhance(frames (F, Y, X)) → object (Y, X)``: lift, start and trained network.
    repeats
        Simulated measurements, at least 2.
    rng
        Generator of their noise.
    """
    shown = measurement.shown(objects)
    distance = np.zeros(shown.shape)
    for done, made in enumerate(_simulated(measurement, objects, enhance, repeats, rng), start=1):
        distance += np.abs(measurement.shown(made) - shown) / repeats
        progress("uncertainty", done, repeats)
    repeated = gaussian_filter(distance, SMOOTHING_PX, mode="reflect")
    lacking = distance.mean() * detail(measurement, shown)
    total = np.sqrt(repeated**2 + DETAIL_WEIGHT * lacking**2)
    return np.asarray(scale(measurement) * total, dtype=np.float32)


def scale(measurement: Measurement) -> float:
    """One standard error over what the two terms add up to."""
    return SCALE_OF_ONE_FRAME if measurement.source == "image" else SCALE


def detail(measurement: Measurement, shown: np.ndarray) -> np.ndarray:
    """Where detail may be missing: root of local brightness times fineness, with mean 1 (or 0)."""
    dark = float(np.percentile(shown, DARK_PERCENTILE))
    bright = gaussian_filter(np.maximum(shown - dark, 0.0), DETAIL_PX, mode="reflect")
    squares = np.asarray(extrapolated(measurement, shown), dtype=np.float64) ** 2
    fine = np.sqrt(gaussian_filter(squares, DETAIL_PX, mode="reflect"))
    amount = np.sqrt(bright * fine)
    mean = float(amount.mean())
    return np.asarray(amount / mean if mean > 0 else amount)


def extrapolated(measurement: Measurement, objects: np.ndarray) -> np.ndarray:
    """``f − P ⊛ f`` with the PSF of the measurement's image, mirror images outside; e."""
    psf = measurement.effective_psf
    return np.asarray(objects - measurement.blurred(objects, psf / psf.sum()))


def contents(measurement: Measurement, repeats: int) -> dict[str, Any]:
    """What the map holds and what not, JSON-ready, for the report."""
    return {
        "repeats": repeats,
        "scale": scale(measurement),
        "detail_weight": DETAIL_WEIGHT,
        "contains": [
            "noise of the frames and smoothing by the method: the measurement simulated again",
            "fine detail that the result lacks: in proportion to its brightness and fineness",
        ],
        "lacks": ["a wrong PSF", "a wrong pattern", "a wrong camera", "out-of-focus light"],
    }


def _simulated(
    measurement: Measurement,
    truth: np.ndarray,
    enhance: Enhance,
    repeats: int,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Enhanced objects of `repeats` simulated measurements of `truth`."""
    expected = measurement.predict(truth)
    variance = measurement.expected_variance(expected)
    for _ in range(repeats):
        yield enhance((expected + measurement.draw_noise(rng, variance)).astype(np.float32))
