"""How far the spectrum of the frames reaches: a wrong pixel size shows there."""

from __future__ import annotations

import numpy as np

SIGMAS = 6.0
EXCESS = 0.05
"""Power over the floor from which a ring holds signal, beyond its scatter: leaked light is less."""
_RINGS = 40


def reach(frames_e: np.ndarray, pixel_um: float, cutoff_per_um: float) -> float:
    """Highest frequency with signal, over the detection cut-off.

    Power of the differences between the phases, averaged over rings; the lowest ring counts as
    noise. A pixel size that is stated twice too large moves all signal below half of the cut-off.

    Parameters
    ----------
    frames_e : ndarray, shape (A, P, Y, X)
    """
    ny, nx = frames_e.shape[-2:]
    window = np.outer(np.hanning(ny + 2)[1:-1], np.hanning(nx + 2)[1:-1])
    rest = frames_e - frames_e.mean(axis=1, keepdims=True)
    power = np.sum(np.abs(np.fft.fft2(rest * window)) ** 2, axis=(0, 1))
    ky, kx = (np.fft.fftfreq(n, pixel_um) for n in (ny, nx))
    radius = np.hypot(ky[:, None], kx)
    last = min(0.5 / pixel_um, 1.3 * cutoff_per_um)
    ring = np.minimum((radius / last * _RINGS).astype(int), _RINGS)
    count = np.bincount(ring.ravel(), minlength=_RINGS + 1)[:_RINGS]
    mean = np.bincount(ring.ravel(), power.ravel(), minlength=_RINGS + 1)[:_RINGS] / count
    floor = float(mean[_RINGS // 4 :].min())
    # a Hann window makes 2.25² neighbouring samples alike, and half of the plane is the other's
    independent = count * frames_e.shape[0] * (frames_e.shape[1] - 1) / (2.0 * 2.25**2)
    signal = mean > floor * (1.0 + EXCESS + SIGMAS / np.sqrt(np.maximum(independent, 1.0)))
    highest = int(np.flatnonzero(signal).max(initial=0))
    return float((highest + 1) / _RINGS * last / cutoff_per_um)
