"""How the frames of a failed fit would be read by themselves, held against how they were read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import InputError
from simrecon.estimate.direction_peaks import DirectionPeak
from simrecon.estimate.order import FrameOrder, OrderRow, explain
from simrecon.grouping import core_order, group_frames, plain_sequence
from simrecon.model.mode import MODES, VOLUME_MODES
from simrecon.model.stack import SimStack


@dataclass(frozen=True)
class FrameDoubt:
    """What the pattern in the frames says.

    Attributes
    ----------
    text : str or None
        A sentence where the frames contradict how they were read.
    seen : str
        How well the best reading explains them, and with which periods.
    misread : bool
        Whether other frames belong together; else their numbers are only unusual in the mode.
    """

    text: str | None
    seen: str
    misread: bool = False


def frame_doubt(stack: SimStack, mode: str) -> FrameDoubt | None:
    """Numbers and order of the frames as the pattern in them shows, or None where none is clear.

    Parameters
    ----------
    stack
        As it was read. The pattern is searched as if nobody had said how the frames follow each
        other (:mod:`simrecon.grouping`).
    mode
        Its frames per plane are held against those that are usual.
    """
    best = _shown(stack)
    if best is None:
        return None
    seen = f"explains {100 * best.explained:.0f} % of the pattern in them"
    seen += _periods(best.peaks)
    if (best.angles, best.phases) != (stack.directions, stack.phases):
        return FrameDoubt(
            f"the frames by themselves are {best.angles} × {best.phases} per plane, not "
            f"{stack.directions} × {stack.phases} (order {_with_planes(best.order)} {seen})"
            f"{_usual(best, mode)}",
            seen,
            True,
        )
    if not _same(best.reading, _reading(stack)):
        order = _with_planes(best.order)
        return FrameDoubt(
            f"the frames by themselves follow each other as {order}, not {core_order(stack.order)} "
            f"({order} {seen}): give --order {order}",
            seen,
            True,
        )
    if (stack.directions, stack.phases) != (MODES[mode].directions, MODES[mode].phases):
        return FrameDoubt(
            f"{best.angles} × {best.phases} frames per plane ({seen}){_usual(best, mode)}", seen
        )
    return FrameDoubt(None, seen)


def _shown(stack: SimStack) -> OrderRow | None:
    """What the frames clearly show: with the numbers as read, or else with any."""
    rows = group_frames(stack).rows
    if explain(rows)[1] and rows[0].distinct >= min(2, stack.directions):
        return rows[0]
    try:
        rows = group_frames(plain_sequence(stack)).rows
    except InputError:  # no whole sets of the numbers that are tried
        return None
    return rows[0] if explain(rows)[1] else None


def _periods(peaks: tuple[DirectionPeak, ...]) -> str:
    """Periods that single planes show, the fundamental and the finest of the first clear one."""
    clear = next((p for p in peaks if p.grade == "strong" and p.period_um is not None), None)
    if clear is None or clear.period_um is None:
        return ""
    pixel_nm = 1e3 * clear.period_um / clear.period_px
    found = clear.orders_px or (clear.period_px,)
    return "; periods " + " and ".join(f"{pixel_nm * px:.0f} nm" for px in found)


def _usual(best: OrderRow, mode: str) -> str:
    """Modes whose usual frames these are, first those of volumes or of planes as the mode is."""
    names = sorted(MODES, key=lambda name: (name in VOLUME_MODES) != (mode in VOLUME_MODES))
    usual = [
        n for n in names if (MODES[n].directions, MODES[n].phases) == (best.angles, best.phases)
    ]
    return ": usual with --mode " + " or ".join(usual) if usual else ""


def _with_planes(order: str) -> str:
    """An order that says where the planes are; what is left over varies slowest."""
    return order if "Z" in order else f"{order}Z"


def _reading(stack: SimStack) -> FrameOrder:
    """How the stack was read, as a candidate of the search."""
    sizes = {"A": stack.directions, "P": stack.phases, "Z": int(stack.data.shape[4])}
    return FrameOrder(
        tuple((letter, sizes[letter]) for letter in _with_planes(core_order(stack.order)))
    )


def _same(one: FrameOrder, other: FrameOrder) -> bool:
    """Whether the same frames get together, whatever repeats are called."""

    def sets(reading: FrameOrder) -> np.ndarray:
        places = np.moveaxis(reading.indices(), 0, 2)
        return np.sort(places.reshape(*places.shape[:2], -1), axis=2)

    return np.array_equal(sets(one), sets(other))
