"""From the search ring to one carrier per direction, and start values for the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.acceptance import NATS_WEAK, Known
from simrecon.estimate.coherence import CoherenceTest
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.mixing import DirectionState, mixing
from simrecon.estimate.phase import phases_from_carrier

RING = (0.3, 1.15)
"""Search ring without an expected frequency, in units of the detection cut-off."""
TOLERANCE = 0.12
"""Relative half-width of the ring round an expected frequency."""
CANDIDATES = 6
RIVAL = 0.35
"""Peaks are tried down to this fraction of the highest,"""
LEAST_PEAK = 3.0
"""and down to this height in robust sigmas."""
START_MODULATION = 0.5
MAX_CONDITION = 40.0


@dataclass(frozen=True)
class Candidate:
    """A peak of the search and the evidence for it, nats (:class:`CoherenceTest`)."""

    peak: CarrierPeak
    nats: float


@dataclass(frozen=True)
class Found:
    """Carrier of one direction.

    Attributes
    ----------
    candidates : tuple of Candidate
        The peaks that were compared, the chosen one first, then by evidence.
    state : DirectionState
        Start values of the fit.
    usable : bool
        The evidence is more than noise gives and the phases differ enough to separate the bands.
    known : str
        What was known beforehand (:data:`simrecon.estimate.acceptance.Known`).
    """

    candidates: tuple[Candidate, ...]
    state: DirectionState
    usable: bool
    known: Known

    @property
    def peak(self) -> CarrierPeak:
        """The chosen peak."""
        return self.candidates[0].peak

    @property
    def evidence(self) -> float:
        """Nats for the chosen peak."""
        return self.candidates[0].nats

    @property
    def rivalry(self) -> float:
        """Evidence of the best other candidate over that of the chosen one."""
        others = [c.nats for c in self.candidates[1:]]
        return max(others, default=0.0) / max(self.evidence, 1e-30)


def search_region(
    cutoff_per_um: float, expected_frequency_per_um: float | None, angle_rad: float | None
) -> SearchRegion:
    """Where the carrier of one direction may lie."""
    if expected_frequency_per_um is None:
        low, high = (factor * cutoff_per_um for factor in RING)
    else:
        low = (1 - TOLERANCE) * expected_frequency_per_um
        high = (1 + TOLERANCE) * expected_frequency_per_um
    return SearchRegion(low, high, angle_rad)


def find_carrier(
    search: CarrierSearch,
    test: CoherenceTest,
    direction: int,
    region: SearchRegion,
    known: Known,
) -> Found:
    """Best carrier of one direction inside `region`.

    The search filters by power alone; the OTF then tells which of the peaks the overlapping
    bands agree with.
    """
    peaks = search.peaks(direction, region, CANDIDATES, 0.5 * RIVAL)
    highest = max(p.peak_to_background for p in peaks)
    intensity = search.regression(direction)
    candidates = [
        Candidate(p, test.nats(direction, start_state(p, intensity)))
        for p in peaks
        if p.peak_to_background >= max(RIVAL * highest, min(highest, LEAST_PEAK))
    ]
    candidates.sort(key=lambda c: c.nats, reverse=True)
    return chosen(candidates, intensity, known)


def carrier_at(
    search: CarrierSearch,
    test: CoherenceTest,
    direction: int,
    frequency_per_um: Sequence[float],
) -> Found:
    """Carrier of one direction at a given frequency."""
    fy, fx = (float(f) for f in frequency_per_um)
    peak = search.at(direction, (fy, fx))
    intensity = search.regression(direction)
    nats = test.nats(direction, start_state(peak, intensity))
    return chosen([Candidate(peak, nats)], intensity, "frequency")


def chosen(candidates: Sequence[Candidate], intensity: np.ndarray, known: Known) -> Found:
    """The first of `candidates` as the carrier, with its start values."""
    state = start_state(candidates[0].peak, intensity)
    separable = bool(np.linalg.cond(mixing(state.phase_rad, state.intensity)) < MAX_CONDITION)
    enough = known == "frequency" or candidates[0].nats >= NATS_WEAK[known]
    return Found(tuple(candidates), state, enough and separable, known)


def start_state(peak: CarrierPeak, intensity: np.ndarray) -> DirectionState:
    """Start values from a peak: phases from the circle of its coefficients."""
    return DirectionState(
        frequency_per_um=np.array(peak.frequency_per_um),
        phase_rad=phases_from_carrier(peak.coefficients),
        intensity=np.maximum(intensity, 1e-3),
        modulation=START_MODULATION,
    )
