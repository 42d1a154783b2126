"""A plain image, its variance and its PSF as a measurement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from simrecon.errors import InputError, UsageError
from simrecon.model.camera import Camera
from simrecon.model.noise import FrameNoise
from zsdeconv.measurement import Measurement, PsfForward
from zsdeconv.psf_checks import unit_psf

SMALLEST_PX = 32
"""Least side of a picture: below it, the padding is all that the network would see."""
GATHERED_E = 100.0
"""Photo-electrons from which an expectation is taken: it is then known to 10 %."""
_WIDER_PX = (2.0, 4.0, 8.0)
_BELOW_SIGMAS = 5.0
"""Standard errors by which the mean of a dark picture may lie below 0 by chance."""


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
    if image_e.ndim != 2:
        raise UsageError("An image needs two axes.", got=f"{image_e.shape}")
    return one_frame(image_e, variance_e2, unit_psf(psf, 2), pixel_um)


def one_frame(
    frame_e: np.ndarray, variance_e2: np.ndarray | float, unit_psf: np.ndarray, pixel_um: float
) -> Measurement:
    """A picture or volume as one frame whose lift is the identity; `unit_psf` has sum 1."""
    frames = frame_e.astype(np.float32)[None]
    variance = np.broadcast_to(np.asarray(variance_e2, np.float32), frames.shape).copy()
    return Measurement(
        frames_e=frames,
        variance_e2=variance,
        noise=FrameNoise(0.0),
        lift=lambda f: np.asarray(f[0], dtype=np.float32),
        forward=PsfForward(unit_psf),
        zoom=1,
        pixel_um=pixel_um,
        effective_psf=unit_psf,
        image_variance=variance[0],
    )


def with_shot_noise(plain: Measurement, camera: Camera, expected_e: np.ndarray) -> Measurement:
    """One frame whose variance is the camera's for `expected_e`, not below 2 % of its mean.

    Raises
    ------
    InputError
        When the frame lies below the offset on average.
    """
    frame = plain.frames_e[0]
    light, error = float(np.mean(frame)), float(np.std(frame) / np.sqrt(frame.size))
    if light < -_BELOW_SIGMAS * error:
        raise InputError(
            "The picture lies below the camera's offset: there is no light in it.",
            expected="a mean of 0 photo-electrons or more",
            got=f"{light:.4g} ± {error:.2g} e",
            hint="check --offset; give the picture as the camera made it, background included",
        )
    variance = camera.variance_e2(expected_e)
    variance = np.maximum(variance, np.float32(max(0.02 * float(variance.mean()), 1e-6)))
    return replace(
        plain,
        variance_e2=variance[None],
        noise=FrameNoise(np.asarray(camera.read_noise_e, dtype=np.float64) ** 2),
        image_variance=variance,
        shot_noise=True,
    )


def camera_measurement(
    counts: np.ndarray, psf: np.ndarray, pixel_um: float, camera: Camera
) -> Measurement:
    """A picture as the camera gave it: shot noise and read noise follow from the camera.

    Parameters
    ----------
    counts : ndarray, shape (Y, X)
        Camera counts, not filtered or interpolated (the noise must be independent).
    psf, pixel_um
        See :func:`image_measurement`.
    camera : Camera
        Gain, offset and read noise.

    Raises
    ------
    InputError
        When the picture lies below the offset on average.

    Notes
    -----
    The variance is that of a smoothed image (:func:`expectation`), not of the noisy pixel itself
    (physics.md §4), and not below 2 % of its mean.
    """
    plain = image_measurement(camera.electrons(counts), 1.0, psf, pixel_um)
    smooth = expectation(plain.frames_e[0], plain.effective_psf)
    return with_shot_noise(plain, camera, smooth)


def expectation(image_e: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """What the pixels of a picture are expected to hold, e, for the variance of their noise.

    The image smoothed by its own PSF; where that gathers fewer than `GATHERED_E` photo-electrons,
    by wider Gaussians. A variance that follows the noise itself spoils the pairs: their noise
    is then no longer independent, and dark pixels weigh too much.
    """
    around = [((n - 1) // 2, n // 2) for n in psf.shape]
    made = fftconvolve(np.pad(image_e, around, mode="symmetric"), psf, "valid")
    gathered = made / np.sum(psf**2)
    for sigma in _WIDER_PX:
        wider = gaussian_filter(image_e.astype(np.float64), sigma, mode="reflect")
        made = np.where(gathered < GATHERED_E, wider, made)
        gathered = np.where(gathered < GATHERED_E, wider * 4.0 * np.pi * sigma**2, gathered)
    return np.asarray(made)


def checked(counts: np.ndarray) -> np.ndarray:
    """A picture that can be worked on, float64.

    Raises
    ------
    InputError
    """
    picture = np.asarray(counts)
    if picture.ndim != 2 or picture.dtype.kind not in "uif":
        raise InputError(
            "This is not a picture.", expected="real values of shape (Y, X)",
            got=f"{picture.dtype.name} of shape {picture.shape}",
        )  # fmt: skip
    if not np.isfinite(picture).all():
        raise InputError(
            "The picture holds NaN or infinite values.",
            expected="finite counts",
            got=f"{int(np.count_nonzero(~np.isfinite(picture)))} such pixels",
            hint="export the raw camera picture again, unprocessed",
        )
    if min(picture.shape) < SMALLEST_PX:
        raise InputError(
            "The picture is too small.",
            expected=f"at least {SMALLEST_PX} × {SMALLEST_PX} pixels",
            got=" × ".join(map(str, picture.shape)),
        )
    if picture.min() == picture.max():
        raise InputError(
            "The picture is constant: it holds nothing.", got=f"every pixel is {picture.min():g}"
        )
    return picture.astype(np.float64)
