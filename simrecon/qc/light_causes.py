"""Causes in the light, the optics and the camera.

Limits were set on `benchmarks/bench_explain.py` (docs/artefacts.md), which also measures them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simrecon.qc.finding import Finding, named, which
from simrecon.qc.pattern_causes import agreement
from simrecon.qc.symptoms import DirectionSymptoms, Symptoms

SLOPE_WIDE, LOW_WIDE = -0.2, 0.8
SLOPE_NARROW, LOW_NARROW = 0.25, 1.6
BACKGROUND_LIMIT = 0.4
NOISE_LIMITS = (0.8, 1.2)
NOISE_SHARE_LIMIT = 0.3
WIDEFIELD_NOISE_LIMIT = 0.1
HAZE_LIMIT = 0.5
EDGE_LIMIT, EDGE_LIGHT_LIMIT = 1.6, 1.5
SATURATED_LIMIT = 1e-3
CONTRAST_LIMIT, CONTRAST_ERRORS = 0.2, 3.0


def saturation_causes(found: Symptoms) -> list[Finding]:
    """Counts clipped at the top of the camera."""
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


def light_causes(found: Symptoms) -> list[Finding]:
    """Too little light, or too little contrast."""
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

    numbers, values = which(found, faint)
    if not numbers:
        return []
    return [
        Finding(
            "too little modulation",
            f"no clear pattern is seen in the frames (modulation {max(values):.2f}, limits "
            f"{CONTRAST_LIMIT:g} and {CONTRAST_ERRORS:g} standard deviations)",
            named(numbers),
            "the stripes have hardly any contrast",
            "check polarisation, the alignment of the beams and the sample's thickness; a wrong "
            "pattern can hide too: look at 'simrecon inspect'; --on-fit-failure widefield",
            1.5 * len(numbers),
        )
    ]


def regularization_causes(found: Symptoms) -> list[Finding]:
    """Noise that a stronger regularisation would remove."""
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


def haze_causes(found: Symptoms) -> list[Finding]:
    """Light from out of focus."""
    source = found.pattern_source
    values = [d.haze_agreement for d in found.directions if agreement(d, source) is not None]
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


def otf_causes(found: Symptoms) -> list[Finding]:
    """An OTF wider or narrower than the microscope's."""
    source = found.pattern_source
    usable = [d for d in found.directions if agreement(d, source) is not None]
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


def offset_causes(found: Symptoms) -> list[Finding]:
    """A camera offset that is too high or too low."""
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


def border_causes(found: Symptoms) -> list[Finding]:
    """Objects that reach over the border of the field."""
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


def residual_causes(found: Symptoms) -> list[Finding]:
    """A pattern left in the picture that nothing else explains."""
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
