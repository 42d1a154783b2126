"""Noise of raw frames from the frequencies that the optics cannot reach.

Needed where the camera's gain is not known or the numbers in a file are no counts any more:
beyond the detection cut-off there is nothing but noise, so its power says how many counts per
photo-electron make the frames consistent with Poisson statistics.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.backend import fft2
from simrecon.model.camera import Camera

MIN_SAMPLES = 200
MAX_MEAN_E = 1e5


def hann_window(ny: int, nx: int) -> np.ndarray:
    """Separable Hann window without zeros at its ends, float32, shape (Y, X)."""
    wy, wx = np.hanning(ny + 2)[1:-1, None], np.hanning(nx + 2)[None, 1:-1]
    return np.asarray(wy * wx, dtype=np.float32)


def noise_variance_beyond_cutoff(
    frames: np.ndarray, pixel_um: float, cutoff_per_um: float
) -> float | None:
    """White-noise variance of frames, in their own unit squared: its Hann²-weighted mean.

    Parameters
    ----------
    frames : ndarray, shape (..., Y, X)
        Frames in any unit.
    pixel_um, cutoff_per_um : float
        Sampling, and the radius beyond which the optics transmit nothing.

    Returns
    -------
    float or None
        None when fewer than 200 frequencies lie beyond the cut-off (coarse sampling). The
        median of the (exponentially distributed) powers is used, divided by ln 2, so that a
        few lines of camera pattern do not count.
    """
    ny, nx = frames.shape[-2:]
    window = hann_window(ny, nx)
    ky, kx = np.fft.fftfreq(ny, pixel_um)[:, None], np.fft.fftfreq(nx, pixel_um)[None, :]
    beyond = np.hypot(ky, kx) > 1.05 * cutoff_per_um
    if np.count_nonzero(beyond) < MIN_SAMPLES:
        return None
    flat = frames.reshape(-1, ny, nx)
    norm = float(np.sum(window.astype(np.float64) ** 2)) * np.log(2.0)
    powers = [
        float(np.median(np.abs(fft2((frame - frame.mean()) * window)[beyond]) ** 2))
        for frame in flat.astype(np.float32)
    ]
    return float(np.mean(powers) / norm)


def estimate_gain(
    counts: np.ndarray, camera: Camera, pixel_um: float, cutoff_per_um: float
) -> Camera | None:
    """Camera whose gain makes frames consistent with shot noise.

    Parameters
    ----------
    counts : ndarray, shape (..., Y, X)
        Frames as stored.
    camera : Camera
        Its offset is kept; its read noise is dropped (the gain absorbs it).

    Returns
    -------
    Camera or None
        None when the noise cannot be seen (coarse sampling) or there is no light. Frames
        whose noise would mean more than 1e5 photo-electrons per pixel (noise-free simulations)
        are scaled to that mean.
    """
    weight = hann_window(*counts.shape[-2:]) ** 2  # where the noise was looked at
    offset = np.asarray(camera.offset, dtype=np.float64)
    light = np.asarray(counts, dtype=np.float64) - np.where(
        np.isfinite(offset), offset, np.nanmean(offset)
    )
    mean = float(np.mean(light * weight) / np.mean(weight))
    variance = noise_variance_beyond_cutoff(light, pixel_um, cutoff_per_um)
    if variance is None or mean <= 0:
        return None
    gain = float(max(variance / mean, mean / MAX_MEAN_E))
    return replace(
        camera,
        gain=gain,
        read_noise_e=0.0,
        source="gain estimated from the noise beyond the optical cut-off",
    )
