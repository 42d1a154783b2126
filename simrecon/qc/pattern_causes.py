"""Causes in the pattern, the motion and the brightness of the frames.

Limits were set on `benchmarks/bench_explain.py` (docs/artefacts.md), which also measures them.
"""

from __future__ import annotations

import numpy as np

from simrecon.qc.finding import FIT_REST, LEAVE_AWAY, Finding, given_complete, named, which
from simrecon.qc.symptoms import DirectionSymptoms, PatternSource, Symptoms

MODULATION_LIMITS = (0.75, 1.33)
TURN_LIMIT_RAD = np.radians(17.0)
CARRIER_LIMIT_SAMPLES = 0.3
DRIFT_LIMIT_PX = 0.15
BRIGHTNESS_LIMIT = 0.03
ORDER_LEAD = 0.3
FAR_SAMPLES = 1.5
"""From here bands that agree refute another carrier: phases would turn over the field."""
CARRIER_ERRORS = 5.0
"""A fitted frequency is not off by more than so many of its standard deviations."""
RIVALRY_LIMIT = 0.7
"""Evidence of another carrier that counts: the limit of a fit that is ok."""


def order_causes(found: Symptoms) -> list[Finding]:
    """Phases and directions exchanged."""
    if len(found.orders) < 2:
        return []
    best = found.orders[0]
    used = next((row for row in found.orders if row.order == "PA"), best)
    lead = best.explained - used.explained
    if best is used or lead < ORDER_LEAD or best.marks.strength * lead < 1.0:
        return []
    return [
        Finding(
            "frame order",
            f"the frames agree with phases and directions exchanged to "
            f"{100 * best.explained:.0f} %, as they were read only to {100 * used.explained:.0f} %",
            "all frames",
            "the frame order is wrong",
            "'simrecon inspect' names the order: give it with --order (AP instead of PA, ...)",
            1.0 + lead / ORDER_LEAD,
        )
    ]


def wrong_carrier(d: DirectionSymptoms, source: PatternSource) -> bool:
    """The pattern is not where it was said to be.

    The strongest peak alone does not show it: the sample has peaks too.
    """
    off = d.carrier_off_samples
    if off is None or off <= CARRIER_LIMIT_SAMPLES or (off > FAR_SAMPLES and _bands_agree(d)):
        return False
    if source == "fitted":
        near = off < max(CARRIER_ERRORS * d.carrier_sd_samples, CARRIER_LIMIT_SAMPLES)
        return d.verdict != "ok" and (near or (d.rivalry or 0.0) > RIVALRY_LIMIT)
    return True


def _bands_agree(d: DirectionSymptoms) -> bool:
    c = d.agreement
    if c is None:
        return False
    return abs(c) > MODULATION_LIMITS[0] and abs(np.angle(c)) < TURN_LIMIT_RAD


def uneven_turns(d: DirectionSymptoms, source: PatternSource) -> bool:
    """Single frames have another phase than was said."""
    clear = d.carrier_off_samples is not None and not wrong_carrier(d, source)
    return clear and max(abs(t) for t in d.frame_turns_rad) > TURN_LIMIT_RAD


def frequency_causes(found: Symptoms) -> list[Finding]:
    """A wrong period or angle."""
    numbers, off = which(
        found, lambda d: d.carrier_off_samples if wrong_carrier(d, found.pattern_source) else None
    )
    if not numbers:
        return []
    return [
        Finding(
            "frequency or angle",
            f"the pattern's peak lies {max(off):.1f} DFT samples from the frequency used (limit "
            f"{CARRIER_LIMIT_SAMPLES:g})",
            named(numbers),
            "the pattern's period or angle is wrong",
            ("" if found.pattern_source == "fitted" else f"{LEAVE_AWAY}; or ")
            + "check --pixel-um, the period (--set estimate.period_um=...) and angles (--set "
            "estimate.angles_rad=[...])",
            max(off) / CARRIER_LIMIT_SAMPLES,
        )
    ]


def frame_phase_causes(found: Symptoms) -> list[Finding]:
    """Wrong phases of single frames."""
    numbers, turn = which(
        found,
        lambda d: (
            max(abs(t) for t in d.frame_turns_rad)
            if uneven_turns(d, found.pattern_source)
            else None
        ),
    )
    if not numbers:
        return []
    return [
        Finding(
            "phase of a frame",
            f"single frames are off by up to {np.degrees(max(turn)):.0f}° from the phases used "
            f"(limit {np.degrees(TURN_LIMIT_RAD):.0f}°)",
            named(numbers),
            "the phase steps are not what was assumed",
            (
                f"{FIT_REST}: phases are then fitted frame by frame; "
                if given_complete(found)
                else ""
            )
            + "at the microscope, check the phase shifter and vibrations",
            max(turn) / TURN_LIMIT_RAD,
        )
    ]


