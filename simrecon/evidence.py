"""What the pattern in raw frames says about their order: peaks per direction, orders compared.

The carrier of each direction is found by :class:`simrecon.estimate.frequency.CarrierSearch`, which
needs no OTF. A wrong frame order keeps strong peaks, but gives one angle for all directions, or
angles that change from plane to plane; so orders are judged by distinct and constant directions
first and by peak height second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.window import FieldWindow
from simrecon.presets import line_distance_rad

CONVINCING = 12.0
DOUBTFUL = 7.0
"""Peak heights in robust sigmas: from 12 a pattern for certain, below 7 noise (a whole ring of
noise reaches 5 to 6)."""
DISTINCT_RAD = math.radians(15.0)
SEARCH_CYCLES_PER_PIXEL = (0.1, 0.62)
ORDERS_2D = ("PA", "AP")
ORDERS_3D = ("PZA", "PAZ", "ZAP")
SMALLEST_FIELD = 8
EQUAL_FRAMES = 1e-5
"""Phases that differ by less than this fraction of the brightest pixel are one and the same."""
RIVAL = 0.5
_STRONGER_ORDER = 0.5


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
        A second, unrelated peak at least half as high: the choice between them needs an OTF.
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


@dataclass(frozen=True)
class OrderRow:
    """How one candidate order fares.

    Attributes
    ----------
    order : str
    angles : int
    phases : int
    planes : int
    peaks : tuple of DirectionPeak
        Of the middle plane.
    distinct : int
        Number of convincing directions that differ from each other.
    constant : bool
        Directions are the same in the planes looked at.
    """

    order: str
    angles: int
    phases: int
    planes: int
    peaks: tuple[DirectionPeak, ...]
    distinct: int
    constant: bool

    @property
    def score(self) -> tuple[float, bool, float]:
        """Larger is better: share of distinct directions, constancy, median peak."""
        heights = [p.peak_to_background for p in self.peaks]
        return self.distinct / self.angles, self.constant, float(np.median(heights))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready row."""
        return {
            "order": self.order, "angles": self.angles, "phases": self.phases,
            "planes": self.planes, "distinct_directions": self.distinct,
            "constant_over_planes": self.constant,
            "angles_deg": [
                None if p.grade == "none" else round(math.degrees(p.angle_rad), 1) + 0.0
                for p in self.peaks
            ],
            "peak_to_background": [round(p.peak_to_background, 1) for p in self.peaks],
        }  # fmt: skip


