"""A stack of planes, its variance and its PSF as a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.signal import fftconvolve

from simrecon.errors import InputError, UsageError
from simrecon.model.camera import Camera
from zsdeconv.bad_pixels import mended
from zsdeconv.measurement import RAW_MARGIN, Measurement
from zsdeconv.pairs_image import one_frame, with_shot_noise
from zsdeconv.psf_checks import centred_psf

MIN_PLANES = 5
"""Fewer planes are pictures, not a volume: the PSF's extent along z cannot be used."""
MARGIN_PLANES = 8
"""Largest extension of the volume at either end, planes."""
_REACH_SHARE = 0.98


def volume_measurement(
    volume_e: np.ndarray,
    variance_e2: np.ndarray | float,
    psf: np.ndarray,
    pixel_um: float,
    dz_um: float,
    *,
    shown_gain: float = 0.0,
) -> Measurement:
    """A volume whose noise is independent from voxel to voxel.

    Parameters
    ----------
    volume_e : ndarray, shape (Z, Y, X)
        Photo-electrons, background included.
    variance_e2 : float or ndarray, broadcasts against the volume
        Noise variance, e².
    psf : ndarray, shape (p, n, m)
        PSF on the volume's grid, centred on n//2 along each axis; normalised here to sum 1.
    pixel_um, dz_um
        Pixel pitch and distance of the planes, µm.
    shown_gain
        Objects are shown at a resolution so many times that of the PSF (a Gaussian with its widths
        divided by this); 0: as they are.

    Raises
    ------
    InputError
        For too few planes, values that are not finite, or a volume of a few pixels; a PSF that is
        not finite or not centred.
    UsageError
        For other axes, or a PSF without light.
    """
    if volume_e.ndim != 3:
        raise UsageError("A volume needs three axes.", expected="(Z, Y, X)",
                         got=f"{volume_e.shape}")  # fmt: skip
    if len(volume_e) < MIN_PLANES or min(volume_e.shape[1:]) < 8:
        raise InputError(
            "The stack is too small for a volume.",
            expected=f"at least {MIN_PLANES} planes of 8 × 8 pixels",
            got=f"{volume_e.shape}",
            hint="single planes are enhanced by 'zsdeconv image'",
        )
    unit = checked_psf(psf)
    return replace(
        one_frame(volume_e, variance_e2, unit, pixel_um),
        image_cutoff_px=cutoffs_px(unit),
        shown_psf=None if shown_gain == 0 else sharper_gaussian(unit, shown_gain),
        source="volume",
        dz_um=dz_um,
        margins=margins_px(unit, volume_e.shape),
    )


def camera_volume(
    counts: np.ndarray,
    psf: np.ndarray,
    pixel_um: float,
    dz_um: float,
    camera: Camera,
    *,
    shown_gain: float = 0.0,
) -> Measurement:
    """A stack as the camera gave it; gain, offset and read noise may be maps of its pixels.

    Parameters
    ----------
    counts : ndarray, shape (Z, Y, X)
        Camera counts, neither filtered nor interpolated (the noise must be independent).
    psf, pixel_um, dz_um, shown_gain
        See :func:`volume_measurement`.
    camera : Camera
        Gain, offset and read noise: numbers, or maps (Y, X) that all planes share. Bad pixels
        get what the good ones around them show, plane by plane.

    Raises
    ------
    InputError, UsageError
        As :func:`volume_measurement`; also for maps of another size.

    Notes
    -----
    The variance is that of the volume smoothed by its own PSF, not of the noisy voxel itself
    (physics.md §4), and not below 2 % of its mean.
    """
    if counts.ndim == 3 and camera.map_shape not in (None, counts.shape[1:]):
        raise UsageError(
            "The camera maps do not fit the planes.", expected=str(counts.shape[1:]),
            got=str(camera.map_shape), where="camera",
        )  # fmt: skip
    if not np.isfinite(counts).all():
        raise InputError("The volume has values that are not finite.", where="counts")
    planes, camera = mended(counts, camera)
    volume = camera.electrons(planes)
    plain = volume_measurement(volume, 1.0, psf, pixel_um, dz_um, shown_gain=shown_gain)
    made = with_shot_noise(plain, camera, smoothed(volume, plain.effective_psf))
    return replace(made, doubts=camera.doubts)


