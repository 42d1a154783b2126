"""Is the noise of a picture white? Its correlation between pixels, from the picture itself.

Camera noise is independent from pixel to pixel. Pictures that were interpolated, demosaiced,
resized, smoothed or compressed have noise that is not, and every method that relies on it then
takes part of the noise for structure. The test looks at blocks of 16 × 16 pixels in their cosine
spectrum: the flattest blocks hold hardly any structure, and beyond 0.2 cycles per pixel what they
hold is noise. A short cosine series

    S(ky, kx) = Σ c(m, n) cos(2π m ky) cos(2π n kx),  0 ≤ m, n ≤ 2

is fitted to the mean spectrum of their noise: c(0, 1)/2c(0, 0) is the correlation of neighbours
along x. Lines (fixed columns or rows of a camera) show as power on the axes of the spectrum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from scipy.fft import dctn

Colour = Literal["white", "correlated", "lines", "unknown"]

BLOCK_PX = 16
LOWEST_PER_PX = 0.2
LAGS = 3
"""Terms of the series per axis: correlations up to two pixels away."""
FLATTEST, FEWEST_BLOCKS = 0.15, 12
MAX_PICTURES, BOOTSTRAPS = 8, 40
CORRELATION_LIMIT = 0.12
"""Correlation of neighbours that counts, beyond three standard deviations: the confocal and
two-photon pictures of real detectors (`benchmarks/bench_images.py`) have up to 0.1."""
LINES_LIMIT = 1.5
"""Power on an axis of the spectrum over the power beside it, beyond three standard deviations."""
_SIGMAS = 3.0
_FLOOR = 0.01


@dataclass(frozen=True)
class NoiseColour:
    """Correlation of the noise between neighbouring pixels.

    Attributes
    ----------
    along_x, along_y : float
        Correlation of direct neighbours.
    sd : float
        Standard deviation of both.
    columns, rows : float
        Power of vertical and of horizontal lines over that of the noise beside them (1: none).
    lines_sd : float
        Standard deviation of both.
    series : ndarray, shape (LAGS, LAGS)
        c(m, n) for lags along y and x, c(0, 0) = 1.
    verdict : {"white", "correlated", "lines", "unknown"}
        Unknown where the picture is too small.
    """

    along_x: float
    along_y: float
    sd: float
    columns: float
    rows: float
    lines_sd: float
    series: np.ndarray
    verdict: Colour

    def spectrum(self, ky_per_px: np.ndarray, kx_per_px: np.ndarray) -> np.ndarray:
        """Noise power at frequencies that broadcast, mean 1 over all, at least 1 %."""
        along_y, along_x = 2 * np.pi * ky_per_px, 2 * np.pi * kx_per_px
        made = sum(
            self.series[m, n] * np.cos(m * along_y) * np.cos(n * along_x)
            for m in range(LAGS)
            for n in range(LAGS)
        )
        return np.asarray(np.maximum(made, _FLOOR))

    def kernel(self, size: int = 15) -> np.ndarray:
        """Filter (size, size) that gives white noise this spectrum, centred, sum of squares 1."""
        k = np.fft.fftfreq(size)
        root = np.sqrt(self.spectrum(k[:, None], k[None, :]))
        kernel = np.fft.fftshift(np.fft.ifft2(root).real)
        return np.asarray(kernel / np.sqrt(np.sum(kernel**2)))

    def sentence(self) -> str:
        """The finding for people."""
        if self.verdict == "unknown":
            return "noise: the picture is too small to test whether its noise is white"
        rho = f"correlation of neighbours {self.along_x:.2f} along x, {self.along_y:.2f} along y"
        if self.verdict == "white":
            return f"noise: independent between pixels ({rho}, ± {self.sd:.2f})"
        if self.verdict == "lines":
            return (
                f"noise: fixed lines (columns {self.columns:.1f}, rows {self.rows:.1f} times the "
                "noise beside them): they are no noise to a network and will stay; calibrate the "
                "camera (simcal camera) and give --camera, or have them taken off "
                "(--fixed-pattern auto)"
            )
        return (
            f"noise: NOT independent between pixels ({rho}, ± {self.sd:.2f}): interpolated, "
            "demosaiced, resized, smoothed or compressed data? Give the raw camera frames"
        )


def noise_colour(pictures: Iterable[np.ndarray], seed: int = 0) -> NoiseColour:
    """Test the noise of pictures (Y, X), of which at most eight are looked at.

    Parameters
    ----------
    pictures
        Counts or photo-electrons, any scale.
    seed
        Of the bootstrap over blocks that gives the errors.
    """
    found = [_blocks(np.asarray(p, dtype=np.float64)) for p in islice(pictures, MAX_PICTURES)]
    spectra = np.concatenate(found) if found else np.zeros((0, BLOCK_PX, BLOCK_PX))
    k = np.arange(BLOCK_PX) / (2.0 * BLOCK_PX)
    radius = np.hypot(k[:, None], k[None, :])
    high = radius >= LOWEST_PER_PX
    low = (radius > 0) & ~high
    power = spectra[:, high].mean(axis=1) if len(spectra) else np.zeros(0)
    spectra, power = spectra[power > 0], power[power > 0]
    if len(spectra) < FEWEST_BLOCKS:
        series = np.zeros((LAGS, LAGS))
        series[0, 0] = 1.0
        return NoiseColour(0.0, 0.0, np.inf, 1.0, 1.0, np.inf, series, "unknown")
    flatness = spectra[:, low].mean(axis=1) / power
    count = min(len(spectra), max(FEWEST_BLOCKS, round(FLATTEST * len(spectra))))
    chosen = np.argsort(flatness)[:count]
    normal = spectra[chosen] / power[chosen, None, None]
    series = _series(normal.mean(axis=0), k, high)
    rho, lines = _correlations(series), _lines(normal.mean(axis=0), k)
    rng = np.random.default_rng(seed)
    again = [normal[rng.integers(0, count, count)].mean(axis=0) for _ in range(BOOTSTRAPS)]
    sd = float(np.std([_correlations(_series(a, k, high)) for a in again], axis=0).max())
    lines_sd = float(np.std([_lines(a, k) for a in again], axis=0).max())
    verdict: Colour = "white"
    if max(map(abs, rho)) > CORRELATION_LIMIT + _SIGMAS * sd:
        verdict = "correlated"
    elif max(lines) > LINES_LIMIT + _SIGMAS * lines_sd:
        verdict = "lines"
    return NoiseColour(rho[0], rho[1], sd, lines[0], lines[1], lines_sd, series, verdict)


def _blocks(picture: np.ndarray) -> np.ndarray:
    """Power in the cosine spectrum of every block, (blocks, BLOCK_PX, BLOCK_PX)."""
    ny, nx = (n // BLOCK_PX for n in picture.shape)
    whole = picture[: ny * BLOCK_PX, : nx * BLOCK_PX]
    blocks = whole.reshape(ny, BLOCK_PX, nx, BLOCK_PX).transpose(0, 2, 1, 3)
    flat = blocks.reshape(-1, BLOCK_PX, BLOCK_PX)
    return np.asarray(dctn(flat, axes=(1, 2), norm="ortho") ** 2) if flat.size else flat


def _series(power: np.ndarray, k: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Coefficients of the cosine series through the used part of a spectrum, c(0, 0) = 1.

    Residuals count relative to the spectrum itself; lines on the axes are left out.
    """
    inside = used.copy()
    inside[0], inside[:, 0] = False, False
    waves = np.stack([np.cos(2 * np.pi * m * k) for m in range(LAGS)])
    design = np.einsum("my,nx->mnyx", waves, waves)[:, :, inside].reshape(LAGS**2, -1).T
    values = power[inside]
    weight = np.ones_like(values)
    for _ in range(3):
        fit, *_ = np.linalg.lstsq(design * weight[:, None], values * weight, rcond=None)
        weight = 1.0 / np.maximum(design @ fit, 0.05 * values.mean())
    return np.asarray((fit / max(fit[0], 1e-12)).reshape(LAGS, LAGS))


def _correlations(series: np.ndarray) -> tuple[float, float]:
    """Of direct neighbours along x and y."""
    return float(series[0, 1] / 2.0), float(series[1, 0] / 2.0)


def _lines(power: np.ndarray, k: np.ndarray) -> tuple[float, float]:
    """Power of vertical and horizontal lines over that of the next four frequencies beside them."""
    high = k >= LOWEST_PER_PX
    columns = power[0, high].mean() / max(float(power[1:5, high].mean()), 1e-30)
    rows = power[high, 0].mean() / max(float(power[high, 1:5].mean()), 1e-30)
    return float(columns), float(rows)
