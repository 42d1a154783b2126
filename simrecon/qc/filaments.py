"""Width of filaments, measured across them where a guide picture shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import curve_fit

from simrecon.errors import InputError
from simrecon.qc._rings import checked_plane

_SCALE_PX = 1.5
_STEP_PX = 0.25
_SHARE = 0.25
_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_DRAWS = 40
_FEWEST = 10


@dataclass(frozen=True)
class FilamentWidth:
    """Full width at half maximum across filaments.

    Attributes
    ----------
    fwhm_um : float
        Of a Gaussian with background, fitted to the mean profile.
    sd_um : float
        Standard error, from drawing the places again (bootstrap).
    places : int
        Number of profiles in the mean.
    distance_um, profile : ndarray, (n,)
        The mean profile.
    """

    fwhm_um: float
    sd_um: float
    places: int
    distance_um: np.ndarray
    profile: np.ndarray


def filament_width(
    image: np.ndarray,
    pixel_um: float,
    *,
    guide: np.ndarray | None = None,
    reach_um: float = 0.4,
    places: int = 300,
) -> FilamentWidth:
    """Mean width across the filaments of a picture.

    Parameters
    ----------
    image : ndarray, (Y, X)
    pixel_um
        Pitch, µm.
    guide : ndarray, (Y, X)
        Where and in which direction the filaments run: the truth, or one and the same picture for
        all that are compared. None: the image itself (its own noise then narrows its profiles).
    reach_um
        Half-length of a profile.
    places
        Largest number of profiles, the clearest ridges first.

    Raises
    ------
    InputError
        When the guide shows fewer than 10 places on ridges.
    """
    picture = checked_plane(image)
    shown = picture if guide is None else checked_plane(guide, "guide")
    if shown.shape != picture.shape:
        raise InputError(
            "Guide and image must have the same grid.", expected=str(picture.shape),
            got=str(shown.shape),
        )  # fmt: skip
    reach = reach_um / pixel_um
    y, x, ny, nx = _ridges(shown, reach, places)
    if y.size < _FEWEST:
        raise InputError(
            "There are too few filaments to measure a width.", expected=f"{_FEWEST} places",
            got=str(y.size), where="guide",
        )  # fmt: skip
    at = np.arange(-reach, reach + 0.5 * _STEP_PX, _STEP_PX)
    rows, columns = y[:, None] + ny[:, None] * at, x[:, None] + nx[:, None] * at
    profiles = map_coordinates(picture, [rows, columns], order=3, mode="nearest")
    fwhm = _fit(at, profiles.mean(axis=0))
    rng = np.random.default_rng(0)
    again = []
    for _ in range(_DRAWS):
        drawn = profiles[rng.integers(0, y.size, y.size)].mean(axis=0)
        again.append(_fit(at, drawn))
    return FilamentWidth(
        fwhm * pixel_um, float(np.std(again)) * pixel_um, int(y.size), at * pixel_um,
        profiles.mean(axis=0),
    )  # fmt: skip


def _ridges(guide: np.ndarray, reach: float, most: int) -> tuple[np.ndarray, ...]:
    """Sub-pixel places on ridges and their unit normals (y, x, normal y, normal x).

    A ridge is where the slope along the direction of strongest negative curvature vanishes within
    the pixel (Steger, IEEE TPAMI 20, 113, 1998, §3.2).
    """
    yy, xx, xy, dy, dx = (
        gaussian_filter(guide, _SCALE_PX, order=o) for o in ((2, 0), (0, 2), (1, 1), (1, 0), (0, 1))
    )
    half = 0.5 * (yy - xx)
    strength = -(0.5 * (yy + xx) - np.hypot(half, xy))
    angle = 0.5 * np.arctan2(-xy, -half)  # of the normal, from the y axis
    ny, nx = np.cos(angle), np.sin(angle)
    slope = ny * dy + nx * dx
    bend = ny * ny * yy + 2 * ny * nx * xy + nx * nx * xx
    shift = -slope / np.where(bend < 0, bend, -np.inf)
    on = (strength > _SHARE * strength.max()) & (np.abs(shift) <= 0.5)
    edge = int(np.ceil(reach)) + 2
    inside = np.zeros_like(on)
    inside[edge:-edge, edge:-edge] = True
    y, x = np.nonzero(on & inside)
    order = np.argsort(-strength[y, x])[:most]
    y, x = y[order], x[order]
    move = shift[y, x]
    return y + move * ny[y, x], x + move * nx[y, x], ny[y, x], nx[y, x]


def _bump(at: np.ndarray, height: float, sigma: float, level: float, centre: float) -> np.ndarray:
    return np.asarray(level + height * np.exp(-0.5 * ((at - centre) / sigma) ** 2))


def _fit(at: np.ndarray, profile: np.ndarray) -> float:
    """FWHM of a Gaussian with background, in pixels; NaN where none can be fitted."""
    low, high = float(profile.min()), float(profile.max())
    start = (high - low, 0.3 * float(at[-1]), low, 0.0)
    try:
        found, _ = curve_fit(_bump, at, profile, start, maxfev=2000)
    except RuntimeError:  # no minimum within maxfev: the profile holds no ridge
        return float("nan")
    return float(_PER_SIGMA * abs(found[1]))
