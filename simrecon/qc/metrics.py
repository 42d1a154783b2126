"""Figures of merit against a known truth; the other figures are re-exported here."""

from __future__ import annotations

import numpy as np

from simrecon.errors import InputError
from simrecon.qc._rings import Rings, checked_plane
from simrecon.qc.decorrelation import Decorrelation, decorrelation_resolution
from simrecon.qc.filaments import FilamentWidth, filament_width
from simrecon.qc.frc import FrcResult, frc
from simrecon.qc.fsc import fsc
from simrecon.qc.mcnr import Mcnr, mcnr
from simrecon.qc.peaks import ResidualPeak, residual_peaks
from simrecon.qc.similarity import flux_slope, structural_similarity

__all__ = [
    "Decorrelation",
    "FilamentWidth",
    "FrcResult",
    "Mcnr",
    "ResidualPeak",
    "decorrelation_resolution",
    "equalised_psnr",
    "filament_width",
    "flux_slope",
    "frc",
    "fsc",
    "linear_fit",
    "mcnr",
    "nrmse",
    "psnr",
    "residual_peaks",
    "ssim",
]

PEAK_PERCENTILE = 99.99


def _pair(
    image: np.ndarray, reference: np.ndarray, margin_px: int
) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(image) != np.shape(reference):
        raise InputError(
            "Image and reference must have the same grid.",
            expected=f"shape {np.shape(reference)}",
            got=f"shape {np.shape(image)}",
        )
    inner = (slice(margin_px, -margin_px or None),) * 2
    return checked_plane(np.asarray(image)[inner]), checked_plane(
        np.asarray(reference)[inner], "reference"
    )


def linear_fit(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Gain and offset that bring `image` closest to `reference` in least squares."""
    x, y = np.asarray(image, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    dx = x - x.mean()
    power = float(np.sum(dx * dx))
    gain = float(np.sum(dx * (y - y.mean()))) / power if power > 0 else 0.0
    return gain, float(y.mean() - gain * x.mean())


def _range(reference: np.ndarray) -> float:
    """The reference's range: 99.99th percentile minus minimum."""
    return float(np.percentile(reference, PEAK_PERCENTILE) - reference.min())


def psnr(image: np.ndarray, reference: np.ndarray, *, margin_px: int = 0) -> float:
    """Peak signal-to-noise ratio in dB after the least-squares gain and offset of `image`.

    Parameters
    ----------
    image, reference : ndarray, (Y, X)
        On the same grid. State the reference's PSF beside the number.
    margin_px
        Border left out on every side.

    Returns
    -------
    float
        10·log10(range²/mean squared error), range = 99.99th percentile − minimum of the
        reference; inf for a perfect image.
    """
    x, y = _pair(image, reference, margin_px)
    gain, offset = linear_fit(x, y)
    return _decibel(_range(y), gain * x + offset - y)


def ssim(image: np.ndarray, reference: np.ndarray, *, margin_px: int = 0) -> float:
    """Mean structural similarity after the least-squares gain and offset of `image`.

    Parameters and range as for :func:`psnr`; 1 for a perfect image.
    """
    x, y = _pair(image, reference, margin_px)
    gain, offset = linear_fit(x, y)
    return structural_similarity(gain * x + offset, y, _range(y))


def nrmse(image: np.ndarray, reference: np.ndarray, *, margin_px: int = 0) -> float:
    """Root mean squared error after the least-squares fit, divided by the reference's σ."""
    x, y = _pair(image, reference, margin_px)
    gain, offset = linear_fit(x, y)
    return float(np.sqrt(np.mean((gain * x + offset - y) ** 2)) / np.std(y))


def equalised_psnr(image: np.ndarray, reference: np.ndarray, *, margin_px: int = 0) -> float:
    """PSNR in dB after the best non-negative gain per Fourier ring (and the best offset).

    Apodization and regularisation are radial gains, so that choices of these cancel and what
    remains is noise, artefacts and wrong phases.
    """
    x, y = _pair(image, reference, margin_px)
    a, b = np.fft.fft2(x - x.mean()), np.fft.fft2(y - y.mean())
    rings = _all_rings((x.shape[0], x.shape[1]))
    cross, power = rings.total((b * np.conj(a)).real), rings.total(np.abs(a) ** 2)
    gain = np.where(power > 0, np.maximum(cross, 0.0) / np.where(power > 0, power, 1.0), 0.0)
    error = np.fft.ifft2(a * gain[rings.index] - b).real
    return _decibel(_range(y), error)


def _all_rings(shape: tuple[int, int]) -> Rings:
    """Rings that reach into the corners of the DFT, so that every sample has one."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]
    index = np.rint(np.hypot(fy, fx) * min(shape)).astype(np.intp)
    count = int(index.max()) + 1
    return Rings(index, count, np.arange(count) / min(shape))


def _decibel(span: float, error: np.ndarray) -> float:
    mean_square = float(np.mean(error**2))
    return float("inf") if mean_square == 0 else 10.0 * float(np.log10(span**2 / mean_square))
