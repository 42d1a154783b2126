"""From symptoms to likely causes and what to do, in words.

Each rule names a number, the limit it crossed, where, the likely cause and an option that exists.
Rules were set on, and are measured by, `benchmarks/bench_explain.py` (docs/artefacts.md): one
fault at a time on simulated frames, among them none at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.qc.symptoms import DirectionSymptoms, PatternSource, Symptoms

MODULATION_LIMITS = (0.75, 1.33)
TURN_LIMIT_RAD = np.radians(17.0)
CARRIER_LIMIT_SAMPLES = 0.3
DRIFT_LIMIT_PX = 0.15
BRIGHTNESS_LIMIT = 0.03
SLOPE_WIDE, LOW_WIDE = -0.2, 0.8
SLOPE_NARROW, LOW_NARROW = 0.25, 1.6
BACKGROUND_LIMIT = 0.4
NOISE_LIMITS = (0.8, 1.2)
NOISE_SHARE_LIMIT = 0.3
WIDEFIELD_NOISE_LIMIT = 0.1
HAZE_LIMIT = 0.5
EDGE_LIMIT, EDGE_LIGHT_LIMIT = 1.6, 1.5
SATURATED_LIMIT = 1e-3
ORDER_LEAD = 0.3
FAR_SAMPLES = 1.5
"""From here bands that agree refute another carrier: phases would turn over the field."""
CARRIER_ERRORS = 5.0
"""A fitted frequency is not off by more than so many of its standard deviations."""
RIVALRY_LIMIT = 0.7
"""Evidence of another carrier that counts: the limit of a fit that is ok."""
CONTRAST_LIMIT, CONTRAST_ERRORS = 0.2, 3.0
_HIDDEN_BY_RIM = (
    "otf too wide", "otf too narrow", "flicker", "modulation too low", "modulation too high"
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One likely cause.

    Attributes
    ----------
    cause : str
        Short name, the same in every file (docs/artefacts.md lists them).
    what : str
        What was measured, and the limit.
    where : str
        Direction, frame or part of the field; empty: everywhere.
    likely : str
        The cause in words; where several cannot be told apart, all of them.
    action : str
        What to do: options of the program, or at the microscope.
    weight : float
        How far beyond its limit (1 = at the limit); findings are ranked by it.
    """

    cause: str
    what: str
    where: str
    likely: str
    action: str
    weight: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "weight": round(self.weight, 2)}

    @property
    def sentence(self) -> str:
        """For people."""
        place = f" ({self.where})" if self.where else ""
        return f"{self.likely}{place}: {self.what}. What to do: {self.action}"


def explain(found: Symptoms) -> tuple[Finding, ...]:
    """Likely causes, the strongest first; empty when nothing stands out."""
    wrong_order = _order(found)
    if wrong_order:
        return (*wrong_order, *_saturation(found))
    findings = [f for rule in _RULES for f in rule(found)]
    rim = _border(found)
    if rim:  # a bright rim alone changes brightness and both bands: they cannot be judged
        findings = [*rim, *(f for f in findings if f.cause not in _HIDDEN_BY_RIM)]
    if any(f.cause == "drift" for f in findings):  # motion through the field's border, not light
        findings = [f for f in findings if f.cause != "flicker"]
    if not findings:
        findings = list(_residual(found))
    return tuple(sorted(findings, key=lambda f: -f.weight))


def _named(numbers: Sequence[int]) -> str:
    word = "direction" if len(numbers) == 1 else "directions"
    return f"{word} {', '.join(str(n) for n in numbers)}"


def _which(
    found: Symptoms, test: Callable[[DirectionSymptoms], float | None]
) -> tuple[list[int], list[float]]:
    """Directions (from 1) for which `test` gives a number, and these numbers."""
    pairs = [(i, test(d)) for i, d in enumerate(found.directions, 1)]
    hit = [(i, v) for i, v in pairs if v is not None]
    return [i for i, _ in hit], [v for _, v in hit]


_LEAVE_AWAY = "leave --pattern away so that it is fitted"
_FIT_REST = "leave --pattern away, or give frequencies only"


