"""Full width at half maximum of a profile, two ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.optimize import least_squares

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_FINE = 32


@dataclass(frozen=True)
class Widths:
    """FWHM along (z, y, x), µm; NaN where it cannot be told."""

    half_maximum: tuple[float, ...]
    gaussian: tuple[float, ...]


def half_maximum_width(profile: np.ndarray, pitch: float) -> float:
    """FWHM from the crossings of a quintic spline through the samples; NaN when one is outside.

    `profile` has no background; `pitch` is in the unit of the result.
    """
    values = np.asarray(profile, dtype=np.float64)
    if values.size < 7:
        return float("nan")
    fine = np.linspace(0.0, values.size - 1, _FINE * (values.size - 1) + 1)
    curve = make_interp_spline(np.arange(values.size), values, k=5)(fine)
    first = int(np.argmax(values))
    near = np.flatnonzero(np.abs(fine - first) <= 1.5)
    top = int(near[np.argmax(curve[near])])
    below = curve < 0.5 * curve[top]
    left, right = np.flatnonzero(below[:top]), np.flatnonzero(below[top:])
    if left.size == 0 or right.size == 0:
        return float("nan")
    ends = []
    for inner, outer in ((left[-1] + 1, left[-1]), (top + right[0] - 1, top + right[0])):
        part = (curve[inner] - 0.5 * curve[top]) / (curve[inner] - curve[outer])
        ends.append(fine[inner] + part * (fine[outer] - fine[inner]))
    return float((ends[1] - ends[0]) * pitch)


def gaussian_width(profile: np.ndarray, pitch: float, guess: float) -> tuple[float, float]:
    """FWHM and centre of the Gaussian plus constant that fits the profile's core best.

    Parameters
    ----------
    profile
        Samples about a peak.
    pitch, guess
        Sample distance and expected FWHM, same unit.

    Returns
    -------
    width, centre : float
        In the unit of `pitch`; the centre from sample 0. NaN where no peak fits.
    """
    values = np.asarray(profile, dtype=np.float64)
    place = np.arange(values.size) * pitch
    top = place[int(np.argmax(values))]
    core = np.abs(place - top) <= max(1.2 * guess, 2.5 * pitch)
    if np.count_nonzero(core) < 5:
        return float("nan"), float(top)
    x, y = place[core], values[core]
    height = float(y.max() - y.min()) or 1.0

    def residual(p: np.ndarray) -> np.ndarray:
        model = p[0] * np.exp(-0.5 * ((x - p[1]) / p[2]) ** 2) + p[3]
        return np.asarray((model - y) / height)

    start = [height, top, guess / FWHM_PER_SIGMA, float(y.min())]
    found = least_squares(residual, start, x_scale=[height, guess, guess, height], max_nfev=200)
    width = abs(found.x[2]) * FWHM_PER_SIGMA
    if not found.success or not 0.2 * pitch < width < 4.0 * (x[-1] - x[0]):
        return float("nan"), float(top)
    return float(width), float(found.x[1])


def psf_widths(psf: np.ndarray, pitches: tuple[float, ...], guesses: tuple[float, ...]) -> Widths:
    """Widths along each axis through the brightest voxel of a background-free PSF.

    Parameters
    ----------
    psf : ndarray, shape (Z, Y, X)
        A single plane has Z = 1, and NaN for its axial width.
    pitches, guesses
        Voxel size and expected FWHM along (z, y, x), µm.
    """
    top = np.unravel_index(int(np.argmax(psf)), psf.shape)
    half, gauss = [], []
    for axis in range(3):
        index = tuple(slice(None) if a == axis else int(top[a]) for a in range(3))
        profile = psf[index]
        half.append(half_maximum_width(profile, pitches[axis]))
        gauss.append(gaussian_width(profile, pitches[axis], guesses[axis])[0]
                     if profile.size >= 5 else float("nan"))  # fmt: skip
    return Widths(tuple(half), tuple(gauss))
