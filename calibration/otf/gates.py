"""How far to believe a measured OTF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.otf.carrier import Carrier
from calibration.otf.detection import Detection
from calibration.otf.light import Light
from calibration.otf.separate import Separation
from calibration.otf.settings import OtfSettings
from calibration.psf.measure import PsfMeasurement
from calibration.psf.settings import BeadSetup
from calibration.record import worst
from simrecon.model.pattern import Verdict
from simrecon.physics.theory_volume import axial_shift_per_um

CONTRAST_WEAK, CONTRAST_FAILED = 0.15, 0.04
"""Nine beads of 1000 e in a plane give a contrast of 0.15 with an error of 0.001 and steps to 4°,
of 0.08 with 0.01 and 6°; of 0.04 they give 0.032 to 0.034 and steps to 10°, and without any pattern
at most 0.008 (benchmarks/bench_otf_gates.py, as for all limits here)."""
UNEXPLAINED_WEAK, UNEXPLAINED_FAILED = 0.1, 0.4
"""Good recordings leave at most 0.001; a pattern of contrast 0.08 0.03, none up to 0.2. The faults
of planes that were tried leave at most 0.07: three phases and the numbers of the beads explain
nearly everything, and what tells those faults are the steps and the frequency."""
STEP_WEAK_RAD, STEP_FAILED_RAD = 0.35, 0.7
"""Steps with errors of 0.05 rad rms come out at most 0.06 rad off equal ones, of 0.3 rad rms at
0.12 to 0.31 (right to 2.3°). Directions read as phases give 0.9 to 1.0, light that falls by half
during the phases 0.06 to 0.93, beads that drift by 20 nm per frame 0.17 to 0.38."""
CARRIER_BEADS = 9
"""Beads whose phases follow no frequency are doubted from so many on: nine told it in all ten
recordings of 1000 e without a fault and with a contrast of 0.15 or more, in one of two of 200 e or
with a drift of 5 nm per frame, in none of four without a pattern or of contrast 0.04. Of two with
frames of two directions mixed one passes for a pattern of contrast 0.6, and cannot be told."""
LIGHT_WEAK, LIGHT_FAILED = 0.97, 0.7
"""Three beams explain 0.999 and more of good recordings, also of 200 e, and 0.995 where the plane
distance is 20 % wrong; of the light of a sheet 0.85, and 0.24 to 0.50 with phases mixed up."""
SHIFT_WEAK = 0.1
"""The axial frequency is right to 0.2 %; an NA of excitation that is 5 % wrong makes 14 %."""
ENDS_WEAK = 0.2
"""Stacks of 25, 33 and 41 planes of 0.15 µm end where the sheet has 0.26, 0.15 and at most 0.06 of
its light, and give an OTF that is 5, 2.6 and 2.2 % off."""
SPREAD_WEAK_RAD = 0.3
"""A mean over phases with that rms keeps 96 % of order 1: exp(−σ²/2)."""


def judge(
    *,
    setup: BeadSetup,
    settings: OtfSettings,
    beads: PsfMeasurement,
    separations: Sequence[Separation],
    carriers: Sequence[Carrier | None],
    detection: Detection | None,
    light: Light | None,
    contrast: np.ndarray,
    model: str,
) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict on a measurement, and the notes that explain it."""
    found: list[tuple[Verdict, str]] = [(beads.verdict, text) for text in beads.notes]
    found.append((beads.verdict, ""))
    for number, one in enumerate(separations):
        found += _direction(number, one, contrast[number], len(beads.used))
    missing = [str(i + 1) for i, c in enumerate(carriers) if c is None]
    if missing:
        which = f"The beads do not tell the frequency of direction {', '.join(missing)}"
        if len(beads.used) < CARRIER_BEADS:
            found.append(("ok", f"{which} (too few, or all at like phases): their size stays in "
                          "the contrasts of its orders."))  # fmt: skip
        else:
            found.append(("weak", f"{which}, though there are {len(beads.used)}: are the frame "
                          "order and the number of phases right, do beads move?"))  # fmt: skip
    if detection is not None:
        found.append((detection.fit.verdict, f"Pupil fit: {detection.fit.note}"))
    if model == "measured" and setup.dz_um is not None and beads.aligned.mean.shape[0] > 1:
        deep = beads.aligned.mean.shape[0] * setup.dz_um
        found.append(("ok", f"The OTF is that of the mean beads themselves: it ends with their "
                      f"window, {deep:.1f} µm deep."))  # fmt: skip
    if light is not None:
        found += _light(light, setup, settings)
    notes = tuple(dict.fromkeys(text for _, text in found if text))
    return worst(*(verdict for verdict, _ in found)), notes


