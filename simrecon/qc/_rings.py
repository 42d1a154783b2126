"""Fourier rings in physical frequency, the common ground of the spectral figures of merit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from simrecon.backend import usable_cores
from simrecon.errors import InputError


def checked_plane(image: np.ndarray, name: str = "image") -> np.ndarray:
    """The image as float64 (Y, X); refuses other shapes, NaN and constant pictures."""
    plane = np.asarray(image, dtype=np.float64)
    if plane.ndim != 2 or min(plane.shape) < 16:
        raise InputError(
            "A figure of merit needs one plane.",
            expected="(Y, X), at least 16 x 16",
            got=f"shape {plane.shape}",
            where=name,
        )
    if not np.all(np.isfinite(plane)):
        raise InputError("The image holds NaN or infinite values.", where=name)
    if np.ptp(plane) == 0:
        raise InputError("The image is constant; it has no spectrum to judge.", where=name)
    return plane


def hann(shape: tuple[int, int]) -> np.ndarray:
    """Separable Hann window (periodic form, never exactly zero inside)."""
    wy, wx = (np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in shape)
    return np.asarray(wy[:, None] * wx[None, :])


def edge_taper(shape: tuple[int, int], fraction: float = 0.1) -> np.ndarray:
    """Separable window: 1 inside, a cosine over `fraction` of the size at each edge."""
    profiles = []
    for n in shape:
        distance = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / max(1.0, fraction * n)
        profiles.append(0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1.0)))
    return np.asarray(profiles[0][:, None] * profiles[1][None, :])


def spectrum(image: np.ndarray, window: np.ndarray) -> np.ndarray:
    """DFT of the windowed image after removing its weighted mean."""
    mean = np.sum(image * window) / np.sum(window)
    return np.asarray(scipy.fft.fft2((image - mean) * window, workers=usable_cores()))


@dataclass(frozen=True)
class Rings:
    """Assignment of DFT samples to rings of equal width in cycles per pixel.

    Attributes
    ----------
    index : ndarray of int, image shape
        Ring of each sample in FFT order; `count` marks samples that belong to none.
    count : int
        Number of rings between 0 and the Nyquist frequency.
    frequency_per_px : ndarray, (count,)
        Ring centres.
    """

    index: np.ndarray
    count: int
    frequency_per_px: np.ndarray

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum of `values` over each ring, (count,)."""
        sums = np.bincount(self.index.ravel(), values.ravel(), self.count + 1)
        return np.asarray(sums[: self.count])

    @property
    def samples(self) -> np.ndarray:
        """DFT samples per ring, (count,)."""
        return np.asarray(np.bincount(self.index.ravel(), minlength=self.count + 1)[: self.count])


def make_rings(
    shape: tuple[int, int],
    *,
    direction_rad: float | None = None,
    half_width_rad: float = np.pi / 12,
) -> Rings:
    """Rings one DFT sample of the shorter side wide; optionally only a double wedge of them.

    Parameters
    ----------
    shape
        Image size (Y, X), any parity; frequencies are physical, so rings stay round.
    direction_rad
        Keep only samples within `half_width_rad` of this angle (atan2(ky, kx)) or opposite to it.
    """
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    count = min(shape) // 2
    width = 0.5 / count
    index = np.minimum((np.hypot(fy, fx) / width).astype(np.intp), count)
    if direction_rad is not None:
        angle = np.arctan2(fy, fx) - direction_rad
        away = np.abs(0.5 * np.angle(np.exp(2j * angle)))
        index = np.where(away <= half_width_rad, index, count)
    return Rings(index, count, (np.arange(count) + 0.5) * width)
