"""Noise of bead pictures: given by the camera, or found beyond the optical cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.model.camera import Camera

_LEAK_BINS = 3.0
"""Distance from the cut-off, in DFT bins, beyond which a Hann window leaks less than 1e-6."""
_LEAST_FREQUENCIES = 12


@dataclass(frozen=True)
class NoiseModel:
    """Variance of a voxel, counts²: ``floor + gain · signal``, signal above background.

    `source` says where the two come from.
    """

    floor: float
    gain: float
    source: str

    def variance(self, signal: np.ndarray) -> np.ndarray:
        """Variance at a noise-free signal above background, counts²."""
        return np.asarray(self.floor + self.gain * np.maximum(signal, 0.0))


def noise_model(
    crops: Sequence[np.ndarray],
    backgrounds: Sequence[float],
    pixel_um: float,
    cutoff_per_um: float,
    camera: Camera | None,
) -> NoiseModel | None:
    """Noise of background-level voxels and its growth with the signal.

    With a camera, both follow from its numbers and the background level. Without, the power of
    each windowed plane well beyond the cut-off, where there is no signal, is fitted by
    ``floor + gain · mean signal`` over planes and beads, the floor being that of the rims.

    Returns
    -------
    NoiseModel or None
        None where the pixels are too coarse to have frequencies beyond the cut-off.
    """
    if camera is not None:
        numbers = (camera.gain, camera.offset, camera.read_noise_e)
        gain, offset, read = (float(np.median(np.asarray(v))) for v in numbers)
        light = max(float(np.median(backgrounds)) - offset, 0.0)
        return NoiseModel((gain * read) ** 2 + gain * light + 1.0 / 12.0, gain, "camera")
    floor = rim_variance(crops)
    n = crops[0].shape[-1]
    k = np.hypot(np.fft.fftfreq(n, pixel_um)[:, None], np.fft.fftfreq(n, pixel_um)[None, :])
    beyond = k > cutoff_per_um + _LEAK_BINS / (n * pixel_um)
    if np.count_nonzero(beyond) < _LEAST_FREQUENCIES:
        return None
    window = np.hanning(n + 2)[1:-1]
    weight = np.outer(window, window)
    total = np.sum(weight**2)
    signal, power = [], []
    for crop, level in zip(crops, backgrounds, strict=True):
        above = crop - level
        spectrum = np.abs(np.fft.fft2(above * weight)) ** 2
        power.append(spectrum[:, beyond].mean(axis=1) / total)
        signal.append(np.sum(above * weight**2, axis=(1, 2)) / total)
    x, y = np.concatenate(signal), np.concatenate(power)
    return NoiseModel(
        floor, _slope(np.maximum(x, 0.0), y, floor), "measured beyond the optical cut-off"
    )


def _slope(x: np.ndarray, y: np.ndarray, floor: float) -> float:
    """Slope of y = floor + slope·x, weighted by 1/y_model² (its noise); not negative."""
    slope = 0.0
    for _ in range(10):
        weight = 1.0 / (floor + slope * x) ** 2
        slope = max(float(np.sum(weight * x * (y - floor)) / np.sum(weight * x**2)), 0.0)
    return slope


def rim_variance(crops: Sequence[np.ndarray]) -> float:
    """Variance of voxels around the beads, counts², from second differences along the rows.

    Robust (median absolute deviation); where the counts are so coarse that it vanishes, the plain
    mean square; never less than the rounding of counts, 1/12.
    """
    found = []
    for crop in crops:
        half = crop.shape[-1] // 2
        place = np.arange(crop.shape[-1]) - half
        rim = (np.hypot(place[:, None], place[None, :]) > 0.85 * half)[:, 1:-1]
        second = (crop[..., :-2] - 2.0 * crop[..., 1:-1] + crop[..., 2:]) / np.sqrt(6.0)
        middle = crop.shape[0] // 2
        found.append(second[max(middle - 1, 0) : middle + 2, rim].ravel())
    values = np.concatenate(found)
    robust = (1.4826 * float(np.median(np.abs(values)))) ** 2
    return max(robust or float(np.mean(values**2)), 1.0 / 12.0)


def noise_from_scatter(
    beads: np.ndarray, amplitudes: np.ndarray, mean: np.ndarray, floor: float
) -> NoiseModel:
    """Growth of the variance with the signal, from how aligned beads differ from their mean.

    Parameters
    ----------
    beads, mean : ndarray, shape (N, Z, Y, X) and (Z, Y, X)
        From :class:`calibration.psf.align.Aligned`, N at least 2.
    floor
        Variance at the background, counts².
    """
    count = len(beads)
    scale = amplitudes[:, None, None, None]
    squares = (scale * (beads - mean)) ** 2 * count / (count - 1)
    signal = np.maximum(np.broadcast_to(scale * mean, beads.shape), 0.0)
    gain = float(np.sum(signal * (squares - floor)) / np.sum(signal**2))
    return NoiseModel(floor, max(gain, 0.0), "measured from the scatter between beads")
