"""How far the enhanced object may be off: the whole measurement simulated again.

The result plays the truth: it goes through the forward model, fresh noise of the expected
variance is added to the *raw frames*, they are reconstructed by the same frozen operator and
enhanced by the same trained network (parametric bootstrap). The squared differences to the
result, averaged over the repeats and a small neighbourhood, contain the propagated noise and
the network's own blur and bias. They do not contain errors shared by all repeats: a wrong PSF,
a wrong pattern, or structures that the network has learned to leave out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.result import Progress, no_progress
from zsdeconv.measurement import Measurement
from zsdeconv.recorrupt import draw_noise

SMOOTHING_PX = 2.0


def bootstrap_uncertainty(
    measurement: Measurement,
    objects: np.ndarray,
    enhance: Callable[[np.ndarray], np.ndarray],
    repeats: int,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Standard error of the object, e, on its grid, float32.

    Parameters
    ----------
    objects : ndarray, shape (Y, X)
        The result.
    enhance : callable
        ``enhance(frames (F, Y, X)) → object (Y, X)``: lift, start and trained network.
    repeats
        Simulated measurements, at least 1.
    rng
        Generator of their noise.
    """
    expected = measurement.predict(objects)
    variance = measurement.expected_variance(expected)
    total = np.zeros(objects.shape, dtype=np.float64)
    for repeat in range(repeats):
        frames = expected + draw_noise(variance, rng)
        total += (enhance(frames.astype(np.float32)) - objects) ** 2
        progress("uncertainty", repeat + 1, repeats)
    mean = gaussian_filter(total / repeats, SMOOTHING_PX, mode="reflect")
    return np.asarray(np.sqrt(np.maximum(mean, 0.0)), dtype=np.float32)