def _complete(found: Symptoms) -> bool:
    """Nothing of the pattern was fitted to these frames."""
    return found.pattern_source == "complete"


def _order(found: Symptoms) -> list[Finding]:
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


def _frequency(found: Symptoms) -> list[Finding]:
    numbers, off = _which(
        found, lambda d: d.carrier_off_samples if wrong_carrier(d, found.pattern_source) else None
    )
    if not numbers:
        return []
    return [
        Finding(
            "frequency or angle",
            f"the pattern's peak lies {max(off):.1f} DFT samples from the frequency used (limit "
            f"{CARRIER_LIMIT_SAMPLES:g})",
            _named(numbers),
            "the pattern's period or angle is wrong",
            ("" if found.pattern_source == "fitted" else f"{_LEAVE_AWAY}; or ")
            + "check --pixel-um, the period (--set estimate.period_um=...) and angles (--set "
            "estimate.angles_rad=[...])",
            max(off) / CARRIER_LIMIT_SAMPLES,
        )
    ]


def _frame_phase(found: Symptoms) -> list[Finding]:
    numbers, turn = _which(
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
            _named(numbers),
            "the phase steps are not what was assumed",
            (f"{_FIT_REST}: phases are then fitted frame by frame; " if _complete(found) else "")
            + "at the microscope, check the phase shifter and vibrations",
            max(turn) / TURN_LIMIT_RAD,
        )
    ]


def _agreement(d: DirectionSymptoms, source: PatternSource) -> complex | None:
    """C where nothing more basic is wrong and the pattern is seen at all."""
    hidden = d.carrier_off_samples is None or wrong_carrier(d, source) or uneven_turns(d, source)
    return None if hidden else d.agreement


def _direction_phase(found: Symptoms) -> list[Finding]:
    def turn(d: DirectionSymptoms) -> float | None:
        c = _agreement(d, found.pattern_source)
        off = 0.0 if c is None else abs(float(np.angle(c)))
        return off if off > TURN_LIMIT_RAD else None

    numbers, off = _which(found, turn)
    if not numbers:
        return []
    return [
        Finding(
            "phases of a direction",
            f"all frames are turned together by up to {np.degrees(max(off)):.0f}° (limit "
            f"{np.degrees(TURN_LIMIT_RAD):.0f}°)",
            _named(numbers),
            "the pattern's phases belong to another recording or another crop"
            if _complete(found)
            else "the fitted phases do not fit the frames: the sample moved, or the fit is wrong",
            f"{_FIT_REST}: phases are then fitted"
            if _complete(found)
            else "look at the pattern's verdict; record faster or let the stage settle",
            max(off) / TURN_LIMIT_RAD,
        )
    ]


def _modulation(found: Symptoms) -> list[Finding]:
    findings = []
    for high in (True, False):

        def ratio(d: DirectionSymptoms, high: bool = high) -> float | None:
            c = _agreement(d, found.pattern_source)
            if c is None or abs(np.angle(c)) > TURN_LIMIT_RAD:
                return None
            low_limit, high_limit = MODULATION_LIMITS
            wrong = abs(c) < low_limit if high else abs(c) > high_limit
            return abs(c) if wrong else None

        numbers, values = _which(found, ratio)
        if not numbers:
            continue
        worst = min(values) if high else max(values)
        word, effect = ("high", "faint") if high else ("low", "strong, with halos")
        findings.append(
            Finding(
                f"modulation too {word}",
                f"band 1 is {worst:.2f} times what the modulation promises (limits "
                f"{MODULATION_LIMITS[0]:g} to {MODULATION_LIMITS[1]:g})",
                _named(numbers),
                f"the modulation was taken too {word}, so fine structure comes out too {effect}",
                f"{_FIT_REST}: it is then fitted"
                if _complete(found)
                else "it was fitted, so the OTF is doubtful: give a measured one (--otf)",
                abs(np.log(worst)) / abs(np.log(MODULATION_LIMITS[0])),
            )
        )
    return findings


def _drift(found: Symptoms) -> list[Finding]:
    moved_carrier = any(wrong_carrier(d, found.pattern_source) for d in found.directions)
    if found.drift_px <= DRIFT_LIMIT_PX or moved_carrier:
        return []
    if _complete(found):
        action = f"{_FIT_REST}: drift is then measured and corrected (estimate.drift=auto)"
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


