"""The inspection report as text for people."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from simrecon.checks import SATURATION_NOTED

if TYPE_CHECKING:
    from simrecon.estimate.direction_peaks import DirectionPeak
    from simrecon.inspection import Inspection

_LABEL, _WIDTH, _ORDERS_SHOWN = 13, 100, 4


def _line(label: str, text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=f"{label:<{_LABEL}}", subsequent_indent=" " * _LABEL,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _meaning(found: Inspection) -> str:
    s = found.sizes
    parts = [
        f"{_counted(s['A'], 'direction')} × {_counted(s['P'], 'phase')}",
        _counted(s["Z"], "plane"),
        _counted(s["T"], "time point"),
        _counted(s["C"], "channel"),
    ]
    return ", ".join(parts)


def _pixel(found: Inspection) -> str:
    if found.pixel_um is None:
        return "not in the file: give --pixel-um"
    s = found.sizes
    text = f"{found.pixel_um:.4g} µm"
    text += f" (field {s['X'] * found.pixel_um:.1f} × {s['Y'] * found.pixel_um:.1f} µm)"
    if found.dz_um is not None and s["Z"] > 1:
        text += f", planes {found.dz_um:.4g} µm apart"
    return text


def _optics(found: Inspection) -> str:
    def waves(values: tuple[float, ...]) -> str:
        return "/".join(f"{v:.0f}" for v in values) + " nm" if values else "not known"

    text = f"excitation {waves(found.excitation_nm)}, emission {waves(found.emission_nm)}, "
    text += f"detection NA {found.na:.3g}" if found.na is not None else "detection NA not known"
    if found.excitation_na is not None:
        text += f", excitation NA {found.excitation_na:.3g}"
    if found.finest_period_um is not None:
        text += f" (finest pattern {1e3 * found.finest_period_um:.0f} nm)"
    return text


def _values(found: Inspection) -> str:
    head = {"counts": "camera counts", "unclear": "perhaps camera counts"}.get(
        found.counts.verdict, "not camera counts"
    )
    saturated = f"{100 * found.saturated_fraction:.2g} % of the pixels saturated"
    if found.saturated_fraction <= SATURATION_NOTED:
        saturated = "no saturation"
    return f"{head}: {found.counts.reason}; {saturated}"


def _brightness(found: Inspection) -> str:
    b = found.brightness
    if math.isnan(b.variation_percent):
        return "no light above the offset"
    return (
        f"varies by {b.variation_percent:.0f} % over the frames, {b.within_percent:.0f} % within "
        f"a direction: {b.grade}"
    )


def _length(pixels: float, pixel_um: float | None) -> str:
    if pixel_um is None:
        return f"{pixels:.3f} px"
    return f"{1e3 * pixels * pixel_um:.1f} nm ({pixels:.3f} px)"


def _peak(peak: DirectionPeak, pixel_um: float | None) -> str:
    height = f"peak {peak.peak_to_background:.1f} sigma"
    if peak.grade == "none":
        return f"direction {peak.direction}: no pattern found (best {height})"
    text = (
        f"direction {peak.direction}: period {_length(peak.period_px, pixel_um)}, angle "
        f"{round(math.degrees(peak.angle_rad), 1) + 0.0:.1f}°, {height}: {peak.grade}"
    )
    if peak.orders_px is not None:
        coarse, fine = (_length(v, pixel_um) for v in peak.orders_px)
        text += f"; two orders: fundamental {coarse}, finest {fine}"
    if peak.rival_px is not None and peak.rival_angle_rad is not None:
        text += (
            f"; or {_length(peak.rival_px, pixel_um)} at "
            f"{math.degrees(peak.rival_angle_rad):.1f}° ({peak.rival_peak:.1f} sigma)"
        )
    return text


def _evidence(found: Inspection) -> list[str]:
    """One line per order tried, best first: share explained, angles, steps of the phase."""
    lines = []
    for row in found.orders[:_ORDERS_SHOWN]:
        counts = f"{row.angles} × {row.phases}"
        counts += f" × {_counted(row.planes, 'plane')}" if row.planes > 1 else ""
        counts += f" × {_counted(row.times, 'time')}" if row.times > 1 else ""
        text = f"{row.order:<4} {counts}: explains {100 * row.explained:.0f} %"
        angles = [p.angle_rad for p in row.peaks if p.grade != "none"]
        if angles:
            text += ", angles " + " ".join(f"{math.degrees(a):.0f}°" for a in angles)
        steps = [s for s in row.marks.phase_steps_rad() if s is not None]
        if row is found.orders[0] and steps:
            listed = " | ".join(" ".join(f"{math.degrees(v):.0f}°" for v in s) for s in steps)
            text += f", phase steps {listed}"
        lines.append(text if row is found.orders[0] else f"{text}; {row.fault}")
    more = len(found.orders) - _ORDERS_SHOWN
    return lines + ([f"and {more} more orders that explain less"] if more > 0 else [])


def as_text(found: Inspection) -> str:
    """The whole report."""
    s = found.sizes
    frames = s["T"] * s["C"] * s["A"] * s["P"] * s["Z"]
    size = f"{_counted(frames, 'frame')} of {s['X']} × {s['Y']} pixels, {found.dtype}"
    sure = "shown by the data" if found.order_decided else "not certain"
    lines = [
        _line("file", f"{found.source} ({found.format}, {size})"),
        _line("meaning", _meaning(found)),
        _line("order", f"{found.order} ({sure}; fastest first). {found.order_sentence}"),
        *(_line("" if i else "evidence", text) for i, text in enumerate(_evidence(found))),
        _line("orientation", ". ".join(t for t in (found.orientation, found.handedness) if t)),
        _line("pixel", _pixel(found)),
        _line("light", _optics(found)),
        _line("values", _values(found)),
        _line("brightness", _brightness(found)),
    ]
    peaks = [_peak(p, found.pixel_um) for p in found.peaks]
    lines += [_line("pattern" if i == 0 else "", text) for i, text in enumerate(peaks)]
    if found.presets:
        for i, match in enumerate(found.presets):
            text = f"{match.preset.name} ({match.preset.instrument}): {'; '.join(match.agrees)}"
            text += f"; but {'; '.join(match.differs)}" if match.differs else ""
            lines.append(_line("preset" if i == 0 else "", text))
    else:
        lines.append(_line("preset", "none of the known instruments fits"))
    lines.append(_line("possible", found.support))
    if found.missing:
        lines.append(_line("to give", " ".join(found.missing)))
    lines += [_line("note", text) for text in found.notes]
    return "\n".join(lines)
