"""How far the enhanced object may be off: the measurement simulated again, and what was added.

Two terms, in quadrature, averaged over a small neighbourhood:

1. *Parametric bootstrap.* The object goes through the forward model, fresh noise of the expected
   variance is added to the raw frames, they are reconstructed by the same frozen operator and
   enhanced by the same trained network. The variance among these repeats counts, not their distance
   from that object: they wipe out the noise that the result has kept, which is no error of theirs
   in addition.
2. *Extrapolation.* ``f − P ⊛ f``, with the PSF P of the picture that the network saw, is what
   the result shows beyond the linear picture's resolution: positivity and learned structure
   made it, and where there is much of it, fine detail of the truth is missing too.

Their weights are calibrated on simulated scenes (docs/decisions/0007). Neither contains a wrong
PSF, pattern or camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.result import Progress, no_progress
from zsdeconv.measurement import Measurement

SMOOTHING_PX = 1.5
REPEATS_WEIGHT = 1.4
"""Actual over simulated squared error of the expected raw frames: 1.38 to 1.50 on four scenes (SIM
frames of 128², 250 steps; filaments, rings and blobs at 10 e, blobs at 50 e). A simulated repeat
does not learn its noise, and its object lacks the detail that the result lacks."""
EXTRAPOLATED_WEIGHT = 0.45
"""With it and the width above, coverage of the same four scenes is 65-73 %, 63-69 % in the
brightest fifth. `benchmarks/bench_uncertainty.py` measures it."""

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
    shown = []
    for done, made in enumerate(_simulated(measurement, objects, enhance, repeats, rng), start=1):
        shown.append(measurement.shown(made))
        progress("uncertainty", done, repeats)
    fine = extrapolated(measurement, measurement.shown(objects))
    squares = REPEATS_WEIGHT * np.var(shown, axis=0, ddof=1) + EXTRAPOLATED_WEIGHT * fine**2
    smooth = gaussian_filter(squares, SMOOTHING_PX, mode="reflect")
    return np.asarray(np.sqrt(smooth), dtype=np.float32)


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
