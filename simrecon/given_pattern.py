"""Patterns that are told: what of a given one is used, and the nominal one of the settings."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simrecon.config import EstimateSettings, Settings
from simrecon.errors import UsageError
from simrecon.estimate.drift import DRIFT_NOTE
from simrecon.estimate.local_pattern import LOCAL_NOTE
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.stack import SimStack


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


def largest_drift_um(pattern: PatternFit) -> float:
    """Largest displacement of any frame from the mean place, µm; 0 without drift."""
    return max((math.hypot(*u) for d in pattern.directions for u in d.drift_um), default=0.0)


def preset_pattern(stack: SimStack, settings: Settings, channel: int) -> PatternFit:
    """Nominal pattern (frequencies only) from the settings, for ``on_fit_failure = preset``.

    Raises
    ------
    UsageError
        When period or directions are not known.
    """
    angles = settings.estimate.angles_rad
    frequency = stack.optics[channel].pattern_frequency_per_um
    if settings.estimate.period_um is not None:
        frequency = 1.0 / settings.estimate.period_um
    if angles is None or frequency is None or len(angles) != stack.directions:
        raise UsageError(
            "on_fit_failure=preset needs the nominal pattern.",
            expected=f"estimate.angles_rad with {stack.directions} angles, and "
            "estimate.period_um or --excitation-nm with --excitation-na",
            got=f"angles_rad={angles}, frequency={frequency}",
            where="--on-fit-failure",
        )
    directions = tuple(
        DirectionPattern((frequency * float(np.sin(a)), frequency * float(np.cos(a))), (), (), ())
        for a in angles
    )
    return PatternFit(stack.pixel_um, stack.grid.shape, directions, stack.order)
