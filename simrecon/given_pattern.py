"""Patterns that are told: what of a given one is used, and the nominal one of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from simrecon.config import EstimateSettings, Settings
from simrecon.errors import UsageError
from simrecon.estimate.drift import DRIFT_NOTE
from simrecon.estimate.local_pattern import LOCAL_NOTE
from simrecon.estimate.nominal import nominal_direction
from simrecon.estimate.prior import KnownSteps
from simrecon.model.pattern import DirectionPattern, PatternFit, line_distance_rad, worst
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack
from simrecon.presets import ANGLE_TOLERANCE_RAD, Preset, find_preset

ELSEWHERE_SAMPLES = 1.0
"""DFT samples of the field between what is given and what the data show, from which these are two
patterns: at half of it the pattern is out of step by a quarter turn at the border of the field."""
SAME_LINES_RAD = math.radians(1.0)
"""Published directions that differ by less are one set, written with other signs."""


def as_given(pattern: PatternFit, chosen: EstimateSettings) -> PatternFit:
    """A complete given pattern as it is used, with notes on what was left out of it.

    ``drift = off`` leaves `drift_um` out (the phases are the instrument's and stay), and
    ``local = off`` leaves `local` out. Notes of the file on what is not (or no longer) in it are
    not repeated: nothing would be corrected.
    """
    told: list[str] = []
    size = largest_drift_um(pattern)
    drift = size > 0 and chosen.drift != "off"
    if drift:
        told.append(
            f"the drift of the given pattern is used: up to {1e3 * size:.0f} nm "
            f"({size / pattern.pixel_um:.2f} px) from the mean place (--drift off leaves it out)"
        )
    elif size > 0:
        told.append("drift is off: that of the given pattern is not used, nothing is corrected")
    local = any(d.local is not None for d in pattern.directions)
    if local and chosen.local == "off":
        told.append("local is off: the local deviation of the given pattern is not used")
        local = False
    directions = tuple(
        replace(
            d,
            drift_um=d.drift_um if drift else (),
            drift_sd_um=d.drift_sd_um if drift else (),
            local=d.local if local else None,
        )
        for d in pattern.directions
    )
    stale = [mark for mark, used in ((DRIFT_NOTE, drift), (LOCAL_NOTE, local)) if not used]
    kept = [text for text in pattern.notes if not any(mark in text for mark in stale)]
    notes = (*(f"from the pattern file: {text}" for text in kept), *told)
    return replace(pattern, directions=directions, notes=notes)


STEP_SD_RAD = 0.02
"""How well given phase steps repeat where nothing is said of it (1.1°). Chosen: between a piezo of
1 nm on 200 nm (1.8°) and a display, which repeats exactly."""


def known_steps(
    given: PatternFit | None, moving: PatternFit | None = None
) -> list[KnownSteps | None] | None:
    """Phase steps of a given pattern, for frames that have been put to rest.

    Parameters
    ----------
    given : PatternFit or None
    moving : PatternFit or None
        The pattern of these frames with the drift that was undone: there the steps on the sample
        are the instrument's plus ``2π p·drift``.
    """
    if given is None or not any(d.phase_step_rad for d in given.directions):
        return None
    found: list[KnownSteps | None] = []
    for number, d in enumerate(given.directions):
        if not d.phase_step_rad:
            found.append(None)
            continue
        steps = np.asarray(d.phase_step_rad)
        if moving is not None and moving.directions[number].drift_um:
            drift = np.asarray(moving.directions[number].drift_um)
            steps = steps + 2 * np.pi * drift @ np.asarray(d.frequency_per_um)
        sd = np.asarray(d.phase_step_sd_rad or (STEP_SD_RAD,) * steps.size)
        found.append(KnownSteps(steps, sd))
    return found


def given_to(
    given: PatternFit | Sequence[PatternFit] | None, stack: SimStack, channel: int
) -> PatternFit | None:
    """The given pattern of one channel, of one for all or of one per channel.

    Raises
    ------
    UsageError
        When there is neither one nor one per channel.
    """
    if given is None or isinstance(given, PatternFit):
        return given
    if len(given) != len(stack.optics):
        raise UsageError(
            "There must be one pattern, or one per channel.",
            expected=f"1 or {len(stack.optics)}", got=str(len(given)), where="--pattern",
        )  # fmt: skip
    return given[channel]


def with_given_errors(fit: PatternFit, given: PatternFit) -> PatternFit:
    """A fit at given frequencies, with their standard deviations instead of none."""
    known = [
        replace(d, frequency_sd_per_um=g.frequency_sd_per_um)
        for d, g in zip(fit.directions, given.directions, strict=True)
    ]
    return replace(fit, directions=tuple(known))


def taken_from(given: PatternFit) -> str:
    """What a fit that knows no phase steps has taken from a given pattern."""
    if any(d.phase_step_rad for d in given.directions):
        return "frequencies taken from the given pattern; its phase steps are not used in this mode"
    return "frequencies taken from the given pattern"


def insisted(
    fit: PatternFit,
    given: PatternFit,
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    otf: DetectionOTF,
    free: Callable[[], PatternFit],
) -> PatternFit:
    """A fit at frequencies that were given: never better than doubtful where data do not confirm.

    Somebody vouches for the frequencies, so a direction that would have failed does not stop the
    work: the given (or else equal) phase steps are assumed there, it counts as much as its
    modulation says (next to nothing, if that is near 0), its own verdict stays, and the overall
    verdict is "weak". So it is where the given pattern itself is doubtful. Where the data clearly
    show another pattern (`free` fits without the given one) the verdict is "failed".
    """
    steps = [d.phase_step_rad for d in given.directions]
    what = "frequencies and phase steps" if any(steps) else "frequencies"
    told = [f"from the pattern file: {text}" for text in given.notes] if any(steps) else []
    notes = [*fit.notes, f"{what} taken from the given pattern", *told]
    if any(map(_doubtful, fit.directions)):
        denied = contradicted(fit, free())
        if denied is not None:
            return denied
    if fit.verdict != "failed":
        return replace(fit, verdict=worst([fit.verdict, given.verdict]), notes=tuple(notes))
    failed = [str(i + 1) for i, d in enumerate(fit.directions) if d.verdict == "failed"]
    notes.append(
        f"the data do not confirm the given frequency of direction(s) {', '.join(failed)}: "
        f"{'the given' if any(steps) else 'equal'} phase steps are assumed there"
    )
    mean_e = float(frames_e.mean(dtype=np.float64))
    directions = tuple(
        nominal_direction(
            frames_e[i], variance_e2[i], fit.pixel_um, otf, d, mean_e, steps_rad=steps[i]
        )
        if d.verdict == "failed"
        else d
        for i, d in enumerate(fit.directions)
    )
    return replace(fit, directions=directions, verdict="weak", notes=tuple(notes))


def contradicted(fit: PatternFit, free: PatternFit) -> PatternFit | None:
    """The fit as failed, saying what the data show; None where they show nothing else.

    A direction is contradicted when it is not ``ok`` as given, or only with a pattern that varies
    over the field, and is ``ok`` more than `ELSEWHERE_SAMPLES` away when it is searched for freely.
    """
    extent_um = fit.pixel_um * np.array(fit.shape)
    directions, told = list(fit.directions), []
    for i, (given, seen) in enumerate(zip(fit.directions, free.directions, strict=True)):
        ours, theirs = np.array(given.frequency_per_um), np.array(seen.frequency_per_um)
        gap = min(float(np.hypot(*((theirs - s * ours) * extent_um))) for s in (1, -1))
        if not _doubtful(given) or seen.verdict != "ok" or gap <= ELSEWHERE_SAMPLES:
            continue
        directions[i] = replace(given, verdict="failed")
        told.append(
            f"direction {i + 1}: the data show a period of {1e3 * seen.period_um:.1f} nm at "
            f"{math.degrees(seen.angle_rad):.1f}°, not the given {1e3 * given.period_um:.1f} "
            f"nm at {math.degrees(given.angle_rad):.1f}°"
        )
    if not told:
        return None
    notes = (*told, *fit.notes)
    return replace(fit, directions=tuple(directions), verdict="failed", notes=notes)


def _doubtful(direction: DirectionPattern) -> bool:
    """Whether a given frequency may be wrong: a local pattern takes up an error of some samples."""
    return direction.verdict != "ok" or direction.local is not None


def largest_drift_um(pattern: PatternFit) -> float:
    """Largest displacement of any frame from the mean place, µm; 0 without drift."""
    return max((math.hypot(*u) for d in pattern.directions for u in d.drift_um), default=0.0)


def preset_pattern(
    stack: SimStack, settings: Settings, channel: int, fit: PatternFit
) -> PatternFit:
    """Nominal pattern (frequencies only), for ``on_fit_failure = preset``.

    Period and angles are those of the settings, or of the instrument that they name. Of several
    alignments published for it, the one is taken that `fit` (the failed one) agrees with in the
    directions that did not fail.

    Raises
    ------
    UsageError
        When there is no such instrument, or period or directions are not known.
    """
    chosen = settings.estimate
    preset = None if chosen.preset is None else find_preset(chosen.preset)
    frequency = stack.optics[channel].pattern_frequency_per_um
    if chosen.period_um is not None:
        frequency = 1.0 / chosen.period_um
    elif frequency is None and preset is not None and preset.period_um is not None:
        frequency = 1.0 / preset.period_um
    angles = chosen.angles_rad
    if angles is None and preset is not None:
        angles = _published_angles(preset, fit)
    if angles is None or frequency is None or len(angles) != stack.directions:
        raise UsageError(
            "on_fit_failure=preset needs the nominal pattern.",
            expected=f"estimate.angles_rad with {stack.directions} angles, and "
            "estimate.period_um or --excitation-nm with --excitation-na; or --preset with an "
            "instrument whose pattern is published",
            got=f"angles_rad={angles}, frequency={frequency}, preset={chosen.preset}",
            where="--on-fit-failure",
        )
    directions = tuple(
        DirectionPattern((frequency * float(np.sin(a)), frequency * float(np.cos(a))), (), (), ())
        for a in angles
    )
    return PatternFit(stack.pixel_um, stack.grid.shape, directions, stack.order)


def _published_angles(preset: Preset, fit: PatternFit) -> tuple[float, ...] | None:
    """The only published directions that those of `fit` agree with; None: none are published."""
    if not preset.directions_rad:
        return None
    seen = [None if d.verdict == "failed" else d.angle_rad for d in fit.directions]
    fitting = [
        nominal
        for nominal in preset.directions_rad
        if len(nominal) == len(seen)
        and all(
            angle is None or line_distance_rad(angle, n) < ANGLE_TOLERANCE_RAD
            for angle, n in zip(seen, nominal, strict=True)
        )
    ]
    apart = [
        line_distance_rad(a, b) for one in fitting for a, b in zip(fitting[0], one, strict=True)
    ]
    if fitting and max(apart) < SAME_LINES_RAD:
        return fitting[0]
    listed = "; ".join(str(list(nominal)) for nominal in preset.directions_rad)
    raise UsageError(
        f"The directions published for '{preset.name}' do not settle these."
        if fitting
        else f"No directions published for '{preset.name}' agree with these frames.",
        expected=f"one of {listed} rad",
        got=f"{len(fitting)} that agree with the directions that could be fitted",
        where="--preset",
        hint="give them: --set estimate.angles_rad=[…]",
    )
