"""Verdicts on a reconstruction: what passed, what is weak, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from simrecon.checks import SATURATION_FAILED, CountsEvidence
from simrecon.errors import QualityError
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict, worst
from simrecon.recon.bands import condition_numbers

SATURATION_WEAK = 1e-3
NOISE_WEAK, NOISE_FAILED = (0.7, 1.4), (0.4, 2.5)
FLUX_TOLERANCE = 0.02
NEGATIVE_WEAK = 0.25
INTENSITY_WEAK, INTENSITY_FAILED = 0.40, 0.60
"""Total intensity variation, limits of SIMcheck (Ball et al. 2015, Sci. Rep. 5:15915)."""
CHI2_OK = (0.85, 1.2)
"""Limits of the reduced χ² of iterative pictures. Measured with the true pattern on filaments and
blobs at 30-1000 e: 0.96-1.01; with a gain 1.5 times too large: below 0.85; real cristae: 1.6."""


@dataclass
class Gates:
    """Collects verdicts and the sentences that explain them.

    Attributes
    ----------
    verdicts : dict
        Gate → verdict.
    reasons : list of str
        One sentence per gate that was not passed.
    """

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def add(self, gate: str, verdict: Verdict, reason: str = "") -> None:
        """Record a verdict; the worst of several on one gate stays."""
        self.verdicts[gate] = worst([verdict, self.verdicts.get(gate, "ok")])
        if verdict != "ok" and reason and reason not in self.reasons:
            self.reasons.append(reason)

    def summary(self) -> dict[str, Verdict]:
        """All verdicts with the overall one."""
        return {**self.verdicts, "overall": worst([*self.verdicts.values(), "ok"])}


def gate_counts(gates: Gates, evidence: CountsEvidence) -> None:
    """Values that are no camera counts make every statement about noise doubtful."""
    if evidence.verdict == "not camera counts":
        gates.add("noise_model", "weak", f"not camera counts: {evidence.reason}")
    else:
        gates.add("noise_model", "ok")


def gate_camera(
    gates: Gates, noise_ratio: float | None, offset_known: bool, doubts: Sequence[str] = ()
) -> None:
    """Camera numbers that the noise contradicts, an offset that nobody knows, a doubtful record.

    Parameters
    ----------
    noise_ratio
        Noise variance beyond the optical cut-off, measured over predicted; None: not known.
    offset_known
        False when 0 was assumed.
    doubts
        Of the camera's record: weak or expired.
    """
    for doubt in doubts:
        gates.add("noise_model", "weak", doubt)
    if not offset_known:
        gates.add(
            "noise_model",
            "weak",
            "the camera offset is not known: zero and scale of the photo-electrons are unknown; "
            "give --offset (the counts of a dark frame)",
        )
    if noise_ratio is None:
        return
    verdict: Verdict = "ok"
    for limits, worse in ((NOISE_WEAK, "weak"), (NOISE_FAILED, "failed")):
        if not limits[0] <= noise_ratio <= limits[1]:
            verdict = cast(Verdict, worse)
    gates.add(
        "noise_model",
        verdict,
        f"the noise beyond the optical cut-off is {noise_ratio:.2f} times what gain, offset and "
        "read noise of the camera predict: one of them is wrong, or the values were processed",
    )


def gate_saturation(gates: Gates, fraction: float, level: float) -> None:
    """Clipped pixels break the linear model.

    Raises
    ------
    QualityError
        When more than 5 % of the pixels are saturated.
    """
    if fraction > SATURATION_FAILED:
        raise QualityError(
            "The raw frames are saturated.",
            expected=f"less than {100 * SATURATION_FAILED:g} % of the pixels at full scale",
            got=f"{100 * fraction:.3g} % at {level:g}",
            hint="acquire again with less light or a shorter exposure",
        )
    weak = fraction > SATURATION_WEAK
    text = f"{100 * fraction:.2g} % of the raw pixels are saturated (at {level:g})"
    gates.add("saturation", "weak" if weak else "ok", text if weak else "")


def gate_pattern(gates: Gates, pattern: PatternFit, where: str) -> None:
    """The fit's own verdict, direction by direction."""
    bad = [
        f"direction {i + 1} is {d.verdict}"
        for i, d in enumerate(pattern.directions)
        if d.verdict != "ok"
    ]
    said = pattern.notes[0] if pattern.notes else f"verdict {pattern.verdict}"
    reason = f"pattern ({where}): " + ("; ".join(bad) or said)
    gates.add("pattern", pattern.verdict, reason)


def intensity_variation(pattern: PatternFit) -> float:
    """Total intensity variation: (largest − smallest) / largest factor of all frames, 0…1."""
    factors = [g for d in pattern.directions for g in d.intensity]
    return (max(factors) - min(factors)) / max(factors) if factors and max(factors) > 0 else 0.0


def gate_intensity(gates: Gates, pattern: PatternFit, where: str) -> None:
    """Bleaching and lamp flicker: corrected frame by frame, but the dim frames stay noisy."""
    variation = intensity_variation(pattern)
    verdict: Verdict = "ok"
    for limit, worse in ((INTENSITY_WEAK, "weak"), (INTENSITY_FAILED, "failed")):
        if variation > limit:
            verdict = cast(Verdict, worse)
    text = (
        f"the frames differ in brightness by {100 * variation:.0f} % ({where}), more than "
        f"{100 * INTENSITY_WEAK:.0f} %: bleaching, a flickering lamp or missing light"
    )
    gates.add("intensity", verdict, text)


