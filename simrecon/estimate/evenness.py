"""A smooth weight of the frames that makes their noise more even over the field.

The fit compares bands in Fourier space, where noise counts as white. Photon noise is strong where
the light is: unweighted, the brightest part of an uneven sample decides, and the rest is wasted
(least squares lose ΣI³ ΣI/(ΣI²)² for brightness I). Frames times ``u = 1/√(V + V₀)``, V the
variance smoothed over several PSFs, show the object ``u S`` with noise of nearly one variance. A
weight so smooth commutes with the optics but for its first gradient, which :class:`FieldWindow`
takes care of. V₀ stands for the light below which the object itself is lost in the noise: there
more weight would add noise only (the optimal weight of a signal with ratio x to the noise is
x/(1 + x) of its precision).
"""

from __future__ import annotations

import numpy as np
import scipy.fft

BLUR_CUTOFFS = 6.0
"""Width σ of the smoothing, in 1/cut-off (1.1 µm at NA 1.4). With 3 the modulation of beads at
1000 e is biased by 2 sd, with 4 by 0.9; what is gained is nearly the same from 4 to 7."""
LEAST_E2 = 80.0
"""V₀, variance of an area of 1/cut-off² (10 e² per pixel of 65 nm at NA 1.4). Without it
frequencies of dim uneven blobs have twice the variance; three times as much costs 4 %."""


def noise_weight(variance_e2: np.ndarray, pixel_um: float, cutoff_per_um: float) -> np.ndarray:
    """Weight u of every pixel, (Y, X) float32, mean square 1.

    Parameters
    ----------
    variance_e2 : ndarray (A, P, Y, X)
        Noise variance of the frames, e².
    pixel_um : float
        Raw pixel pitch, µm.
    cutoff_per_um : float
        Detection cut-off, cycles/µm.
    """
    mean = variance_e2.mean(axis=(0, 1), dtype=np.float64)
    smooth = np.maximum(_smoothed(mean, BLUR_CUTOFFS / (cutoff_per_um * pixel_um)), 0.0)
    inverse = 1.0 / (smooth + LEAST_E2 * (cutoff_per_um * pixel_um) ** 2)
    weight: np.ndarray = np.sqrt(inverse / inverse.mean()).astype(np.float32)
    return weight


def _smoothed(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Normal kernel of width `sigma_px`, mirrored at the borders: a factor on its cosines."""
    cosines = scipy.fft.dctn(image)
    for axis, n in enumerate(image.shape):
        fall = np.exp(-0.5 * (np.pi * sigma_px * np.arange(n) / n) ** 2)
        cosines *= np.expand_dims(fall, 1 - axis)
    smooth: np.ndarray = scipy.fft.idctn(cosines)
    return smooth