def smoothed(volume: np.ndarray, psf: np.ndarray) -> np.ndarray:
    """The volume through the brightest part of its PSF, mirror images outside."""
    z, y, x = (
        slice(max(0, n // 2 - r), n // 2 + r + 1) for n, r in zip(psf.shape, (2, 4, 4), strict=True)
    )
    core = psf[z, y, x] / psf[z, y, x].sum()
    around = [((n - 1) // 2, n // 2) for n in core.shape]
    return np.asarray(fftconvolve(np.pad(volume, around, mode="symmetric"), core, "valid"))


def checked_psf(psf: np.ndarray) -> np.ndarray:
    """The PSF with sum 1 and equal odd lateral sizes, so that it may be turned.

    Raises
    ------
    UsageError, InputError
        See :func:`zsdeconv.psf_checks.centred_psf`.
    """
    unit = centred_psf(psf, 3)
    side = max(psf.shape[1:]) | 1
    widths = [(0, 0)] + [
        (side // 2 - n // 2, side - n - (side // 2 - n // 2)) for n in psf.shape[1:]
    ]
    return np.pad(unit, widths)


def margins_px(psf: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Extension of the field per axis: what holds 98 % of the PSF, within limits."""
    limits = (MARGIN_PLANES, RAW_MARGIN, RAW_MARGIN)
    found = []
    for axis, limit in enumerate(limits):
        line = psf.sum(axis=tuple(a for a in range(3) if a != axis))
        centre = len(line) // 2
        inside = [line[max(0, centre - r) : centre + r + 1].sum() for r in range(centre + 1)]
        reach = int(np.argmax(np.asarray(inside) >= _REACH_SHARE * line.sum()))
        found.append(max(2, min(reach, limit, shape[axis])))
    return tuple(found)


def cutoffs_px(psf: np.ndarray, floor: float = 0.01) -> tuple[float, ...]:
    """Largest frequency along each axis at which the transfer reaches `floor`, cycles/voxel.

    Off the axis as well: along z, most of what a microscope transfers is oblique.
    """
    sizes = [max(n, 32) for n in psf.shape]
    transfer = np.abs(np.fft.fftn(psf, s=sizes, axes=(0, 1, 2))) >= floor
    found = []
    for axis, n in enumerate(sizes):
        seen = transfer.any(axis=tuple(a for a in range(3) if a != axis))
        k = np.abs(np.fft.fftfreq(n))
        found.append(float(max(k[seen].max(), 1.0 / n)))
    return tuple(found)


def widths_px(psf: np.ndarray) -> tuple[float, ...]:
    """Full widths at half maximum through the centre along z, y, x, voxels."""
    peak = tuple(n // 2 for n in psf.shape)
    found = []
    for axis in range(3):
        line = np.asarray(np.moveaxis(psf, axis, 0)[(slice(None), *np.delete(peak, axis))])
        half, centre, width = 0.5 * line[peak[axis]], peak[axis], 0.0
        for step in (-1, 1):
            at = centre
            while 0 < at < len(line) - 1 and line[at] > half:
                at += step
            inside, outside = line[at - step], line[at]
            part = (inside - half) / max(inside - outside, 1e-30)
            width += abs(at - step - centre) + min(part, 1.0)
        found.append(width)
    return tuple(found)


def sharper_gaussian(psf: np.ndarray, gain: float) -> np.ndarray:
    """Gaussian whose widths are those of the PSF divided by `gain`, centred, sum 1."""
    return gaussian_psf([w / gain for w in widths_px(psf)])


def gaussian_psf(widths_px: Sequence[float]) -> np.ndarray:
    """Gaussian with these full widths at half maximum along z, y, x, centred, sum 1."""
    sigmas = [w / 2.3548 for w in widths_px]
    sizes = [2 * int(np.ceil(4 * s)) + 1 for s in sigmas]
    lines = [
        np.exp(-0.5 * ((np.arange(n) - n // 2) / max(s, 1e-3)) ** 2)
        for n, s in zip(sizes, sigmas, strict=True)
    ]
    z, y, x = (line / line.sum() for line in lines)
    return np.asarray(z[:, None, None] * y[:, None] * x)
