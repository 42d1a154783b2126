"""What was expected of a pattern against what was found: one sentence per correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.model.pattern import line_distance_rad

SAME_PERIOD = 0.03
"""Relative difference of periods that needs no mention."""
SAME_ANGLE_RAD = float(np.deg2rad(5.0))
FACTORS = {2.0: "twice", 0.5: "half"}
FACTOR_TOLERANCE = 0.06


@dataclass(frozen=True)
class Expectation:
    """What the user says about the pattern.

    Attributes
    ----------
    frequency_per_um : float or None
    angles_rad : sequence of (float or None)
        One per direction.
    """

    frequency_per_um: float | None
    angles_rad: Sequence[float | None]

    @property
    def given(self) -> bool:
        """Whether anything was said."""
        return self.frequency_per_um is not None or any(a is not None for a in self.angles_rad)

    @property
    def none(self) -> Expectation:
        """The same number of directions, nothing known."""
        return Expectation(None, [None] * len(self.angles_rad))

    def corrections(self, found: dict[int, np.ndarray]) -> list[str]:
        """Sentences on what differs, from the frequencies (fy, fx) of the directions found."""
        if not found:
            return []
        sentences = []
        period = 1.0 / float(np.median([np.hypot(*f) for f in found.values()]))
        if self.frequency_per_um is not None:
            sentences += _period_sentence(period, 1.0 / self.frequency_per_um)
        angles = {d: float(np.arctan2(*f)) for d, f in found.items()}
        expected = {d: a for d, a in enumerate(self.angles_rad) if a is not None and d in angles}
        if expected:
            sentences += _angle_sentence([angles[d] for d in expected], list(expected.values()))
        return sentences


def _period_sentence(found_um: float, expected_um: float) -> list[str]:
    ratio = found_um / expected_um
    if abs(ratio - 1.0) <= SAME_PERIOD:
        return []
    text = f"the pattern's period is {1e3 * found_um:.1f} nm, not the expected "
    for factor, word in FACTORS.items():
        if abs(ratio / factor - 1.0) < FACTOR_TOLERANCE:
            return [text + f"{1e3 * expected_um:.1f} nm: it is {word} that"]
    return [text + f"{1e3 * expected_um:.1f} nm ({100 * (ratio - 1):+.0f} %)"]


def _angle_sentence(found: list[float], expected: list[float]) -> list[str]:
    def each(a: Sequence[float], b: Sequence[float]) -> bool:
        return all(line_distance_rad(x, y) < SAME_ANGLE_RAD for x, y in zip(a, b, strict=True))

    if each(found, expected):
        return []
    listed = ", ".join(f"{np.degrees(a):.1f}°" for a in found)
    mirrored = [-a for a in expected]
    text = f"the directions are {listed}, "
    if each(found, mirrored):
        return [text + "the expected ones mirrored: the rows of the file run the other way"]
    if _same_set(found, expected):
        return [text + "the expected ones in another sequence"]
    if _same_set(found, mirrored):
        return [text + "the expected ones mirrored and in another sequence"]
    return [text + "not the expected ones"]


def _same_set(found: Sequence[float], expected: Sequence[float]) -> bool:
    near = [
        [n for n, e in enumerate(expected) if line_distance_rad(f, e) < SAME_ANGLE_RAD]
        for f in found
    ]
    return all(near) and len({n[0] for n in near if n}) == len(found)
