"""What the directions of one acquisition tell about each other.

All directions leave the same circle of the pupil, so their periods agree to a per cent or two, and
on nearly every instrument they are spread evenly over the half circle.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from simrecon.estimate.acceptance import NATS_OK, RIVALRY_OK
from simrecon.estimate.coherence import CoherenceTest
from simrecon.estimate.frequency import CarrierSearch, SearchRegion
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
    clear = [f for f in found if _clear(f)]
    lost = [d for d, f in enumerate(found) if not _clear(f) and f.known == "nothing"]
    if not clear or not lost:
        return result, notes
    radius = float(np.median([np.hypot(*f.peak.frequency_per_um) for f in clear]))
    step = np.pi / len(found)
    slots = [_angle(clear[0]) + n * step for n in range(len(found))]
    taken = [_angle(f) for f in clear]
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


def _clear(found: Found) -> bool:
    rivals = found.rivalry > RIVALRY_OK and not found.settled
    return found.usable and found.evidence >= NATS_OK["nothing"] and not rivals


def _angle(found: Found) -> float:
    return float(np.arctan2(*found.peak.frequency_per_um))


def _nm(candidate: Candidate) -> float:
    return 1e3 / float(np.hypot(*candidate.peak.frequency_per_um))
