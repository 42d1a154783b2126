"""Noise variance of raw frames from a smooth prediction of their expectation."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.model.camera import Camera


def raw_variance(frames_e: np.ndarray, camera: Camera, sigma_px: float = 1.5) -> np.ndarray:
    """Variance of every raw pixel: shot noise of the smoothed local mean plus read noise.

    The expectation of a pixel is taken from its neighbourhood in the mean of all frames, times
    the frame's relative brightness, never from the pixel itself (that would tie the variance
    to the noise; physics.md §4).

    Parameters
    ----------
    frames_e : ndarray, shape (A, P, Y, X)
        Photo-electrons.
    camera : Camera
        Its read noise may be a map.
    sigma_px : float
        Standard deviation of the smoothing kernel, pixels; about the detection PSF's width.

    Returns
    -------
    ndarray, shape (A, P, Y, X), float32, e²
    """
    mean = gaussian_filter(frames_e.mean(axis=(0, 1), dtype=np.float64), sigma_px, mode="reflect")
    total = max(float(mean.mean()), 1e-12)
    brightness = frames_e.mean(axis=(2, 3), dtype=np.float64) / total
    expected = mean[None, None] * np.maximum(brightness, 0.0)[:, :, None, None]
    return camera.variance_e2(expected)
