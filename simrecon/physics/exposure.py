"""Expected electrons to camera counts: the noise of one exposure."""

from __future__ import annotations

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.camera import Camera


def expose(
    expected_e: np.ndarray, camera: Camera, rng: np.random.Generator, *, bit_depth: int = 16
) -> tuple[np.ndarray, int]:
    """Poisson electrons, read noise, gain, offset, rounding.

    Parameters
    ----------
    expected_e : ndarray, (…, Y, X)
        Noise-free photo-electrons.
    camera
        Numbers or maps of shape (Y, X).
    bit_depth
        Counts above 2**bit_depth − 1 are clipped to it.

    Returns
    -------
    counts : ndarray, same shape, uint16
    saturated : int
        Number of clipped counts.

    Raises
    ------
    UsageError
        When noise reaches below zero counts: the offset is too low to be a camera's.
    """
    electrons = rng.poisson(np.maximum(expected_e, 0.0)).astype(np.float64)
    electrons += np.asarray(camera.read_noise_e) * rng.normal(size=expected_e.shape)
    counts = np.rint(np.asarray(camera.offset) + np.asarray(camera.gain) * electrons)
    if counts.min() < 0:
        raise UsageError(
            "The camera offset is too low for its read noise: counts would be negative.",
            expected="an offset of at least 6 times gain·read noise",
            got=f"smallest count {counts.min():.0f}",
            where="camera",
        )
    top = 2**bit_depth - 1
    saturated = int(np.count_nonzero(counts > top))
    return np.minimum(counts, top).astype(np.uint16), saturated
