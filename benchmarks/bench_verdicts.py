"""Are the verdicts of the pattern fit right? Thousands of directions with known truth.

Run: ``python benchmarks/bench_verdicts.py --rows rows.jsonl [--sets 1000] [--figure PNG]``
(own simulator and a fixed mixture, see `verdict_sets.py`; two to three seconds per set on one
core). Rows are kept in the file given, and sets that are already there are not fitted again: a run
that was interrupted goes on. ``--sets 0`` only evaluates them.

A direction is *good* when its frequency is within 0.05 DFT samples of the field from the truth, and
*off* otherwise, also when there is no pattern or the frames are in a wrong order. Asked: among
"ok" directions at most 1 % off, among "failed" ones at most 5 % good.

The picture's loss is that of the equalised PSNR with the fitted pattern against the true one, for
the first sets with right optics whose fit did not fail.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from common import save, table
from verdict_sets import VerdictSet, draw
from verdict_shares import ASKED, evaluate

from simrecon.config import build_settings
from simrecon.errors import QualityError
from simrecon.estimate import estimate_pattern
from simrecon.model.pattern import PatternFit
from simrecon.pipeline import reconstruct
from simrecon.qc.metrics import equalised_psnr

MARGIN_PX = 24
_REASONS = re.compile(r"direction (\d+) (?:weak|failed): (.*)")


def fit_rows(seed: int, *, picture: bool) -> list[dict[str, Any]]:
    """One row per direction of data set number `seed`; `picture`: with the loss of its picture."""
    one = draw(seed)
    fit = estimate_pattern(
        one.frames_e,
        one.pixel_um,
        one.otf,
        variance_e2=one.variance_e2,
        expected_frequency_per_um=one.expected_frequency_per_um,
        expected_angles_rad=one.expected_angles_rad,
    )
    extent = np.array(one.frames_e.shape[-2:]) * one.pixel_um
    told = dict(found.groups() for note in fit.notes if (found := _REASONS.match(note)))
    loss = picture_loss_db(one, fit) if picture else None
    rows = []
    for d, got in enumerate(fit.directions):
        error = error_px(np.array(got.frequency_per_um), one.frequency_per_um[d], extent)
        reasons = told.get(str(d + 1), "").split("; ") if str(d + 1) in told else []
        if got.verdict != "ok" and not reasons:
            reasons = ["shares its carrier with others"]
        rows.append(
            {k: one.settings[k] for k in ("seed", "kind", "fault", "period", "told", "peak_e")}
            | {
                "modulation": one.modulation[d],
                "verdict": got.verdict,
                "reasons": reasons,
                "error_px": error,
                "frequency_sd_px": float(np.hypot(*(np.array(got.frequency_sd_per_um) * extent))),
                "evidence_nats": got.evidence_nats,
                "rivalry": got.rivalry,
                "correlation": got.correlation[0],
                "loss_db": loss,
            }
        )
    return rows


def error_px(
    found: np.ndarray, true: tuple[float, float] | None, extent_um: np.ndarray
) -> float | None:
    """Distance of a frequency from the truth (either sign), DFT samples; None without truth."""
    if true is None:
        return None
    return min(float(np.hypot(*((found - s * np.array(true)) * extent_um))) for s in (1, -1))


def picture_loss_db(one: VerdictSet, fit: PatternFit) -> float | None:
    """Equalised PSNR with the true pattern minus that with the fitted one; None: not comparable."""
    if fit.verdict == "failed" or one.settings["told"] != "right" or None in one.frequency_per_um:
        return None
    settings = build_settings(("bench", {"drift": "off", "variance": False}))
    found = []
    for pattern in (one.truth.pattern, fit):
        try:
            result = reconstruct(one.stack, settings, otf=one.otf, pattern=pattern)
        except QualityError:
            return None
        picture = result.image[0, 0, 0]
        found.append(equalised_psnr(picture, one.truth.object_e, margin_px=MARGIN_PX))
    return found[0] - found[1]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of an earlier run."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> int:
    """Measure, print, save; exit 1 when an asked share is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000, help="data sets in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first set")
    parser.add_argument("--pictures", type=int, default=300, help="sets of which pictures are made")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, kept and continued")
    parser.add_argument("--figure", type=Path, help="PNG of the curves")
    parser.add_argument("--name", default="verdicts", help="results/NAME.json")
    arguments = parser.parse_args()
    done = {row["seed"] for row in read_rows(arguments.rows)}
    with arguments.rows.open("a") as out:
        for number in range(arguments.sets):
            seed = arguments.first + number
            if seed not in done:
                own = fit_rows(seed, picture=number < arguments.pictures)
                out.write("".join(json.dumps(row) + "\n" for row in own))
                out.flush()
    rows = read_rows(arguments.rows)
    found = evaluate(rows)
    lines = [[v, c["all"], c["good"], c["off"]] for v, c in found["counts"].items()]
    print(table(["verdict", "directions", "good", "off"], lines))
    lines = [[k, f"{s['share']:.2%}", s["interval_95"]] for k, s in found["shares"].items()]
    print(table(["asked", "share", "95 % interval"], lines))
    for name in ("kind", "light", "period", "told", "fault"):
        lines = [[k, *c.values()] for k, c in found[f"by_{name}"].items()]
        print(table([name, "directions", "good", "of these ok", "ok", "ok and off"], lines))
    print(table(list(found["by_sd"][0]), [list(row.values()) for row in found["by_sd"]]))
    if arguments.figure:
        from verdict_shares import draw_figure

        draw_figure(rows, arguments.figure)
        print(f"wrote {arguments.figure}")
    save(arguments.name, found)
    return 0 if all(s["share"] <= ASKED[k] for k, s in found["shares"].items()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
