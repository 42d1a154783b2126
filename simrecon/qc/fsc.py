"""Fourier shell correlation of two independent volumes of the same object."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.fft
from scipy.signal.windows import hann, tukey

from simrecon.backend import usable_cores
from simrecon.errors import InputError, UsageError
from simrecon.qc.frc import FrcResult, Threshold, correlation_curve

Sector = Literal["lateral", "axial"]
HALF_ANGLE_RAD = {"lateral": float(np.radians(20.0)), "axial": float(np.radians(30.0))}
"""Half opening of the sectors; narrower ones hold too few samples of two dozen planes."""
_TAPER = 0.25


def fsc(
    first: np.ndarray,
    second: np.ndarray,
    voxel_um: tuple[float, float, float],
    sector: Sector,
    *,
    threshold: Threshold = "1/7",
    passed: np.ndarray | None = None,
) -> FrcResult:
    """Fourier shell correlation in the plane or along the axis.

    Parameters
    ----------
    first, second : ndarray, (Z, Y, X)
        Two volumes with independent noise, split *before* reconstruction (two acquisitions, or
        :func:`simrecon.qc.halves.independent_halves`).
    voxel_um
        Pitch (z, y, x), µm.
    sector
        ``lateral``: frequencies within 20° of the focal plane; ``axial``: within 30° of the z axis.
    threshold
        As in :func:`simrecon.qc.frc.frc`.
    passed : ndarray of bool, (Z, Y, X) in FFT order, optional
        Frequencies that the imaging passes; the others are left out. Beyond the support of a
        reconstruction there is no noise either, and what leaks there from the ends of the stack
        is the same in both volumes.

    Returns
    -------
    FrcResult
        Shells in the order of their frequency.

    Raises
    ------
    InputError
        For volumes of different or other shape, or with NaN.
    UsageError
        For an unknown sector or threshold.

    Notes
    -----
    Windows: Hann along z (its leakage falls fastest in so few planes), cosine flanks laterally.
    """
    if sector not in get_args(Sector):
        raise UsageError(
            "Unknown sector of frequencies.", expected="lateral or axial", got=str(sector)
        )
    a, b = (_checked(v) for v in (first, second))
    if a.shape != b.shape:
        raise InputError("The two volumes differ in size.", expected=str(a.shape), got=str(b.shape))
    fa, fb = windowed_spectrum(a), windowed_spectrum(b)
    shell, frequency = shells(a.shape, voxel_um, sector)
    used = shell < frequency.size
    if passed is not None:
        used &= passed
    shell = np.where(used, shell, frequency.size)

    def total(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(shell.ravel(), values.ravel(), frequency.size + 1)[:-1])

    return correlation_curve(
        frequency,
        total((fa * np.conj(fb)).real),
        total(np.abs(fa) ** 2),
        total(np.abs(fb) ** 2),
        total(used.astype(np.float64)),
        threshold,
        f"FSC ({sector})",
    )


def windowed_spectrum(volume: np.ndarray) -> np.ndarray:
    """DFT of the windowed volume after removing its weighted mean, (Z, Y, X) complex128."""
    window = volume_window(volume.shape)
    mean = np.sum(volume * window) / np.sum(window)
    return np.asarray(scipy.fft.fftn((volume - mean) * window, workers=usable_cores()))


def volume_window(shape: tuple[int, ...]) -> np.ndarray:
    """Hann along z, cosine flanks of an eighth of the field laterally."""
    along = hann(shape[0] + 2)[1:-1]
    rows, columns = (tukey(n + 2, _TAPER)[1:-1] for n in shape[1:])
    return np.asarray(along[:, None, None] * rows[:, None] * columns)


def shells(
    shape: tuple[int, ...], voxel_um: tuple[float, float, float], sector: Sector
) -> tuple[np.ndarray, np.ndarray]:
    """Shell of every DFT sample (the number of shells: in none) and their frequencies.

    A shell is as thick as the coarser DFT sample of the sector's own axes.
    """
    kz, ky, kx = np.meshgrid(
        *(np.fft.fftfreq(n, v) for n, v in zip(shape, voxel_um, strict=True)),
        indexing="ij", sparse=True,
    )  # fmt: skip
    radial = np.hypot(ky, kx)
    size = np.hypot(radial, kz)
    from_plane = np.arctan2(np.abs(kz), radial)
    axes = (0,) if sector == "axial" else (1, 2)
    step = max(1.0 / (shape[i] * voxel_um[i]) for i in axes)
    count = int(min(0.5 / voxel_um[i] for i in axes) / step) + 1
    tilt = 0.5 * np.pi - from_plane if sector == "axial" else from_plane
    index = np.round(size / step).astype(np.intp)
    inside = (tilt <= HALF_ANGLE_RAD[sector]) & (index < count)
    return np.where(inside, index, count), np.arange(count) * step


def _checked(volume: np.ndarray) -> np.ndarray:
    array = np.asarray(volume, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] < 4 or min(array.shape[1:]) < 16:
        raise InputError(
            "A shell correlation needs volumes.",
            expected="(Z, Y, X), at least 4 x 16 x 16",
            got=f"shape {array.shape}",
        )
    if not np.all(np.isfinite(array)):
        raise InputError(
            "The volume holds NaN or infinite values.",
            expected="finite values",
            got=f"{int(np.sum(~np.isfinite(array)))} others",
            hint="crop a deskewed volume to what all planes show",
        )
    return array