def _brightness(found: Symptoms) -> list[Finding]:
    if not _complete(found):  # every frame's intensity was fitted
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
            f"{_FIT_REST}: the intensity of every frame is then fitted",
            worst / BRIGHTNESS_LIMIT,
        )
    ]


def _saturation(found: Symptoms) -> list[Finding]:
    if found.saturated <= SATURATED_LIMIT:
        return []
    return [
        Finding(
            "saturation",
            f"{100 * found.saturated:.2g} % of the pixels are at full scale (limit "
            f"{100 * SATURATED_LIMIT:g} %)",
            "the brightest structures",
            "the camera was saturated and the stripes are cut off",
            "record with less light or a shorter exposure; do not trust the brightest structures",
            found.saturated / SATURATED_LIMIT,
        )
    ]


def _too_dim(found: Symptoms) -> bool:
    return found.widefield_noise_share > WIDEFIELD_NOISE_LIMIT


def _light(found: Symptoms) -> list[Finding]:
    if _too_dim(found):
        return [
            Finding(
                "too little light",
                f"noise is {100 * found.widefield_noise_share:.0f} % of what varies in the mean "
                f"of all frames (limit {100 * WIDEFIELD_NOISE_LIMIT:.0f} %), "
                f"{found.light_e:.0f} photo-electrons at the brightest",
                "",
                "too few photons: noise looks like a honeycomb in SIM",
                "more light or exposure; sum repeats; 'zsdeconv sim' denoises such data",
                found.widefield_noise_share / WIDEFIELD_NOISE_LIMIT,
            )
        ]

    def faint(d: DirectionSymptoms) -> float | None:
        value = d.modulation * (1.0 if d.agreement is None else abs(d.agreement))
        low = value < max(CONTRAST_LIMIT, CONTRAST_ERRORS * d.modulation_sd)
        return value if low and d.carrier_off_samples is None else None

    numbers, values = _which(found, faint)
    if not numbers:
        return []
    return [
        Finding(
            "too little modulation",
            f"no clear pattern is seen in the frames (modulation {max(values):.2f}, limits "
            f"{CONTRAST_LIMIT:g} and {CONTRAST_ERRORS:g} standard deviations)",
            _named(numbers),
            "the stripes have hardly any contrast",
            "check polarisation, the alignment of the beams and the sample's thickness; a wrong "
            "pattern can hide too: look at 'simrecon inspect'; --on-fit-failure widefield",
            1.5 * len(numbers),
        )
    ]


def _regularization(found: Symptoms) -> list[Finding]:
    share = found.noise_share
    if share is None or share <= NOISE_SHARE_LIMIT or _too_dim(found):
        return []
    weak = found.regularization == "wiener" or found.regularization_factor < 0.5
    if not weak:
        return []
    return [
        Finding(
            "regularisation too weak",
            f"noise is {100 * share:.0f} % of the picture (limit {100 * NOISE_SHARE_LIMIT:.0f} %) "
            "though the frames have light enough",
            "",
            "the regularisation is too weak: noise is amplified into a honeycomb",
            "--set regularization=auto --set regularization_factor=1",
            share / NOISE_SHARE_LIMIT,
        )
    ]


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else None


def _haze(found: Symptoms) -> list[Finding]:
    source = found.pattern_source
    values = [d.haze_agreement for d in found.directions if _agreement(d, source) is not None]
    share = _mean_of(values)
    if share is None or share > HAZE_LIMIT or _too_dim(found):
        return []
    return [
        Finding(
            "out of focus",
            f"smooth light carries {100 * share:.0f} % of the stripes that the rest has (limit "
            f"{100 * HAZE_LIMIT:.0f} %), background {100 * found.background_share:.0f} % of the "
            "mean",
            "all directions",
            "out-of-focus light covers the sample",
            "a thinner sample, TIRF, or 3-D SIM; do not measure brightness in the haze",
            float(np.log(share) / np.log(HAZE_LIMIT)) + 1.0,
        )
    ]


