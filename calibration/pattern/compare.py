"""Do new recordings fit a pattern record? Spacing, angle, phase steps and modulation."""

from __future__ import annotations

import numpy as np

from calibration.data_check import Finding
from calibration.pattern.measure import measure_pattern
from calibration.pattern.series import Series
from simrecon.config import Settings
from simrecon.errors import QualityError
from simrecon.estimate.window import wrap
from simrecon.io import CalibrationRecord
from simrecon.io.pattern_record import SAME_WAVELENGTH
from simrecon.model.pattern import Verdict
from simrecon.model.stack import SimStack

SIGMAS = 3.5
WEAK_PX, FAILED_PX = 0.05, 0.3
"""Difference of frequencies in DFT samples of the field, beyond `SIGMAS` of its error. Over half a
field they turn the pattern by 9° and 54°."""
WEAK_STEP_RAD, FAILED_STEP_RAD = np.deg2rad(2.0), np.deg2rad(10.0)
LEAST_CONTRAST = 0.7


def check_pattern(record: CalibrationRecord, stack: SimStack, settings: Settings) -> list[Finding]:
    """Measure the pattern of a recording and hold it against a record.

    Returns
    -------
    list of Finding
        Three or four per direction and channel: spacing, angle, phase steps, and the modulation
        where it fell.
    """
    emission = np.asarray(record.quantities["emission_nm"].value)
    shape = np.shape(record.quantities["phase_step_rad"].value)[1:]
    if shape != (stack.directions, stack.phases):
        text = f"record {shape[0]} × {shape[1]}, data {stack.directions} × {stack.phases}"
        return [Finding("directions × phases", "failed", text)]
    try:
        found = measure_pattern([stack], settings)
    except QualityError as error:
        return [Finding("pattern", "failed", f"{error.message} {error.got or ''}".strip())]
    findings: list[Finding] = []
    for c, channel in enumerate(found.channels):
        away = np.abs(np.log(channel.optics.emission_nm / emission))
        if away.min() > SAME_WAVELENGTH:
            text = f"{channel.optics.emission_nm:g} nm is not in the record"
            findings.append(Finding(f"channel {c}", "failed", text))
            continue
        for d, one in enumerate(channel.directions):
            name = f"direction {d + 1}" if len(found.channels) == 1 else f"channel {c}, {d + 1}"
            findings += _direction(record, int(away.argmin()), d, one, name, stack)
    return findings


def _direction(
    record: CalibrationRecord, channel: int, d: int, one: Series, name: str, stack: SimStack
) -> list[Finding]:
    def kept(quantity: str) -> np.ndarray:
        return np.asarray(np.asarray(record.quantities[quantity].value)[channel, d])

    old, new, sense = kept("frequency_per_um"), one.frequency.value, 1.0
    if np.dot(old, new) < 0:
        new, sense = -new, -1.0
    sd = np.hypot(kept("frequency_repeat_per_um"), one.frequency.sd)
    extent = float(np.mean(stack.grid.extent_um))
    along = old / np.hypot(*old)
    across = np.array([along[1], -along[0]])
    findings = []
    numbers = {
        "spacing": (1e3 / np.hypot(*old), 1e3 / np.hypot(*new), "nm"),
        "angle": (np.degrees(np.arctan2(*old)), np.degrees(np.arctan2(*new)), "°"),
    }
    for (what, (was, now, unit)), axis in zip(numbers.items(), (along, across), strict=True):
        moved = abs(float((new - old) @ axis)) * extent
        error = float(np.hypot(*(sd * axis))) * extent
        text = (f"record {was:.2f} {unit}, data {now:.2f} {unit}: {moved:.3f} ± {error:.3f} DFT "
                "samples of this field")  # fmt: skip
        findings.append(Finding(f"{name} {what}", _grade(moved, error, WEAK_PX, FAILED_PX), text))
    steps = wrap(sense * one.step_rad.value - kept("phase_step_rad"))
    steps = wrap(steps - np.angle(np.exp(1j * steps).mean()))
    error = float(np.sqrt(np.mean(kept("phase_step_repeat_rad") ** 2 + one.step_rad.sd**2)))
    size = float(np.sqrt(np.mean(steps**2)))
    text = f"differ by {np.degrees(size):.2f}° rms, expected {np.degrees(error):.2f}°"
    verdict = _grade(size, error, WEAK_STEP_RAD, FAILED_STEP_RAD)
    findings.append(Finding(f"{name} phase steps", verdict, text))
    was, now = float(kept("modulation")), float(one.modulation.value)
    if now < LEAST_CONTRAST * was and was - now > SIGMAS * float(one.modulation.sd):
        text = f"record {was:.2f}, data {now:.2f}: thick sample, or the beams need alignment"
        findings.append(Finding(f"{name} modulation", "weak", text))
    return findings


def _grade(size: float, error: float, weak: float, failed: float) -> Verdict:
    if size <= max(weak, SIGMAS * error):
        return "ok"
    return "failed" if size > failed else "weak"
