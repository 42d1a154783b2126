"""A measured PSF image as an OTF: background removed, centred, normalised."""

from __future__ import annotations

from typing import Literal

import numpy as np

from simrecon.errors import InputError
from simrecon.model.psf import GridOTF


def otf_from_psf(
    psf: np.ndarray,
    pixel_um: float,
    *,
    cutoff_per_um: float,
    background: float | Literal["auto"] = "auto",
    source: str = "measured PSF",
) -> GridOTF:
    """OTF from the picture of a point source.

    Parameters
    ----------
    psf : ndarray, shape (Y, X)
        One in-focus plane, any real dtype, at least 8 × 8 pixels; the spot may lie anywhere.
    pixel_um
        Pitch of `psf`, µm.
    cutoff_per_um
        2·NA/λ, beyond which the OTF is set to zero.
    background
        Level to subtract; ``auto`` fits level + c/r³ (the mean tail of a diffraction-limited spot)
        to the outer part of the picture, so that the spot's own tail is not taken for background.

    Returns
    -------
    GridOTF
        Sum 1; the centre (zero phase slope at low frequencies) lies on pixel (Y//2, X//2).

    Raises
    ------
    InputError
        When the picture is not 2-D, not finite, or holds no spot above its border.
    """
    image = np.asarray(psf, dtype=np.float64)
    if image.ndim != 2 or min(image.shape) < 8:
        raise InputError(
            "A PSF picture must be one plane.",
            expected="(Y, X), at least 8 x 8",
            got=f"shape {image.shape}",
            where=source,
        )
    if not np.all(np.isfinite(image)):
        raise InputError("The PSF contains NaN or infinite values.", where=source)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    image = image - (_background(image) if background == "auto" else background)
    noise = 1.4826 * np.median(np.abs(border - np.median(border)))
    if image.max() <= max(5.0 * noise, 0.0) or image.sum() <= 0:
        raise InputError(
            "The PSF holds no spot above its border.",
            expected="a bright spot away from the edges",
            got=f"peak {image.max():.3g}, border noise {noise:.3g}",
            where=source,
            hint="crop the PSF around one bead and check the background",
        )
    peak = np.unravel_index(int(np.argmax(image)), image.shape)
    shift = tuple(n // 2 - int(p) for n, p in zip(image.shape, peak, strict=True))
    image = np.roll(image, shift, (0, 1))
    image = _centred(image, pixel_um, cutoff_per_um)
    return GridOTF(image / image.sum(), float(pixel_um), float(cutoff_per_um), source)


def _background(image: np.ndarray) -> float:
    """Constant of the fit level + c/r³ (c not negative) over pixels far from the brightest one."""
    peak = np.unravel_index(int(np.argmax(image)), image.shape)
    y, x = (np.arange(n) - int(p) for n, p in zip(image.shape, peak, strict=True))
    r = np.hypot(y[:, None], x[None, :])
    far = r > 0.3 * min(image.shape)
    values, tail = image[far], r[far] ** -3.0
    for _ in range(3):
        design = np.stack([np.ones_like(tail), tail], axis=1)
        (level, strength), *_ = np.linalg.lstsq(design, values, rcond=None)
        if strength < 0:
            level, strength = float(np.median(values)), 0.0
        residual = values - level - strength * tail
        good = np.abs(residual) <= 4.0 * 1.4826 * np.median(np.abs(residual))
        if good.all() or good.sum() < 16:  # neighbouring beads and hot pixels are dropped
            break
        values, tail = values[good], tail[good]
    return float(level)


def _centred(image: np.ndarray, pixel_um: float, cutoff_per_um: float) -> np.ndarray:
    """Shift by a fraction of a pixel so that the OTF's phase has no slope at low frequencies."""
    rows, columns = image.shape
    ky = np.fft.fftfreq(rows, pixel_um)[:, None]
    kx = np.fft.fftfreq(columns, pixel_um)[None, :]
    to_centre = np.exp(2j * np.pi * pixel_um * (ky * (rows // 2) + kx * (columns // 2)))
    otf = np.fft.fft2(image) * to_centre
    low = (np.hypot(ky, kx) < 0.35 * cutoff_per_um) & (np.hypot(ky, kx) > 0)
    for _ in range(5):  # Gauss-Newton on Im H; converges in two or three steps
        weight = np.abs(otf[low])
        slope = np.stack([np.broadcast_to(k, otf.shape)[low] for k in (ky, kx)], axis=1)
        phase = np.angle(otf[low])
        shift, *_ = np.linalg.lstsq(slope * weight[:, None], phase * weight, rcond=None)
        otf = otf * np.exp(-1j * (ky * shift[0] + kx * shift[1]))
    return np.real(np.fft.ifft2(otf * np.conj(to_centre)))
