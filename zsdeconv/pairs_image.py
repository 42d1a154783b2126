"""A plain image, its variance and its PSF as a measurement."""

from __future__ import annotations

import numpy as np

from simrecon.errors import UsageError
from zsdeconv.measurement import Measurement, PsfForward


def image_measurement(
    image_e: np.ndarray, variance_e2: np.ndarray | float, psf: np.ndarray, pixel_um: float
) -> Measurement:
    """One frame whose lift is the identity.

    Parameters
    ----------
    image_e : ndarray, shape (Y, X)
        Photo-electrons, background included, noise independent from pixel to pixel.
    variance_e2 : float or ndarray, shape (Y, X)
        Noise variance, e².
    psf : ndarray, shape (n, m)
        PSF on the image's grid, centred on n//2; it is normalised to sum 1.
    pixel_um : float
        Pixel pitch, µm.
    """
    if image_e.ndim != 2 or psf.ndim != 2:
        raise UsageError("Image and PSF need two axes.", got=f"{image_e.shape}, {psf.shape}")
    total = float(psf.sum())
    if not total > 0:
        raise UsageError("The PSF must have a positive sum.", got=str(total))
    frames = image_e.astype(np.float32)[None]
    variance = np.broadcast_to(np.asarray(variance_e2, np.float32), frames.shape).copy()
    unit = np.asarray(psf, dtype=np.float64) / total
    return Measurement(
        frames_e=frames,
        variance_e2=variance,
        read_variance_e2=np.zeros(1),
        lift=lambda f: np.asarray(f[0], dtype=np.float32),
        forward=PsfForward(unit),
        zoom=1,
        pixel_um=pixel_um,
        effective_psf=unit,
        image_variance=variance[0],
    )
