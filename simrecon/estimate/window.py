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

    Frames may have been multiplied by a smooth weight u before (:mod:`.evenness`): then the fit
    sees the object through the window w u, and this is what has to commute with the OTF.

    Attributes
    ----------
    wy : ndarray (Y,), wx : ndarray (X,)
        Window factors, float64.
    y_um : ndarray (Y,), x_um : ndarray (X,)
        Pixel centres from the centre of the field, µm.
    padded : Grid
        Grid of the zero-padded transform (sizes with fast FFTs).
    weight : ndarray (Y, X), optional
        The weight u > 0 that the frames carry already; None: 1.
    """

    wy: np.ndarray
    wx: np.ndarray
    y_um: np.ndarray
    x_um: np.ndarray
    padded: Grid
    weight: np.ndarray | None = None

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
        """What frames are multiplied by to carry the whole window w u and its two gradients
        ∂(w u)/∂y, ∂(w u)/∂x (per µm): these over the weight u, (3, Y, X) float32.
        """
        pixel = self.padded.pixel_um
        window = self.wy[:, None] * self.wx[None, :]
        weight = np.float64(1.0) if self.weight is None else self.weight.astype(np.float64)
        slopes = [_slope(window * weight, axis, pixel) / weight for axis in range(2)]
        return np.stack([window, *slopes]).astype(np.float32)

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


def _slope(window: np.ndarray, axis: int, pixel_um: float) -> np.ndarray:
    """Central-difference slope along an axis of a window (Y, X) that is zero outside, per µm."""
    framed = np.pad(window, [(1, 1) if n == axis else (0, 0) for n in range(2)])
    size = framed.shape[axis]
    after, before = (np.take(framed, range(n, n + size - 2), axis=axis) for n in (2, 0))
    slope: np.ndarray = (after - before) / (2 * pixel_um)
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
