"""Strongest pattern peaks of every direction, found without an OTF.

:class:`simrecon.estimate.planes_search.PlanesSearch` finds the carriers; here they become periods,
angles and grades, the two orders of a three-beam pattern are recognised, and rivals are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from simrecon.errors import InputError
from simrecon.estimate.frequency import CarrierPeak, SearchRegion
from simrecon.estimate.planes_search import PlanesSearch
from simrecon.estimate.window import FieldWindow
from simrecon.model.pattern import line_distance_rad

CONVINCING = 12.0
DOUBTFUL = 7.0
"""Peak heights in robust sigmas: from 12 a pattern for certain, below 7 noise (a whole ring of
noise reaches 5 to 6)."""
CONVINCING_ALONE = 30.0
"""The same for a single peak in a stack of five phases or more, where two orders are expected: in
out-of-focus light the structure of the object reached 20 in 80 simulated directions, while two
orders at their places were always the pattern's."""
BEYOND_CUTOFF = 1.1
"""Carriers are looked for up to so many times the detection cut-off, which may be wrong."""
SEARCH_CYCLES_PER_PIXEL = (0.1, 0.62)
SHEET_CYCLES_PER_PIXEL = 0.07
"""Lowest frequency for stacks of one direction: lattices have fundamentals of about 1 µm."""
SMALLEST_FIELD = 8
EQUAL_FRAMES = 1e-5
"""Phases that differ by less than this fraction of the brightest pixel are one and the same."""
RIVAL = 0.6
"""Least height of a second peak, over the first's, that is told. A peak with a rival is weak: of 60
simulated ones above `CONVINCING` 22 were wrong, of 112 without one 1 (planes, 20 to 1000 e)."""


@dataclass(frozen=True)
class DirectionPeak:
    """Pattern peak of one direction.

    Attributes
    ----------
    direction : int
        Counted from 1.
    period_px, period_um : float, float or None
        Period of the strongest pattern order; µm when the pixel size is known.
    angle_rad : float
        atan2(fy, fx), −π/2…π/2, y downwards.
    peak_to_background : float
        Height over its ring in robust sigmas.
    grade : str
        "strong", "weak" or "none".
    orders_px : (float, float) or None
        Periods of the fundamental and the finest order when two of them show (5 phases or more).
    rival_px, rival_angle_rad, rival_peak : float or None
        A second, unrelated peak comparably high (`RIVAL`): the choice between them needs an OTF.
    """

    direction: int
    period_px: float
    period_um: float | None
    angle_rad: float
    peak_to_background: float
    grade: str
    orders_px: tuple[float, float] | None = None
    rival_px: float | None = None
    rival_angle_rad: float | None = None
    rival_peak: float | None = None

    @property
    def finest_px(self) -> float:
        """Period of the finest order seen, pixels."""
        return self.period_px if self.orders_px is None else self.orders_px[1]


def direction_peaks(
    frames: np.ndarray, pixel_um: float | None, cutoff_per_um: float | None = None
) -> tuple[DirectionPeak, ...]:
    """Strongest pattern peak of every direction.

    Parameters
    ----------
    frames : ndarray (A, P, Y, X) or (A, P, Z, Y, X)
        One acquisition of one plane, or of several that are looked at together; P ≥ 3.
    pixel_um
        Pixel pitch; None: periods in pixels only.
    cutoff_per_um
        Detection cut-off, cycles/µm; None: not known. Used for stacks of three-beam patterns,
        in whose out-of-focus light what lies beyond it can be taken for a carrier.

    Returns
    -------
    tuple of DirectionPeak
        Of grade "none" with a period of NaN where the frames are equal or too small for a search.

    Raises
    ------
    InputError
        For fewer than three phases.
    """
    images = np.asarray(frames, dtype=np.float32)
    images = images if images.ndim == 5 else images[:, :, None]
    directions, phases, planes = images.shape[:3]
    if phases < 3:
        raise InputError(
            "A pattern cannot be found in fewer than three phases.",
            expected="at least 3 phases per direction", got=str(phases),
            where="--phases",
        )  # fmt: skip
    if min(images.shape[-2:]) < SMALLEST_FIELD:
        return tuple(_describe(d + 1, [], pixel_um, 0) for d in range(directions))
    scale = float(np.abs(images).max()) or 1.0
    window = FieldWindow.on((images.shape[-2], images.shape[-1]), 1.0)
    low, high = SEARCH_CYCLES_PER_PIXEL
    stack = planes > 1 and phases >= 5
    sheet = planes > 1 and directions == 1  # long periods, no light out of focus
    low = SHEET_CYCLES_PER_PIXEL if sheet else low
    limit = None
    if stack and pixel_um is not None and cutoff_per_um is not None:
        limit = BEYOND_CUTOFF * cutoff_per_um * pixel_um
        limit = limit if 2 * low < limit < high else None
    search = PlanesSearch(window.transform(images / scale), window, limit)
    region = SearchRegion(low, limit or high)
    alone = CONVINCING_ALONE if stack and not sheet else CONVINCING
    found = []
    for direction in range(directions):
        change = float(np.ptp(images[direction], axis=0).max())
        peaks = search.peaks(direction, region, 2) if change > EQUAL_FRAMES * scale else []
        found.append(_describe(direction + 1, peaks, pixel_um, phases, alone))
    return tuple(found)


def _line_angle(peak: CarrierPeak) -> float:
    fy, fx = peak.frequency_per_um
    return math.remainder(math.atan2(fy, fx), math.pi)


def _describe(
    number: int,
    peaks: list[CarrierPeak],
    pixel_um: float | None,
    phases: int,
    alone: float = CONVINCING,
) -> DirectionPeak:
    if not peaks:
        unknown = None if pixel_um is None else math.nan
        return DirectionPeak(number, math.nan, unknown, math.nan, 0.0, "none")
    best = peaks[0]
    period = 1.0 / math.hypot(*best.frequency_per_um)
    height = best.peak_to_background
    found = DirectionPeak(
        direction=number,
        period_px=period,
        period_um=None if pixel_um is None else period * pixel_um,
        angle_rad=_line_angle(best),
        peak_to_background=height,
        grade="strong" if height >= alone else "weak" if height >= DOUBTFUL else "none",
    )
    if len(peaks) < 2:
        return found
    second = peaks[1]
    other = 1.0 / math.hypot(*second.frequency_per_um)
    coarse, fine = max(period, other), min(period, other)
    turned = line_distance_rad(found.angle_rad, _line_angle(second))
    if phases >= 5 and turned < math.radians(2) and abs(coarse / fine - 2.0) < 0.06:
        # noise hardly puts its two highest peaks at these places: they count together
        both = math.hypot(height, second.peak_to_background)
        if both >= DOUBTFUL:
            grade = "strong" if height >= CONVINCING else "weak"
            return replace(found, orders_px=(coarse, fine), grade=grade)
    if found.grade == "none" or second.peak_to_background < DOUBTFUL:
        return found
    if second.peak_to_background > RIVAL * height:
        return replace(
            found,
            grade="weak",
            rival_px=other,
            rival_angle_rad=_line_angle(second),
            rival_peak=second.peak_to_background,
        )
    return found