def gate_flux(gates: Gates, ratio: float, where: str, *, attenuated: bool = False) -> None:
    """The picture must hold as many photo-electrons as the raw frames.

    With attenuation it may hold fewer, by what was out of focus, but never more.
    """
    off = not abs(ratio - 1.0) <= FLUX_TOLERANCE
    if attenuated and 0 < ratio < 1:
        off = False
    wanted = f"1.00 ± {FLUX_TOLERANCE:g}"
    if attenuated:
        wanted = f"above 0 and at most {1 + FLUX_TOLERANCE:g} (attenuation removes light)"
    text = f"flux ratio {ratio:.3f} ({where}) is not {wanted}"
    gates.add("flux", "weak" if off else "ok", text)


def gate_negative(gates: Gates, fraction: float, where: str) -> None:
    """Much negative light: a wrong offset, a wrong pattern or a wrong OTF."""
    text = (
        f"{100 * fraction:.0f} % of the picture's light is negative ({where}): wrong camera "
        "offset, pattern or OTF, or hardly any light"
    )
    gates.add("negative", "weak" if fraction > NEGATIVE_WEAK else "ok", text)


def gate_raw_consistency(gates: Gates, verdict: Verdict, text: str, where: str) -> None:
    """The raw frames must be what the pattern predicts (:mod:`.raw_consistency`)."""
    gates.add("raw_consistency", verdict, f"the frames do not follow the pattern ({where}): {text}")


def gate_iterative(gates: Gates, chi2_reduced: float, where: str) -> None:
    """An iterative picture must explain the raw frames to their noise, and no better."""
    off = not CHI2_OK[0] <= chi2_reduced <= CHI2_OK[1]
    much = chi2_reduced > CHI2_OK[1]
    cause = (
        "wrong pattern, OTF or camera numbers, or light from out of focus; iterations magnify "
        "what the model misses, so compare with the linear picture"
        if much
        else "wrong camera numbers, or noise was fitted"
    )
    text = (
        f"chi2 of the raw frames against the iterative picture is {chi2_reduced:.2f} ({where}), "
        f"not {CHI2_OK[0]:g} to {CHI2_OK[1]:g}: {cause}"
    )
    gates.add("iterative", "weak" if off else "ok", text if off else "")


def gate_residual_pattern(gates: Gates, peaks: Sequence[Mapping[str, Any]], where: str) -> None:
    """Points left in the picture's spectrum at the pattern frequencies: a honeycomb."""
    bad = [p for p in peaks if p["suspicious"]]
    named = ", ".join(
        f"direction {p['direction'] + 1} order {p['order']} ({p['height_sigmas']:.0f} sigma)"
        for p in bad
    )
    text = (
        f"the illumination pattern is left in the picture ({where}): {named}; wrong phases or "
        "intensities, drift between frames, or a sample with that period"
    )
    gates.add("residual_pattern", "weak" if bad else "ok", text)


def flux_numbers(image: np.ndarray, widefield: np.ndarray) -> dict[str, float]:
    """Flux ratio and negative share of a picture against the widefield of the same frames.

    Parameters
    ----------
    image : ndarray, shape (qY, qX), e per raw pixel area
    widefield : ndarray, shape (Y, X), e

    Returns
    -------
    dict
        ``flux_ratio`` (mean over mean) and ``negative_fraction`` (sum of negative values over the
        sum of all magnitudes).
    """
    mean = float(widefield.mean(dtype=np.float64))
    ratio = float(image.mean(dtype=np.float64)) / mean if mean != 0 else float("nan")
    total = float(np.abs(image).sum(dtype=np.float64))
    negative = float(np.maximum(-image, 0).sum(dtype=np.float64))
    return {"flux_ratio": ratio, "negative_fraction": negative / total if total else 0.0}


def pattern_summary(pattern: PatternFit) -> list[Mapping[str, Any]]:
    """Short numbers per direction for reports: period, angle, modulation, verdict."""
    conditions = condition_numbers(pattern)
    return [
        {
            "period_um": d.period_um,
            "finest_period_um": d.period_um / max(len(d.modulation), 1),
            "mixing_condition": conditions[pattern.frame_set(i)],
            "angle_deg": float(np.degrees(d.angle_rad)),
            "modulation": list(d.modulation),
            "modulation_sd": list(d.modulation_sd),
            "phase_steps_deg": phase_steps_deg(d.phase_rad),
            "intensity": list(d.intensity),
            "drift_um": [list(u) for u in d.drift_um],
            "correlation": list(d.correlation),
            "peak_to_background": d.peak_to_background,
            "local": None if d.local is None else d.local.summary(),
            **_sheet(d),
            "verdict": d.verdict,
        }
        for i, d in enumerate(pattern.directions)
    ]


def _sheet(d: DirectionPattern) -> dict[str, float | None]:
    """Where a light sheet is, for patterns that have one."""
    if d.sheet_offset_um is None:
        return {}
    return {"sheet_offset_um": d.sheet_offset_um, "sheet_offset_sd_um": d.sheet_offset_sd_um}


def phase_steps_deg(phase_rad: Sequence[float]) -> list[float]:
    """Steps between successive frames, degrees in [0, 360)."""
    steps = np.degrees(np.diff(np.asarray(phase_rad))) % 360.0
    return [float(s) for s in steps]
