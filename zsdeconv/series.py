"""A series of SIM acquisitions: one network for all time points, each reconstructed on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.config import Settings
from simrecon.errors import InputError, QualityError, SimReconError, UsageError
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.pattern import PatternFit, Verdict, worst
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.result import Progress, Result, no_progress
from zsdeconv import qc
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import Enhanced, enhance, linear_picture, reconstructed
from zsdeconv.learned import Learned, Predicted
from zsdeconv.measurement import Measurement
from zsdeconv.selection import select_acquisition

TRAINED_ON = 4
"""Time points of a training, evenly spread. They share its steps and its memory."""
_NO_PICTURE = (InputError, QualityError)
"""A time point without light, or one whose pattern is not found, is not the end of the series."""


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
class Series:
    """A trained series; iterate over it for its time points, which are made one by one.

    Attributes
    ----------
    trained : Enhanced
        The time point in the middle of those that the network was trained on, as the training
        judged it, with the model.
    learned : Learned
        What restores the time points: the network, or the classical start where that is better.
    trained_on : tuple of int
        Time points of the training.
    left_out : mapping
        Time points that were to be trained on and have no reconstruction, with the reason.
    """

    stack: SimStack
    settings: ZsSettings
    engine: Settings
    otf: AnyOTF | None
    pattern: PatternFit | Sequence[PatternFit] | None
    channel: int | None
    plane: int | None
    trained: Enhanced
    learned: Learned
    trained_on: tuple[int, ...]
    left_out: dict[int, str]

    @property
    def judged(self) -> int:
        """The time point of `trained`."""
        return self.trained_on[len(self.trained_on) // 2]

    @property
    def times(self) -> int:
        """How many time points there are."""
        return int(self.stack.data.shape[0])

    def __iter__(self) -> Iterator[TimePoint]:
        """All time points, in order."""
        for time in range(self.times):
            try:
                result, measurement = self.measure(time)
            except _NO_PICTURE as error:
                yield TimePoint(time, "failed", _said(error))
                continue
            yield _time_point(time, result, measurement, self.learned(measurement))

    def measure(self, time: int) -> tuple[Result, Measurement]:
        """One time point reconstructed, and as a measurement."""
        return reconstructed(
            _at(self.stack, time, self.channel, self.plane, self.engine),
            self.settings,
            self.engine,
            otf=self.otf,
            pattern=self.pattern,
        )


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


def _said(error: SimReconError) -> str:
    return str(error).splitlines()[0]


def _at(
    stack: SimStack, time: int, channel: int | None, plane: int | None, engine: Settings
) -> SimStack:
    volume = engine.reconstruction.mode in VOLUME_MODES
    return select_acquisition(stack, time=time, channel=channel, plane=plane, volume=volume)


def train_series(
    stack: SimStack,
    settings: ZsSettings | None = None,
    *,
    engine: Settings | None = None,
    otf: AnyOTF | None = None,
    pattern: PatternFit | Sequence[PatternFit] | None = None,
    channel: int | None = None,
    plane: int | None = None,
    trained_on: int = TRAINED_ON,
    folder: Path | None = None,
    resume: bool = False,
    progress: Progress = no_progress,
) -> Series:
    """Train one network on some time points of a series of SIM acquisitions.

    Every time point has its own pattern (fitted, unless `pattern` is given), operator and forward
    model; the network, its scale and the combination of its pictures are those of all.

    Parameters
    ----------
    stack : SimStack
        Any number of time points; of a lazy array those of the training are in memory at once,
        later one at a time.
    settings, engine, otf, pattern, channel, plane, folder, resume, progress
        See :func:`zsdeconv.enhancement.enhance`.
    trained_on
        Time points to train on, evenly spread over the series.

    Raises
    ------
    UsageError
        Pairs, or a restoration, that need one acquisition; no time point; several channels or
        planes.
    InputError, QualityError
        No time point to train on can be reconstructed.
    """
    settings, engine = settings or ZsSettings(), engine or Settings()
    if settings.pairs != "recorrupted":
        raise UsageError(
            "A series is trained on re-corrupted pairs.", expected="--pairs recorrupted",
            got=settings.pairs, where="--pairs",
            hint="one time point alone: --time 0",
        )  # fmt: skip
    if settings.alpha_inference > 0:
        raise UsageError(
            "A series is restored from the frames themselves.", expected="0",
            got=f"{settings.alpha_inference:g}", where="zsdeconv.alpha_inference",
        )  # fmt: skip
    if trained_on < 1:
        raise UsageError(
            "There is nothing to train on.", expected="1 time point or more", got=str(trained_on),
            where="--trained-on",
        )  # fmt: skip
    times = int(stack.data.shape[0])
    wanted = np.unique(np.linspace(0, times - 1, min(trained_on, times)).round().astype(int))
    found: dict[int, tuple[Result, Measurement]] = {}
    left_out: dict[int, str] = {}
    for count, time in enumerate(wanted.tolist()):
        try:
            found[time] = reconstructed(
                _at(stack, time, channel, plane, engine),
                settings,
                engine,
                otf=otf,
                pattern=pattern,
            )
        except _NO_PICTURE as error:
            left_out[time] = _said(error)
            if len(left_out) == len(wanted):
                raise
        progress("reconstruct", count + 1, len(wanted))
    middle = list(found)[len(found) // 2]
    others = [m for time, (_, m) in found.items() if time != middle]
    result, measurement = found[middle]
    trained = enhance(
        measurement, settings, others=others, folder=folder, resume=resume, progress=progress
    )
    learned = Learned.of(
        trained.model, trained.model_facts, measurement.image_cutoff_px, device=settings.device
    )
    learned = replace(learned, start_only=trained.verdicts.get("training") == "weak")
    image, variance = linear_picture(result, measurement)
    trained = replace(trained, image=image, image_variance=variance, reconstruction=result)
    return Series(
        stack,
        settings,
        engine,
        otf,
        pattern,
        channel,
        plane,
        trained,
        learned,
        tuple(sorted(found)),
        left_out,
    )
