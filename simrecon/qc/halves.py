"""Two images' worth of raw frames with independent noise, from one acquisition."""

from __future__ import annotations

import numpy as np

from simrecon.errors import InputError


def independent_halves(
    frames_e: np.ndarray, variance_e2: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Split raw frames for a ring correlation *before* reconstruction.

    With z drawn from the frames' own noise (variance σ²), y + z and y − z have noise of covariance
    σ² − σ² = 0 and variance 2σ² each: like two acquisitions with half of the light, whatever the
    mixture of shot and read noise (Pang et al., CVPR 2021, eq. 7 with α = 1).

    Parameters
    ----------
    frames_e : ndarray, (…, Y, X)
        Raw frames, photo-electrons.
    variance_e2 : ndarray, broadcastable
        Their noise variance, predicted from a smooth expectation, never from the noisy pixel.
    rng
        Draws z.

    Returns
    -------
    two ndarrays like `frames_e`, float32
        Reconstruct both with the same operator and correlate. Expect a resolution a little worse
        than that of the whole data.

    Raises
    ------
    InputError
        When a variance is negative or not finite.
    """
    frames = np.asarray(frames_e, dtype=np.float32)
    variance = np.asarray(variance_e2, dtype=np.float32)
    if not np.all(np.isfinite(variance)) or np.any(variance < 0):
        raise InputError("Noise variances must be finite and not negative.", where="variance_e2")
    noise = np.sqrt(variance) * rng.standard_normal(frames.shape, dtype=np.float32)
    return frames + noise, frames - noise
