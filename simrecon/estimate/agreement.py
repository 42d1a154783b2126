"""What the directions of one acquisition tell about each other.

All directions leave the same circle of the pupil, so their periods agree to a per cent or two, and
on nearly every instrument they are spread evenly over the half circle.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from simrecon.estimate.acceptance import NATS_OK, RIVALRY_OK, coinciding
from simrecon.estimate.coherence import CoherenceTest
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.search import Candidate, Found, chosen, find_carrier
from simrecon.model.pattern import line_distance_rad

CONTENDER = 0.4
"""A rival is in doubt from this fraction of the best evidence on."""
MOST_CONTENDERS = 4
PERIOD_SPREAD, PERIOD_CAP = 0.012, 4.0
"""Relative standard deviation of the periods, and the most that disagreement costs (nats)."""
ANGLE_SPREAD_RAD, ANGLE_CAP = np.deg2rad(3.0), 2.0
"""The same for even spacing, which is a habit and no law."""
SETTLED = 1.0
"""Nats by which the other directions must prefer a carrier to its rivals to settle the matter."""
PEAK_SHARED = 5.0
"""Height, robust sigmas, from which a peak at another direction's carrier is no chance, within"""
SHARED_SAMPLES = 2.0
"""so many DFT samples."""
LOOK_PERIOD, LOOK_ANGLE_RAD = 0.025, 0.06
"""Half-widths of the second look."""


def agree(found: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Settle directions with several carriers of like evidence by period and spacing of all."""
    contenders = [_contenders(f) for f in found]
    if all(len(c) == 1 for c in contenders):
        return list(found), []
    usable = [f.usable for f in found]
    scored = [(_score(some, usable), some) for some in itertools.product(*contenders)]
    top, best = max(scored, key=lambda one: one[0])
    settled, notes = [], []
    for d, (one, choice) in enumerate(zip(found, best, strict=True)):
        others = [score for score, some in scored if some[d] is not choice]
        clear = bool(others) and top - max(others) >= SETTLED
        rest = [c for c in one.candidates if c is not choice]
        settled.append(chosen([choice, *rest], one.known, settled=clear))
        if choice is not one.candidates[0]:
            notes.append(
                f"direction {d + 1}: of {len(contenders[d])} carriers that explain the data about "
                "equally, the one that fits the other directions was taken "
                f"({_nm(choice):.1f} nm, not {_nm(one.candidates[0]):.1f} nm)"
            )
    return settled, notes


def _contenders(found: Found) -> list[Candidate]:
    if not found.usable or found.known == "frequency":
        return [found.candidates[0]]
    likely = [c for c in found.candidates if c.nats >= CONTENDER * found.evidence]
    return likely[:MOST_CONTENDERS]


def _score(some: Sequence[Candidate], usable: Sequence[bool]) -> float:
    """Logarithm of evidence and agreement of one choice."""
    taken = [c for c, u in zip(some, usable, strict=True) if u]
    vectors = np.array([c.peak.frequency_per_um for c in taken])
    radii = np.hypot(*vectors.T)
    off = (radii / np.median(radii) - 1.0) / PERIOD_SPREAD
    turn = np.exp(2j * len(some) * np.arctan2(*vectors.T))
    bend = np.angle(turn / turn.mean()) / (2 * len(some)) / ANGLE_SPREAD_RAD
    score = sum(float(np.log(max(c.nats, 1e-3))) for c in taken)
    score -= float(np.minimum(0.5 * off**2, PERIOD_CAP).sum())
    return score - float(np.minimum(0.5 * bend**2, ANGLE_CAP).sum())


def look_again(
    search: CarrierSearch, test: CoherenceTest, found: Sequence[Found]
) -> tuple[list[Found], list[str]]:
    """Directions without a clear carrier, searched where the clear ones would have theirs."""
    result, notes = list(found), list[str]()
    certain = [f for f in found if clear(f)]
    lost = [d for d, f in enumerate(found) if not clear(f) and f.known == "nothing"]
    if not certain or not lost:
        return result, notes
    radius = float(np.median([np.hypot(*f.peak.frequency_per_um) for f in certain]))
    step = np.pi / len(found)
    slots = [_angle(certain[0]) + n * step for n in range(len(found))]
    taken = [_angle(f) for f in certain]
    slots = [s for s in slots if all(line_distance_rad(s, t) > 0.5 * step for t in taken)]
    looks = []
    for d in lost:
        for slot in slots:
            region = SearchRegion(
                (1 - LOOK_PERIOD) * radius, (1 + LOOK_PERIOD) * radius, slot, LOOK_ANGLE_RAD
            )
            looks.append((d, slot, find_carrier(search, test, d, region, "others")))
    for d, slot, one in sorted(looks, key=lambda look: look[2].evidence, reverse=True):
        if d not in lost or slot not in slots or not one.usable:
            continue
        lost.remove(d)
        slots.remove(slot)
        if one.evidence > found[d].evidence:
            # Better than all that the search saw by itself: it stands on its own.
            result[d] = chosen([one.candidates[0], *found[d].candidates], "nothing")
        elif not found[d].usable:
            result[d] = one
            notes.append(
                f"direction {d + 1}: its carrier does not stand out by itself; it was looked for "
                "where the clear directions would have it"
            )
    return result, notes


def clear(found: Found) -> bool:
    """Whether a direction's carrier needs no help from what others say."""
    rivals = found.rivalry > RIVALRY_OK and not found.settled
    return found.usable and found.evidence >= NATS_OK[found.known] and not rivals


def shared_carriers(search: CarrierSearch, found: Sequence[Found]) -> list[tuple[int, int]]:
    """Pairs of directions that have the same carrier, or each show the other's beside their own.

    Under a wrong frame order the frames of a "direction" come from several, and carry the patterns
    of all of them.
    """
    same, mutual = [], []
    for i, j in itertools.combinations(range(len(found)), 2):
        one, other = found[i], found[j]
        if not (one.usable or other.usable) or "frequency" in (one.known, other.known):
            continue
        vectors = [np.array(f.peak.frequency_per_um) for f in (one, other)]
        if one.usable and other.usable and coinciding(vectors):
            same.append((i, j))
        elif _shows(search, one, other.peak) and _shows(search, other, one.peak):
            mutual.append((i, j))
    # One pair may be chance (a few beads have many peaks); a wrong order touches all directions.
    touched = {d for pair in same + mutual for d in pair}
    return same + mutual if len(touched) == len(found) else same


def _shows(search: CarrierSearch, found: Found, peak: CarrierPeak) -> bool:
    """Whether a direction has a peak at another's carrier too."""
    return any(
        c.peak.peak_to_background >= PEAK_SHARED
        and search.gap(c.peak.frequency_per_um, peak) <= SHARED_SAMPLES
        for c in found.candidates
    )


def _angle(found: Found) -> float:
    return float(np.arctan2(*found.peak.frequency_per_um))


def _nm(candidate: Candidate) -> float:
    return 1e3 / float(np.hypot(*candidate.peak.frequency_per_um))
