"""How a file's frames group into directions, phases, planes and times: tried, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simrecon.estimate.order import OrderRow, compare_orders
from simrecon.layout import arrange, plan_layout
from simrecon.model.frames import RawFrames
from simrecon.model.stack import SimStack

STEPS = ((3, 3), (3, 5), (5, 5), (5, 3))
"""Directions × phases tried when neither the file nor the user says."""
SINGLE_STEPS = ((1, 5), (1, 3))
"""Tried when none of `STEPS` shows a pattern with distinct directions."""


def core_order(order: str) -> str:
    """An order without the letters of channel and time."""
    return "".join(c for c in order if c in "PAZ")


def first_acquisition(data: Any) -> np.ndarray:
    """First time point and channel, (A, P, Z, Y, X)."""
    return np.asarray(data[0, 0])


@dataclass(frozen=True)
class Grouping:
    """Frames grouped by the best order found.

    Attributes
    ----------
    data : array_like, shape (T, C, A, P, Z, Y, X)
    rows : tuple of OrderRow
        Candidates with equal numbers of directions and phases, best first.
    facts : RawFrames
        What is known about the frames.
    """

    data: Any
    rows: tuple[OrderRow, ...]
    facts: RawFrames

    @property
    def ambiguous_time(self) -> bool:
        """True when groups of frames may be planes or time points and the file does not say."""
        repeats = max(self.data.shape[0], self.data.shape[4])
        declared = dict(self.facts.axes).get("T", 1) > 1
        stated = self.facts.order is not None or declared
        return repeats > 1 and not stated and self.rows[0].order in ("PA", "PAZ")


def group_frames(stack: SimStack | RawFrames) -> Grouping:
    """Group a stack as the pattern in its frames says.

    A :class:`SimStack` keeps its numbers of directions and phases; only its order is judged. For
    raw frames the numbers that the file does not state are tried.
    """
    if isinstance(stack, SimStack):
        raw = _facts_of(stack)
        group, stated = first_acquisition(stack.data), core_order(stack.order)
        sequence = _sequence(group, stated)
        rows = compare_orders(sequence, group.shape[0], group.shape[1], stack.pixel_um, stated)
        return Grouping(stack.data, rows, raw)
    tried = [_try(stack, *steps) for steps in _steps(stack, STEPS)]
    if not any(rows[0].distinct for _, rows in tried):
        tried += [_try(stack, *steps) for steps in _steps(stack, SINGLE_STEPS)]
    if not tried:
        tried = [_try(stack, stack.angles or STEPS[0][0], stack.phases or STEPS[0][1])]
    data, rows = max(tried, key=lambda one: _completeness(one[1][0]))
    return Grouping(data, rows, stack)


def _completeness(row: OrderRow) -> tuple[bool, int, tuple[float, bool, float]]:
    """Sort key of different numbers of directions: complete ones first, then more directions."""
    return row.distinct == row.angles, row.distinct, row.score


def _facts_of(stack: SimStack) -> RawFrames:
    """A stack's facts in the form of raw frames (without the frames)."""
    first = stack.optics[0]
    excitation = tuple(o.excitation_nm for o in stack.optics if o.excitation_nm is not None)
    return RawFrames(
        frames=None, axes=(), pixel_um=stack.pixel_um, dz_um=stack.dz_um,
        emission_nm=tuple(o.emission_nm for o in stack.optics), excitation_nm=excitation,
        na=first.na, index=first.immersion_index, excitation_na=first.excitation_na,
        angles=stack.directions, phases=stack.phases, order=stack.order, camera=stack.camera,
        flipped_y=stack.flipped_y,
        metadata=stack.metadata, notes=stack.notes,
    )  # fmt: skip


def _steps(raw: RawFrames, among: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Directions × phases worth trying; only the given ones when both are known."""
    if raw.angles is not None and raw.phases is not None:
        return [(raw.angles, raw.phases)] if among is STEPS else []
    return [
        (a, p)
        for a, p in among
        if raw.count % (a * p) == 0 and raw.angles in (None, a) and raw.phases in (None, p)
    ]


def _try(raw: RawFrames, angles: int, phases: int) -> tuple[Any, tuple[OrderRow, ...]]:
    """Group by the stated order, or by the one of all candidates that fits best.

    Without a stated order, frames beyond one acquisition are tried as time points and, when the
    file does not declare time points, as planes.
    """
    rows: list[OrderRow] = []
    free = replace(raw, angles=angles, phases=phases)
    orders: tuple[str, ...] = ("PA",) if raw.order is None else (raw.order,)
    declared_time = dict(raw.axes).get("T", 1) > 1
    if raw.order is None and raw.count > angles * phases and not declared_time:
        orders = ("PA", "PZA")
    for order in orders:
        sequence = _sequence(first_acquisition(_arranged(free, order)), core_order(order))
        stated = core_order(order) if raw.order else ""
        rows.extend(compare_orders(sequence, angles, phases, raw.pixel_um, stated))
    rows.sort(key=lambda row: row.score, reverse=True)
    best = rows[0]
    if len(orders) > 1:
        best = _planes_or_times(rows)
        rows.sort(key=lambda row: row is not best)
    order = raw.order if raw.order and core_order(raw.order) == best.order else best.order
    return _arranged(free, order), tuple(r for r in rows if r.planes == best.planes)


def _planes_or_times(rows: list[OrderRow]) -> OrderRow:
    """The best row, where PAZ and PA repeated in time are the same sequence of frames.

    The pattern cannot tell these two apart; three directions of five phases are taken as a 3-D
    stack, everything else as a time series.
    """
    best = rows[0]
    if best.order not in ("PA", "PAZ"):
        return best
    wanted = "PAZ" if (best.angles, best.phases) == (3, 5) else "PA"
    other = next((r for r in rows if r.order == wanted), best)
    return other if other.distinct >= best.distinct else best


def _sequence(group: np.ndarray, order: str) -> np.ndarray:
    """(A, P, Z, Y, X), grouped as `order` says, back to the file's sequence (n, Y, X)."""
    letters = order if "Z" in order else f"{order}Z"
    frames = group.transpose(*("APZ".index(c) for c in reversed(letters)), 3, 4)
    return frames.reshape(-1, *group.shape[-2:])


def _arranged(raw: RawFrames, order: str) -> np.ndarray:
    # order given and steps known: a stated order keeps plan_layout from asking for options
    return arrange(raw, plan_layout(raw, raw.angles, raw.phases, order, "the file"))
