"""Measure the pattern of an instrument once, and reconstruct what is too dim to fit.

    python examples/pattern_calibration.py [pattern_calibration.png]

Four bright recordings of cells and one of a fluorescent slide tell frequencies, phase steps and how
well they repeat. The record then serves a recording of 8 photo-electrons whose own pattern cannot
be found.
"""

from __future__ import annotations

import sys
from datetime import date

import numpy as np
from matplotlib.figure import Figure

from calibration.pattern.figures import COLOURS
from calibration.pattern.measure import PatternMeasurement, measure_pattern
from calibration.pattern.report import to_record, to_text
from simrecon import reconstruct, simulate
from simrecon.errors import QualityError
from simrecon.io.pattern_record import pattern_of
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.phantoms import make_phantom
from simrecon.physics.simulate import Truth, fine_field

SIZE, INSTRUMENT = 160, 7  # the seed of the instrument's pattern


def recording(kind: str, peak_e: float, seed: int) -> tuple[SimStack, Truth]:
    """Frames of some object under the instrument's pattern."""
    field = fine_field((SIZE, SIZE), 0.065)
    thing = make_phantom(kind, field.grid, np.random.default_rng(seed))
    return simulate(shape=(SIZE, SIZE), fine_object=thing, peak_e=peak_e, background=2.0,
                    phase_jitter_rad=0.1, seed=INSTRUMENT, noise_seed=seed)  # fmt: skip


def record_of(found: PatternMeasurement) -> PatternFit:
    """What 'simrecon reconstruct --pattern RECORD.h5' is told."""
    record = to_record(found, instrument="simulated", sources=(), provenance={})
    return pattern_of(record, "example", "", date.today()).patterns[0]


def pictures(pattern: PatternFit) -> dict[str, np.ndarray]:
    """A dim recording: blind, with the record, with the true pattern."""
    stack, truth = recording("rings", 8.0, 21)
    out = {}
    try:
        out["blind"] = reconstruct(stack).image[0, 0, 0]
    except QualityError as error:
        print(f"blind: {error.message}")
        wide = stack.frames_e().mean(axis=(0, 1))
        out["blind fit failed: widefield"] = np.kron(wide, np.ones((2, 2)))
    for name, given in (("SIM with the record", pattern), ("with the true pattern", truth.pattern)):
        result = reconstruct(stack, pattern=given)
        out[name] = result.image[0, 0, 0]
        print(f"{name}: {result.verdicts['overall']}")
    out["truth"] = truth.object_e
    return out


def draw(found: PatternMeasurement, shown: dict[str, np.ndarray], path: str) -> None:
    """Phases on the circle and periods above, pictures below."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.0, 1.15))
    directions = found.channels[0].directions
    count = len(directions)
    for n, one in enumerate(directions):
        axis = top.add_subplot(1, count + 1, n + 1, projection="polar")
        axis.plot(one.step_rad.value, np.ones(3), "o", color=COLOURS[n])
        axis.set_yticks([])
        axis.set_ylim(0, 1.15)
        axis.set_thetagrids([0, 120, 240])
        axis.tick_params(labelsize=7, pad=-2)
        axis.set_xlabel(f"direction {n + 1}: phase-step std {np.degrees(one.step_error_rad):.1f}°",
                        fontsize=8)  # fmt: skip
    axis = top.add_subplot(1, count + 1, count + 1)
    for n, one in enumerate(directions):
        period = np.array([1e3 * e.direction.period_um for e in one.used])
        sd = [1e3 * np.hypot(*e.frequency_sd) * e.direction.period_um**2 for e in one.used]
        axis.errorbar(np.arange(period.size) + 0.1 * n, period, sd, fmt="o", ms=4, color=COLOURS[n])
        axis.axhline(1e3 * float(one.period_um.value), color=COLOURS[n], lw=0.8)
    axis.set_ylabel("line spacing / nm", fontsize=8)
    axis.set_xlabel("recording (the last: a slide)", fontsize=8)
    axis.tick_params(labelsize=7)
    high = float(np.percentile(shown["truth"], 99.0))
    for axis, (name, picture) in zip(bottom.subplots(1, len(shown)), shown.items(), strict=True):
        axis.imshow(picture[60:260, 60:260], cmap="gray", vmin=0, vmax=high)
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    kinds = ("filaments", "rings", "mixed", "filaments", "slide")
    found = measure_pattern([recording(k, 1000.0, n)[0] for n, k in enumerate(kinds)])
    print(to_text(found))
    target = sys.argv[1] if len(sys.argv) > 1 else "pattern_calibration.png"
    draw(found, pictures(record_of(found)), target)
    print(f"wrote {target}")
