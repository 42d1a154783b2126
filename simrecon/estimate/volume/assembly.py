"""Patterns and notes of volumes out of fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simrecon.estimate.volume.errors import VolumeErrors
from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import VolumeFit
from simrecon.estimate.volume.search import VolumeFound
from simrecon.estimate.volume.sheet import SheetOffset
from simrecon.estimate.volume.task import VolumeTask
from simrecon.estimate.window import phase_at_origin, wrap
from simrecon.model.pattern import DirectionPattern, Verdict

UNKNOWN_PHASE_SD_RAD = float(np.pi / np.sqrt(3.0))


def found_pattern(
    task: VolumeTask,
    found: VolumeFound,
    fit: VolumeFit,
    errors: VolumeErrors,
    verdict: Verdict,
    sheet: SheetOffset | None,
) -> DirectionPattern:
    """The pattern of a fit."""
    state = fit.state
    frequency = (float(state.frequency_per_um[0]), float(state.frequency_per_um[1]))
    phase = wrap(phase_at_origin(state.phase_rad, frequency, task.field.window))
    fy, fx = errors.frequency_per_um
    return DirectionPattern(
        frequency_per_um=frequency,
        frequency_sd_per_um=(float(fy), float(fx)),
        phase_rad=_floats(phase),
        phase_sd_rad=_floats(np.minimum(errors.phase_rad, UNKNOWN_PHASE_SD_RAD)),
        modulation=_floats(state.modulation),
        modulation_sd=_floats(errors.modulation),
        intensity=_floats(state.intensity),
        intensity_sd=_floats(errors.intensity),
        correlation=_floats(np.array([one.value for one in fit.correlations])),
        verdict=verdict,
        peak_to_background=float(found.best.peak.peak_to_background),
        evidence_nats=found.best.nats,
        rivalry=found.rivalry,
        sheet_offset_um=None if sheet is None else sheet.offset_um,
        sheet_offset_sd_um=None
        if sheet is None or task.sheet_offset_um is not None
        else sheet.sd_um,
    )


def no_pattern(task: VolumeTask, frames: np.ndarray, found: VolumeFound) -> DirectionPattern:
    """A direction without a carrier: a guess with the errors of ignorance."""
    phases, cutoff = frames.shape[0], task.otf.cutoff_per_um
    steps = 2 * np.pi * np.arange(phases) / phases
    frequency = (0.0, 0.5 * cutoff / task.orders)
    if found.readings:
        fy, fx = found.best.state.frequency_per_um
        frequency = (float(fy), float(fx))
    return DirectionPattern(
        frequency_per_um=frequency,
        frequency_sd_per_um=(cutoff, cutoff),
        phase_rad=_floats(wrap(steps)),
        phase_sd_rad=(UNKNOWN_PHASE_SD_RAD,) * phases,
        modulation=(0.0,) * task.orders,
        modulation_sd=(1.0,) * task.orders,
        intensity=(1.0,) * phases,
        intensity_sd=(0.05,) * phases,
        correlation=(0.0,) * task.orders,
        verdict="failed",
        peak_to_background=0.0,
        evidence_nats=found.best.nats if found.readings else 0.0,
        rivalry=0.0,
    )


def relative(
    patterns: list[DirectionPattern], frames: np.ndarray, field: VolumeField
) -> list[DirectionPattern]:
    """Intensities relative to all frames of the stack: directions by their light."""
    light = np.einsum("apzyx,yx->a", frames, field.taper, dtype=np.float64)
    factors = light / light.mean()
    return [
        DirectionPattern(
            **{
                **vars(p),
                "intensity": tuple(f * g for g in p.intensity),
                "intensity_sd": tuple(f * s for s in p.intensity_sd),
            }
        )
        for p, f in zip(patterns, factors, strict=True)
    ]


def spacings_note(patterns: Sequence[DirectionPattern], orders: int) -> str:
    """Both spacings, because peers mean the finest by "line spacing"."""
    listed = ", ".join(f"{1e3 * p.period_um:.1f}" for p in patterns)
    if orders == 1:
        return f"pattern period {listed} nm"
    finest = ", ".join(f"{1e3 * p.period_um / orders:.1f}" for p in patterns)
    return f"period of the fundamental {listed} nm; finest spacing (order {orders}) {finest} nm"


def sheet_notes(patterns: Sequence[DirectionPattern]) -> list[str]:
    """Where light sheets were found."""
    return [
        f"the light sheet lies {abs(p.sheet_offset_um):.3f} ± {p.sheet_offset_sd_um:.3f} µm "
        f"{'deeper' if p.sheet_offset_um > 0 else 'higher'} than the focal plane (from the overlap "
        "of the bands)"
        for p in patterns
        if p.sheet_offset_um is not None and p.sheet_offset_sd_um is not None
    ]


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in np.asarray(values).ravel())
