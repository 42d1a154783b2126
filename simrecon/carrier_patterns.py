"""Patterns of the modes whose frames hold several carriers: what is told, and what is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.estimate.carriers import CarrierMode, estimate_carriers, other_mode
from simrecon.given_pattern import taken_from, with_given_errors
from simrecon.mode_doubts import mode_doubts, repeats_doubt
from simrecon.model.mode import MODES, check_steps
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit, worst
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack

SEVERAL = ("slice3", "nonlinear", "hex")
HEX_FINEST = 0.93
"""Carriers over the finest light 2 NA/λ: √3/2 of three beams and 1 of three pairs are both within
the search's tolerance of this."""


def carrier_mode(mode: str, phases: int) -> CarrierMode:
    """What a mode says about the carriers of `phases` frames."""
    facts = MODES[mode]
    strongest = 2 if mode == "slice3" else 1
    return CarrierMode(facts.orders_of(phases), facts.carriers, strongest)


def expected_fundamental(settings: Settings, optics: Optics) -> float | None:
    """Fundamental frequency that is expected: from the period, else from the excitation NA."""
    period, finest = settings.estimate.period_um, optics.pattern_frequency_per_um
    if period is not None:
        return 1.0 / period
    if finest is None:
        return None
    mode = settings.reconstruction.mode
    return finest * {"slice3": 0.5, "hex": HEX_FINEST}.get(mode, 1.0)


def fit_carriers(
    stack: SimStack,
    settings: Settings,
    optics: Optics,
    otf: DetectionOTF,
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    given: PatternFit | None,
) -> PatternFit:
    """Fit the pattern of one acquisition in the mode of the settings.

    Parameters
    ----------
    given
        Frequencies that are known (of the fundamentals), or None.

    Raises
    ------
    UsageError
        When frames, settings or given pattern are not those of the mode.
    """
    name = settings.reconstruction.mode
    check_steps(name, stack.directions, stack.phases)
    for wrong, what in (
        (settings.estimate.share_channels, "share_channels"),
        (settings.estimate.local == "on", "local=on"),
    ):
        if wrong:
            raise UsageError(
                f"{what} is not available in mode {name}.", expected="2d or tirf", got=name,
                where="--mode",
            )  # fmt: skip
    mode = carrier_mode(name, stack.phases)
    if given is not None and given.simultaneous != (mode.simultaneous > 1):
        raise UsageError(
            f"The given pattern is not one of mode {name}.",
            expected=f"simultaneous: {mode.simultaneous > 1}".lower(),
            got=f"simultaneous: {given.simultaneous}".lower(),
            where="--pattern",
        )
    angles = settings.estimate.angles_rad if mode.simultaneous == 1 else None
    fixed: Sequence[Sequence[float]] | None = None
    if given is not None:
        fixed = [d.frequency_per_um for d in given.directions]
    fit = estimate_carriers(
        frames_e,
        stack.pixel_um,
        otf,
        mode,
        variance_e2=variance_e2,
        expected_frequency_per_um=None if fixed else expected_fundamental(settings, optics),
        expected_angles_rad=angles,
        fixed_frequencies_per_um=fixed,
        order=stack.order,
    )
    notes = [*fit.notes, f"mode {name}: drift and local changes of the pattern are not measured"]
    if fit.verdict != "ok" and given is None:
        failed = fit.verdict == "failed"
        doubts = mode_doubts(stack, name, otf, frames_e, variance_e2, failed=failed)
        notes = [*doubts, *notes]
    if given is not None:
        fit = with_given_errors(fit, given)
        notes.append(taken_from(given))
    return replace(fit, notes=tuple(notes))


def doubting_mode(
    fit: PatternFit,
    stack: SimStack,
    mode: str,
    otf: DetectionOTF,
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
) -> PatternFit:
    """A fit of one carrier per direction, at most ``weak`` where the frames hold more.

    Of a failed fit the numbers and the order of the frames are doubted as well.
    """
    told = other_mode(frames_e, stack.pixel_um, otf, variance_e2)
    if told is None and fit.verdict == "failed":
        told = repeats_doubt(stack, mode, otf, frames_e, variance_e2)
    if told is None:
        return fit
    return replace(fit, verdict=worst([fit.verdict, "weak"]), notes=(told, *fit.notes))
