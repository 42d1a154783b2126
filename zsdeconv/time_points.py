"""Time points of a SIM recording, reconstructed and restored one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.config import Settings
from simrecon.errors import InputError, QualityError, SimReconError
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.pattern import PatternFit, Verdict, worst
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.result import Result
from zsdeconv import qc
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import linear_picture, reconstructed
from zsdeconv.learned import Predicted
from zsdeconv.measurement import Measurement
from zsdeconv.selection import select_acquisition

NO_PICTURE = (InputError, QualityError)
"""A time point without light, or one whose pattern is not found, is not the end of the rest."""

Restore = Callable[[Measurement], Predicted]


@dataclass(frozen=True)
class TimePoint:
    """One time point of a series.

    Attributes
    ----------
    time : int
        From 0.
    verdict, reason
        Of reconstruction and restoration, and why it is not "ok".
    image, variance : ndarray ([Z,] Y, X) or None
        The linear picture and its variance, where they are made.
    predicted : Predicted or None
        What the network made of it; None: the pattern fit failed, and there is no picture.
    pattern : PatternFit or None
    """

    time: int
    verdict: Verdict
    reason: str = ""
    image: np.ndarray | None = None
    variance: np.ndarray | None = None
    predicted: Predicted | None = None
    pattern: PatternFit | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the pictures."""
        found = self.predicted
        return {
            "time": self.time, "verdict": self.verdict, "reason": self.reason,
            "chi2": None if found is None else found.chi2,
            "flux_ratio": None if found is None else found.flux_ratio,
            "pattern": None if self.pattern is None else self.pattern.to_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """The time points of a channel and plane (or volume) of a SIM recording.

    Attributes
    ----------
    stack : SimStack
        Any number of time points; of a lazy array one is in memory at a time.
    settings : ZsSettings
    engine, otf, pattern
        See :func:`simrecon.pipeline.reconstruct`; without `pattern` every time point has its own.
    channel, plane : int or None
        Which one, from 0; None: the only one.
    """

    stack: SimStack
    settings: ZsSettings
    engine: Settings
    otf: AnyOTF | None = None
    pattern: PatternFit | Sequence[PatternFit] | None = None
    channel: int | None = None
    plane: int | None = None

    @property
    def times(self) -> int:
        """How many time points there are."""
        return int(self.stack.data.shape[0])

    def measure(self, time: int) -> tuple[Result, Measurement]:
        """One time point reconstructed, and as a measurement.

        Raises
        ------
        UsageError
            Several channels or planes and none named.
        InputError, QualityError
            It has no picture (:data:`NO_PICTURE`).
        """
        volume = self.engine.reconstruction.mode in VOLUME_MODES
        one = select_acquisition(
            self.stack, time=time, channel=self.channel, plane=self.plane, volume=volume
        )
        return reconstructed(one, self.settings, self.engine, otf=self.otf, pattern=self.pattern)

    def restored(self, restore: Restore) -> Iterator[TimePoint]:
        """All time points, in order, each made when it is asked for."""
        for time in range(self.times):
            try:
                result, measurement = self.measure(time)
            except NO_PICTURE as error:
                yield TimePoint(time, "failed", said(error))
                continue
            yield _time_point(time, result, measurement, restore(measurement))


def _time_point(
    time: int, result: Result, measurement: Measurement, predicted: Predicted
) -> TimePoint:
    gates = qc.explains(predicted.chi2, predicted.flux_ratio)
    verdict = worst([result.verdicts["overall"], *gates.values()])
    reasons = [name for name, v in result.verdicts.items() if v != "ok" and name != "overall"]
    if any(v != "ok" for v in gates.values()):
        reasons += [f"χ² = {predicted.chi2:.3f}", f"light out/in = {predicted.flux_ratio:.3f}"]
    image, variance = linear_picture(result, measurement)
    pattern = result.patterns[0][0]
    return TimePoint(time, verdict, ", ".join(reasons), image, variance, predicted, pattern)


def said(error: SimReconError) -> str:
    """The first line of what an error says."""
    return str(error).splitlines()[0]
