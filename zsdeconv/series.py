"""A series of SIM acquisitions: one network for all time points, each reconstructed on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.result import Progress, Result, no_progress
from zsdeconv.config import ZsSettings
from zsdeconv.enhancement import Enhanced, enhance, linear_picture
from zsdeconv.learned import Learned
from zsdeconv.measurement import Measurement
from zsdeconv.time_points import NO_PICTURE, Recording, TimePoint, said

TRAINED_ON = 4
"""Time points of a training, evenly spread. They share its steps and its memory."""


@dataclass(frozen=True)
class Series:
    """A trained series; iterate over it for its time points, which are made one by one.

    Attributes
    ----------
    recording : Recording
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

    recording: Recording
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
        return self.recording.times

    def __iter__(self) -> Iterator[TimePoint]:
        """All time points, in order."""
        return self.recording.restored(self.learned)


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
    recording = Recording(stack, settings, engine, otf, pattern, channel, plane)
    last = recording.times - 1
    wanted = np.unique(np.linspace(0, last, min(trained_on, last + 1)).round().astype(int))
    found: dict[int, tuple[Result, Measurement]] = {}
    left_out: dict[int, str] = {}
    for count, time in enumerate(wanted.tolist()):
        try:
            found[time] = recording.measure(time)
        except NO_PICTURE as error:
            left_out[time] = said(error)
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
    image, variance = linear_picture(result, measurement)
    trained = replace(trained, image=image, image_variance=variance, reconstruction=result)
    return Series(recording, trained, learned, tuple(sorted(found)), left_out)
