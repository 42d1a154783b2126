"""Frames that are read as two-beam SIM, and hold the carriers of another mode."""

from __future__ import annotations

import numpy as np

from simrecon.backend import serial_blas
from simrecon.estimate.acceptance import MAX_OVER_CUTOFF
from simrecon.estimate.carriers.carrier_set import CarrierSet
from simrecon.estimate.carriers.set_search import MAX_CONDITION, SetFound, SetSearch
from simrecon.estimate.carriers.set_verdict import ORDER_NATS_OK
from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.task import FitTask, checked_frames
from simrecon.model.mode import MODES
from simrecon.model.psf import DetectionOTF
from simrecon.threads import on_all_cores

TWO_ORDERS = CarrierSet.harmonics(2, 1).bands
"""Fewest phases that separate a second order."""


@serial_blas
def other_mode(
    frames_e: np.ndarray, pixel_um: float, otf: DetectionOTF, variance_e2: np.ndarray | None
) -> str | None:
    """A sentence that names the mode whose further carriers these frames show, or None.

    Three carriers in one set of frames, or order 2 beside order 1 in most directions, count where
    every one of them has the evidence that makes an order ``ok`` (`ORDER_NATS_OK`: orders that
    are not there reached 3.4 nats at most).

    Parameters
    ----------
    frames_e : ndarray (A, P, Y, X), float32
        Photo-electrons, offset removed.
    pixel_um, otf, variance_e2
        As for :func:`simrecon.estimate.estimate_pattern`.
    """
    frames = checked_frames(frames_e)
    sets, phases = frames.shape[:2]
    if phases < TWO_ORDERS:
        return None
    task, _ = FitTask.of(frames, pixel_um, otf, variance_e2)
    search = CarrierSearch(task.spectra, task.window, task.cutoff_per_um)
    if sets == 1 and phases >= MODES["hex"].least_phases():
        three = CarrierSet.simultaneous(MODES["hex"].carriers, phases)
        found = SetSearch(task, search, three, 1).simultaneous(0)
        if not found.doubts and _all_there(three, found):
            return f"three carriers are in the same frames ({_evidence([found])}): give --mode hex"
    two = CarrierSet.harmonics(2, phases)
    harmonics = SetSearch(task, search, two, 1).harmonics
    tried = on_all_cores(lambda a: harmonics(a, None), range(sets))
    seen = [one for one in tried if _all_there(two, one)]
    if 2 * len(seen) <= sets:
        return None
    fundamental = float(np.median([np.hypot(*one.best.state.frequency_per_um[0]) for one in seen]))
    light = 2.0 * fundamental <= MAX_OVER_CUTOFF * task.cutoff_per_um
    return (
        f"order 2 of a pattern of {1e3 / fundamental:.0f} nm is in the frames too "
        f"({_evidence(seen)}): give --mode "
        + ("slice3 (three beams) or nonlinear" if light else "nonlinear")
    )


def _all_there(carriers: CarrierSet, found: SetFound) -> bool:
    """Whether every carrier has its own evidence and the phases separate them."""
    enough = float(found.best.evidence.nats.min()) >= ORDER_NATS_OK
    return enough and carriers.condition(found.best.state) < MAX_CONDITION


def _evidence(seen: list[SetFound]) -> str:
    least = min(float(one.best.evidence.nats.min()) for one in seen)
    return f"at least {least:.0f} nats for each"
