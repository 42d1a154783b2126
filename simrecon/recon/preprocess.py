"""Noise variance of raw frames from a smooth prediction of their expectation."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.model.camera import Camera


def raw_variance(frames_e: np.ndarray, camera: Camera, sigma_px: float = 1.5) -> np.ndarray:
    """Variance of every raw pixel, float32, e²: shot noise of :func:`smooth_expectation` plus read
    noise.
    """
    return camera.variance_e2(smooth_expectation(frames_e, camera, sigma_px))


def smooth_expectation(frames_e: np.ndarray, camera: Camera, sigma_px: float = 1.5) -> np.ndarray:
    """What is expected of every raw pixel, for its noise: the smoothed local mean.

    The expectation of a pixel is taken from its neighbourhood in the mean of all frames, times
    the frame's relative brightness, never from the pixel itself (that would tie the variance
    to the noise; physics.md §4). Noisy pixels of a read-noise map count less in it.

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
    ndarray, shape (A, P, Y, X), float64, e
    """
    mean = _smoothed(frames_e.mean(axis=(0, 1), dtype=np.float64), camera, sigma_px)
    total = max(float(mean.mean()), 1e-12)
    brightness = frames_e.mean(axis=(2, 3), dtype=np.float64) / total
    return np.asarray(mean[None, None] * np.maximum(brightness, 0.0)[:, :, None, None])


def _smoothed(mean: np.ndarray, camera: Camera, sigma_px: float) -> np.ndarray:
    """Local mean, weighted with 1/(read² + 1): noise of 10 e columns would be clipped at zero and
    add light to the dark around them.
    """
    read = np.nan_to_num(np.asarray(camera.read_noise_e, dtype=np.float64))
    if read.ndim == 0:
        return np.asarray(gaussian_filter(mean, sigma_px, mode="reflect"))
    weight = 1.0 / (read**2 + 1.0)
    total = gaussian_filter(mean * weight, sigma_px, mode="reflect")
    return np.asarray(total / gaussian_filter(weight, sigma_px, mode="reflect"))
