"""Which frames belong together: carriers of single frames, and the frame order they imply.

Needs no OTF: every frame minus the mean of all frames keeps its own carrier (and that of nothing
else), so each frame tells the direction of its pattern. In the order ``PA`` (phase fastest) frames
0…P−1 share a carrier; in ``AP`` frames 0, A, 2A, … do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.estimate.acceptance import PEAK_WEAK
from simrecon.estimate.estimator import TAPER, TAPER_PX, checked_frames
from simrecon.estimate.frequency import CarrierSearch, SearchRegion
from simrecon.estimate.window import FieldWindow

LOWEST_OVER_NYQUIST = 0.2
"""Lower edge of the search ring when no cut-off is known, in units of the Nyquist frequency."""
SAME_PX = 3.0
"""Two carriers are the same direction when closer than this (DFT samples)."""


@dataclass(frozen=True)
class FoundCarrier:
    """The highest carrier of one group of frames.

    Attributes
    ----------
    frequency_per_um : (float, float)
        [fy, fx], cycles/µm, fx ≥ 0.
    peak_to_background : float
        Robust standard deviations above the median of its ring.
    """

    frequency_per_um: tuple[float, float]
    peak_to_background: float

    @property
    def period_um(self) -> float:
        """Period, µm."""
        return 1.0 / float(np.hypot(*self.frequency_per_um))

    @property
    def angle_rad(self) -> float:
        """atan2(fy, fx), rad."""
        return float(np.arctan2(*self.frequency_per_um))


@dataclass(frozen=True)
class OrderEvidence:
    """How well one frame order explains the carriers.

    Attributes
    ----------
    order : str
        ``PA`` (phase fastest) or ``AP``.
    carriers : tuple of FoundCarrier
        One per direction, as this order groups the frames.
    distinct : bool
        No two directions share a carrier.
    score : float
        Sum of the peaks above the level that noise can reach, 0 when directions coincide.
    """

    order: str
    carriers: tuple[FoundCarrier, ...]
    distinct: bool
    score: float


@dataclass(frozen=True)
class FrameOrder:
    """Outcome of :func:`detect_frame_order`.

    Attributes
    ----------
    order : str or None
        The order with the better evidence; None when neither is convincing.
    table : tuple of OrderEvidence
    sentence : str
        For the user.
    """

    order: str | None
    table: tuple[OrderEvidence, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary."""
        return {
            "order": self.order,
            "sentence": self.sentence,
            "table": [
                {
                    "order": e.order,
                    "distinct": e.distinct,
                    "score": e.score,
                    "carriers": [
                        {
                            "frequency_per_um": list(c.frequency_per_um),
                            "period_um": c.period_um,
                            "angle_rad": c.angle_rad,
                            "peak_to_background": c.peak_to_background,
                        }
                        for c in e.carriers
                    ],
                }
                for e in self.table
            ],
        }


def search_carriers(
    frames: np.ndarray,
    pixel_um: float,
    cutoff_per_um: float | None = None,
    *,
    expected_frequency_per_um: float | None = None,
    tolerance: float = 0.12,
) -> list[FoundCarrier]:
    """Highest carrier of each direction, without an OTF.

    Parameters
    ----------
    frames : ndarray (A, P, Y, X)
        Frames in any linear unit (counts will do).
    pixel_um : float
        Raw pixel pitch, µm.
    cutoff_per_um : float, optional
        Detection cut-off; narrows the search to 0.3…1.15 of it. None: everything between a fifth
        of the Nyquist frequency and the Nyquist frequency.
    expected_frequency_per_um, tolerance : float
        Narrows the search to a ring round an expected frequency.

    Returns
    -------
    list of FoundCarrier, one per direction
        A peak below 7 robust sigmas may be noise.
    """
    frames = checked_frames(frames)
    search = _search(frames, pixel_um, cutoff_per_um)
    region = _region(pixel_um, cutoff_per_um, expected_frequency_per_um, tolerance)
    return [_highest(search, d, region) for d in range(frames.shape[0])]


