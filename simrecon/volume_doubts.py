"""Why a volume's pattern could not be fitted: how the frames would be read by themselves."""

from __future__ import annotations

import numpy as np

from simrecon.config import Settings
from simrecon.estimate.direction_peaks import DirectionPeak
from simrecon.estimate.order import FrameOrder, OrderRow, explain
from simrecon.grouping import core_order, group_frames, plain_sequence
from simrecon.model.mode import MODES, VOLUME_MODES
from simrecon.model.psf import AnyVolumeOTF
from simrecon.model.stack import SimStack


def doubts(stack: SimStack, settings: Settings, measured: AnyVolumeOTF | None) -> list[str]:
    """What may be wrong where the fit of a volume's pattern failed, in sentences.

    Parameters
    ----------
    stack
        As it was read. The pattern in its frames is searched as if nobody had said how they follow
        each other (:mod:`simrecon.grouping`); what is clear from them is held against it.
    settings
        Mode, and what was told about a light sheet.
    measured
        The OTF if one was given. It is suspected where the frames themselves are read right.
    """
    return [*_of_frames(stack, settings.reconstruction.mode, measured), *_told(settings)]


def _of_frames(stack: SimStack, mode: str, measured: AnyVolumeOTF | None) -> list[str]:
    """Frame order, mode, or else the OTF."""
    best = _shown(stack)
    if best is None:
        return []
    seen = f"explains {100 * best.explained:.0f} % of the pattern in them"
    seen += _periods(best.peaks)
    if (best.angles, best.phases) != (stack.directions, stack.phases):
        return [
            f"the frames by themselves are {best.angles} × {best.phases} per plane, not "
            f"{stack.directions} × {stack.phases} (order {_with_planes(best.order)} {seen})"
            f"{_usual(best)}"
        ]
    if not _same(best.reading, _reading(stack)):
        order = _with_planes(best.order)
        return [
            f"the frames by themselves follow each other as {order}, not {core_order(stack.order)} "
            f"({order} {seen}): give --order {order}"
        ]
    if (stack.directions, stack.phases) != (MODES[mode].directions, MODES[mode].phases):
        return [f"{best.angles} × {best.phases} frames per plane ({seen}){_usual(best)}"]
    if measured is None:
        return []
    return [
        f"the frames are read right (order {core_order(stack.order)} {seen}), but the "
        f"given OTF does not agree with them: that of another instrument, mode, wavelength, pixel "
        f"size or plane distance? ({measured.source or '--otf'})"
    ]


def _shown(stack: SimStack) -> OrderRow | None:
    """What the frames clearly show: with the numbers as read, or else with any."""
    rows = group_frames(stack).rows
    if explain(rows)[1] and rows[0].distinct >= min(2, stack.directions):
        return rows[0]
    rows = group_frames(plain_sequence(stack)).rows
    return rows[0] if explain(rows)[1] else None


def _told(settings: Settings) -> list[str]:
    """What was told about a light sheet and may be wrong."""
    sheet, said = settings.sheet, []
    if sheet.sheet_offset_um != "auto":
        said.append(
            f"the sheet was taken to lie {sheet.sheet_offset_um:g} µm from the focal plane, as "
            "told; --sheet-offset-um auto finds where it is"
        )
    if sheet.sheet_orders == 1:
        said.append(
            "order 2 was taken to be absent, as told: a lattice with five phases needs no "
            "--sheet-orders 1"
        )
    return said


def _periods(peaks: tuple[DirectionPeak, ...]) -> str:
    """Periods that single planes show, the fundamental and the finest of the first clear one."""
    clear = next((p for p in peaks if p.grade == "strong" and p.period_um is not None), None)
    if clear is None or clear.period_um is None:
        return ""
    pixel_nm = 1e3 * clear.period_um / clear.period_px
    found = clear.orders_px or (clear.period_px,)
    return "; periods " + " and ".join(f"{pixel_nm * px:.0f} nm" for px in found)


def _usual(best: OrderRow) -> str:
    """Modes whose usual frames these are, those of volumes first."""
    names = sorted(MODES, key=lambda name: name not in VOLUME_MODES)
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
