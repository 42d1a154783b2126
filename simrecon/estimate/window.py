"""The field of view of a fit: smooth window, padded transforms, coordinates about the centre.

Phases inside a fit are counted from the *centre of the field*, where phase and frequency errors
are independent; :func:`phase_at_origin` brings them to the project's origin, pixel (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from simrecon.backend import fast_length, usable_cores
from simrecon.model.grid import Grid


def tukey(n: int, taper: float) -> np.ndarray:
    """Cosine-tapered window of `n` samples, zero just outside both ends, float64.

    Parameters
    ----------
    n : int
        Number of samples.
    taper : float
        Fraction of the length that each flank takes, 0…0.5 (0.5 is a Hann window).
    """
    position = (np.arange(n) + 0.5) / n
    edge = np.minimum(position, 1.0 - position)
    if taper <= 0:
        return np.ones(n)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(edge / taper, 1.0))


@dataclass(frozen=True)
class FieldWindow:
    """Separable window on the raw grid and the padded DFT that follows it.

    Attributes
    ----------
    wy : ndarray (Y,), wx : ndarray (X,)
        Window factors, float64.
    y_um : ndarray (Y,), x_um : ndarray (X,)
        Pixel centres from the centre of the field, µm.
    padded : Grid
        Grid of the zero-padded transform (sizes with fast FFTs).
    """

    wy: np.ndarray
    wx: np.ndarray
    y_um: np.ndarray
    x_um: np.ndarray
    padded: Grid

    @classmethod
    def on(cls, shape: tuple[int, int], pixel_um: float, taper: float = 0.15) -> FieldWindow:
        """Window of a raw frame of `shape` (Y, X)."""
        ny, nx = shape
        return cls(
            wy=tukey(ny, taper),
            wx=tukey(nx, taper),
            y_um=(np.arange(ny) - (ny - 1) / 2) * pixel_um,
            x_um=(np.arange(nx) - (nx - 1) / 2) * pixel_um,
            padded=Grid((fast_length(ny), fast_length(nx)), pixel_um),
        )

    @property
    def centre_um(self) -> tuple[float, float]:
        """Centre of the field (y, x) counted from pixel (0, 0), µm."""
        return -float(self.y_um[0]), -float(self.x_um[0])

    @cached_property
    def tapers(self) -> np.ndarray:
        """The window and its two gradients ∂w/∂y, ∂w/∂x (per µm), (3, Y, X) float32."""
        pixel = self.padded.pixel_um
        gy = _slope(self.wy, pixel)
        gx = _slope(self.wx, pixel)
        return np.stack(
            [
                self.wy[:, None] * self.wx[None, :],
                gy[:, None] * self.wx[None, :],
                self.wy[:, None] * gx[None, :],
            ]
        ).astype(np.float32)

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Windowed `images` (…, Y, X), transformed as by :meth:`transform_windowed`."""
        return self.transform_windowed(images * self.tapers[0])

    def transform_windowed(self, images: np.ndarray) -> np.ndarray:
        """DFT on the padded grid of real images (…, Y, X) that carry the window already.

        Returns
        -------
        ndarray (…, KY, KX//2 + 1)
            Half spectrum kx ≥ 0; complex64 for float32.
        """
        result: np.ndarray = scipy.fft.rfft2(
            images, s=self.padded.shape, axes=(-2, -1), workers=usable_cores()
        )
        return result

    def images(self, half_spectra: np.ndarray) -> np.ndarray:
        """Real images on the padded grid: inverse of :meth:`transform_windowed`."""
        result: np.ndarray = scipy.fft.irfft2(
            half_spectra, s=self.padded.shape, axes=(-2, -1), workers=usable_cores()
        )
        return result

    def half_frequencies_per_um(self) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies ky (KY, 1) and kx (1, KX//2 + 1) of a half spectrum, cycles/µm."""
        (ny, nx), pixel = self.padded.shape, self.padded.pixel_um
        return np.fft.fftfreq(ny, pixel)[:, None], np.fft.rfftfreq(nx, pixel)[None, :]

    @property
    def multiplicity(self) -> np.ndarray:
        """How often the columns of a half spectrum occur in the whole plane, (1, KX//2 + 1)."""
        columns = np.arange(self.padded.shape[1] // 2 + 1)
        own = (columns == 0) | (2 * columns == self.padded.shape[1])
        return np.where(own, 1.0, 2.0)[None, :].astype(np.float32)


def _slope(samples: np.ndarray, pixel_um: float) -> np.ndarray:
    """Central-difference slope of a window that is zero outside, per µm."""
    framed = np.concatenate([[0.0], samples, [0.0]])
    slope: np.ndarray = (framed[2:] - framed[:-2]) / (2 * pixel_um)
    return slope


def phase_at_origin(
    phase_rad: np.ndarray, frequency_per_um: tuple[float, float], window: FieldWindow
) -> np.ndarray:
    """Phase at pixel (0, 0) of ``cos(2π p·(r − centre) + phase)``, wrapped to (−π, π]."""
    cy, cx = window.centre_um
    shift = 2 * np.pi * (frequency_per_um[0] * cy + frequency_per_um[1] * cx)
    return wrap(phase_rad - shift)


def wrap(phase_rad: np.ndarray) -> np.ndarray:
    """Wrap to (−π, π]."""
    wrapped: np.ndarray = np.pi - (np.pi - phase_rad) % (2 * np.pi)
    return wrapped
