"""Lines of text that several commands print."""

from __future__ import annotations

import numpy as np

from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.qc.gates import phase_steps_deg


def direction_line(index: int, d: DirectionPattern) -> str:
    """One direction (counted from 1) of a pattern: period, angle, steps, modulation, verdict."""
    steps = "/".join(f"{s:.1f}" for s in phase_steps_deg(d.phase_rad))
    sd = d.modulation_sd or (None,) * len(d.modulation)
    modulation = ", ".join(
        f"{m:.3f}" + ("" if s is None else f" ± {s:.3f}")
        for m, s in zip(d.modulation, sd, strict=True)
    )
    orders = len(d.modulation)
    finest = f" (finest, order {orders}: {1e3 * d.period_um / orders:.2f} nm)" if orders > 1 else ""
    peak = "" if d.peak_to_background is None else f", peak {d.peak_to_background:.1f} sigma"
    sheet = "" if d.sheet_offset_um is None else f", {sheet_text(d)}"
    return (
        f"direction {index + 1}: period {1e3 * d.period_um:.2f} nm{finest}, angle "
        f"{np.degrees(d.angle_rad):.2f}° ({d.angle_rad:.4f} rad), steps {steps}°, modulation "
        f"{modulation}{peak}{sheet}: {d.verdict}"
    )


def sheet_text(d: DirectionPattern) -> str:
    """Where the light sheet of a direction is."""
    sd = d.sheet_offset_sd_um
    told = "(given)" if sd is None else f"± {sd:.3f}"
    return f"sheet {d.sheet_offset_um:+.3f} {told} µm from the focal plane"


def pattern_lines(pattern: PatternFit) -> list[str]:
    """All directions, the notes and the verdict of a fit."""
    lines = [direction_line(i, d) for i, d in enumerate(pattern.directions)]
    lines += [f"note: {text}" for text in pattern.notes]
    lines.append(f"verdict: {pattern.verdict}")
    return lines