def _direction(
    number: int, one: Separation, contrast: np.ndarray, beads: int
) -> list[tuple[Verdict, str]]:
    out: list[tuple[Verdict, str]] = []
    name = f"Direction {number + 1}"
    for m, value in enumerate(contrast, start=1):
        if value < CONTRAST_WEAK:
            verdict: Verdict = "failed" if value < CONTRAST_FAILED else "weak"
            out.append((verdict, f"{name}: order {m} has a contrast of {value:.3f} only: are the "
                        "frame order and the number of phases right?"))  # fmt: skip
    if one.unexplained > UNEXPLAINED_WEAK:
        verdict = "failed" if one.unexplained > UNEXPLAINED_FAILED else "weak"
        out.append((verdict, f"{name}: one pattern with {len(one.step_rad)} phases "
                    f"leaves {100 * one.unexplained:.0f} % of the modulation unexplained: wrong "
                    "frame order, number of phases, or beads that move or bleach"))  # fmt: skip
    off = off_equal_steps_rad(one.step_rad)
    if beads > 1 and off > STEP_WEAK_RAD:
        verdict = "failed" if off > STEP_FAILED_RAD else "weak"
        out.append((verdict, f"{name}: phase steps are off equal ones by up to "
                    f"{np.degrees(off):.0f}°: is the frame order right?"))  # fmt: skip
    return out


def off_equal_steps_rad(step_rad: np.ndarray) -> float:
    """Largest distance of the phases from equally spaced ones."""
    equal = 2.0 * np.pi * np.arange(step_rad.size) / step_rad.size
    off = np.angle(np.exp(1j * (step_rad - equal)))
    return float(np.abs(off - off.mean()).max())


def axial_spread_rad(light: Light) -> float:
    """Rms difference of the directions in the axial phase of order 1, near the focus."""
    first = light.each[:, 1]
    phases = np.angle(first * first.mean(axis=0).conj())
    near = np.abs(first).mean(axis=0) > 0.5 * np.abs(first).max()
    return float(np.sqrt(np.mean(phases[:, near] ** 2)))


def _light(light: Light, setup: BeadSetup, settings: OtfSettings) -> list[tuple[Verdict, str]]:
    out: list[tuple[Verdict, str]] = []
    if light.explained < LIGHT_WEAK:
        verdict: Verdict = "failed" if light.explained < LIGHT_FAILED else "weak"
        out.append((verdict, f"Light along z: three beams explain {100 * light.explained:.0f} % of "
                    "the orders' profiles"))  # fmt: skip
    optics = setup.optics
    if light.shift_per_um is not None and optics.excitation_nm and optics.excitation_na:
        expected = axial_shift_per_um(optics)
        off = light.shift_per_um / expected - 1.0
        text = (f"order 1 is shifted by {light.shift_per_um:.3f} per µm along kz, "
                f"{expected:.3f} from the excitation's NA")  # fmt: skip
        out.append(("weak" if abs(off) > SHIFT_WEAK else "ok",
                    f"Light along z: {text}" if abs(off) > SHIFT_WEAK else ""))  # fmt: skip
    if settings.mode == "lls" and light.at_ends > ENDS_WEAK:
        out.append(("weak", f"The light sheet has {100 * light.at_ends:.0f} % of its light at the "
                    "ends of the stack: record more planes"))  # fmt: skip
    spread = axial_spread_rad(light)
    if spread > SPREAD_WEAK_RAD and not settings.full:
        out.append(("weak", f"The directions differ in the axial phase of order 1 by {spread:.2f} "
                    "rad rms: radial means mix them, --full keeps each"))  # fmt: skip
    return out
