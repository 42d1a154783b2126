"""Find spots: a Laplacian of Gaussian of the expected size, thresholded by its own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares

from calibration.psf.expected import Expected
from calibration.psf.settings import BeadSetup
from calibration.psf.width import FWHM_PER_SIGMA

DETECTION_SNR = 6.0
"""Response in noise sd from which a local maximum is a spot: pure Gaussian noise passes it once
in 10⁹ voxels."""


@dataclass(frozen=True)
class Spot:
    """A candidate.

    Attributes
    ----------
    stack : int
        Which of the stacks.
    position_px : (float, float, float)
        (plane, row, column), fractions included.
    snr : float
        Matched-filter response over its noise.
    response : float
        Matched-filter response, counts.
    sigma_px : (float, float)
        Gaussian sd (y, x) in the plane of focus; NaN where no Gaussian fits.
    """

    stack: int
    position_px: tuple[float, float, float]
    snr: float
    response: float
    sigma_px: tuple[float, float]


def find_spots(
    data: np.ndarray, setup: BeadSetup, expected: Expected, *, stack: int = 0
) -> list[Spot]:
    """Spots of a stack, brightest first.

    Parameters
    ----------
    data : ndarray, shape (Z, Y, X)
        Counts.

    Returns
    -------
    list of Spot
        Maxima of the response nearer than one expected FWHM to a brighter one are part of it.
    """
    sigma = max(expected.lateral_um / FWHM_PER_SIGMA / setup.pixel_um, 0.7)
    axial = 0.0
    if data.shape[0] > 1 and setup.dz_um is not None:
        axial = 0.5 * expected.axial_um / FWHM_PER_SIGMA / setup.dz_um
    counts = np.asarray(data, dtype=np.float32)
    response = _planewise(counts, axial, sigma)
    noise = 1.4826 * float(np.median(np.abs(response - np.median(response))))
    if noise == 0:
        noise = float(np.std(response)) or 1.0
    reach = max(1, round(expected.lateral_um / setup.pixel_um))
    deep = 1 if data.shape[0] == 1 else max(1, round(expected.axial_um / (setup.dz_um or 1.0)))
    peaks = ndimage.maximum_filter(response, (2 * deep + 1, 2 * reach + 1, 2 * reach + 1))
    places = np.argwhere((response == peaks) & (response > DETECTION_SNR * noise))
    order = np.argsort(-response[tuple(places.T)])
    return [_measure(counts, response, noise, places[i], sigma, stack) for i in order]


def _planewise(counts: np.ndarray, axial: float, sigma: float) -> np.ndarray:
    """Lateral LoG of every plane, smoothed along z."""
    flat = np.stack([-(sigma**2) * ndimage.gaussian_laplace(p, sigma) for p in counts])
    return np.asarray(ndimage.gaussian_filter1d(flat, axial, axis=0) if axial > 0 else flat)


def _parabola(below: float, top: float, above: float) -> float:
    curve = below - 2.0 * top + above
    return 0.0 if curve >= 0 else float(np.clip(0.5 * (below - above) / curve, -0.5, 0.5))


def _measure(
    counts: np.ndarray,
    response: np.ndarray,
    noise: float,
    place: np.ndarray,
    sigma: float,
    stack: int,
) -> Spot:
    z, y, x = (int(v) for v in place)
    value = float(response[z, y, x])
    dz = 0.0
    if 0 < z < response.shape[0] - 1:
        low, high = float(response[z - 1, y, x]), float(response[z + 1, y, x])
        dz = _parabola(low, value, high)
    dy, dx, sy, sx = fit_gaussian(counts[z], y, x, sigma)
    return Spot(stack, (z + dz, y + dy, x + dx), value / noise, value, (sy, sx))


def fit_gaussian(
    plane: np.ndarray, y: int, x: int, sigma: float
) -> tuple[float, float, float, float]:
    """Axis-parallel Gaussian plus constant near (y, x).

    Returns
    -------
    dy, dx, sigma_y, sigma_x : float
        Offsets from (y, x) and widths, px; offsets 0 and NaN widths where no fit stands.
    """
    half = max(3, int(np.ceil(2.5 * sigma)))
    rows = slice(max(y - half, 0), y + half + 1)
    columns = slice(max(x - half, 0), x + half + 1)
    cut = np.asarray(plane[rows, columns], dtype=np.float64)
    v = np.arange(rows.start, rows.start + cut.shape[0])[:, None] - y
    u = np.arange(columns.start, columns.start + cut.shape[1])[None, :] - x
    floor = float(np.median(cut))
    height = float(plane[y, x]) - floor or 1.0

    def residual(p: np.ndarray) -> np.ndarray:
        model = p[0] * np.exp(-0.5 * (((v - p[1]) / p[3]) ** 2 + ((u - p[2]) / p[4]) ** 2))
        return np.asarray(model + p[5] - (cut - floor) / height).ravel()

    found = least_squares(residual, [1.0, 0.0, 0.0, sigma, sigma, 0.0], max_nfev=60)
    _, dy, dx, sy, sx, _ = found.x
    sy, sx = abs(sy), abs(sx)
    if not (max(abs(dy), abs(dx)) < 1.5 + sigma and max(sy, sx) < 2.0 * half):
        return 0.0, 0.0, float("nan"), float("nan")
    return float(dy), float(dx), float(sy), float(sx)
