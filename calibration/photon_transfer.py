"""Gain from the photon transfer: variance against mean, level by level.

At light that gives x counts above the dark level, the temporal variance of a pixel is
v(x) = v(0) + gain · x (shot noise; J. R. Janesick, *Photon Transfer*, SPIE 2007). The slope is
fitted for each pixel through its dark point, and over all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.moments import Moments

CLIP_SIGMA = 5.0
"""Pixels whose gain lies further from the median than this do not count for its spread."""


@dataclass(frozen=True)
class Level:
    """A flat-field level.

    Attributes
    ----------
    count : int
        Frames.
    signal : ndarray (Y, X)
        Mean counts above the dark mean.
    variance : ndarray (Y, X)
        Temporal variance at the mean light, flicker taken out, ADU².
    flicker : float
        Relative standard deviation of the light from frame to frame.
    name : str
        Where the frames come from.
    """

    count: int
    signal: np.ndarray
    variance: np.ndarray
    flicker: float
    name: str = ""


@dataclass(frozen=True)
class PhotonTransfer:
    """The fitted photon transfer.

    Attributes
    ----------
    gain, gain_sd : float
        ADU/e over all good pixels; the error includes the misfit of the levels.
    pixel_gain, pixel_sd : ndarray (Y, X)
        Slope of each pixel and its standard deviation.
    spread : float
        Standard deviation of the true gains over the pixels, ADU/e; 0: not above the errors.
    gain_map, gain_map_sd : ndarray (Y, X)
        Pixel gains drawn towards the common gain as far as their errors exceed the spread.
    level_signal, level_variance, level_gain, level_gain_sd : ndarray (levels,)
        Means over good pixels: signal (ADU), variance above the dark one (ADU²), their ratio, and
        its standard deviation.
    """

    gain: float
    gain_sd: float
    pixel_gain: np.ndarray
    pixel_sd: np.ndarray
    spread: float
    gain_map: np.ndarray
    gain_map_sd: np.ndarray
    level_signal: np.ndarray
    level_variance: np.ndarray
    level_gain: np.ndarray
    level_gain_sd: np.ndarray

    @property
    def deviation_percent(self) -> np.ndarray:
        """Deviation of each level's gain from the common one, %."""
        return 100.0 * (self.level_gain / self.gain - 1.0)

    @property
    def deviation_sd_percent(self) -> np.ndarray:
        """Its standard deviation, %."""
        return 100.0 * self.level_gain_sd / self.gain


def level_of(flat: Moments, dark: Moments, name: str = "") -> Level:
    """A flat stack as a level above the dark stack; its maps are float32 to save memory."""
    signal = flat.mean - dark.mean
    noise = float(flat.variance.mean()) / flat.mean.size  # of a frame's mean
    light = max(flat.frame_mean_variance - noise, 0.0)
    variance = flat.variance_without_flicker(dark.mean)
    flicker = float(np.sqrt(light) / signal.mean())
    return Level(flat.count, signal.astype(np.float32), variance.astype(np.float32), flicker, name)


def fit_photon_transfer(dark: Moments, levels: list[Level], good: np.ndarray) -> PhotonTransfer:
    """Fit the gain of each pixel and of the camera.

    Parameters
    ----------
    dark
        The dark stack.
    levels
        At least one level with positive mean signal.
    good : ndarray of bool (Y, X)
        Pixels that count for the common gain and for the spread.

    Notes
    -----
    The sample variance of n frames with x counts of light has the variance
    2 v²/(n − 1) + gain³ x / n (Gauss, and the fourth cumulant of Poisson). The weights of the fit
    take v from the common fit, never from the same frames: measured variances as weights would
    draw the slope down by about 4/n.
    """
    v0 = dark.variance
    start = sum(float((lv.variance - v0)[good].sum()) for lv in levels)
    start /= sum(float(lv.signal[good].sum(dtype=np.float64)) for lv in levels)
    pixel_gain, pixel_sd = _pixel_slopes(levels, dark, start)
    table = np.array([_level_row(lv, dark, start, good) for lv in levels])
    signal, variance, level_sd = table.T
    weight = 1.0 / pixel_sd[good] ** 2
    gain = float(np.sum(weight * pixel_gain[good]) / weight.sum())
    chi2 = np.sum(((variance / signal - gain) / level_sd) ** 2) / max(len(levels) - 1, 1)
    gain_sd = float(np.sqrt(max(float(chi2), 1.0) / weight.sum()))
    spread = _spread(pixel_gain[good], pixel_sd[good], gain)
    share = np.where(good, spread**2 / (spread**2 + pixel_sd**2), 0.0)
    own_sd = np.where(good, np.sqrt(share) * np.minimum(pixel_sd, 1e30), spread)
    return PhotonTransfer(
        gain=gain,
        gain_sd=gain_sd,
        pixel_gain=pixel_gain,
        pixel_sd=pixel_sd,
        spread=spread,
        gain_map=gain + share * (pixel_gain - gain),
        gain_map_sd=np.hypot(own_sd, gain_sd),
        level_signal=signal,
        level_variance=variance,
        level_gain=variance / signal,
        level_gain_sd=level_sd,
    )


def _errors(level: Level, dark: Moments, gain: float) -> np.ndarray:
    """Predicted variance of a level's sample variance, shape (Y, X); gain in ADU/e."""
    shot = np.maximum(gain * level.signal.astype(np.float64), 0.0)
    own = 2.0 * (shot + np.median(dark.variance)) ** 2 / (level.count - 1)
    return np.asarray(own + gain**2 * shot / level.count)


def _pixel_slopes(levels: list[Level], dark: Moments, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Weighted slopes through the dark point and their errors, shape (Y, X)."""
    v0 = dark.variance
    norm, product, common = (np.zeros_like(v0) for _ in range(3))
    for level in levels:
        signal = level.signal.astype(np.float64)
        weighted = signal / _errors(level, dark, gain)
        norm += weighted * signal
        product += weighted * (level.variance - v0)
        common += weighted
    norm = np.maximum(norm, 1e-300)  # a pixel that sees no light: no slope, endless error
    dark_error = 2.0 * v0**2 / (dark.count - 1)  # the dark variance is in every level
    return product / norm, np.sqrt(1.0 / norm + (common / norm) ** 2 * dark_error)


def _level_row(
    level: Level, dark: Moments, gain: float, good: np.ndarray
) -> tuple[float, float, float]:
    """Mean signal, mean variance above the dark one, and the error of their ratio."""
    v0 = dark.variance[good]
    errors = _errors(level, dark, gain)[good] + 2.0 * v0**2 / (dark.count - 1)
    signal = float(level.signal[good].mean(dtype=np.float64))
    excess = float((level.variance[good] - v0).mean())
    return signal, excess, float(np.sqrt(errors.sum()) / good.sum()) / signal


def _spread(gains: np.ndarray, sds: np.ndarray, centre: float) -> float:
    """Spread of the true gains: what exceeds the errors, or 0 when that is within two sigma."""
    inside = np.abs(gains - np.median(gains)) < CLIP_SIGMA * sds
    found = float(np.mean((gains[inside] - centre) ** 2 - sds[inside] ** 2))
    error = float(np.sqrt(2.0 / inside.sum()) * np.mean(sds[inside] ** 2))
    return float(np.sqrt(found)) if found > 2.0 * error else 0.0
