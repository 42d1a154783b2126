"""How a file's frames group into directions, phases, planes and times: tried, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simrecon.channel_split import ChannelSplit, find_channels
from simrecon.estimate.direction_peaks import direction_peaks
from simrecon.estimate.order import (
    EXPLAINS,
    MARGIN,
    FrameOrder,
    OrderRow,
    compare_readings,
    readings,
)
from simrecon.layout import arrange, plan_layout
from simrecon.model.frames import RawFrames
from simrecon.model.stack import SimStack
from simrecon.mosaic import untiled

STEPS = (((3, 3), (3, 5), (5, 3)), ((5, 5),), ((4, 3), (4, 5), (4, 4)), ((1, 5), (1, 3)))
"""Directions × phases tried when neither the file nor the user says; the next group of them only
when no order of those before explains the pattern."""
PEAK_PLANES, PEAK_SIDE = 5, 512
"""Planes, and their pixels, in which the pattern of a stack is looked for: enough, and little."""
CONCLUSIVE = 0.8
"""Share explained from which no further numbers of directions and phases are tried."""


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
        Candidates, best first.
    facts : RawFrames
        What is known about the frames.
    notes : tuple of str
        Claims of the file that the frames contradict.
    channels : ChannelSplit or None
        Where the channels are, when a plain sequence holds several.
    """

    data: Any
    rows: tuple[OrderRow, ...]
    facts: RawFrames
    notes: tuple[str, ...] = ()
    channels: ChannelSplit | None = None

    @property
    def order(self) -> str:
        """Letters of the best order, fastest first, the channel's among them if it was found."""
        best = self.rows[0].reading
        return best.name if self.channels is None else self.channels.insert(best.axes)

    @property
    def ambiguous_time(self) -> bool:
        """True when groups of frames may be planes or time points and the file does not say."""
        repeats = max(self.data.shape[0], self.data.shape[4])
        declared = dict(self.facts.axes).get("T", 1) > 1 or self.facts.planes is not None
        stated = self.facts.order is not None or declared
        outer = self.rows[0].reading.axes[-1][0] in "ZT"
        return repeats > 1 and not stated and outer and self.data.shape[4] in (1, repeats)


def group_frames(stack: SimStack | RawFrames, *, volume_directions: int = 0) -> Grouping:
    """Group a stack as the pattern in its frames says.

    A :class:`SimStack` keeps its numbers of directions, phases and planes; only its order is
    judged. For raw frames the numbers that the file does not state are tried. Repeats of so many
    directions as `volume_directions` that nobody has named are planes, not time points.
    """
    if isinstance(stack, SimStack):
        return _judged_stack(stack)
    stack = untiled(stack)
    found = _judged_frames(stack, volume_directions)
    named = {name for name, size in stack.axes if size > 1}
    declared = [name for name in "TC" if name in named]
    explained = found.rows[0].explained
    if explained >= CONCLUSIVE or not declared or stack.order is not None or {"A", "P"} & named:
        return found
    other = _judged_frames(replace(stack, axes=(("S", stack.count),)), volume_directions)
    if other.rows[0].explained < max(EXPLAINS, explained + MARGIN):
        return found
    names = " and ".join({"T": "time points", "C": "channels"}[name] for name in declared)
    note = (
        f"The file calls some of its frames {names}; the pattern in them shows that they are "
        "phases, directions or planes of one sequence."
    )
    return replace(other, notes=(note,))


def _judged_stack(stack: SimStack) -> Grouping:
    group, stated = first_acquisition(stack.data), core_order(stack.order)
    count = int(np.prod(group.shape[:3]))
    candidates = readings(count, stack.directions, stack.phases, int(group.shape[2]))
    facts = _facts_of(stack)
    rows = _rows(_sequence(group, stated), candidates, facts, stated)
    return Grouping(stack.data, rows, facts)


def plain_sequence(stack: SimStack) -> RawFrames:
    """First time point and channel as the file's sequence of frames, with all numbers forgotten."""
    frames = _sequence(first_acquisition(stack.data), core_order(stack.order))
    axes = (("S", len(frames)),)
    facts = replace(_facts_of(stack), frames=frames, axes=axes)
    return replace(facts, angles=None, phases=None, planes=None, order=None)


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


def _steps(raw: RawFrames, count: int) -> list[list[tuple[int, int]]]:
    """Directions × phases worth trying; only the given ones when both are known."""
    if raw.angles is not None and raw.phases is not None:
        return [[(raw.angles, raw.phases)]]
    fitting = [
        [
            (a, p)
            for a, p in group
            if count % (a * p * (raw.planes or 1)) == 0
            and raw.angles in (None, a)
            and raw.phases in (None, p)
        ]
        for group in STEPS
    ]
    usual = [[(raw.angles or STEPS[0][0][0], raw.phases or STEPS[0][0][1])]]
    return [group for group in fitting if group] or usual


