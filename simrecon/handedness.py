"""Directions found against directions expected: the same, mirrored, turned, or listed backwards.

A file stored bottom-up shows every angle with changed sign, a camera mounted sideways turns them.
Data are never flipped: what is expected is turned until it fits, and the sentence says how.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simrecon.model.pattern import line_distance_rad

TOLERANCE_RAD = math.radians(4.0)

_VIEWS: tuple[tuple[str, int, Callable[[float], float]], ...] = (
    ("", 0, lambda angle: angle),
    ("mirrored (rows stored the other way round: y flipped)", 1, lambda angle: -angle),
    ("turned by 90° (camera mounted sideways)", 2, lambda angle: angle + math.pi / 2),
    ("transposed (rows and columns swapped)", 2, lambda angle: math.pi / 2 - angle),
)
_SEQUENCES = {
    "": ("", 0),
    "shifted": ("the expected sequence but starting with another direction", 1),
    "reversed": ("reversed sequence", 1),
    "other": ("another sequence", 3),
}


@dataclass(frozen=True)
class Handedness:
    """How found directions relate to expected ones.

    Attributes
    ----------
    expected_rad : tuple of float
        The expected directions as these frames show them, in the sequence of the frames.
    readings : tuple of (str, str)
        The simplest explanations (view, sequence), "" = as expected; several: ambiguous.
    """

    expected_rad: tuple[float, ...]
    readings: tuple[tuple[str, str], ...]

    @property
    def sentence(self) -> str:
        """In words; empty when all is as expected."""
        if self.readings == (("", ""),):
            return ""
        texts = []
        for view, sequence in self.readings:
            parts = [view] if view else []
            parts += [f"in {_SEQUENCES[sequence][0]}"] if sequence else []
            texts.append(", ".join(parts) or "as they are")
        text = f"The angles found are the expected ones {', or '.join(texts)}"
        text += " (the angles cannot tell which)" if len(texts) > 1 else ""
        return f"{text}; the frames are used as they are."


def handedness(found_rad: Sequence[float], expected_rad: Sequence[float]) -> Handedness | None:
    """Compare directions.

    Parameters
    ----------
    found_rad
        Angles of the directions in file order; NaN where no pattern was found.
    expected_rad
        As many angles, in the sequence of the preset or the user.

    Returns
    -------
    Handedness or None
        None when no way of looking fits.
    """
    if len(found_rad) != len(expected_rad):
        return None
    fitting: list[tuple[int, str, str, tuple[float, ...]]] = []
    for name, cost, view in _VIEWS:
        turned = [math.remainder(view(angle), math.pi) for angle in expected_rad]
        places = _places(found_rad, turned)
        if places is not None:
            sequence = _sequence(places, len(turned))
            shown = tuple(turned[i if p is None else p] for i, p in enumerate(places))
            fitting.append((cost + _SEQUENCES[sequence][1], name, sequence, shown))
    if not fitting:
        return None
    least = min(one[0] for one in fitting)
    simplest = [one for one in fitting if one[0] == least]
    return Handedness(simplest[0][3], tuple((one[1], one[2]) for one in simplest))


def _places(found: Sequence[float], expected: Sequence[float]) -> list[int | None] | None:
    """Which expected direction each found one is; None where not found; None when one is not."""
    left = set(range(len(expected)))
    places: list[int | None] = []
    for angle in found:
        if math.isnan(angle):
            places.append(None)
            continue
        near = [i for i in left if line_distance_rad(angle, expected[i]) < TOLERANCE_RAD]
        if not near:
            return None
        closest = min(near, key=lambda i: line_distance_rad(angle, expected[i]))
        left.remove(closest)
        places.append(closest)
    return places if any(p is not None for p in places) else None


def _sequence(places: Sequence[int | None], count: int) -> str:
    known = [(i, p) for i, p in enumerate(places) if p is not None]
    if all(i == p for i, p in known):
        return ""
    if len({(p - i) % count for i, p in known}) == 1:
        return "shifted"
    return "reversed" if len({(p + i) % count for i, p in known}) == 1 else "other"
