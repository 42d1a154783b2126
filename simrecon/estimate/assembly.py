"""From fitted directions to the pattern of the whole stack, with verdicts and reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.acceptance import (
    MAX_OVER_CUTOFF,
    NATS_OK,
    NATS_WEAK,
    PEAK_CLEAR,
    Evidence,
    coincidence_note,
    judge,
)
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.local_pattern import Deviation
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.search import RING, Found
from simrecon.estimate.task import FitTask
from simrecon.estimate.uncertainty import DirectionErrors
from simrecon.estimate.window import phase_at_origin, wrap
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict, worst

UNKNOWN_PHASE_SD_RAD = float(np.pi / np.sqrt(3.0))
"""Standard deviation of a phase about which nothing is known (uniform)."""


@dataclass(frozen=True)
class Fitted:
    """Result of the joint fit for one direction."""

    state: DirectionState
    errors: DirectionErrors
    correlation: float


def assemble(
    task: FitTask,
    search: CarrierSearch,
    found: list[Found],
    fits: dict[int, Fitted],
    evidence: dict[int, Evidence],
    shared: list[tuple[int, int]],
    order: str,
    notes: list[str],
    deviations: Mapping[int, Deviation],
) -> PatternFit:
    """The fits of all directions, with verdicts, and notes on what is not ok."""
    directions: list[DirectionPattern] = []
    for d, one in enumerate(found):
        if d in fits:
            verdict, reasons = judge(evidence[d])
            directions.append(_fitted_pattern(task, one, fits[d], verdict))
            if d in deviations:
                local = deviations[d].from_pixel_zero(task.window)
                directions[d] = replace(directions[d], local=local)
                notes.append(f"direction {d + 1}: {deviations[d].text}")
        else:
            directions.append(_unfitted_pattern(task, one))
            reasons = [_why_not(one)]
        if directions[-1].verdict == "failed" and one.evidence < NATS_OK[one.known]:
            reasons += _outside(search, d, task.cutoff_per_um)
        if reasons:
            notes.append(f"direction {d + 1} {directions[-1].verdict}: " + "; ".join(reasons))
    if shared:
        notes.insert(0, coincidence_note(shared, len(directions)))
        for d in {d for pair in shared for d in pair}:
            directions[d] = replace(directions[d], verdict="failed")
    overall: Verdict = worst([d.verdict for d in directions])
    return PatternFit(
        pixel_um=task.window.padded.pixel_um,
        shape=(task.window.wy.size, task.window.wx.size),
        directions=tuple(directions),
        order=order,
        verdict=overall,
        notes=tuple(notes),
    )


def _fitted_pattern(
    task: FitTask, found: Found, fitted: Fitted, verdict: Verdict
) -> DirectionPattern:
    state, errors = fitted.state, fitted.errors
    frequency = (float(state.frequency_per_um[0]), float(state.frequency_per_um[1]))
    return DirectionPattern(
        frequency_per_um=frequency,
        frequency_sd_per_um=_pair(errors.frequency_per_um),
        phase_rad=_floats(phase_at_origin(state.phase_rad, frequency, task.window)),
        phase_sd_rad=_floats(np.minimum(errors.phase_rad, UNKNOWN_PHASE_SD_RAD)),
        modulation=(float(state.modulation),),
        modulation_sd=(float(errors.modulation),),
        intensity=_floats(state.intensity),
        intensity_sd=_floats(errors.intensity),
        correlation=(float(fitted.correlation),),
        verdict=verdict,
        peak_to_background=float(found.peak.peak_to_background),
        evidence_nats=float(found.evidence),
        rivalry=float(found.rivalry),
    )


def _unfitted_pattern(task: FitTask, found: Found) -> DirectionPattern:
    """A direction without a usable carrier: the best guess with errors that say so."""
    frequency = found.peak.frequency_per_um
    phases = found.state.phase_rad.size
    ring = RING[1] * task.cutoff_per_um
    return DirectionPattern(
        frequency_per_um=frequency,
        frequency_sd_per_um=(ring, ring),
        phase_rad=_floats(phase_at_origin(found.state.phase_rad, frequency, task.window)),
        phase_sd_rad=(UNKNOWN_PHASE_SD_RAD,) * phases,
        modulation=(0.0,),
        modulation_sd=(1.0,),
        intensity=_floats(found.state.intensity),
        intensity_sd=(0.05,) * phases,
        correlation=(0.0,),
        verdict="failed",
        peak_to_background=float(found.peak.peak_to_background),
        evidence_nats=float(found.evidence),
        rivalry=float(found.rivalry),
    )


def _why_not(found: Found) -> str:
    if found.evidence >= NATS_WEAK[found.known]:
        steps = np.degrees(wrap(np.diff(found.state.phase_rad)))
        listed = ", ".join(f"{s:.0f}°" for s in steps)
        return f"the phase steps ({listed}) are too alike to separate the bands"
    return (
        f"no carrier found (the likeliest has an evidence of {found.evidence:.1f} nats, which "
        "noise alone can give)"
    )


def _outside(search: CarrierSearch, direction: int, cutoff_per_um: float) -> list[str]:
    """A clear peak beyond the search ring tells of wrong optical constants."""
    nyquist = 0.5 / search.window.padded.pixel_um
    if RING[1] * cutoff_per_um >= nyquist:
        return []
    wide = CarrierSearch(search.spectra, search.window, None)
    peak: CarrierPeak = wide.peaks(direction, SearchRegion(RING[1] * cutoff_per_um, nyquist))[0]
    if peak.peak_to_background < PEAK_CLEAR:
        return []
    period_nm = 1e3 / float(np.hypot(*peak.frequency_per_um))
    return [
        f"a clear pattern of period {period_nm:.0f} nm lies outside the OTF (cut-off "
        f"{1e3 / cutoff_per_um:.0f} nm; usable up to {MAX_OVER_CUTOFF:g} × that frequency): check "
        "NA, wavelengths and pixel size"
    ]


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in np.asarray(values).ravel())


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])
