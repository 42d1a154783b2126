"""Frames that are read in one mode, and hold the carriers of another."""

from __future__ import annotations

import numpy as np

from simrecon.backend import serial_blas
from simrecon.estimate.acceptance import MAX_OVER_CUTOFF
from simrecon.estimate.carriers.carrier_set import CarrierSet
from simrecon.estimate.carriers.set_search import MAX_CONDITION, SetFound, SetSearch
from simrecon.estimate.carriers.set_verdict import ORDER_NATS_OK, ORDER_NATS_WEAK
from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.task import FitTask, checked_frames
from simrecon.model.mode import MODES
from simrecon.model.psf import DetectionOTF
from simrecon.threads import on_all_cores

TWO_ORDERS = CarrierSet.harmonics(2, 1).bands
"""Fewest phases that separate a second order."""


@serial_blas
def other_mode(
    frames_e: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    variance_e2: np.ndarray | None,
    mode: str = "2d",
) -> str | None:
    """A sentence that names the mode whose carriers these frames show, or None.

    Three carriers in one set of frames, or order 2 beside order 1 in most directions, count where
    every one of them has the evidence that makes an order ``ok`` (`ORDER_NATS_OK`: orders that
    are not there reached 3.4 nats at most). One carrier per direction counts where it has that
    evidence in most of them and its other order has less than one that is used at all.

    Parameters
    ----------
    frames_e : ndarray (A, P, Y, X), float32
        Photo-electrons, offset removed.
    pixel_um, otf, variance_e2
        As for :func:`simrecon.estimate.estimate_pattern`.
    mode
        The mode of planes in which the frames were read.
    """
    frames = checked_frames(frames_e)
    sets, phases = frames.shape[:2]
    if phases < TWO_ORDERS:
        return None
    task, _ = FitTask.of(frames, pixel_um, otf, variance_e2)
    search = CarrierSearch(task.spectra, task.window, task.cutoff_per_um)
    told = None if mode == "hex" or sets > 1 else _three_carriers(task, search, phases)
    if told is not None:
        return told
    two = CarrierSet.harmonics(2, phases)
    harmonics = SetSearch(task, search, two, 1).harmonics
    tried = on_all_cores(lambda a: harmonics(a, None), range(sets))
    seen = [one for one in tried if _all_there(two, one)]
    if 2 * len(seen) > sets:
        return _two_orders(seen, task.cutoff_per_um, mode, sets, phases)
    single = [one for one in tried if _one_there(one)]
    if mode in ("2d", "tirf") or 2 * len(single) <= sets:
        return None
    period_nm = 1e3 / float(np.median([_shown_per_um(one) for one in single]))
    least = min(float(one.best.evidence.nats.max()) for one in single)
    most = max(float(one.best.evidence.nats.min()) for one in single)
    return (
        f"the frames of a direction hold one carrier, of {period_nm:.0f} nm, and no second order "
        f"(at least {least:.0f} nats, and at most {most:.0f}): "
        + _give(["2d", "tirf"], sets, phases)
    )


@serial_blas
def three_carriers(
    frames_e: np.ndarray, pixel_um: float, otf: DetectionOTF, variance_e2: np.ndarray | None
) -> str | None:
    """The sentence of :func:`other_mode` on three carriers in one set of frames (1, P, Y, X)."""
    task, _ = FitTask.of(checked_frames(frames_e), pixel_um, otf, variance_e2)
    search = CarrierSearch(task.spectra, task.window, task.cutoff_per_um)
    return _three_carriers(task, search, frames_e.shape[1])


def _three_carriers(task: FitTask, search: CarrierSearch, phases: int) -> str | None:
    facts = MODES["hex"]
    if phases < facts.least_phases():
        return None
    three = CarrierSet.simultaneous(facts.carriers, phases)
    found = SetSearch(task, search, three, 1).simultaneous(0)
    if found.doubts or not _all_there(three, found):
        return None
    said = _give(["hex"], 1, phases)
    return f"three carriers are in the same frames ({_evidence([found])}): {said}"


def _two_orders(
    seen: list[SetFound], cutoff_per_um: float, mode: str, sets: int, phases: int
) -> str | None:
    """What two orders mean, where the mode is none that has just them."""
    fundamental = float(np.median([np.hypot(*one.best.state.frequency_per_um[0]) for one in seen]))
    light = 2.0 * fundamental <= MAX_OVER_CUTOFF * cutoff_per_um
    if mode == "slice3" and light:
        return None
    if mode == "nonlinear" and (not light or MODES[mode].orders_of(phases) <= 2):
        return None
    # in mode nonlinear so many phases ask for a third order, which these beams do not have
    names = ["slice3", "nonlinear"] if light and mode != "nonlinear" else ["slice3"]
    names = names if light else ["nonlinear"]
    there = "order 2" if mode in ("2d", "tirf") else "orders 1 and 2"
    return (
        f"{there} of a pattern of {1e3 / fundamental:.0f} nm "
        + ("is in the frames too" if mode in ("2d", "tirf") else "are in the frames")
        + f" ({_evidence(seen)}): "
        + _give(names, sets, phases)
    )


def _give(names: list[str], sets: int, phases: int) -> str:
    """The options that read the frames in one of some modes."""
    what = {"slice3": "slice3 (three beams)", "tirf": "tirf (evanescent light)"}
    said = "give --mode " + " or ".join(what.get(n, n) for n in names)
    usual = all((MODES[n].directions, MODES[n].phases) == (sets, phases) for n in names)
    return said if usual else f"{said}, with --angles {sets} --phases {phases}"


def _all_there(carriers: CarrierSet, found: SetFound) -> bool:
    """Whether every carrier has its own evidence and the phases separate them."""
    enough = float(found.best.evidence.nats.min()) >= ORDER_NATS_OK
    return enough and carriers.condition(found.best.state) < MAX_CONDITION


def _one_there(found: SetFound) -> bool:
    """Whether one of two orders has evidence and the other has none."""
    nats = found.best.evidence.nats
    return float(nats.max()) >= ORDER_NATS_OK and float(nats.min()) < ORDER_NATS_WEAK


def _shown_per_um(found: SetFound) -> float:
    """Frequency of the order that has the evidence."""
    order = int(np.argmax(found.best.evidence.nats)) + 1
    return order * float(np.hypot(*found.best.state.frequency_per_um[0]))


def _evidence(seen: list[SetFound]) -> str:
    least = min(float(one.best.evidence.nats.min()) for one in seen)
    return f"at least {least:.0f} nats for each"
