"""A likely cause of an artefact, in words, and what rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simrecon.qc.symptoms import DirectionSymptoms, Symptoms


@dataclass(frozen=True)
class Finding:
    """One likely cause.

    Attributes
    ----------
    cause : str
        Short name, the same in every file (docs/artefacts.md lists them).
    what : str
        What was measured, and the limit.
    where : str
        Direction, frame or part of the field; empty: everywhere.
    likely : str
        The cause in words; where several cannot be told apart, all of them.
    action : str
        What to do: options of the program, or at the microscope.
    weight : float
        How far beyond its limit (1 = at the limit); findings are ranked by it.
    """

    cause: str
    what: str
    where: str
    likely: str
    action: str
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "weight": round(self.weight, 2)}

    @property
    def sentence(self) -> str:
        """For people."""
        place = f" ({self.where})" if self.where else ""
        return f"{self.likely}{place}: {self.what}. What to do: {self.action}"


def named(numbers: Sequence[int]) -> str:
    """``direction 1`` or ``directions 1, 3``."""
    word = "direction" if len(numbers) == 1 else "directions"
    return f"{word} {', '.join(str(n) for n in numbers)}"


def which(
    found: Symptoms, test: Callable[[DirectionSymptoms], float | None]
) -> tuple[list[int], list[float]]:
    """Directions (from 1) for which `test` gives a number, and these numbers."""
    pairs = [(i, test(d)) for i, d in enumerate(found.directions, 1)]
    hit = [(i, v) for i, v in pairs if v is not None]
    return [i for i, _ in hit], [v for _, v in hit]


LEAVE_AWAY = "leave --pattern away so that it is fitted"
FIT_REST = "leave --pattern away, or give frequencies only"


def given_complete(found: Symptoms) -> bool:
    """Nothing of the pattern was fitted to these frames."""
    return found.pattern_source == "complete"
