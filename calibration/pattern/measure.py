"""From raw SIM recordings to the pattern of an instrument: the one sequence, without files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calibration.pattern.gates import check_period, overall
from calibration.pattern.series import Series, series
from calibration.pattern.slide import EVEN, fit_slide, structure
from calibration.pattern.support import reach
from simrecon.config import Settings, as_settings
from simrecon.errors import InputError, QualityError
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit, Verdict, worst
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack
from simrecon.pipeline import estimate_pattern
from simrecon.preparation import pattern_acquisition, prepare_channel

Sample = Literal["auto", "objects", "slide"]


@dataclass(frozen=True)
class Acquisition:
    """One fit.

    Attributes
    ----------
    source : int
        Which of the stacks.
    time : int
        Time point in it, from 0.
    sample : {"objects", "slide"}
        How it was measured.
    fit : PatternFit
    reach : float or None
        Highest frequency with signal over the cut-off, of objects.
    """

    source: int
    time: int
    sample: str
    fit: PatternFit
    reach: float | None = None


@dataclass(frozen=True)
class ChannelPattern:
    """The pattern of one channel.

    Attributes
    ----------
    optics : Optics
    acquisitions : tuple of Acquisition
    directions : tuple of Series
    """

    optics: Optics
    acquisitions: tuple[Acquisition, ...]
    directions: tuple[Series, ...]


@dataclass(frozen=True)
class PatternMeasurement:
    """What was found.

    Attributes
    ----------
    pixel_um : float
    order : str
        Acquisition order of the files.
    channels : tuple of ChannelPattern
    verdict, notes
        Overall, with reasons.
    """

    pixel_um: float
    order: str
    channels: tuple[ChannelPattern, ...]
    verdict: Verdict
    notes: tuple[str, ...]


def measure_pattern(
    stacks: Sequence[SimStack],
    settings: Settings | None = None,
    *,
    otf: DetectionOTF | Sequence[DetectionOTF] | None = None,
    sample: Sample = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> PatternMeasurement:
    """Fit every acquisition of every stack, and average them direction by direction.

    Acquisitions without a carrier are tried once more where the others have theirs.

    Parameters
    ----------
    stacks
        Recordings of one instrument setting: equal pixel size, directions, phases and channels.
    settings, otf
        As for :func:`simrecon.estimate_pattern`.
    sample
        "slide" reads the pattern of an even sheet directly, "objects" from the overlap of the bands
        of beads or cells, "auto" decides for each acquisition by the structure of its widefield.
    progress
        Called with (done, of how many).

    Raises
    ------
    InputError
        Stacks that do not belong together, or frames that cannot be fitted.
    QualityError
        A direction has no carrier in any acquisition, or a period that optics cannot make.
    """
    settings = as_settings(settings)
    check_alike(stacks)
    channels = int(stacks[0].data.shape[1])
    total = channels * sum(int(s.data.shape[0]) for s in stacks)
    done, found = 0, []
    for c in range(channels):
        acquired = []
        for source, stack in enumerate(stacks):
            for time in range(int(stack.data.shape[0])):
                acquired.append(_fit(stack, source, time, c, settings, otf, sample))
                done += 1
                if progress is not None:
                    progress(done, total)
        found.append(_channel(stacks, c, acquired, settings, otf))
    verdict, notes = overall([(c.optics, c.directions) for c in found], _shape(stacks))
    doubts = [text for stack in stacks for text in stack.camera.doubts]
    if doubts:
        verdict = worst([verdict, "weak"])
    seen = [n for stack in stacks for n in stack.notes]
    said = tuple(dict.fromkeys([*notes, *doubts, *seen]))
    return PatternMeasurement(stacks[0].pixel_um, stacks[0].order, tuple(found), verdict, said)


def check_alike(stacks: Sequence[SimStack]) -> None:
    """Refuse stacks that are not of one instrument setting.

    Raises
    ------
    InputError
    """
    if not stacks:
        raise InputError("There is no recording to measure the pattern with.")
    for what, values in (
        ("pixel sizes", [round(s.pixel_um, 6) for s in stacks]),
        ("numbers of directions and phases", [(s.directions, s.phases) for s in stacks]),
        ("numbers of channels", [int(s.data.shape[1]) for s in stacks]),
        ("frame sizes", [s.grid.shape for s in stacks]),
        ("wavelengths", [tuple(o.emission_nm for o in s.optics) for s in stacks]),
    ):
        if len(set(values)) > 1:
            raise InputError(
                f"The recordings have different {what}.", expected="one setting for all files",
                got=", ".join(map(str, dict.fromkeys(values))), hint="measure them one by one",
            )  # fmt: skip


def _shape(stacks: Sequence[SimStack]) -> np.ndarray:
    return np.array(stacks[0].grid.extent_um)


def _fit(
    stack: SimStack,
    source: int,
    time: int,
    channel: int,
    settings: Settings,
    otf: DetectionOTF | Sequence[DetectionOTF] | None,
    sample: Sample,
) -> Acquisition:
    prepared = prepare_channel(stack, channel, settings, otf)
    data = pattern_acquisition(stack, settings, prepared, time)
    even = sample == "slide"
    if sample == "auto":
        even = structure(data.frames_e, data.variance_e2, stack.pixel_um) < EVEN
    if even:
        fit = fit_slide(data.frames_e, data.variance_e2, stack.pixel_um, prepared.otf, stack.order)
        return Acquisition(source, time, "slide", fit)
    fit = estimate_pattern(stack, otf, settings, time=time, channel=channel)
    seen = reach(data.frames_e, stack.pixel_um, prepared.otf.cutoff_per_um)
    return Acquisition(source, time, "objects", fit, seen)


def _channel(
    stacks: Sequence[SimStack],
    channel: int,
    acquired: list[Acquisition],
    settings: Settings,
    otf: DetectionOTF | Sequence[DetectionOTF] | None,
) -> ChannelPattern:
    optics = stacks[0].optics[channel]
    found = _all_series(acquired)
    lost = [a for a in acquired if a.fit.verdict == "failed" and a.sample == "objects"]
    if lost and all(s is not None for s in found):
        known = [s for s in found if s is not None]
        told = _told(settings, known)
        again = {
            id(a): replace(a, fit=estimate_pattern(stacks[a.source], otf, told, time=a.time,
                                                   channel=channel))
            for a in lost
        }  # fmt: skip
        acquired = [again.get(id(a), a) for a in acquired]
        found = _all_series(acquired)
    missing = [str(d + 1) for d, s in enumerate(found) if s is None]
    if missing:
        raise QualityError(
            f"No acquisition shows the pattern of direction(s) {', '.join(missing)}.",
            expected="a carrier peak and correlated bands in every direction",
            got="; ".join(_why(stacks, acquired)),
            where=f"channel {channel}, {len(acquired)} acquisition(s)",
            hint="check --order, --pixel-um, --na and the wavelengths with 'simrecon inspect'; "
            "more light or more objects; for an even sheet --sample slide",
        )  # fmt: skip
    directions = tuple(s for s in found if s is not None)
    seen = [a.reach for a in acquired if a.reach is not None]
    check_period(optics, directions, stacks[0].pixel_um, max(seen) if seen else None)
    return ChannelPattern(optics, tuple(acquired), directions)


def _why(stacks: Sequence[SimStack], acquired: list[Acquisition]) -> list[str]:
    """What the fits and the readers said about a failure."""
    fits = [n for a in acquired for n in a.fit.notes if "failed" in n]
    frames = [n for s in stacks for n in s.notes if "saturated" in n]
    return list(dict.fromkeys([*frames, *fits]))


def _all_series(acquired: list[Acquisition]) -> list[Series | None]:
    fits = [a.fit for a in acquired]
    return [series(fits, d) for d in range(len(fits[0].directions))]


def _told(settings: Settings, known: list[Series]) -> Settings:
    """Settings that expect the carriers where the other acquisitions have them."""
    update = {
        "period_um": float(np.mean([s.period_um.value for s in known])),
        "angles_rad": tuple(float(s.angle_rad.value) for s in known),
    }
    chosen = settings.estimate.model_copy(update=update)
    return settings.model_copy(update={"estimate": chosen})
