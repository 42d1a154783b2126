"""From the search ring to one carrier per direction, and start values for the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.acceptance import NATS_WEAK, Known
from simrecon.estimate.coherence import Coherence, CoherenceTest
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.mixing import DirectionState, mixing
from simrecon.estimate.phase import equal_steps, phases_from_carrier, with_steps
from simrecon.estimate.prior import KnownSteps
from simrecon.threads import on_all_cores

RING = (0.3, 1.15)
"""Search ring without an expected frequency, in units of the detection cut-off."""
TOLERANCE = 0.12
"""Relative half-width of the ring round an expected frequency."""
CANDIDATES = 16
RIVAL = 0.35
"""Peaks are tried down to this fraction of the highest,"""
LEAST_PEAK = 3.0
"""and down to this height in robust sigmas."""
MOST_LIKELY = 3
"""Candidates for which equal phase steps are tried too."""
CLEAR_NATS = 60.0
"""With so much evidence the phases of a peak need no second opinion."""
START_MODULATION, MODULATIONS = 0.5, (0.2, 1.2)
"""Before anything is known, and what a clear carrier may start the fit with."""
MAX_CONDITION = 40.0


@dataclass(frozen=True)
class Candidate:
    """A peak of the search, start values there, and the evidence for them.

    Attributes
    ----------
    peak : CarrierPeak
    state : DirectionState
    nats : float
        :class:`CoherenceTest`.
    """

    peak: CarrierPeak
    state: DirectionState
    nats: float

    @classmethod
    def at(
        cls, peak: CarrierPeak, intensity: np.ndarray, test: CoherenceTest, direction: int
    ) -> Candidate:
        """With the phases that the peak's coefficients tell."""
        state = start_state(peak, intensity)
        return cls.of(peak, state, test(direction, [state])[0])

    @classmethod
    def of(cls, peak: CarrierPeak, state: DirectionState, found: Coherence) -> Candidate:
        """With the modulation that a clear carrier tells."""
        if found.nats >= CLEAR_NATS:
            modulation = float(np.clip(state.modulation * found.ratio, *MODULATIONS))
            state = replace(state, modulation=modulation)
        return cls(peak, state, found.nats)

    def with_equal_steps(self, test: CoherenceTest, direction: int) -> Candidate:
        """With equal phase steps where those explain more: few photons tell of phases badly."""
        if self.nats >= CLEAR_NATS:
            return self
        states = [
            replace(self.state, phase_rad=equal_steps(self.peak.coefficients, sense))
            for sense in (1, -1)
        ]
        found = test(direction, states)
        most = int(np.argmax([one.nats for one in found]))
        if found[most].nats <= self.nats:
            return self
        return Candidate.of(self.peak, states[most], found[most])


@dataclass(frozen=True)
class Found:
    """Carrier of one direction.

    Attributes
    ----------
    candidates : tuple of Candidate
        The peaks that were compared, the chosen one first, then by evidence.
    usable : bool
        The evidence is more than noise gives and the phases differ enough to separate the bands.
    known : str
        What was known beforehand (:data:`simrecon.estimate.acceptance.Known`).
    settled : bool
        The other directions decided between rivals.
    steps : KnownSteps or None
        Phase steps that were given.
    """

    candidates: tuple[Candidate, ...]
    usable: bool
    known: Known
    settled: bool = False
    steps: KnownSteps | None = None

    @property
    def state(self) -> DirectionState:
        """Start values of the fit."""
        return self.candidates[0].state

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

    def starting_at(self, state: DirectionState) -> Found:
        """The same carrier with other start values for the fit."""
        first, *others = self.candidates
        return replace(self, candidates=(replace(first, state=state), *others))


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
    if not peaks:  # a region without a DFT sample: small fields, narrow regions
        peaks = [search.at(direction, region.centre)]
    tallest = max(peaks, key=lambda p: p.peak_to_background)
    least = max(RIVAL * tallest.peak_to_background, LEAST_PEAK)
    high = [p for p in peaks if p.peak_to_background >= least] or [tallest]
    intensity = search.regression(direction)
    candidates = on_all_cores(lambda p: Candidate.at(p, intensity, test, direction), high)
    candidates.sort(key=lambda c: c.nats, reverse=True)
    likely = candidates[:MOST_LIKELY]
    likely = on_all_cores(lambda c: c.with_equal_steps(test, direction), likely)
    candidates = likely + candidates[MOST_LIKELY:]
    candidates.sort(key=lambda c: c.nats, reverse=True)
    return chosen(candidates, known)


def carrier_at(
    search: CarrierSearch,
    test: CoherenceTest,
    direction: int,
    frequency_per_um: Sequence[float],
    steps: KnownSteps | None = None,
) -> Found:
    """Carrier of one direction at a given frequency, with phase steps that may be known."""
    fy, fx = (float(f) for f in frequency_per_um)
    peak = search.at(direction, (fy, fx))
    candidate = Candidate.at(peak, search.regression(direction), test, direction)
    if steps is None:
        return chosen([candidate.with_equal_steps(test, direction)], "frequency")
    phase = with_steps(peak.coefficients, steps.phase_rad)
    state = replace(candidate.state, phase_rad=phase)
    candidate = Candidate.of(peak, state, test(direction, [state])[0])
    return replace(chosen([candidate], "frequency"), steps=steps)


def chosen(candidates: Sequence[Candidate], known: Known, *, settled: bool = False) -> Found:
    """The first of `candidates` as the carrier."""
    state = candidates[0].state
    separable = bool(np.linalg.cond(mixing(state.phase_rad, state.intensity)) < MAX_CONDITION)
    enough = known == "frequency" or candidates[0].nats >= NATS_WEAK[known]
    return Found(tuple(candidates), enough and separable, known, settled)


def start_state(peak: CarrierPeak, intensity: np.ndarray) -> DirectionState:
    """Start values from a peak: phases from the circle of its coefficients."""
    return DirectionState(
        frequency_per_um=np.array(peak.frequency_per_um),
        phase_rad=phases_from_carrier(peak.coefficients),
        intensity=np.maximum(intensity, 1e-3),
        modulation=START_MODULATION,
    )