def _otf(found: Symptoms) -> list[Finding]:
    source = found.pattern_source
    usable = [d for d in found.directions if _agreement(d, source) is not None]
    slope = _mean_of([d.slope for d in usable])
    low = _mean_of([d.low_agreement for d in usable])
    if slope is None or low is None or _too_dim(found):
        return []
    if slope < SLOPE_WIDE and low < LOW_WIDE:
        limit, name = SLOPE_WIDE, "otf too wide"
        likely = (
            "the OTF passes more than the microscope does (NA too high or wavelength too short), "
            "or the sample is slightly out of focus"
        )
    elif slope > SLOPE_NARROW and low > LOW_NARROW:
        limit, name = SLOPE_NARROW, "otf too narrow"
        likely = "the OTF passes less than the microscope does (NA too low or wavelength too long)"
    else:
        return []
    return [
        Finding(
            name,
            f"bands 0 and 1 differ by {slope:+.2f} (log) from one end of their overlap to the "
            f"other (limit {limit:g})",
            "all directions",
            likely,
            "check --na, --emission-nm and --pixel-um, or give a measured OTF (--otf)",
            slope / limit,
        )
    ]


def _offset(found: Symptoms) -> list[Finding]:
    if found.dark_sigmas < -3.0:
        return [
            Finding(
                "offset too high",
                f"the darkest places are {found.dark_sigmas:.0f} standard deviations below zero "
                "(limit -3)",
                "dark background",
                "the camera offset is too high",
                "give the counts of a dark frame with --offset, or a camera record (--camera)",
                found.dark_sigmas / -3.0,
            )
        ]
    ratio = found.noise_ratio
    if ratio is None or NOISE_LIMITS[0] <= ratio <= NOISE_LIMITS[1]:
        return []
    low = ratio < NOISE_LIMITS[0]
    background = found.background_share > BACKGROUND_LIMIT
    return [
        Finding(
            "offset too low" if low else "camera numbers",
            f"the noise is {ratio:.2f} times what the camera's numbers predict (limits "
            f"{NOISE_LIMITS[0]:g} to {NOISE_LIMITS[1]:g})"
            + (f", background {100 * found.background_share:.0f} % of the mean" if low else ""),
            "dark background" if low and background else "",
            "the camera offset is too low, or the read noise or the gain is wrong"
            if low
            else "the offset is too high, the gain or read noise is wrong, or the values were "
            "processed",
            "give --offset, --gain and --read-noise-e of this camera, or a record (--camera)",
            abs(np.log(ratio)) / abs(np.log(NOISE_LIMITS[0])),
        )
    ]


def _border(found: Symptoms) -> list[Finding]:
    if found.edge_ratio <= EDGE_LIMIT or found.edge_light <= EDGE_LIGHT_LIMIT:
        return []
    return [
        Finding(
            "objects at the border",
            f"fine structure at the border is {found.edge_ratio:.1f} times as strong as inside "
            f"(limit {EDGE_LIMIT:g}), light there {found.edge_light:.1f} times the mean",
            "within some 10 px of the border",
            "bright objects are cut by the border of the field (OTF, modulation and flicker cannot "
            "be judged then)",
            "do not trust the rim; record with a margin or crop so that no bright object is cut",
            found.edge_ratio / EDGE_LIMIT,
        )
    ]


def _residual(found: Symptoms) -> list[Finding]:
    if not found.residual:
        return []
    height = max(h for _, _, h in found.residual)
    places = "; ".join(f"direction {d + 1} order {n}" for d, n, _ in found.residual)
    return [
        Finding(
            "pattern left",
            f"the picture's spectrum has a point of {height:.0f} sigma at the pattern's frequency",
            places,
            "the sample moved within a direction, or it has that period itself",
            "look whether 'widefield' shows the same stripes (then it is the sample); record "
            "faster, or repeat",
            height / 6.0,
        )
    ]


_RULES: tuple[Callable[[Symptoms], list[Finding]], ...] = (
    _frequency, _frame_phase, _direction_phase, _modulation, _drift, _brightness, _saturation,
    _light, _regularization, _haze, _otf, _offset,
)  # fmt: skip
