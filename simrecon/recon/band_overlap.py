"""Bands 0 and 1 of a direction where both are seen: the same object, made comparable.

Demodulated, band n is ``a_n H(k + n p) S(k)`` plus noise, so that ``x = B_0 T_1`` and
``y = B_1 T_0`` (T the bands' transfers) hold the same object where pattern and OTF are right:
y/x = 1 but for noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.model.grid import Grid
from simrecon.model.psf import DetectionOTF
from simrecon.recon.bands import Band
from simrecon.recon.noise_floor import hann_window

HANN_SPREAD = 1.94
"""Neighbouring frequencies under a Hann window are correlated: Σw⁴ N/(Σw²)² = 3.78, its root."""


@dataclass(frozen=True)
class BandOverlap:
    """Both bands at chosen frequencies.

    Attributes
    ----------
    x, y : ndarray (K,), complex
        Bands 0 and 1, each times the other's transfer.
    noise_x, noise_y : ndarray (K,), float64
        Noise powers of x and y.
    """

    x: np.ndarray
    y: np.ndarray
    noise_x: np.ndarray
    noise_y: np.ndarray

    @classmethod
    def of(
        cls,
        frames: np.ndarray,
        zero: Band,
        one: Band,
        otf: DetectionOTF,
        grid: Grid,
        where: np.ndarray,
        *,
        both_means: bool = False,
    ) -> BandOverlap:
        """From the frames (P, Y, X) of one direction, Hann-windowed.

        Parameters
        ----------
        where : ndarray (Y, X), bool
            Frequencies, FFT order.
        both_means : bool
            Take the mean from band 1 too: needed near k = 0, where it would leak.
        """
        window = hann_window(*grid.shape)
        norm = float(np.sum(window.astype(np.float64) ** 2))
        t0, t1 = (band.transfer(otf, grid)[where] for band in (zero, one))
        spectra = []
        for band in (zero, one):
            field = np.tensordot(band.weights, frames, 1) * band.demodulation(grid)
            if band.order == 0 or both_means:
                field = field - (field * window).sum() / window.sum()
            spectra.append(np.fft.fft2(field * window)[where])
        return cls(
            spectra[0] * t1,
            spectra[1] * t0,
            norm * zero.noise_e2 * np.abs(t1) ** 2,
            norm * one.noise_e2 * np.abs(t0) ** 2,
        )

    @property
    def weight(self) -> np.ndarray:
        """One over the noise of x and y together; 0 where neither band is seen."""
        noise = self.noise_x + self.noise_y
        return np.asarray(np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0))

    def power(self, weight: np.ndarray) -> float:
        """``Σ weight |x|²`` less its noise."""
        return float(np.sum(weight * (np.abs(self.x) ** 2 - self.noise_x)))

    def cross(self, weight: np.ndarray) -> complex:
        """``Σ weight x* y``; over :meth:`power` it is the ratio of the bands."""
        return complex(np.sum(weight * np.conj(self.x) * self.y))

    def random(self, weight: np.ndarray) -> float:
        """Variance of :meth:`cross` by the noise of both, frequencies taken as independent."""
        return float(np.sum((weight * np.abs(self.x)) ** 2 * (self.noise_x + self.noise_y)))