def direction_peaks(frames: np.ndarray, pixel_um: float | None) -> tuple[DirectionPeak, ...]:
    """Strongest pattern peak of every direction.

    Parameters
    ----------
    frames : ndarray (A, P, Y, X)
        One acquisition of one plane, P ≥ 3.
    pixel_um
        Pixel pitch; None: periods in pixels only.

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
    if images.shape[1] < 3:
        raise InputError(
            "A pattern cannot be found in fewer than three phases.",
            expected="at least 3 phases per direction", got=str(images.shape[1]),
            where="--phases",
        )  # fmt: skip
    if min(images.shape[-2:]) < SMALLEST_FIELD:
        return tuple(_describe(d + 1, [], pixel_um, 0) for d in range(images.shape[0]))
    scale = float(np.abs(images).max()) or 1.0
    window = FieldWindow.on((images.shape[-2], images.shape[-1]), 1.0)
    search = CarrierSearch(window.transform(images / scale), window)
    region = SearchRegion(*SEARCH_CYCLES_PER_PIXEL)
    found = []
    for direction in range(images.shape[0]):
        change = float(np.ptp(images[direction], axis=0).max())
        peaks = search.peaks(direction, region, 2) if change > EQUAL_FRAMES * scale else []
        found.append(_describe(direction + 1, peaks, pixel_um, images.shape[1]))
    return tuple(found)


def _line_angle(peak: CarrierPeak) -> float:
    fy, fx = peak.frequency_per_um
    return math.remainder(math.atan2(fy, fx), math.pi)


def _describe(
    number: int, peaks: list[CarrierPeak], pixel_um: float | None, phases: int
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
        grade="strong" if height >= CONVINCING else "weak" if height >= DOUBTFUL else "none",
    )
    if found.grade == "none" or len(peaks) < 2 or peaks[1].peak_to_background < DOUBTFUL:
        return found
    second = peaks[1]
    other = 1.0 / math.hypot(*second.frequency_per_um)
    coarse, fine = max(period, other), min(period, other)
    turned = line_distance_rad(found.angle_rad, _line_angle(second))
    if phases >= 5 and turned < math.radians(2) and abs(coarse / fine - 2.0) < 0.06:
        return replace(found, orders_px=(coarse, fine))
    if second.peak_to_background > RIVAL * height:
        return replace(
            found,
            rival_px=other,
            rival_angle_rad=_line_angle(second),
            rival_peak=second.peak_to_background,
        )
    return found


def distinct_directions(peaks: tuple[DirectionPeak, ...]) -> int:
    """Number of convincing directions that are at least 15° apart from all others of them."""
    good = [p for p in peaks if p.grade != "none"]
    return sum(
        all(
            line_distance_rad(p.angle_rad, other.angle_rad) >= DISTINCT_RAD
            for other in good
            if other is not p
        )
        for p in good
    )


def order_row(data: np.ndarray, order: str, pixel_um: float | None) -> OrderRow:
    """Judge one grouping.

    Parameters
    ----------
    data : ndarray (A, P, Z, Y, X)
        One time point of one channel, grouped as `order` says.
    """
    planes = data.shape[2]
    middle = planes // 2
    peaks = direction_peaks(data[:, :, middle], pixel_um)
    constant = True
    if planes > 2:
        other = direction_peaks(data[:, :, max(0, middle - max(1, planes // 4))], pixel_um)
        constant = all(
            line_distance_rad(a.angle_rad, b.angle_rad) < DISTINCT_RAD
            for a, b in zip(peaks, other, strict=True)
            if "none" not in (a.grade, b.grade)
        )
    return OrderRow(
        order, data.shape[0], data.shape[1], planes, peaks, distinct_directions(peaks), constant
    )


def regroup(sequence: np.ndarray, angles: int, phases: int, order: str) -> np.ndarray:
    """Frames of one time point in file order (n, Y, X) as (A, P, Z, Y, X)."""
    letters = [c for c in order if c in "PAZ"]
    if "Z" not in letters:
        letters.append("Z")
    sizes = {"A": angles, "P": phases, "Z": sequence.shape[0] // (angles * phases)}
    slowest = letters[::-1]
    grouped = sequence.reshape(*(sizes[c] for c in slowest), *sequence.shape[-2:])
    return np.asarray(grouped.transpose(*(slowest.index(c) for c in "APZ"), 3, 4))


def compare_orders(
    sequence: np.ndarray, angles: int, phases: int, pixel_um: float | None, stated: str = ""
) -> tuple[OrderRow, ...]:
    """Candidate orders of one time point in file order (n, Y, X), best first.

    PA and AP for one plane; PZA, PAZ, ZAP for several; and the `stated` one. (ZPA fits wherever
    PZA does, with lower peaks: planes look like phase steps. No instrument is known to use it.)
    """
    planes = sequence.shape[0] // (angles * phases)
    if angles == 1:
        orders: tuple[str, ...] = ("PA",) if planes == 1 else ("PZA",)
    else:
        orders = ORDERS_2D if planes == 1 else ORDERS_3D
    if stated and stated not in orders and (planes > 1) == ("Z" in stated):
        orders = (*orders, stated)
    rows = [order_row(regroup(sequence, angles, phases, o), o, pixel_um) for o in orders]
    return tuple(sorted(rows, key=lambda row: row.score, reverse=True))


def explain(rows: tuple[OrderRow, ...]) -> tuple[str, bool]:
    """A sentence for the best order, and whether the evidence decides.

    It decides when at least two thirds of the directions stand out and differ, and the next
    order finds fewer distinct directions or peaks less than half as high.
    """
    best = rows[0]
    angles = ", ".join(
        f"{round(math.degrees(p.angle_rad))}°" for p in best.peaks if p.grade != "none"
    )
    if best.distinct == 0:
        return "no order gives distinct directions with a clear pattern", False
    text = (
        f"{best.order}: {best.distinct} of {best.angles} directions clear and distinct ({angles})"
    )
    if best.planes > 2:
        text += ", the same in all planes" if best.constant else ", but changing between planes"
    if len(rows) == 1:
        return text, best.distinct == best.angles
    second = rows[1]
    text += "".join(f"; {row.order}: {_fault(row, best)}" for row in rows[1:])
    decided = 3 * best.distinct >= 2 * best.angles and best.constant
    weaker = second.score[2] < _STRONGER_ORDER * best.score[2]
    return text, decided and (second.score[:2] < best.score[:2] or weaker)


def _fault(row: OrderRow, best: OrderRow) -> str:
    good = [p for p in row.peaks if p.grade != "none"]
    if len(good) > 1 and row.distinct < len(good):
        return "several directions have the same angle"
    if not row.constant:
        return "angles change from plane to plane"
    if not good:
        return "no pattern"
    return f"{row.distinct} distinct, peaks {row.score[2] / best.score[2]:.1f} times as high"
