"""The camera: counts to photo-electrons, and the variance that it adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import UsageError

ScalarOrMap = float | np.ndarray
BAD_READ_NOISE = 20.0
"""Read noise over its median from which a pixel is bad (noisy sCMOS columns stay below 10)."""


@dataclass(frozen=True)
class Camera:
    """Linear camera model ``counts = offset + gain·electrons + read noise``.

    A pixel that is NaN in a map, or whose read noise is `BAD_READ_NOISE` times the median or more,
    is bad: its counts are not used.

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
    doubts : tuple of str
        Why its numbers are not to be trusted blindly: the record is weak or expired.
    """

    gain: ScalarOrMap = 1.0
    offset: ScalarOrMap = 0.0
    read_noise_e: ScalarOrMap = 0.0
    source: str = "given"
    offset_known: bool = True
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not np.nanmin(self.gain) > 0:
            raise UsageError("Camera gain must be positive (ADU per electron).", where="--gain")
        if not np.nanmin(self.read_noise_e) >= 0:
            raise UsageError("Read noise cannot be negative.", where="--read-noise-e")
        for name in ("gain", "offset", "read_noise_e"):
            value = np.asarray(getattr(self, name))
            if value.ndim == 0 and not np.isfinite(value):
                raise UsageError("A camera number must be finite.", got=f"{name} {value}")

    @property
    def map_shape(self) -> tuple[int, int] | None:
        """Shape (Y, X) of the maps, or None when all three are numbers."""
        for value in (self.gain, self.offset, self.read_noise_e):
            if isinstance(value, np.ndarray) and value.ndim == 2:
                return int(value.shape[0]), int(value.shape[1])
        return None

    @property
    def bad_pixels(self) -> np.ndarray | None:
        """Mask (Y, X) of the pixels whose counts are not used; None without any."""
        shape = self.map_shape
        if shape is None:
            return None
        read = np.broadcast_to(np.asarray(self.read_noise_e, dtype=np.float64), shape)
        bad = ~(np.isfinite(read) & np.isfinite(self.gain) & np.isfinite(self.offset))
        typical = float(np.nanmedian(read))
        if typical > 0:
            bad |= read >= BAD_READ_NOISE * typical
        return bad if bad.any() else None

    def summary(self) -> dict[str, float]:
        """Means of gain, offset and read noise over the good pixels."""
        names = ("gain", "offset", "read_noise_e")
        return {name: float(np.nanmean(np.asarray(getattr(self, name)))) for name in names}

    def electrons(self, counts: np.ndarray) -> np.ndarray:
        """Convert counts to photo-electrons, float32, never clipped (noise may go below 0).

        NaN where a map is NaN.
        """
        electrons = (counts - np.asarray(self.offset)) / np.asarray(self.gain)
        return np.asarray(electrons, dtype=np.float32)

    def variance_e2(self, expected_e: np.ndarray) -> np.ndarray:
        """Variance of a frame in e² from its *expected* electrons: shot + read noise.

        The expectation must come from a smooth prediction of the frame, never from the noisy
        pixel itself (physics.md §4).
        """
        read = np.nan_to_num(np.asarray(self.read_noise_e, dtype=np.float64))
        return np.asarray(np.maximum(expected_e, 0) + read**2, dtype=np.float32)