def detect_frame_order(
    frames: np.ndarray,
    pixel_um: float,
    directions: int,
    phases: int,
    cutoff_per_um: float | None = None,
    *,
    expected_frequency_per_um: float | None = None,
) -> FrameOrder:
    """Tell whether phase or angle runs fastest, from the carriers.

    Parameters
    ----------
    frames : ndarray (n, Y, X), n = directions · phases
        Frames of one plane in the order of the file.
    pixel_um, cutoff_per_um, expected_frequency_per_um
        As for :func:`search_carriers`.
    directions, phases : int

    Raises
    ------
    InputError
        When n is not directions · phases.
    """
    frames = np.asarray(frames)
    if frames.ndim != 3 or frames.shape[0] != directions * phases:
        raise InputError(
            "The number of frames does not fit the directions and phases.",
            expected=f"{directions} × {phases} = {directions * phases} frames",
            got=f"shape {tuple(frames.shape)}",
        )
    field = frames.shape[1:]
    sample = 1.0 / (min(field) * pixel_um)
    table = []
    for order in ("PA", "AP"):
        grouped = (
            frames.reshape(directions, phases, *field)
            if order == "PA"
            else frames.reshape(phases, directions, *field).swapaxes(0, 1)
        )
        carriers = search_carriers(
            grouped,
            pixel_um,
            cutoff_per_um,
            expected_frequency_per_um=expected_frequency_per_um,
        )
        table.append(_evidence(order, carriers, sample))
    return _decide(tuple(table))


def _search(frames: np.ndarray, pixel_um: float, cutoff_per_um: float | None) -> CarrierSearch:
    shape = (int(frames.shape[-2]), int(frames.shape[-1]))
    window = FieldWindow.on(shape, pixel_um, min(max(TAPER, TAPER_PX / min(shape)), 0.25))
    return CarrierSearch(window.transform(frames), window, cutoff_per_um)


def _region(
    pixel_um: float,
    cutoff_per_um: float | None,
    expected_frequency_per_um: float | None,
    tolerance: float,
) -> SearchRegion:
    if expected_frequency_per_um is not None:
        return SearchRegion(
            (1 - tolerance) * expected_frequency_per_um,
            (1 + tolerance) * expected_frequency_per_um,
        )
    if cutoff_per_um is not None:
        return SearchRegion(0.3 * cutoff_per_um, 1.15 * cutoff_per_um)
    nyquist = 0.5 / pixel_um
    return SearchRegion(LOWEST_OVER_NYQUIST * nyquist, nyquist)


def _highest(search: CarrierSearch, direction: int, region: SearchRegion) -> FoundCarrier:
    peak = search.peaks(direction, region)[0]
    return FoundCarrier(peak.frequency_per_um, peak.peak_to_background)


def _evidence(order: str, carriers: Sequence[FoundCarrier], sample: float) -> OrderEvidence:
    distinct = True
    for i, one in enumerate(carriers):
        for other in carriers[i + 1 :]:
            a, b = np.array(one.frequency_per_um), np.array(other.frequency_per_um)
            gap = min(float(np.hypot(*(a - b))), float(np.hypot(*(a + b))))
            distinct &= gap > SAME_PX * sample
    excess = sum(max(c.peak_to_background - PEAK_WEAK, 0.0) for c in carriers)
    return OrderEvidence(order, tuple(carriers), distinct, excess if distinct else 0.0)


def _decide(table: tuple[OrderEvidence, ...]) -> FrameOrder:
    best, other = sorted(table, key=lambda e: -e.score)
    listed = ", ".join(
        f"{np.degrees(c.angle_rad):.1f}° ({c.peak_to_background:.0f}σ)" for c in best.carriers
    )
    if best.score <= 0:
        return FrameOrder(None, table, "no frame order gives distinct carriers above the noise")
    if not other.distinct or best.score > 1.5 * other.score:
        why = (
            "the other order gives the same carrier for several directions"
            if not other.distinct
            else f"peaks {best.score:.0f} against {other.score:.0f} for {other.order}"
        )
        return FrameOrder(best.order, table, f"order {best.order}: carriers at {listed}; {why}")
    return FrameOrder(
        None,
        table,
        f"orders {best.order} and {other.order} are about equally likely "
        f"({best.score:.0f} against {other.score:.0f})",
    )