def agreement(d: DirectionSymptoms, source: PatternSource) -> complex | None:
    """C where nothing more basic is wrong and the pattern is seen at all."""
    hidden = d.carrier_off_samples is None or wrong_carrier(d, source) or uneven_turns(d, source)
    return None if hidden else d.agreement


def direction_phase_causes(found: Symptoms) -> list[Finding]:
    """All frames of a direction turned together."""

    def turn(d: DirectionSymptoms) -> float | None:
        c = agreement(d, found.pattern_source)
        off = 0.0 if c is None else abs(float(np.angle(c)))
        return off if off > TURN_LIMIT_RAD else None

    numbers, off = which(found, turn)
    if not numbers:
        return []
    return [
        Finding(
            "phases of a direction",
            f"all frames are turned together by up to {np.degrees(max(off)):.0f}° (limit "
            f"{np.degrees(TURN_LIMIT_RAD):.0f}°)",
            named(numbers),
            "the pattern's phases belong to another recording or another crop"
            if given_complete(found)
            else "the fitted phases do not fit the frames: the sample moved, or the fit is wrong",
            f"{FIT_REST}: phases are then fitted"
            if given_complete(found)
            else "look at the pattern's verdict; record faster or let the stage settle",
            max(off) / TURN_LIMIT_RAD,
        )
    ]


def modulation_causes(found: Symptoms) -> list[Finding]:
    """A modulation that is too low or too high."""
    findings = []
    for high in (True, False):

        def ratio(d: DirectionSymptoms, high: bool = high) -> float | None:
            c = agreement(d, found.pattern_source)
            if c is None or abs(np.angle(c)) > TURN_LIMIT_RAD:
                return None
            low_limit, high_limit = MODULATION_LIMITS
            wrong = abs(c) < low_limit if high else abs(c) > high_limit
            return abs(c) if wrong else None

        numbers, values = which(found, ratio)
        if not numbers:
            continue
        worst = min(values) if high else max(values)
        word, effect = ("high", "faint") if high else ("low", "strong, with halos")
        findings.append(
            Finding(
                f"modulation too {word}",
                f"band 1 is {worst:.2f} times what the modulation promises (limits "
                f"{MODULATION_LIMITS[0]:g} to {MODULATION_LIMITS[1]:g})",
                named(numbers),
                f"the modulation was taken too {word}, so fine structure comes out too {effect}",
                f"{FIT_REST}: it is then fitted"
                if given_complete(found)
                else "it was fitted, so the OTF is doubtful: give a measured one (--otf)",
                abs(np.log(worst)) / abs(np.log(MODULATION_LIMITS[0])),
            )
        )
    return findings


def drift_causes(found: Symptoms) -> list[Finding]:
    """The sample moved."""
    moved_carrier = any(wrong_carrier(d, found.pattern_source) for d in found.directions)
    if found.drift_px <= DRIFT_LIMIT_PX or moved_carrier:
        return []
    if given_complete(found):
        action = f"{FIT_REST}: drift is then measured and corrected (estimate.drift=auto)"
    elif found.drift_corrected:
        action = "the correction did not take all of it"
    else:
        action = "--set estimate.drift=auto corrects it"
    return [
        Finding(
            "drift",
            f"the frames are displaced by {found.drift_px:.2f} px rms (limit {DRIFT_LIMIT_PX:g})",
            "between directions",
            "the sample or the stage moved while the directions were recorded",
            f"{action}; at the microscope, record faster or let the stage settle",
            found.drift_px / DRIFT_LIMIT_PX,
        )
    ]


def brightness_causes(found: Symptoms) -> list[Finding]:
    """Frames of unequal brightness."""
    if not given_complete(found):  # every frame's intensity was fitted
        return []
    values = np.array([b for d in found.directions for b in d.frame_brightness])
    worst = float(np.abs(values - 1.0).max()) if values.size else 0.0
    if worst <= BRIGHTNESS_LIMIT:
        return []
    falling = bool(np.corrcoef(np.arange(values.size), values)[0, 1] < -0.8)
    cause = "bleaching" if falling else "flicker"
    return [
        Finding(
            cause,
            f"frames differ by up to {100 * worst:.0f} % from the brightness used (limit "
            f"{100 * BRIGHTNESS_LIMIT:.0f} %)",
            "all frames" if falling else "",
            "the sample bleaches and that was not corrected"
            if falling
            else "the lamp or laser flickers and that was not corrected",
            f"{FIT_REST}: the intensity of every frame is then fitted",
            worst / BRIGHTNESS_LIMIT,
        )
    ]
