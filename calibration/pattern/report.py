"""A pattern measurement as a record, as JSON facts, as text, as pattern files and as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from calibration.pattern.figures import field_figure, series_figure, steps_figure
from calibration.pattern.gates import trends
from calibration.pattern.measure import Acquisition, ChannelPattern, PatternMeasurement
from calibration.pattern.series import Series
from calibration.pattern.statistics import drift
from calibration.record import dated
from calibration.report import Section
from simrecon.io import CalibrationRecord, Quantity
from simrecon.model.pattern import DirectionPattern, PatternFit


def facts(found: PatternMeasurement) -> dict[str, Any]:
    """Everything, JSON-ready; names of stability as in SIMcheck."""
    return {
        "verdict": found.verdict,
        "notes": list(found.notes),
        "pixel_um": found.pixel_um,
        "order": found.order,
        "channels": [_channel_facts(c) for c in found.channels],
    }


def _channel_facts(channel: ChannelPattern) -> dict[str, Any]:
    return {
        "emission_nm": channel.optics.emission_nm,
        "excitation_nm": channel.optics.excitation_nm,
        "directions": [_direction_facts(s) for s in channel.directions],
        "acquisitions": [_acquisition_facts(a, channel, n)
                         for n, a in enumerate(channel.acquisitions)],
    }  # fmt: skip


def _direction_facts(one: Series) -> dict[str, Any]:
    lines = {}
    at = np.array([i for i, e in enumerate(one.entries) if e.used], float)
    for name, unit, values, sd in trends(one):
        line = drift(at, values, sd)
        if line is not None:
            lines[name] = {**asdict(line), "unit": unit}
    return {
        "acquisitions_used": len(one.used),
        "frequency_per_um": one.frequency.value.tolist(),
        "frequency_sd_per_um": one.frequency.sd.tolist(),
        "line_spacing_nm": 1e3 * float(one.period_um.value),
        "line_spacing_sd_nm": 1e3 * float(one.period_um.sd),
        "line_spacing_stability_nm": 1e3 * float(one.period_um.between),
        "k0_angle_deg": float(np.degrees(one.angle_rad.value)),
        "k0_angle_sd_deg": float(np.degrees(one.angle_rad.sd)),
        "k0_angle_stability_deg": float(np.degrees(one.angle_rad.between)),
        "phase_step_deg": np.degrees(one.steps_rad).tolist(),
        "phase_step_sd_deg": np.degrees(one.step_rad.sd).tolist(),
        "phase_step_std_deg": float(np.degrees(one.step_error_rad)),
        "phase_step_stability_deg": float(np.degrees(np.sqrt(np.mean(one.step_rad.between**2)))),
        "common_phase_deg": np.degrees(one.common_phase_rad).tolist(),
        "modulation": float(one.modulation.value),
        "modulation_sd": float(one.modulation.sd),
        "modulation_stability": float(one.modulation.between),
        "intensity": one.intensity.value.tolist(),
        "intensity_sd": one.intensity.sd.tolist(),
        "drift": lines,
        "left_out": [{"acquisition": i, "reason": e.reason}
                     for i, e in enumerate(one.entries) if e.reason],
    }  # fmt: skip


def _acquisition_facts(one: Acquisition, channel: ChannelPattern, number: int) -> dict[str, Any]:
    directions = []
    for s in channel.directions:
        d = s.entries[number].direction
        directions.append({
            "verdict": d.verdict, "left_out": s.entries[number].reason,
            "frequency_per_um": list(d.frequency_per_um),
            "frequency_sd_per_um": list(d.frequency_sd_per_um),
            "centre_phase_deg": np.degrees(s.entries[number].centre_phase_rad).tolist(),
            "phase_sd_deg": np.degrees(d.phase_sd_rad).tolist(),
            "modulation": list(d.modulation), "modulation_sd": list(d.modulation_sd),
            "local": None if d.local is None else d.local.summary(),
        })  # fmt: skip
    return {"source": one.source, "time": one.time, "sample": one.sample, "directions": directions}


def to_record(
    found: PatternMeasurement,
    *,
    instrument: str = "",
    conditions: Mapping[str, Any] | None = None,
    valid_days: float = 365.0,
    sources: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> CalibrationRecord:
    """The measurement as a calibration record of kind "pattern"."""
    channels = [c.directions for c in found.channels]

    def table(name: str, part: str) -> np.ndarray:
        return np.array([[getattr(getattr(s, name), part) for s in one] for one in channels])

    emission = np.array([c.optics.emission_nm for c in found.channels])
    optics = found.channels[0].optics
    index = "channel, direction"
    quantities = {
        "emission_nm": Quantity(emission, "nm", None, "emission wavelength of each channel"),
        "frequency_per_um": Quantity(
            table("frequency", "value"), "1/µm", table("frequency", "sd"),
            f"pattern frequency (y, x) by {index}"),
        "frequency_repeat_per_um": Quantity(
            table("frequency", "repeat"), "1/µm", None, "sd with which it repeats"),
        "phase_step_rad": Quantity(
            table("step_rad", "value"), "rad", table("step_rad", "sd"),
            f"phase of each frame by {index}, up to a common one; the first is 0"),
        "phase_step_repeat_rad": Quantity(
            table("step_rad", "repeat"), "rad", None, "sd with which it repeats"),
        "modulation": Quantity(
            table("modulation", "value"), "", table("modulation", "sd"),
            f"contrast of the pattern after the OTF, by {index}"),
        "modulation_repeat": Quantity(
            table("modulation", "repeat"), "", None, "sd with which it repeats"),
        "intensity": Quantity(
            table("intensity", "value"), "", table("intensity", "sd"),
            f"brightness of each frame over its direction's mean, by {index}"),
        "pixel_um": Quantity(found.pixel_um, "µm", None, "camera pixel in the sample"),
    }  # fmt: skip
    single = {"emission_nm": float(emission[0])} if emission.size == 1 else {}
    return CalibrationRecord(
        kind="pattern", quantities=quantities, instrument=instrument,
        **dated(valid_days),
        conditions={**(conditions or {}), "na": optics.na, "index": optics.immersion_index,
                    "pixel_um": found.pixel_um, **single},
        results=facts(found), sources=tuple(sources), provenance=provenance,
        notes=found.notes, verdict=found.verdict,
    )  # fmt: skip


def to_pattern(found: PatternMeasurement, channel: int) -> PatternFit:
    """One channel as a pattern file for ``--pattern``: frequencies and phase steps."""
    directions = tuple(
        DirectionPattern(
            frequency_per_um=(float(s.frequency.value[0]), float(s.frequency.value[1])),
            frequency_sd_per_um=(float(s.frequency.sd[0]), float(s.frequency.sd[1])),
            phase_rad=(), modulation=(), intensity=(),
            phase_step_rad=tuple(float(v) for v in s.step_rad.value),
            phase_step_sd_rad=tuple(float(v) for v in np.maximum(s.step_rad.repeat, 1e-3)),
        )
        for s in found.channels[channel].directions
    )  # fmt: skip
    shape = found.channels[channel].acquisitions[0].fit.shape
    return PatternFit(found.pixel_um, shape, directions, found.order, found.verdict, found.notes)


def to_text(found: PatternMeasurement) -> str:
    """What people read on the terminal."""
    lines = []
    for number, channel in enumerate(found.channels):
        many = len(channel.acquisitions)
        sheets = sum(a.sample == "slide" for a in channel.acquisitions)
        what = f", {sheets} of an even sheet" if sheets else ""
        lines.append(f"channel {number}, {channel.optics.emission_nm:g} nm: {many} acquisition(s)"
                     + what)  # fmt: skip
        lines += [f"  {text}" for s in enumerate(channel.directions, 1) for text in _texts(*s)]
    lines += [f"note: {text}" for text in found.notes]
    lines.append(f"verdict: {found.verdict}")
    return "\n".join(lines)


def _texts(number: int, one: Series) -> list[str]:
    steps = " / ".join(f"{s:.1f}" for s in np.degrees(one.steps_rad))
    stability = _direction_facts(one)
    return [
        f"direction {number}: spacing {1e3 * float(one.period_um.value):.2f} ± "
        f"{1e3 * float(one.period_um.sd):.2f} nm, angle {np.degrees(one.angle_rad.value):.3f} ± "
        f"{np.degrees(one.angle_rad.sd):.3f}°, modulation {float(one.modulation.value):.3f} ± "
        f"{float(one.modulation.sd):.3f}, from {len(one.used)} of {len(one.entries)}",
        f"  phase steps {steps}° (± {np.degrees(one.step_rad.sd.mean()):.2f}), phase-step std "
        f"{stability['phase_step_std_deg']:.2f}° from equal steps",
        "  between acquisitions: not known, there is one only"
        if len(one.used) == 1
        else f"  between acquisitions: phase steps {stability['phase_step_stability_deg']:.2f}°, "
        f"spacing {stability['line_spacing_stability_nm']:.2f} nm, angle "
        f"{stability['k0_angle_stability_deg']:.3f}°, modulation "
        f"{stability['modulation_stability']:.3f}",
        f"  {_steadiness(one, stability)}",
    ]


def _steadiness(one: Series, stability: Mapping[str, Any]) -> str:
    """What is known of drift over the acquisitions and of variation over the field."""
    lines = stability["drift"]
    moving = [name for name, line in lines.items() if line["significant"]]
    told = f"drift of {', '.join(moving)} (see notes)" if moving else "no drift told"
    time = told if lines else "drift not known (four acquisitions tell it)"
    uneven = sum(e.direction.local is not None for e in one.used)
    field = f"uneven in {uneven} of {len(one.used)}" if uneven else "no variation told"
    return f"over the acquisitions: {time}; over the field: {field}"


def sections(found: PatternMeasurement) -> list[Section]:
    """The parts of the HTML report."""
    out = []
    for number, channel in enumerate(found.channels):
        title = f"Channel {number}, {channel.optics.emission_nm:g} nm"
        header = ("direction", "spacing / nm", "angle / °", "modulation", "phase steps / °",
                  "phase-step std / °", "steps / °", "spacing / nm", "angle / °")  # fmt: skip
        rows = [_row(n, s) for n, s in enumerate(channel.directions, 1)]
        out.append(Section(title, "Weighted means over the acquisitions; the last three columns "
                           "are the scatter between them beyond their errors.", header, rows,
                           steps_figure(channel.directions)))  # fmt: skip
        out.append(Section(f"{title}: over the acquisitions",
                           figure=series_figure(channel.directions)))  # fmt: skip
        drawn = field_figure(channel.directions)
        if drawn is not None:
            said = "Phase against its mean, in the acquisition where it varies most."
            out.append(Section(f"{title}: over the field", said, figure=drawn))
        table = [
            (str(a.source + 1), str(a.time), a.sample, a.fit.verdict,
             "; ".join(f"direction {n}: {s.entries[i].reason}"
                       for n, s in enumerate(channel.directions, 1) if s.entries[i].reason))
            for i, a in enumerate(channel.acquisitions)
        ]  # fmt: skip
        head = ("file (from 1)", "time", "sample", "fit", "left out")
        out.append(Section(f"{title}: acquisitions", header=head, rows=table))
    return out


def _row(number: int, one: Series) -> tuple[str, ...]:
    f = _direction_facts(one)
    steps = " / ".join(f"{s:.2f}" for s in f["phase_step_deg"])
    return (
        str(number), f"{f['line_spacing_nm']:.2f} ± {f['line_spacing_sd_nm']:.2f}",
        f"{f['k0_angle_deg']:.3f} ± {f['k0_angle_sd_deg']:.3f}",
        f"{f['modulation']:.3f} ± {f['modulation_sd']:.3f}", steps,
        f"{f['phase_step_std_deg']:.2f}", f"{f['phase_step_stability_deg']:.2f}",
        f"{f['line_spacing_stability_nm']:.3f}", f"{f['k0_angle_stability_deg']:.3f}",
    )  # fmt: skip
