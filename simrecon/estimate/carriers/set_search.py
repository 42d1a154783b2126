"""Where the carriers of a set are: peaks, which order each of them is, and start values.

The strongest peak need not be the fundamental: of three beams in one plane it is order 2, of a
nonlinear response order 1. Every peak is tried as every order that the optics allow, and the
carriers that follow from it are held against the data together (:mod:`.evidence`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.acceptance import MAX_OVER_CUTOFF
from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.carriers.evidence import SetEvidence, set_evidence
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.phase import equal_steps, phases_from_carrier
from simrecon.estimate.search import RING, TOLERANCE
from simrecon.estimate.task import FitTask
from simrecon.estimate.window import wrap

LOWEST = 0.15
"""Smallest fundamental, in units of the detection cut-off."""
CANDIDATES = 10
RIVAL = 0.3
"""Peaks are tried down to this fraction of the highest."""
LEAST_PEAK = 3.0
MAX_CONDITION = 40.0
SAME_PEAK_SAMPLES = 2.0
DECIDED_NATS = 8.0
"""Difference of evidence that decides which order a peak is."""
CLOSES_SAMPLES = 1.5
"""Simultaneous carriers of one interference add up to zero within so many DFT samples."""
MOST_SHARED = 8
"""Peaks among which simultaneous carriers are looked for."""


@dataclass(frozen=True)
class SetCandidate:
    """Start values of one set and the evidence for them.

    Attributes
    ----------
    state : SetState
    evidence : SetEvidence
    peaks : tuple of CarrierPeak
        One per fundamental: the peak that it was found by.
    order : int
        Which order that peak is.
    """

    state: SetState
    evidence: SetEvidence
    peaks: tuple[CarrierPeak, ...]
    order: int = 1


@dataclass(frozen=True)
class SetFound:
    """The chosen candidate of one set.

    Attributes
    ----------
    best : SetCandidate
    rivalry : float
        Evidence of the best other pattern over that of the chosen.
    doubts : tuple of str
        Sentences for the user.
    """

    best: SetCandidate
    rivalry: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetSearch:
    """What the search of all sets shares.

    Attributes
    ----------
    task : FitTask
    search : CarrierSearch
    carriers : CarrierSet
    strongest : int
        The order that is usually the strongest in this mode.
    expected_per_um : float or None
        Expected fundamental.
    """

    task: FitTask
    search: CarrierSearch
    carriers: CarrierSet
    strongest: int
    expected_per_um: float | None = None

    # -- harmonics of one fundamental ---------------------------------------------------------

    def harmonics(self, frames: int, angle_rad: float | None) -> SetFound:
        """Fundamental of one direction."""
        peaks = self._peaks(frames, self._ring(), angle_rad)
        tried = [c for peak in peaks for c in self._as_orders(frames, peak)]
        if not tried:  # no peak can be any order of what is expected
            count = len(self.carriers.carriers)
            guess = self._candidate(frames, peaks[0], 1, peaks[0].frequency_per_um)
            none = SetEvidence(np.zeros(count), np.zeros(count, dtype=np.complex128))
            return SetFound(replace(guess, evidence=none), 0.0)
        tried.sort(key=lambda c: c.evidence.total, reverse=True)
        return self._decide(tried)

    def harmonics_at(self, frames: int, frequency_per_um: tuple[float, float]) -> SetFound:
        """Start values at a fundamental that is known."""
        tried = []
        for _, order in self.carriers.carriers:
            shown = (order * frequency_per_um[0], order * frequency_per_um[1])
            if np.hypot(shown[0], shown[1]) <= RING[1] * self.task.cutoff_per_um:
                peak = self.search.at(frames, shown)
                tried.append(self._candidate(frames, peak, order, frequency_per_um))
        if not tried:
            peak = self.search.at(frames, frequency_per_um)
            tried = [self._candidate(frames, peak, 1, frequency_per_um)]
        return SetFound(max(tried, key=lambda c: c.evidence.total), 0.0)

    def _ring(self) -> tuple[float, float]:
        """Radii in which any order may show a peak."""
        if self.expected_per_um is None:
            cutoff = self.task.cutoff_per_um
            return RING[0] * cutoff, RING[1] * cutoff
        top = max(order for _, order in self.carriers.carriers)
        high = min(top * self.expected_per_um, RING[1] * self.task.cutoff_per_um)
        return (1 - TOLERANCE) * self.expected_per_um, (1 + TOLERANCE) * high

    def _peaks(
        self, frames: int, ring: tuple[float, float], angle_rad: float | None
    ) -> list[CarrierPeak]:
        region = SearchRegion(*ring, angle_rad)
        peaks = self.search.peaks(frames, region, CANDIDATES, 0.5 * RIVAL)
        if not peaks:
            return [self.search.at(frames, region.centre)]
        least = max(RIVAL * max(p.peak_to_background for p in peaks), LEAST_PEAK)
        return [p for p in peaks if p.peak_to_background >= least] or peaks[:1]

    def allowed(self, fundamental_per_um: float) -> bool:
        """Whether the optics allow a fundamental: light needs to pass the objective.

        The highest order that *light* holds is the strongest one; harmonics above it are made by
        the sample.
        """
        highest = self.strongest * fundamental_per_um
        if self.expected_per_um is not None:
            return abs(fundamental_per_um / self.expected_per_um - 1) <= TOLERANCE
        low = LOWEST if self.strongest > 1 else RING[0]
        cutoff = self.task.cutoff_per_um
        return low * cutoff <= fundamental_per_um and highest <= MAX_OVER_CUTOFF * cutoff

    def _as_orders(self, frames: int, peak: CarrierPeak) -> list[SetCandidate]:
        """The peak taken for every order that the optics allow."""
        found = []
        for _, order in self.carriers.carriers:
            fy, fx = (f / order for f in peak.frequency_per_um)
            if self.allowed(float(np.hypot(fy, fx))):
                found.append(self._candidate(frames, peak, order, (fy, fx)))
        return found

    def _candidate(
        self, frames: int, peak: CarrierPeak, order: int, fundamental: tuple[float, float]
    ) -> SetCandidate:
        """The best start phases for a fundamental, of those that its peak leaves open."""
        lamp = np.maximum(self.search.regression(frames), 1e-3)
        first = peak if order == 1 else self.search.at(frames, fundamental)
        tried = []
        for phase in self._phases(peak, order, first):
            modulation = np.full(len(self.carriers.carriers), 0.5)
            state = SetState(np.array([fundamental]), phase[None], lamp, modulation)
            if self.carriers.condition(state) < MAX_CONDITION:
                tried.append(state)
        if not tried:
            phase = equal_steps(first.coefficients, 1)
            tried = [SetState(np.array([fundamental]), phase[None], lamp, modulation)]
        noise = self.task.noise[frames]
        rated = [set_evidence(self.carriers, s, self.task.images, frames, noise) for s in tried]
        best = int(np.argmax([e.total for e in rated]))
        return SetCandidate(tried[best], rated[best], (peak,), order)

    @staticmethod
    def _phases(peak: CarrierPeak, order: int, first: CarrierPeak) -> list[np.ndarray]:
        """Phases of the fundamental that a peak of some order leaves open.

        Order n leaves multiples of 2π/n: order 1 chooses them, or even steps do.
        """
        phase = phases_from_carrier(peak.coefficients)
        even = [equal_steps(first.coefficients, sense) for sense in (1, -1)]
        if order == 1:
            return [phase, *even]
        size = phase.size
        steps = 2 * np.pi * np.arange(size) / size
        found = []
        turns = 2 * np.pi / order
        for sense in (1, -1):
            near = sense * steps + (phase[0] / order)
            found.append(near + wrap_to(phase / order - near, turns))
        choices = np.array(list(itertools.product(range(order), repeat=min(size - 1, 8))))
        if choices.shape[1] == size - 1:
            choices = np.concatenate([np.zeros((len(choices), 1)), choices], axis=1)
            every = phase / order + turns * choices
            agree = np.abs(np.exp(-1j * every) @ first.coefficients)
            found.append(every[int(np.argmax(agree))])
        return found

    def _decide(self, tried: list[SetCandidate]) -> SetFound:
        """Choose among candidates (best first): which order a peak is, and which peak."""
        top = tried[0]
        doubts = []
        family = [c for c in tried if self._same_carriers(c, top) and self._apart(c, top)]
        lead = top.evidence.total - DECIDED_NATS
        close = [c for c in family if c.evidence.total > lead]
        if close:
            usual = [c for c in (top, *close) if self._strongest_order(c) == self.strongest]
            periods = sorted({round(_period_nm(c)) for c in (top, *close)})
            top = usual[0] if usual else top
            doubts.append(
                "the data do not tell whether the pattern's fundamental is "
                + " or ".join(f"{p} nm" for p in periods)
                + f": {_period_nm(top):.0f} nm is usual in this mode (--period-um settles it)"
            )
        rivals = [c for c in tried if not self._same_carriers(c, top)]
        rival = max((c.evidence.total for c in rivals), default=0.0)
        return SetFound(top, rival / max(top.evidence.total, 1e-30), tuple(doubts))

    @staticmethod
    def _strongest_order(candidate: SetCandidate) -> int:
        return int(np.argmax(candidate.evidence.nats)) + 1

    def _apart(self, one: SetCandidate, other: SetCandidate) -> bool:
        """Whether two candidates have different fundamentals."""
        a, b = one.state.frequency_per_um[0], other.state.frequency_per_um[0]
        length = np.array(self.task.window.padded.extent_um)
        return min(float(np.hypot(*((a - s * b) * length))) for s in (1, -1)) > SAME_PEAK_SAMPLES

    def _same_carriers(self, one: SetCandidate, other: SetCandidate) -> bool:
        """Whether some order of one lies where some order of the other does."""
        length = np.array(self.task.window.padded.extent_um)
        orders = [order for _, order in self.carriers.carriers]
        a, b = one.state.frequency_per_um[0], other.state.frequency_per_um[0]
        gaps = [
            float(np.hypot(*((n * a - s * m * b) * length)))
            for n in orders
            for m in orders
            for s in (1, -1)
        ]
        return min(gaps) < SAME_PEAK_SAMPLES * max(orders)

    # -- simultaneous directions --------------------------------------------------------------

    def simultaneous(self, frames: int) -> SetFound:
        """Carriers of all directions that share their frames."""
        cutoff, count = self.task.cutoff_per_um, self.carriers.fundamentals
        if self.expected_per_um is None:
            ring = RING[0] * cutoff, RING[1] * cutoff
        else:
            ring = (1 - TOLERANCE) * self.expected_per_um, (1 + TOLERANCE) * self.expected_per_um
        peaks = self.search.peaks(frames, SearchRegion(*ring), 2 * CANDIDATES, 0.1)
        peaks = sorted(peaks, key=lambda p: -p.peak_to_background)[:MOST_SHARED]
        while len(peaks) < count:
            peaks.append(self.search.at(frames, SearchRegion(*ring, len(peaks) * 1.0).centre))
        closing = []
        for some in itertools.combinations(peaks, count):
            turned = self._closing(some)
            if turned is not None:
                closing.append(turned)
        closing.sort(key=lambda s: -sum(p.peak_to_background for p in s))
        tried = [self._shared(frames, some) for some in closing[:4]]
        tallest = self._shared(frames, tuple(peaks[:count]))
        tried.sort(key=lambda c: c.evidence.total, reverse=True)
        if not tried or tried[0].evidence.total < 0.5 * tallest.evidence.total:
            doubt = (
                "the carriers do not add up to zero, as those of three interfering beams do: they "
                "were taken one by one"
            )
            return SetFound(tallest, 0.0, (doubt,))
        top = tried[0]
        others = [c for c in tried[1:] if self._shared_peaks(c, top) < count - 1]
        rival = max((c.evidence.total for c in others), default=0.0)
        return SetFound(top, rival / max(top.evidence.total, 1e-30))

    def _shared_peaks(self, one: SetCandidate, other: SetCandidate) -> int:
        """How many carriers of two candidates are the same."""
        return sum(
            any(self.search.gap(p.frequency_per_um, q) < SAME_PEAK_SAMPLES for q in other.peaks)
            for p in one.peaks
        )

    def simultaneous_at(
        self, frames: int, frequencies_per_um: list[tuple[float, float]]
    ) -> SetFound:
        """Start values at carriers that are known."""
        peaks = tuple(self.search.at(frames, f) for f in frequencies_per_um)
        return SetFound(self._shared(frames, peaks), 0.0)

    def _closing(self, peaks: tuple[CarrierPeak, ...]) -> tuple[CarrierPeak, ...] | None:
        """The peaks with signs such that they add up to zero, or None."""
        length = np.array(self.task.window.padded.extent_um)
        for signs in itertools.product((1, -1), repeat=len(peaks) - 1):
            some = [
                peaks[0],
                *(p if s > 0 else negative(p) for p, s in zip(peaks[1:], signs, strict=True)),
            ]
            total = np.sum([p.frequency_per_um for p in some], axis=0)
            if float(np.hypot(*(total * length))) < CLOSES_SAMPLES:
                return tuple(some)
        return None

    def _shared(self, frames: int, peaks: tuple[CarrierPeak, ...]) -> SetCandidate:
        lamp = np.maximum(self.search.regression(frames), 1e-3)
        phase = np.array([phases_from_carrier(p.coefficients) for p in peaks])
        frequency = np.array([p.frequency_per_um for p in peaks])
        state = SetState(frequency, phase, lamp, np.full(len(peaks), 0.5))
        if self.carriers.condition(state) >= MAX_CONDITION:
            plain = np.array([np.angle(p.coefficients) for p in peaks])
            state = replace(state, phase_rad=plain)
        noise = self.task.noise[frames]
        rated = set_evidence(self.carriers, state, self.task.images, frames, noise)
        return SetCandidate(state, rated, peaks)


def negative(peak: CarrierPeak) -> CarrierPeak:
    """The same peak at the negative frequency."""
    fy, fx = peak.frequency_per_um
    return replace(peak, frequency_per_um=(-fy, -fx), coefficients=np.conj(peak.coefficients))


def wrap_to(values: np.ndarray, period: float) -> np.ndarray:
    """Wrap to ±period/2."""
    return np.asarray(wrap(values * (2 * np.pi / period)) * (period / (2 * np.pi)))


def _period_nm(candidate: SetCandidate) -> float:
    return 1e3 / float(np.hypot(*candidate.state.frequency_per_um[0]))
