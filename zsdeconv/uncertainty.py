"""How far the enhanced object may be off: the measurement simulated again, and what was added.

Two terms, in quadrature, averaged over a small neighbourhood:

1. *Parametric bootstrap.* The object goes through the forward model, fresh noise of the expected
   variance is added to the raw frames, they are reconstructed by the same frozen operator and
   enhanced by the same trained network; the squared error against that object counts.
2. *Extrapolation.* ``f − P ⊛ f``, with the PSF P of the picture that the network saw, is what
   the result shows beyond the linear picture's resolution: positivity and learned structure
   made it. The simulated measurements say by which fraction of its size it comes out wrong;
   the network makes what it once made again too faithfully, so that fraction is raised.

Neither contains a wrong PSF, pattern or camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.result import Progress, no_progress
from zsdeconv.measurement import Measurement

SMOOTHING_PX = 1.0
EXTRAPOLATION_FACTOR = 2.0
"""Actual over simulated relative error of the extrapolated part: 2.1 and 2.0 for filaments (seed
42) and rings (seed 41) of 10 photo-electrons, 256² frames, 500 steps.
`benchmarks/bench_enhance.py` judges the coverage on other scenes and light levels."""

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
        Simulated measurements, at least 1.
    rng
        Generator of their noise.
    """
    expected = measurement.shown(objects)
    squares, fine = np.zeros(objects.shape), extrapolated(measurement, expected)
    wrong = 0.0
    again = _simulated(measurement, objects, enhance, repeats, rng)
    for done, made in enumerate(again, start=1):
        shown = measurement.shown(made)
        squares += (shown - expected) ** 2 / repeats
        wrong += float(np.sum((extrapolated(measurement, shown) - fine) ** 2)) / repeats
        progress("uncertainty", done, repeats)
    power = max(float(np.sum(fine**2)), 1e-30)
    share = min(EXTRAPOLATION_FACTOR**2 * wrong / power, 1.0)  # of its power; at most all of it
    squares += share * fine**2
    smooth = gaussian_filter(squares, SMOOTHING_PX, mode="reflect")
    return np.asarray(np.sqrt(np.maximum(smooth, 0.0)), dtype=np.float32)


def extrapolated(measurement: Measurement, objects: np.ndarray) -> np.ndarray:
    """``f − P ⊛ f`` with the PSF of the measurement's image, mirror images outside; e."""
    psf = measurement.effective_psf
    return np.asarray(objects - measurement.blurred(objects, psf / psf.sum()))


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
