"""Convolution with a PSF as a camera sees it: light from outside the field counts.

The object lives on a field that is larger than the camera's by the reach of the PSF, so that
nothing wraps round and nothing is invented at the border; pixels are weighted by 0 or 1 (the
boundary weights of Bertero & Boccacci, A&A 437, 369, 2005).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from simrecon.backend import usable_cores
from simrecon.errors import InputError
from zsdeconv.psf_checks import unit_psf

_SMALLEST_WEIGHT = 0.01
MOST_NEGATIVE = 0.05
"""Share of a PSF's light that may be negative: what the noise of a measured one leaves. Chosen."""


class Blur:
    """``A f = (psf ⊛ f)`` on the camera, in any number of dimensions, float32.

    Parameters
    ----------
    psf : ndarray
        Centred on n//2 along every axis; normalised here to sum 1.
    shape
        The camera's field.
    weight : ndarray or None, of `shape`
        1 where a pixel counts and 0 where it does not (a bad pixel); None: all count.

    Attributes
    ----------
    field : tuple of int
        Shape of the object's field.
    sensitivity : ndarray, of `field`
        Aᵀ w, at least 1 % of its maximum: how much of an emitter's light the camera sees.
    """

    def __init__(
        self, psf: np.ndarray, shape: tuple[int, ...], weight: np.ndarray | None = None
    ) -> None:
        kernel = checked_psf(psf, len(shape))
        before = [n - 1 - n // 2 for n in kernel.shape]
        self.shape = shape
        self.field = tuple(
            fft.next_fast_len(s + n - 1, real=True)
            for s, n in zip(shape, kernel.shape, strict=True)
        )
        self._inside = tuple(slice(b, b + s) for b, s in zip(before, shape, strict=True))
        self._axes = tuple(range(len(shape)))
        padded = np.zeros(self.field, np.float32)
        padded[tuple(slice(0, n) for n in kernel.shape)] = kernel
        padded = np.roll(padded, [-(n // 2) for n in kernel.shape], self._axes)
        self._otf = fft.rfftn(padded, workers=usable_cores())
        self.weight = None if weight is None else np.asarray(weight, np.float32)
        ones = np.ones(shape, np.float32)
        seen = self.transpose(ones if self.weight is None else self.weight)
        self.sensitivity = np.maximum(seen, _SMALLEST_WEIGHT * float(seen.max()))

    def __call__(self, objects: np.ndarray) -> np.ndarray:
        """What the camera expects of an object on the field; of `shape`, float32."""
        return self._filtered(objects, self._otf)[self._inside]

    def transpose(self, frame: np.ndarray) -> np.ndarray:
        """Aᵀ of a frame: of `field`, float32."""
        padded = np.zeros(self.field, np.float32)
        padded[self._inside] = frame
        return self._filtered(padded, np.conj(self._otf))

    def crop(self, objects: np.ndarray) -> np.ndarray:
        """The camera's part of the field, a view."""
        return objects[self._inside]

    def _filtered(self, array: np.ndarray, response: np.ndarray) -> np.ndarray:
        cores = usable_cores()
        spectrum = fft.rfftn(array, workers=cores)
        spectrum *= response
        return np.asarray(fft.irfftn(spectrum, s=self.field, workers=cores, overwrite_x=True))


def checked_psf(psf: np.ndarray, ndim: int) -> np.ndarray:
    """A PSF that is nowhere negative, with sum 1, float32; traces of noise below 0 become 0.

    Raises
    ------
    UsageError, InputError
        See :func:`zsdeconv.psf_checks.unit_psf`; also for more below 0 than `MOST_NEGATIVE`.
    """
    kernel = unit_psf(psf, ndim)
    dark = -float(kernel[kernel < 0].sum())
    if dark > MOST_NEGATIVE:
        raise InputError(
            "The PSF is negative in places.",
            expected="light is never negative",
            got=f"{100 * dark:.0f} % of its light",
            where="psf",
            hint="was too much background subtracted from it?",
        )
    kernel = np.maximum(kernel, 0.0)
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)
