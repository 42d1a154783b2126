"""From symptoms to likely causes and what to do, in words.

Each rule names a number, the limit it crossed, where, the likely cause and an option that exists.
Rules were set on, and are measured by, `benchmarks/bench_explain.py` (docs/artefacts.md): one
fault at a time on simulated frames, among them none at all.
"""

from __future__ import annotations

from collections.abc import Callable

from simrecon.qc.finding import Finding
from simrecon.qc.light_causes import (
    border_causes,
    haze_causes,
    light_causes,
    offset_causes,
    otf_causes,
    regularization_causes,
    residual_causes,
    saturation_causes,
)
from simrecon.qc.pattern_causes import (
    brightness_causes,
    direction_phase_causes,
    drift_causes,
    frame_phase_causes,
    frequency_causes,
    modulation_causes,
    order_causes,
)
from simrecon.qc.symptoms import Symptoms

_HIDDEN_BY_RIM = (
    "otf too wide", "otf too narrow", "flicker", "modulation too low", "modulation too high"
)  # fmt: skip


def explain(found: Symptoms) -> tuple[Finding, ...]:
    """Likely causes, the strongest first; empty when nothing stands out."""
    wrong_order = order_causes(found)
    if wrong_order:
        return (*wrong_order, *saturation_causes(found))
    findings = [f for rule in _RULES for f in rule(found)]
    rim = border_causes(found)
    if rim:  # a bright rim alone changes brightness and both bands: they cannot be judged
        findings = [*rim, *(f for f in findings if f.cause not in _HIDDEN_BY_RIM)]
    if any(f.cause == "drift" for f in findings):  # motion through the field's border, not light
        findings = [f for f in findings if f.cause != "flicker"]
    if not findings:
        findings = list(residual_causes(found))
    return tuple(sorted(findings, key=lambda f: -f.weight))


_RULES: tuple[Callable[[Symptoms], list[Finding]], ...] = (
    frequency_causes,
    frame_phase_causes,
    direction_phase_causes,
    modulation_causes,
    drift_causes,
    brightness_causes,
    saturation_causes,
    light_causes,
    regularization_causes,
    haze_causes,
    otf_causes,
    offset_causes,
)
