"""Frame order: which grouping of the frames gives distinct and constant pattern directions.

A wrong frame order keeps strong peaks, but gives one angle for all directions, or angles that
change from plane to plane; so orders are judged by distinct and constant directions first and by
peak height second. No OTF is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.estimate.direction_peaks import DirectionPeak, direction_peaks
from simrecon.model.pattern import line_distance_rad

DISTINCT_RAD = math.radians(15.0)
ORDERS_2D = ("PA", "AP")
ORDERS_3D = ("PZA", "PAZ", "ZAP")
_STRONGER_ORDER = 0.5


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

    Raises
    ------
    InputError
        When the frames are not a whole number of planes.
    """
    if sequence.shape[0] == 0 or sequence.shape[0] % (angles * phases):
        raise InputError(
            "The number of frames does not fit the directions and phases.",
            expected=f"a multiple of {angles} × {phases} = {angles * phases} frames",
            got=str(sequence.shape[0]),
        )
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
