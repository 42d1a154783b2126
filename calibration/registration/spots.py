"""Where the beads are in one picture, with errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from calibration.psf.crops import lateral_half
from calibration.psf.detect import Spot, find_spots
from calibration.psf.expected import expected_widths
from calibration.psf.gates import check_scale
from calibration.psf.screen import Judged, screen
from calibration.psf.settings import BeadSetup, PsfSettings
from calibration.psf.width import FWHM_PER_SIGMA
from simrecon.checks import saturation
from simrecon.errors import QualityError
from simrecon.model.optics import Optics

WINDOW_FWHM = 4.0
"""Side of the square that a bead needs for itself, in FWHM. Chosen; a neighbour of a tenth of the
light 1.5 FWHM away moves a centre by 0.5 % of the FWHM (benchmarks/bench_psf.py)."""
LEAST_SD_PX = 0.005
"""Centres are not taken as known better: pixels and PSF are not Gaussian."""


@dataclass(frozen=True)
class Beads:
    """Beads of one picture.

    Attributes
    ----------
    position_um : ndarray, shape (N, 2)
        Centres (y, x), counted from the centre of pixel (0, 0).
    sd_um : ndarray, shape (N,)
        Standard deviation of each coordinate.
    rejected : dict of str to int
        Spots that were left out, by reason.
    """

    position_um: np.ndarray
    sd_um: np.ndarray
    rejected: dict[str, int]


def find_beads(
    picture: np.ndarray, pixel_um: float, optics: Optics, *, bead_um: float = 0.1,
    min_snr: float = 10.0, where: str = "",
) -> Beads:  # fmt: skip
    """Beads of a picture (Y, X) in counts, screened and located.

    Raises
    ------
    QualityError
        No bead, or beads whose width these optics and this pixel size cannot give.
    """
    setup = BeadSetup(pixel_um, None, optics, bead_um)
    expected = expected_widths(setup)
    window = max(WINDOW_FWHM * expected.lateral_um, 9 * pixel_um)
    settings = PsfSettings(window_um=window, min_snr=min_snr)
    data = np.asarray(picture)[None]
    spots = [] if data.max() == data.min() else find_spots(data, setup, expected)
    if not spots:
        raise QualityError(
            "No bead was found.", expected="bright spots on a darker background",
            got="no local maximum above 6 noise sd", where=where,
            hint="is this the bead file, and the right channel? Are --pixel-um, --na and "
            "--emission-nm right?",
        )  # fmt: skip
    half = lateral_half(setup, settings, expected)
    judged = screen([data], spots, setup, settings, expected, half, _saturation(data))
    check_scale(judged, setup, expected)
    good = [b.spot for b in judged if not b.kind]
    sigma = expected.lateral_um / FWHM_PER_SIGMA / pixel_um
    places = np.array([locate(data[0], s, sigma) for s in good])
    found = np.isfinite(places).all(axis=1)
    sd = np.maximum(places[found, 2], LEAST_SD_PX)
    return Beads(pixel_um * places[found, :2], pixel_um * sd, _reasons(judged))


def _saturation(data: np.ndarray) -> float | None:
    fraction, level = saturation(data[None, None, None, None])
    return level if fraction > 0 else None


def _reasons(judged: list[Judged]) -> dict[str, int]:
    return dict(Counter(b.kind for b in judged if b.kind))


def locate(plane: np.ndarray, spot: Spot, sigma_px: float) -> tuple[float, float, float]:
    """Centre (row, column) and its standard deviation per coordinate, px; NaN where no fit stands.

    Gaussian with constant; the covariance is the sandwich of its Jacobian with its own residuals,
    which holds whatever the noise does.
    """
    y, x = (round(p) for p in spot.position_px[1:])
    half = max(3, int(np.ceil(2.5 * sigma_px)))
    cut = np.asarray(plane[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1], float)
    v, u = np.indices(cut.shape)
    floor = float(np.median(cut))
    height = max(float(cut.max()) - floor, 1e-9)
    start = [1.0, spot.position_px[1] - max(y - half, 0), spot.position_px[2] - max(x - half, 0),
             sigma_px, sigma_px, 0.0]  # fmt: skip

    def residual(p: np.ndarray) -> np.ndarray:
        model = p[0] * np.exp(-0.5 * (((v - p[1]) / p[3]) ** 2 + ((u - p[2]) / p[4]) ** 2))
        return np.asarray(model + p[5] - (cut - floor) / height).ravel()

    found = least_squares(residual, start, max_nfev=60)
    if not found.success or np.max(np.abs(found.x[1:3] - start[1:3])) > 1.0 + sigma_px:
        return float("nan"), float("nan"), float("nan")
    inverse = np.linalg.pinv(found.jac.T @ found.jac)
    influence = found.jac @ inverse * found.fun[:, None]
    count = found.fun.size
    variance = np.sum(influence[:, 1:3] ** 2, axis=0) * count / (count - 6)
    row, column = found.x[1] + max(y - half, 0), found.x[2] + max(x - half, 0)
    return float(row), float(column), float(np.sqrt(variance.mean()))
