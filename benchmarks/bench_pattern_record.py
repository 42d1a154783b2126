"""What a measured pattern (`simcal pattern`) gains on dim recordings over a blind fit.

    python benchmarks/bench_pattern_record.py [--size 256] [--peaks 30 15] [--objects 3]

One simulated instrument: 3 x 3 frames, steps 6° rms from equal ones, which repeat to 1° rms from
one acquisition to the next; the common phase of every direction is another one each time. Its
record is measured from six bright recordings (mixed objects, 1000 photo-electrons, 256²). Then dim
recordings of other objects are reconstructed four ways: blind, with the frequencies of the record,
with the record (frequencies and steps), and with the true pattern. "loss" is against the last, in
dB of the equalised PSNR; recordings whose pattern fails are counted and have no loss.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from common import save, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from instrument import instrument, recording

from calibration.pattern.measure import PatternMeasurement, measure_pattern
from calibration.pattern.report import to_record
from simrecon.config import build_settings
from simrecon.errors import QualityError
from simrecon.io.pattern_record import pattern_of
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import Truth
from simrecon.pipeline import reconstruct
from simrecon.qc.metrics import equalised_psnr

KINDS = ("filaments", "rings", "blobs", "beads")
MARGIN_PX = 24
SETTINGS = build_settings(("benchmark", {"variance": False}))


def errors(fit: PatternFit, true: PatternFit) -> dict[str, float]:
    """Squared errors, means over directions and frames; phases at the centre of the field."""
    centre = 0.5 * true.pixel_um * (np.array(true.shape) - 1)
    extent = np.array(true.shape) * true.pixel_um
    frequency, phase, contrast = [], [], []
    for d, t in zip(fit.directions, true.directions, strict=True):
        old, new = np.array(t.frequency_per_um), np.array(d.frequency_per_um)
        sign = 1.0 if old @ new > 0 else -1.0
        frequency.append(np.sum(((sign * new - old) * extent) ** 2))
        turn = 2 * np.pi * (sign * new - old) @ centre
        away = sign * np.array(d.phase_rad) - np.array(t.phase_rad) + turn
        phase.append(np.mean(np.angle(np.exp(1j * away)) ** 2))
        contrast.append((d.modulation[0] - t.modulation[0]) ** 2)
    return {"frequency_px2": float(np.mean(frequency)), "phase_rad2": float(np.mean(phase)),
            "modulation2": float(np.mean(contrast))}  # fmt: skip


def tried(stack: SimStack, truth: Truth, true: PatternFit, given: PatternFit | None) -> Any:
    """Verdict, errors and dB of one way; None where the pattern failed."""
    try:
        result = reconstruct(stack, SETTINGS, otf=truth.otf, pattern=given)
    except QualityError:
        return None
    picture = result.image[0, 0, 0]
    return {"verdict": result.pattern.verdict, **errors(result.pattern, true),
            "db": equalised_psnr(picture, truth.object_e, margin_px=MARGIN_PX)}  # fmt: skip


def summary(rows: Sequence[Any]) -> dict[str, Any]:
    good = [r for r in rows if r is not None]
    verdicts = [r["verdict"] for r in good]

    def rms(name: str) -> float:
        return float(np.sqrt(np.mean([r[name] for r in good]))) if good else float("nan")

    return {
        "ok": verdicts.count("ok"), "weak": verdicts.count("weak"),
        "failed": len(rows) - len(good),
        "frequency_px": rms("frequency_px2"), "phase_deg": float(np.degrees(rms("phase_rad2"))),
        "modulation": rms("modulation2"),
        "loss_db": float(np.mean([r["loss"] for r in good])) if good else float("nan"),
    }  # fmt: skip


def measured(bright: int) -> tuple[PatternMeasurement, PatternFit]:
    stacks = [recording("mixed", 256, 1000.0, 100 + i)[0] for i in range(bright)]
    found = measure_pattern(stacks)
    record = to_record(found, sources=(), provenance={})
    return found, pattern_of(record, "bench", "", date.today()).patterns[0]


def main(size: int, peaks: Sequence[float], objects: int, bright: int) -> None:
    found, pattern = measured(bright)
    for one, true in zip(found.channels[0].directions, instrument(), strict=True):
        repeat = float(np.degrees(np.sqrt(np.mean(one.step_rad.between**2))))
        print(f"record: spacing {1e3 * float(one.period_um.value):.3f} ± "
              f"{1e3 * float(one.period_um.sd):.3f} nm (true {1e3 * true.period_um:.3f}), steps "
              f"repeat to {repeat:.2f}° (true 1, less the common part: 0.82)")  # fmt: skip
    frequencies = replace(pattern, notes=(), directions=tuple(
        DirectionPattern(d.frequency_per_um, (), (), ()) for d in pattern.directions))  # fmt: skip
    results = []
    for peak in peaks:
        for kind in KINDS:
            rows: dict[str, list[Any]] = {"blind": [], "frequencies": [], "record": []}
            for n in range(objects):
                stack, truth, true = recording(kind, size, peak, 200 + n)
                best = tried(stack, truth, true, true)["db"]
                for name, given in zip(rows, (None, frequencies, pattern), strict=True):
                    one = tried(stack, truth, true, given)
                    rows[name].append(None if one is None else {**one, "loss": best - one["db"]})
            for name, many in rows.items():
                results.append({"peak_e": peak, "kind": kind, "way": name, **summary(many)})
                print(results[-1], flush=True)
    header = ["e", "object", "pattern", "ok / weak / failed", "frequency, px", "phase, °",
              "contrast", "loss, dB"]  # fmt: skip
    print(table(header, [
        [r["peak_e"], r["kind"], r["way"], f"{r['ok']} / {r['weak']} / {r['failed']}",
         f"{r['frequency_px']:.4f}", f"{r['phase_deg']:.2f}", f"{r['modulation']:.3f}",
         f"{r['loss_db']:.3f}"] for r in results]))  # fmt: skip
    rows = [{k: None if v != v else v for k, v in r.items()} for r in results]  # JSON has no NaN
    save("pattern_record", {"size": size, "objects": objects, "bright": bright, "rows": rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--peaks", type=float, nargs="+", default=[30.0, 15.0])
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--bright", type=int, default=6)
    chosen = parser.parse_args()
    main(chosen.size, chosen.peaks, chosen.objects, chosen.bright)
