"""From the search ring to one carrier per direction, and start values for the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.acceptance import peak_found
from simrecon.estimate.consistency import Demodulated, build_gram
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.gains import band_gains
from simrecon.estimate.groups import SEPARATE
from simrecon.estimate.mixing import DirectionState, mixing
from simrecon.estimate.overlap import overlap
from simrecon.estimate.phase import phases_from_carrier
from simrecon.estimate.rows import BandImages

RING = (0.3, 1.15)
"""Search ring without an expected frequency, in units of the detection cut-off."""
TOLERANCE = 0.12
"""Relative half-width of the ring round an expected frequency."""
CANDIDATES = 6
RIVAL = 0.35
"""A second peak is tried when it is at least this fraction of the highest."""
CONTENDER = 0.4
PERIOD_SPREAD = 0.012
START_MODULATION = 0.5
MAX_CONDITION = 40.0


@dataclass(frozen=True)
class Found:
    """Carrier of one direction.

    Attributes
    ----------
    peak : CarrierPeak
    state : DirectionState
        Start values of the fit.
    usable : bool
        The peak stands out and the phases differ enough to separate the bands.
    rivals : tuple of (CarrierPeak, float)
        The peaks that were compared, with the power that each explains; empty when there was no
        doubt.
    sector : bool
        The angle was known beforehand, so that a lower peak is believed.
    given : bool
        The frequency was known.
    """

    peak: CarrierPeak
    state: DirectionState
    usable: bool
    rivals: tuple[tuple[CarrierPeak, float], ...]
    sector: bool
    given: bool


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


class CandidateTest:
    """Which of several peaks do the overlapping bands agree with?

    The search filters by power alone; with the OTF the likelihood of each candidate can be told:
    the power of the orders ±1 that the order 0 explains when they are put back by it.
    """

    def __init__(self, images: BandImages, noise: np.ndarray) -> None:
        self.images = images
        self.noise = noise
        field = images.field
        self.separate_px = SEPARATE * field.cutoff_per_um * min(field.window.padded.extent_um)

    def explained(self, direction: int, state: DirectionState) -> float:
        """Explained power in noise units of one direction at `state`."""
        rows = self.images.plain_rows(direction, state)
        moments = np.zeros((self.noise.shape[1], 3, 6), dtype=np.complex128)
        moments[:, 0, 0] = self.noise[direction]
        gains = band_gains(self.images.otf, [state], self.images.half)
        demodulated = Demodulated(rows, [state], [moments])
        gram = build_gram(demodulated, [state], gains, self.images.half, self.separate_px)
        return overlap(gram, 0).explained


def find_carrier(
    search: CarrierSearch,
    test: CandidateTest,
    direction: int,
    region: SearchRegion,
) -> Found:
    """Best carrier of one direction inside `region`."""
    peaks = search.peaks(direction, region, CANDIDATES, 0.5 * RIVAL)
    highest = peaks[0].peak_to_background
    expected = region.angle_rad is not None
    rivals = [p for p in peaks if p.peak_to_background >= max(RIVAL * highest, 4.0)]
    intensity = search.regression(direction)
    if len(rivals) < 2 or not peak_found(highest, expected):
        return _found(peaks[0], intensity, expected)
    scores = [test.explained(direction, start_state(p, intensity)) for p in rivals]
    best = rivals[int(np.argmax(scores))]
    return _found(best, intensity, expected, tuple(zip(rivals, scores, strict=True)))


def agree_on_period(found: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Settle doubtful directions by the period of the others.

    All directions of one acquisition leave the same circle of the pupil, so their periods agree to
    a per cent or two. Where a rival peak explains nearly as much as the best (`CONTENDER`), the
    product of what it explains and its agreement (normal, `PERIOD_SPREAD`) decides.
    """
    radii = np.array([np.hypot(*f.peak.frequency_per_um) for f in found])
    doubtful = [_contenders(f) for f in found]
    sure = [r for r, c, f in zip(radii, doubtful, found, strict=True) if len(c) < 2 and f.usable]
    notes: list[str] = []
    if not sure:
        return list(found), notes
    usual = float(np.median(sure))
    settled = []
    for d, (one, contenders) in enumerate(zip(found, doubtful, strict=True)):
        if len(contenders) < 2 or one.given:
            settled.append(one)
            continue
        off = np.array([np.hypot(*p.frequency_per_um) / usual - 1.0 for p, _ in contenders])
        power = np.array([score for _, score in contenders])
        best = contenders[int(np.argmax(power * np.exp(-0.5 * (off / PERIOD_SPREAD) ** 2)))][0]
        if best is not one.peak:
            notes.append(
                f"direction {d + 1}: of {len(contenders)} peaks that explain the data about "
                f"equally, the one with the other directions' period was taken "
                f"({_nm(best):.1f} nm, not {_nm(one.peak):.1f} nm)"
            )
        settled.append(_found(best, one.state.intensity, one.sector, one.rivals))
    return settled, notes


def _contenders(found: Found) -> list[tuple[CarrierPeak, float]]:
    most = max((score for _, score in found.rivals), default=0.0)
    return [(p, score) for p, score in found.rivals if score >= CONTENDER * most]


def _nm(peak: CarrierPeak) -> float:
    return 1e3 / float(np.hypot(*peak.frequency_per_um))


def carrier_at(search: CarrierSearch, direction: int, frequency_per_um: Sequence[float]) -> Found:
    """Carrier of one direction at a given frequency."""
    fy, fx = (float(f) for f in frequency_per_um)
    peak = search.at(direction, (fy, fx))
    return _found(peak, search.regression(direction), True, given=True)


def _found(
    peak: CarrierPeak,
    intensity: np.ndarray,
    expected: bool,
    rivals: tuple[tuple[CarrierPeak, float], ...] = (),
    given: bool = False,
) -> Found:
    state = start_state(peak, intensity)
    matrix = mixing(state.phase_rad, state.intensity)
    separable = bool(np.linalg.cond(matrix) < MAX_CONDITION)
    enough = given or peak_found(peak.peak_to_background, expected)
    return Found(peak, state, enough and separable, rivals, expected, given)


def start_state(peak: CarrierPeak, intensity: np.ndarray) -> DirectionState:
    """Start values from a peak: phases from the circle of its coefficients."""
    return DirectionState(
        frequency_per_um=np.array(peak.frequency_per_um),
        phase_rad=phases_from_carrier(peak.coefficients),
        intensity=np.maximum(intensity, 1e-3),
        modulation=START_MODULATION,
    )
