"""The camera: counts to photo-electrons, and the variance that it adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import UsageError

ScalarOrMap = float | np.ndarray


@dataclass(frozen=True)
class Camera:
    """Linear camera model ``counts = offset + gain·electrons + read noise``.

    Attributes
    ----------
    gain : float or ndarray (Y, X)
        ADU per photo-electron.
    offset : float or ndarray (Y, X)
        ADU without light.
    read_noise_e : float or ndarray (Y, X)
        Standard deviation of the read noise, photo-electrons.
    source : str
        Where the numbers come from ("given", "record …", "assumed").
    offset_known : bool
        False when the offset is a mere assumption: zero light and, with an estimated gain, the
        scale of the photo-electrons are then unknown.
    """

    gain: ScalarOrMap = 1.0
    offset: ScalarOrMap = 0.0
    read_noise_e: ScalarOrMap = 0.0
    source: str = "given"
    offset_known: bool = True

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.gain) > 0):
            raise UsageError("Camera gain must be positive (ADU per electron).", where="--gain")
        if not np.all(np.asarray(self.read_noise_e) >= 0):
            raise UsageError("Read noise cannot be negative.", where="--read-noise-e")

    def electrons(self, counts: np.ndarray) -> np.ndarray:
        """Convert counts to photo-electrons, float32, never clipped (noise may go below 0)."""
        electrons = (counts - np.asarray(self.offset)) / np.asarray(self.gain)
        return np.asarray(electrons, dtype=np.float32)

    def variance_e2(self, expected_e: np.ndarray) -> np.ndarray:
        """Variance of a frame in e² from its *expected* electrons: shot + read noise.

        The expectation must come from a smooth prediction of the frame, never from the noisy
        pixel itself (physics.md §4).
        """
        read = np.asarray(self.read_noise_e, dtype=np.float64)
        return np.asarray(np.maximum(expected_e, 0) + read**2, dtype=np.float32)
