"""Frame order: which grouping of the frames agrees with the marks that the frames carry.

Under the right order every direction has one carrier of its own, at the same phase in every
plane; under a wrong one the frames of several directions, or of several phases, are mixed. A
wrong order often keeps strong peaks, so peak heights do not decide: the share of the marks' power
(:mod:`.frame_marks`) that an order explains does. No OTF is needed.

Thresholds were set on `benchmarks/bench_order.py`. One plane, numbers of directions and phases not
told, four objects (a quarter of them beads that show no pattern), 40 stacks per light level at
1000, 100, 30 and 20 e: right 35, 35, 32 and 31; called certain 29, 25, 21 and 21, of these wrong
0, 1, 1 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.estimate.direction_peaks import DirectionPeak, direction_peaks
from simrecon.estimate.frame_marks import Carrier, Marks, carrier_lines, read_marks
from simrecon.model.pattern import line_distance_rad

DISTINCT_RAD = math.radians(15.0)
EXPLAINS = 0.72
"""Least share of the marks' power that an order must explain to be decided on.

Simulated stacks (128², 3 × 3 and 3 × 5, four objects, 1000 to 30 photo-electrons, one seed): where
the marks' strength is above 2 the right order explains 0.94 and more (16 stacks); a real stack of
planes 0.77. Of shuffled frames the best order explains at most 0.69 at strengths of 4 and more (27
stacks), but 0.79 at 2.7.
"""
MARGIN = 0.1
"""Least lead over the next order."""
CERTAIN = 0.9
"""Least lead times strength of the marks: noise alone reached 0.67 (0.23 × 2.9)."""
MOST_LINES = 6
SIDE_PX = 256
"""Orders are compared on a central part of the field of this size."""


@dataclass(frozen=True)
class FrameOrder:
    """One way to read a sequence of frames.

    Attributes
    ----------
    axes : tuple of (str, int)
        Letters of A, P, Z, T with their sizes, fastest first.
    """

    axes: tuple[tuple[str, int], ...]

    def size(self, letter: str) -> int:
        """Length of an axis; 1 when it is not there."""
        return dict(self.axes).get(letter, 1)

    @property
    def name(self) -> str:
        """Letters, fastest first, without a slowest time axis."""
        letters = "".join(letter for letter, _ in self.axes)
        return letters.removesuffix("T")

    def indices(self) -> np.ndarray:
        """Place in the sequence of every frame, (T, A, P, Z)."""
        sizes = [size for _, size in reversed(self.axes)]
        order = [letter for letter, _ in reversed(self.axes)]
        grid = np.arange(math.prod(sizes)).reshape(sizes)
        for letter in "TAPZ":
            if letter not in order:
                grid, order = grid[None], [letter, *order]
        return grid.transpose([order.index(letter) for letter in "TAPZ"])


@dataclass(frozen=True)
class OrderRow:
    """How one candidate order fares.

    Attributes
    ----------
    reading : FrameOrder
    peaks : tuple of DirectionPeak
        Of the middle plane; of one direction's stack, where patterns are weak, of several.
    marks : Marks
        Of some planes and times.
    explained : float
        Share of the marks' power that this order explains, 0…1. Of several orders the largest
        power is the whole: under some wrong ones the pattern hides in the mean image.
    """

    reading: FrameOrder
    peaks: tuple[DirectionPeak, ...]
    marks: Marks
    explained: float = 0.0

    @property
    def order(self) -> str:
        """Letters, fastest first."""
        return self.reading.name

    @property
    def angles(self) -> int:
        """Number of directions."""
        return self.reading.size("A")

    @property
    def phases(self) -> int:
        """Number of phases."""
        return self.reading.size("P")

    @property
    def planes(self) -> int:
        """Number of planes."""
        return self.reading.size("Z")

    @property
    def times(self) -> int:
        """Number of time points."""
        return self.reading.size("T")

    @property
    def distinct(self) -> int:
        """Number of convincing directions that differ from each other."""
        return distinct_directions(self.peaks)

    @property
    def fault(self) -> str:
        """What speaks against this order, in words."""
        power, steady = self.marks.power, self.marks.steady_power
        total = float(power.sum())
        if total <= 0:
            return "no pattern"
        if float(power.max(axis=1).sum()) < 0.7 * total:
            return "directions are mixed within a group"
        if len(set(power.argmax(axis=1))) < self.angles:
            return "several directions have the same angle"
        if float(steady.max(axis=1).sum()) < 0.7 * total:
            return "phases change from plane to plane"
        return f"explains {100 * self.explained:.0f} %"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready row."""
        steps = self.marks.phase_steps_rad()
        return {
            "order": self.order, "angles": self.angles, "phases": self.phases,
            "planes": self.planes, "times": self.times,
            "explained": round(self.explained, 3), "strength": round(self.marks.strength, 1),
            "distinct_directions": self.distinct,
            "angles_deg": [
                None if p.grade == "none" else round(math.degrees(p.angle_rad), 1) + 0.0
                for p in self.peaks
            ],
            "phase_steps_deg": [
                None if s is None else [round(math.degrees(v), 1) + 0.0 for v in s] for s in steps
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


def readings(
    count: int, angles: int, phases: int, planes: int | None = None, outer: str = "Z"
) -> list[FrameOrder]:
    """All ways to read `count` frames as directions × phases × anything.

    What is left over beside directions and phases may vary fastest (planes), between the two
    (planes), slowest (`outer`: "Z" or "T"), or split into planes and, slowest, time points.

    Parameters
    ----------
    planes
        Number of planes when it is known.

    Raises
    ------
    InputError
        When the frames are not a whole number of acquisitions.
    """
    shot = angles * phases * (planes or 1)
    if count == 0 or count % shot:
        raise InputError(
            "The number of frames does not fit the directions and phases.",
            expected=f"a multiple of {angles} × {phases}"
            + (f" × {planes}" if planes else "")
            + f" = {shot} frames",
            got=str(count),
        )
    rest = count // (angles * phases)
    if planes is not None:
        splits = [(planes, rest // planes)]
    else:
        splits = [(z, rest // z) for z in range(1, rest + 1) if rest % z == 0]
    found: list[FrameOrder] = []
    for pair in ([("P", phases), ("A", angles)], [("A", angles), ("P", phases)]):
        if angles == 1 and pair[0][0] == "A":
            continue
        for z, t in splits:
            time = [("T", t)] if t > 1 else []
            if z == 1:
                last = outer if planes is None else "T"
                found.append(FrameOrder((*pair, *([(last, t)] if t > 1 else []))))
                continue
            for slot in range(3 if t > 1 or planes is not None else 2):
                # a plane axis next to a slowest time axis cannot be told from a longer one
                if slot == 2 and planes is None:
                    continue
                axes = [*pair[:slot], ("Z", z), *pair[slot:], *time]
                found.append(FrameOrder(tuple(axes)))
    return [f for f in found if not _same_as_outer(f, angles)]


def _same_as_outer(reading: FrameOrder, angles: int) -> bool:
    """With one direction, planes between it and the phases are planes outside."""
    return angles == 1 and "PZA" in "".join(letter for letter, _ in reading.axes)


def _sample(sequence: Any, reading: FrameOrder) -> np.ndarray:
    """(A, P, repeats, Y, X), float32: some planes and times, the middle of the field.

    Neighbours are among them, and some far apart: a regular choice could always hit the same
    phase of a wrong order.
    """
    times, planes = reading.size("T"), reading.size("Z")
    z = planes // 2
    places = {(0, z), (0, max(z - 1, 0)), (0, planes // 5), (min(1, times - 1), z)}
    places |= {(times // 2, z), (times - 1, z)}
    index = reading.indices()
    wanted = np.stack([index[t, :, :, z] for t, z in sorted(places)], axis=2)
    rows, columns = (_central(n) for n in sequence.shape[-2:])
    frames = [np.asarray(sequence[i][rows, columns], np.float32) for i in wanted.ravel()]
    return np.stack(frames).reshape(*wanted.shape, *frames[0].shape)


def _central(length: int) -> slice:
    start = max(0, (length - SIDE_PX) // 2)
    return slice(start, start + min(length, SIDE_PX))


def compare_readings(
    sequence: Any, candidates: Iterable[FrameOrder], pixel_um: float | None
) -> tuple[OrderRow, ...]:
    """Judge candidate readings of one sequence (n, Y, X), best first.

    The carriers are those that any of the readings shows; each reading is then held against the
    marks of the frames at all of them.
    """
    tried: list[tuple[FrameOrder, np.ndarray, tuple[DirectionPeak, ...]]] = []
    for reading in candidates:
        data = _sample(sequence, reading)
        sheet = reading.size("A") == 1 and reading.size("Z") > 1
        seen = data if sheet else data[:, :, data.shape[2] // 2]
        peaks = direction_peaks(seen, pixel_um)
        tried.append((reading, data, peaks))
    lines: list[list[Carrier]] = carrier_lines([p for _, _, ps in tried for p in ps], MOST_LINES)
    rows = [OrderRow(reading, peaks, read_marks(data, lines)) for reading, data, peaks in tried]
    whole = max((row.marks.total for row in rows), default=0.0)
    if whole > 0:
        rows = [replace(row, explained=min(row.marks.agreeing / whole, 1.0)) for row in rows]
    return tuple(sorted(rows, key=lambda row: row.explained, reverse=True))


def compare_orders(
    sequence: np.ndarray, angles: int, phases: int, pixel_um: float | None
) -> tuple[OrderRow, ...]:
    """Every order of one sequence (n, Y, X) with known numbers of directions and phases.

    Raises
    ------
    InputError
        When the frames are not a whole number of acquisitions.
    """
    return compare_readings(sequence, readings(len(sequence), angles, phases), pixel_um)


def none_fits(rows: Sequence[OrderRow]) -> bool:
    """The frames carry clear marks, and no order explains them."""
    best = rows[0]
    return 0 < best.explained < EXPLAINS and (1 - best.explained) * best.marks.strength >= CERTAIN


def explain(rows: Sequence[OrderRow]) -> tuple[str, bool]:
    """A sentence for the best order, and whether the evidence decides.

    It decides when the order explains nearly all of the marks' power and clearly more than the
    next; the dimmer the marks, the larger that lead must be.
    """
    best = rows[0]
    angles = ", ".join(
        f"{round(math.degrees(p.angle_rad))}°" for p in best.peaks if p.grade != "none"
    )
    if best.distinct == 0 or best.explained == 0:
        return "no order gives distinct directions with a clear pattern", False
    text = (
        f"{best.order}: {best.distinct} of {best.angles} directions clear and distinct ({angles}), "
        f"explains {100 * best.explained:.0f} % of the pattern seen in the single frames"
    )
    lead = best.explained - max((row.explained for row in rows[1:]), default=0.0)
    certain = best.explained >= EXPLAINS and lead * best.marks.strength >= CERTAIN
    if none_fits(rows):
        text = f"no order fits the frames; the best, {text}: perhaps they are not in sequence"
    elif lead < MARGIN:
        second = max(rows[1:], key=lambda row: row.explained)
        text += f"; ambiguous: {second.order} fits nearly as well"
    elif not certain:
        text += ", but the pattern hardly stands out of the noise"
    return text, certain and lead >= MARGIN