def _judged_frames(raw: RawFrames, volume_directions: int) -> Grouping:
    """Try every order of every plausible number of directions and phases."""
    frames, raw = _one_sequence(raw)
    channels = None
    if raw.channels is not None and raw.channels > 1 and frames.shape[1] == 1:
        channels = find_channels(frames[0, 0], raw.channels)
        frames = channels.split(frames[:, 0])
    sequence = frames[0, 0]
    stated = "" if raw.order is None else core_order(raw.order)
    candidates: list[FrameOrder] = []
    for group in _steps(raw, len(sequence)):
        for angles, phases in group:
            outer = _outer_letter(raw, angles, phases, len(sequence))
            outer = "Z" if angles == volume_directions and raw.order is None else outer
            candidates += readings(len(sequence), angles, phases, raw.planes, outer)
        rows = _rows(sequence, candidates, raw, stated)
        if rows[0].explained >= CONCLUSIVE:
            break
    return Grouping(_arranged(frames, rows[0].reading), rows, raw, (), channels)


def _outer_letter(raw: RawFrames, angles: int, phases: int, count: int) -> str:
    """What the slowest repeats of an acquisition are called, which no pattern can tell.

    Planes where the file or the stated order says so, and for three directions of five phases
    (3-D SIM); else time points.
    """
    if raw.order is not None and "Z" in core_order(raw.order):
        return "Z"
    declared = dict(raw.axes).get("Z", 1) * angles * phases == count
    return "Z" if declared or (raw.order is None and (angles, phases) == (3, 5)) else "T"


def _one_sequence(raw: RawFrames) -> tuple[np.ndarray, RawFrames]:
    """Frames (T, C, n, Y, X) in file order, and the facts; time and channel as far as believed."""
    if {"A", "P"} <= {name for name, _ in raw.axes}:
        layout = plan_layout(raw, None, None, None)
        data = arrange(raw, layout)
        order = core_order(layout.order)
        n_angles, n_phases, planes = (int(n) for n in data.shape[2:5])
        raw = replace(raw, angles=n_angles, phases=n_phases, planes=planes, order=order)
    else:
        angles, phases = _steps(raw, raw.count // (raw.channels or 1))[0][0]
        whole_volumes = raw.planes and raw.count % (angles * phases * raw.planes) == 0
        # known planes keep the phases of one volume from being taken for its time points
        stacked = raw.planes if whole_volumes else None
        whole = replace(raw, angles=angles, phases=phases, planes=stacked, order="PAZ")
        data, order = arrange(whole, plan_layout(whole, None, None, None, "the file")), "PAZ"
    letters = order if "Z" in order else f"{order}Z"
    frames = data.transpose(0, 1, *(2 + "APZ".index(c) for c in reversed(letters)), 5, 6)
    return frames.reshape(*data.shape[:2], -1, *data.shape[-2:]), raw


def _arranged(frames: np.ndarray, reading: FrameOrder) -> np.ndarray:
    """(T, C, n, Y, X) in file order as (T, C, A, P, Z, Y, X)."""
    letters = [letter for letter, _ in reversed(reading.axes)]
    sizes = [size for _, size in reversed(reading.axes)]
    data = frames.reshape(*frames.shape[:2], *sizes, *frames.shape[-2:])
    for letter in "TZ":
        if letter not in letters:
            data, letters = np.expand_dims(data, 2), [letter, *letters]
    where = [2 + letters.index(letter) for letter in "TAPZ"]
    data = data.transpose(0, where[0], 1, *where[1:], 6, 7)
    return data.reshape(-1, *data.shape[2:]) if data.shape[0] > 1 else data[0]


def _rows(
    sequence: np.ndarray, candidates: Sequence[FrameOrder], facts: RawFrames, stated: str
) -> tuple[OrderRow, ...]:
    """Candidates judged, best first; the stated order stays unless another is clearly better."""
    rows = compare_readings(sequence, candidates, facts.pixel_um)
    usual = next((row for row in rows if row.order == stated), rows[0])
    best = usual if usual.explained > rows[0].explained - MARGIN else rows[0]
    frames = _some_planes(sequence, best.reading.indices()[0])
    peaks = direction_peaks(frames, facts.pixel_um, _cutoff_per_um(facts))
    return (replace(best, peaks=peaks), *(row for row in rows if row is not best))


def _some_planes(sequence: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Frames (A, P, Z, Y, X) at `index` (A, P, Z): some planes, and of these the middle."""
    planes = index.shape[2]
    places = (np.arange(PEAK_PLANES) + 0.5) / PEAK_PLANES * planes
    index = index[:, :, np.unique(places.astype(int))]
    side = PEAK_SIDE if planes > 1 else max(sequence.shape[-2:])
    rows, columns = (slice(max(0, (n - side) // 2), (n + side) // 2) for n in sequence.shape[-2:])
    frames = np.stack([sequence[i, rows, columns] for i in index.ravel()])
    return frames.reshape(*index.shape, *frames.shape[1:])


def _cutoff_per_um(facts: RawFrames) -> float | None:
    """Detection cut-off by what the file says, cycles/µm."""
    if facts.na is None or not facts.emission_nm:
        return None
    return 2e3 * facts.na / facts.emission_nm[0]


def _sequence(group: np.ndarray, order: str) -> np.ndarray:
    """(A, P, Z, Y, X), grouped as `order` says, back to the file's sequence (n, Y, X)."""
    letters = order if "Z" in order else f"{order}Z"
    frames = group.transpose(*("APZ".index(c) for c in reversed(letters)), 3, 4)
    return frames.reshape(-1, *group.shape[-2:])
