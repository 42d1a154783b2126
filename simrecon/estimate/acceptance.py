"""Verdicts: is the fitted pattern of a direction to be trusted?

Thresholds (`benchmarks/bench_verdicts.py`; curves in docs/verdicts.md):

==================  =======  =======  ==========================================================
figure              ok from  weak     meaning
                             from
==================  =======  =======  ==========================================================
evidence, nats      20       8        :class:`simrecon.estimate.coherence.CoherenceTest`; less
                                      where more is known beforehand (`NATS_OK`, `NATS_WEAK`)
rivalry             0.7      0.9      at most: evidence of the next candidate over this one's;
                                      no failure when the other directions settle it
correlation         0.8      0.3      noise-corrected agreement of the bands; frames in a wrong
                                      order passed with 0.75, right ones have 0.95 and more in
                                      simulations, 0.83 and more in good recordings
modulation          0.10     0.02     and at least 3 (weak: 1) of its own standard deviations
frequency sd        0.02     0.5      at most, DFT samples
coverage            0.2      –        :mod:`simrecon.estimate.coverage`: single lines have 0.05 to
                                      0.11, phantoms all over the field 0.64 or more
==================  =======  =======  ==========================================================

A direction takes its worst figure. The whole fit takes the worst direction, or ``failed`` when
directions that should differ coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simrecon.model.pattern import Verdict, worst

Known = Literal["nothing", "angle", "others", "frequency"]
"""What the search knew: nothing, the expected angle, the other directions, or the frequency."""
NATS_OK: dict[Known, float] = {"nothing": 20.0, "angle": 15.0, "others": 20.0, "frequency": 10.0}
NATS_WEAK: dict[Known, float] = {"nothing": 8.0, "angle": 6.0, "others": 4.5, "frequency": 2.0}
RIVALRY_OK, RIVALRY_WEAK = 0.7, 0.9
PEAK_CLEAR = 9.0
CORRELATION_OK, CORRELATION_WEAK = 0.8, 0.3
MODULATION_OK, MODULATION_WEAK = 0.10, 0.02
FREQUENCY_SD_OK_PX, FREQUENCY_SD_WEAK_PX = 0.02, 0.5
COVERAGE_OK = 0.2
MOVED_PX = 2.5
"""A fit that ends farther than this from the peak of the search has lost it."""
MAX_OVER_CUTOFF = 1.4
"""Pattern frequency over the detection cut-off beyond which nothing of it can be used."""
SAME_ANGLE_RAD, SAME_FREQUENCY = np.deg2rad(6.0), 0.05


@dataclass(frozen=True)
class Evidence:
    """Figures on which a direction is judged.

    Attributes
    ----------
    nats : float
        :class:`simrecon.estimate.coherence.CoherenceTest`.
    rivalry : float
        Evidence of the next candidate over this.
    settled : bool
        The other directions decided between them.
    known : str
        :data:`Known`.
    correlation : float
    modulation, modulation_sd : float
    frequency_sd_px : float
        DFT samples of the field.
    moved_px : float
        Distance of the fitted frequency from the peak of the search, DFT samples.
    coverage : float
        Extent of the sample's structure where it is narrowest, over that of a filled field.
    over_cutoff : float
        Frequency over the detection cut-off.
    """

    nats: float
    rivalry: float
    settled: bool
    known: Known
    correlation: float
    modulation: float
    modulation_sd: float
    frequency_sd_px: float
    moved_px: float
    coverage: float
    over_cutoff: float


def judge(evidence: Evidence) -> tuple[Verdict, list[str]]:
    """Verdict of one direction and the reasons when it is not ``ok``."""
    verdicts: list[Verdict] = ["ok"]
    reasons: list[str] = []

    def grade(value: float, ok: float, weak: float, text: str) -> None:
        if value >= ok:
            return
        verdicts.append("weak" if value >= weak else "failed")
        reasons.append(text)

    grade(
        evidence.nats,
        NATS_OK[evidence.known],
        NATS_WEAK[evidence.known],
        f"evidence of {evidence.nats:.1f} nats (ok from {NATS_OK[evidence.known]:g})",
    )
    grade(
        -evidence.rivalry,
        -RIVALRY_OK,
        -np.inf if evidence.settled else -RIVALRY_WEAK,
        "the sample repeats itself: another carrier explains the data "
        f"{evidence.rivalry:.2f} times as well",
    )
    if evidence.known == "others":
        verdicts.append("weak")
        reasons.append("not found by itself, only where the other directions would have it")
    grade(
        evidence.correlation,
        CORRELATION_OK,
        CORRELATION_WEAK,
        f"overlap correlation {evidence.correlation:.2f} (ok from {CORRELATION_OK:g})",
    )
    m, sd = evidence.modulation, evidence.modulation_sd
    grade(m, MODULATION_OK, MODULATION_WEAK, f"modulation {m:.3f} (ok from {MODULATION_OK:g})")
    grade(m / max(sd, 1e-12), 3.0, 1.0, f"modulation {m:.3f} ± {sd:.3f} is hardly above zero")
    if m > 1.0 + 3.0 * sd + 0.1:
        verdicts.append("weak")
        reasons.append(f"modulation {m:.2f} above 1: OTF or background do not fit the data")
    grade(
        -evidence.frequency_sd_px,
        -FREQUENCY_SD_OK_PX,
        -FREQUENCY_SD_WEAK_PX,
        f"frequency uncertain by {evidence.frequency_sd_px:.3f} DFT samples "
        f"(ok to {FREQUENCY_SD_OK_PX:g})",
    )
    if evidence.known != "frequency":
        grade(
            evidence.coverage,
            COVERAGE_OK,
            -np.inf,
            f"the sample is a narrow line ({evidence.coverage:.2f} of the field's extent, ok from "
            f"{COVERAGE_OK:g}): the frequency across it is not known",
        )
    if evidence.moved_px > MOVED_PX:
        verdicts.append("failed")
        reasons.append(f"the fit left the search peak by {evidence.moved_px:.1f} DFT samples")
    if evidence.over_cutoff > MAX_OVER_CUTOFF:
        verdicts.append("failed")
        reasons.append(
            f"the pattern lies outside the OTF (frequency {evidence.over_cutoff:.2f} × cut-off)"
        )
    return worst(verdicts), reasons


def coinciding(frequencies: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of directions with the same frequency vector (up to sign), within 6° and 5 %."""
    pairs = []
    for i in range(len(frequencies)):
        for j in range(i + 1, len(frequencies)):
            a, b = frequencies[i], frequencies[j]
            ra, rb = float(np.hypot(*a)), float(np.hypot(*b))
            cosine = abs(float(np.dot(a, b))) / max(ra * rb, 1e-30)
            close = ra > 0 and rb > 0 and np.arccos(min(cosine, 1.0)) < SAME_ANGLE_RAD
            if close and abs(ra - rb) < SAME_FREQUENCY * max(ra, rb):
                pairs.append((i, j))
    return pairs


def coincidence_note(pairs: Sequence[tuple[int, int]], directions: int) -> str:
    """The sentence for the user about coinciding directions."""
    involved = sorted({d for pair in pairs for d in pair})
    if len(involved) == directions and directions > 2:
        who = "All directions have"
    else:
        who = "Directions " + " and ".join(str(d + 1) for d in involved) + " have"
    return f"{who} the same angle – wrong frame order?"
