"""Cut beads out of their stacks, with their local background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.psf.detect import Spot
from calibration.psf.expected import Expected
from calibration.psf.settings import BeadSetup, PsfSettings

MARGIN_PX = 3
"""Pixels kept around the window, lost again after sub-pixel shifts; of planes one is kept."""


@dataclass(frozen=True)
class Window:
    """Half sizes of the cut-out in planes and pixels; its sides are odd."""

    planes: int
    pixels: int


@dataclass(frozen=True)
class Crop:
    """A bead cut out.

    Attributes
    ----------
    spot : Spot
    corner : (int, int, int)
        Plane, row and column of the first voxel.
    counts : ndarray, (2·(planes + 1) + 1, 2·(pixels + MARGIN_PX) + 1, same), float64
        With their margins; single planes have none in z.
    background : float
        Counts at the rim of the planes in focus.
    """

    spot: Spot
    corner: tuple[int, int, int]
    counts: np.ndarray
    background: float


def lateral_half(setup: BeadSetup, settings: PsfSettings, expected: Expected) -> int:
    """Half side of the window in pixels.

    By default the cone of light one axial FWHM out of focus fits in, within 3 to 7 lateral FWHM.
    """
    if settings.window_um is not None:
        return max(4, round(0.5 * settings.window_um / setup.pixel_um))
    sine = min(setup.optics.na / setup.optics.immersion_index, 0.95)
    cone = expected.axial_um * sine / np.sqrt(1.0 - sine**2)
    half = float(np.clip(cone, 3.0 * expected.lateral_um, 7.0 * expected.lateral_um))
    return max(5, int(np.ceil(half / setup.pixel_um)))


def axial_half(
    data: np.ndarray, setup: BeadSetup, settings: PsfSettings, expected: Expected, spots: list[Spot]
) -> int:
    """Half depth of the window in planes: as set, or two axial FWHM; what all beads have."""
    if data.shape[0] == 1 or setup.dz_um is None or not spots:
        return 0
    room: int = min(min(round(s.position_px[0]), data.shape[0] - 1 - round(s.position_px[0]))
               for s in spots)  # fmt: skip
    deep = 2.0 * expected.axial_um if settings.depth_um is None else 0.5 * settings.depth_um
    wanted = int(deep / setup.dz_um) + 1
    return max(1, min(room - 1, wanted))


def cut(data: np.ndarray, spot: Spot, window: Window) -> Crop | None:
    """Voxels around a spot; None when the window does not fit into the stack."""
    deep = window.planes + 1 if window.planes else 0
    halves = (deep, window.pixels + MARGIN_PX, window.pixels + MARGIN_PX)
    centre = [round(p) for p in spot.position_px]
    if any(c - h < 0 or c + h >= n for c, h, n in zip(centre, halves, data.shape, strict=True)):
        return None
    region = tuple(slice(c - h, c + h + 1) for c, h in zip(centre, halves, strict=True))
    counts = np.asarray(data[region], dtype=np.float64)
    corner = (centre[0] - halves[0], centre[1] - halves[1], centre[2] - halves[2])
    return Crop(spot, corner, counts, rim_level(counts))


def rim_level(counts: np.ndarray) -> float:
    """Median of the outer ring of the three middle planes."""
    middle = counts.shape[0] // 2
    planes = counts[max(middle - 1, 0) : middle + 2]
    half = planes.shape[-1] // 2
    y, x = np.arange(planes.shape[1]) - half, np.arange(planes.shape[2]) - half
    return float(np.median(planes[:, np.hypot(y[:, None], x[None, :]) > 0.85 * half]))
