"""The honeycomb test: what is left of the illumination pattern in an image's spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit
from simrecon.qc._rings import checked_plane, hann

SUSPICIOUS_SIGMAS = 6.0
"""A Rayleigh-distributed spectrum exceeds this at one of a few samples about once in 10⁵ cases."""

ISOLATED = 1.25
"""A pattern leaves a point in the spectrum: it must stand out from the largest sample around it,
which the streaks of straight parallel structures do not."""

_SEARCH_STEPS = 5
_INNER_BINS, _OUTER_BINS = 4, 14


@dataclass(frozen=True)
class ResidualPeak:
    """Height of the image's spectrum at one pattern frequency.

    Attributes
    ----------
    direction, order : int
        Which carrier (direction counts from 0, order from 1).
    frequency_per_um : (float, float)
        Carrier [fy, fx], cycles/µm.
    height_sigmas : float
        (amplitude − local median) in robust standard deviations of the surrounding spectrum.
    ratio : float
        Amplitude over the local median.
    isolation : float
        Amplitude over the largest one 4 to 14 DFT samples away.
    suspicious : bool
        True above `SUSPICIOUS_SIGMAS` when also the isolation is above `ISOLATED`.
    """

    direction: int
    order: int
    frequency_per_um: tuple[float, float]
    height_sigmas: float
    ratio: float
    isolation: float
    suspicious: bool


def residual_peaks(
    image: np.ndarray, grid: Grid | float, pattern: PatternFit
) -> tuple[ResidualPeak, ...]:
    """Spectral peaks at the pattern frequencies and their multiples, per direction and order.

    Parameters
    ----------
    image : ndarray, (Y, X)
        Reconstruction or widefield; a real image has the same height at +p and −p.
    grid
        Its grid, or just its pitch in µm.
    pattern
        Fitted pattern; orders up to twice the number of its modulations are looked at (wrong
        phases or intensities leave the fundamental; a squared pattern leaves its double).

    Returns
    -------
    tuple of ResidualPeak
        Carriers beyond the image's Nyquist frequency are left out.
    """
    plane = checked_plane(image)
    pixel_um = grid.pixel_um if isinstance(grid, Grid) else float(grid)
    if not pixel_um > 0:
        raise UsageError("The pixel size must be positive.", got=str(pixel_um))
    window = hann((plane.shape[0], plane.shape[1]))
    windowed = (plane - np.sum(plane * window) / np.sum(window)) * window
    peaks = []
    for d, direction in enumerate(pattern.directions):
        for order in range(1, 2 * len(direction.modulation) + 1):
            fy, fx = (order * f for f in direction.frequency_per_um)
            if max(abs(fy), abs(fx)) * pixel_um < 0.5:
                height, ratio, isolation = _height(windowed, fy * pixel_um, fx * pixel_um)
                suspicious = height > SUSPICIOUS_SIGMAS and isolation > ISOLATED
                peaks.append(ResidualPeak(d, order, (fy, fx), height, ratio, isolation, suspicious))
    return tuple(peaks)


def _height(windowed: np.ndarray, fy: float, fx: float) -> tuple[float, float, float]:
    """Height, ratio and isolation at (fy, fx) cycles/pixel against the spectrum around it."""
    rows, columns = windowed.shape
    steps = np.linspace(-1.0, 1.0, _SEARCH_STEPS)
    amplitude = np.abs(_dft(windowed, fy + steps / rows, fx + steps / columns))
    peak = float(amplitude.max())
    bins = np.arange(-_OUTER_BINS, _OUTER_BINS + 1)
    around = np.abs(_dft(windowed, fy + bins / rows, fx + bins / columns))
    distance = np.hypot(bins[:, None], bins[None, :])
    local = around[(distance >= _INNER_BINS) & (distance <= _OUTER_BINS)]
    median = float(np.median(local))
    spread = 1.4826 * float(np.median(np.abs(local - median)))
    tiny = np.finfo(np.float64).tiny
    return (
        (peak - median) / max(spread, tiny),
        peak / max(median, tiny),
        peak / max(float(local.max()), tiny),
    )


def _dft(windowed: np.ndarray, fy: np.ndarray, fx: np.ndarray) -> np.ndarray:
    """Exact DFT at a small open grid of frequencies in cycles/pixel."""
    rows, columns = windowed.shape
    wave_y = np.exp(-2j * np.pi * np.outer(fy, np.arange(rows)))
    wave_x = np.exp(-2j * np.pi * np.outer(np.arange(columns), fx))
    return np.asarray(wave_y @ windowed @ wave_x)
