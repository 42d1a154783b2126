"""Are the verdicts of the pattern fit right? Hundreds of directions with known truth.

Run: ``python benchmarks/bench_verdicts.py --sets 500 --rows rows.jsonl`` (two seconds per set
on one core; own simulator, see `verdict_sets.py`). Rows are appended, so that several runs with
different ``--first`` add up; ``--sets 0`` only evaluates them. ``--figure`` draws the curves of
docs/verdicts.md.

A direction is *good* when its frequency is within 0.05 DFT samples of the field from the truth, and
*off* otherwise, also when there is no pattern or the frames are in a wrong order. Asked: among
"ok" directions at most 1 % off, among "failed" ones at most 5 % good.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import save, table
from verdict_sets import draw

from simrecon.estimate import estimate_pattern

OFF_PX = 0.05
VERDICTS = ("ok", "weak", "failed")
ASKED = {"ok and off": 0.01, "failed and good": 0.05}
FIGURES: dict[str, tuple[str, str, Callable[[dict], float]]] = {
    "frequency_sd_px": ("frequency sd, DFT samples", "at most", lambda r: -r["frequency_sd_px"]),
    "evidence_nats": ("evidence, nats", "at least", lambda r: r["evidence_nats"]),
    "rivalry": ("rivalry", "at most", lambda r: -r["rivalry"]),
    "correlation": ("correlation", "at least", lambda r: r["correlation"]),
}
"""Figures that are judged; the last entry is larger for better directions."""


def fit_rows(seed: int) -> list[dict[str, Any]]:
    """One row per direction of data set number `seed`."""
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
    rows = []
    for d, got in enumerate(fit.directions):
        true = one.frequency_per_um[d]
        error = None
        if true is not None:
            f = np.array(got.frequency_per_um)
            error = min(float(np.hypot(*((f - s * np.array(true)) * extent))) for s in (1, -1))
        rows.append(
            {
                "seed": seed,
                "direction": d,
                "kind": one.settings["kind"],
                "fault": one.settings["fault"],
                "peak_e": one.settings["peak_e"],
                "modulation": one.modulation[d],
                "verdict": got.verdict,
                "error_px": error,
                "frequency_sd_px": float(np.hypot(*(np.array(got.frequency_sd_per_um) * extent))),
                "evidence_nats": got.evidence_nats,
                "rivalry": got.rivalry,
                "correlation": got.correlation[0],
                "fitted_modulation": got.modulation[0],
                "modulation_sd": got.modulation_sd[0],
            }
        )
    return rows


def off(row: dict) -> bool:
    """Whether a direction is not where the pattern is."""
    return row["error_px"] is None or row["error_px"] > OFF_PX


def counts(rows: Sequence[dict]) -> dict[str, dict[str, int]]:
    """Numbers of good and off directions per verdict."""
    result = {}
    for verdict in VERDICTS:
        own = [r for r in rows if r["verdict"] == verdict]
        wrong = sum(map(off, own))
        result[verdict] = {"all": len(own), "good": len(own) - wrong, "off": wrong}
    return result


def upper(hits: int, total: int, confidence: float = 0.95) -> float:
    """One-sided upper limit of a share (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return 1.0 if hits >= total else float(beta.ppf(confidence, hits + 1, total - hits))


def curve(rows: Sequence[dict], name: str) -> dict[str, list[float]]:
    """Share of off directions among those at least as good as a threshold, and how many they are.

    Only directions that no other figure would stop take part, so that each curve shows what its
    own figure is needed for.
    """
    better = FIGURES[name][2]
    others = [r for r in rows if r["frequency_sd_px"] < 1.0 and passes_others(r, name)]
    ranked = sorted(others, key=better, reverse=True)
    wrong = np.cumsum([off(r) for r in ranked])
    number = np.arange(1, len(ranked) + 1)
    return {
        "threshold": [abs(better(r)) for r in ranked],
        "share_off": (wrong / number).tolist(),
        "directions": number.tolist(),
    }


def passes_others(row: dict, name: str) -> bool:
    """Whether nothing but `name` can stop a row."""
    from simrecon.estimate import acceptance

    limits = {
        "frequency_sd_px": row["frequency_sd_px"] <= acceptance.FREQUENCY_SD_OK_PX,
        "evidence_nats": row["evidence_nats"] >= acceptance.NATS_OK["nothing"],
        "rivalry": row["rivalry"] <= acceptance.RIVALRY_OK,
        "correlation": row["correlation"] >= acceptance.CORRELATION_OK,
        "modulation": row["fitted_modulation"]
        >= max(acceptance.MODULATION_OK, 3.0 * row["modulation_sd"]),
    }
    # What is not ok although all these are was stopped by carriers shared with other directions.
    shared = all(limits.values()) and row["verdict"] != "ok"
    return not shared and all(fine for key, fine in limits.items() if key != name)


def draw_figure(rows: Sequence[dict], path: Path) -> None:
    """The curves of all figures, thresholds marked."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from simrecon.estimate import acceptance

    marks = {
        "frequency_sd_px": acceptance.FREQUENCY_SD_OK_PX,
        "evidence_nats": acceptance.NATS_OK["nothing"],
        "rivalry": acceptance.RIVALRY_OK,
        "correlation": acceptance.CORRELATION_OK,
    }
    figure, axes = plt.subplots(1, len(FIGURES), figsize=(12.0, 3.0), sharey=True)
    for axis, (name, (label, word, _)) in zip(axes, FIGURES.items(), strict=True):
        found = curve(rows, name)
        axis.plot(found["threshold"], 100 * np.array(found["share_off"]), lw=1.2)
        axis.axvline(marks[name], color="0.4", ls="--", lw=1)
        axis.axhline(100 * ASKED["ok and off"], color="tab:red", lw=0.8)
        axis.set_xlabel(f"{label}, {word}")
        axis.set_yscale("symlog", linthresh=1.0)
        axis.set_ylim(-0.2, 100)
        if name in ("frequency_sd_px", "evidence_nats"):
            axis.set_xscale("log")
    axes[0].set_ylabel("% off by more than 0.05 px")
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    print(f"wrote {path}")


def main() -> int:
    """Measure, print, save; exit 1 when an asked share is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=500, help="data sets to add")
    parser.add_argument("--first", type=int, default=0, help="number of the first set")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, appended")
    parser.add_argument("--figure", type=Path, help="PNG of the curves")
    arguments = parser.parse_args()
    with arguments.rows.open("a") as out:
        for seed in range(arguments.first, arguments.first + arguments.sets):
            out.writelines(json.dumps(row) + "\n" for row in fit_rows(seed))
            out.flush()
    rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    found = counts(rows)
    lines = [[v, c["all"], c["good"], c["off"]] for v, c in found.items()]
    print(table(["verdict", "directions", "good", "off"], lines))
    shares = {
        "ok and off": (found["ok"]["off"], found["ok"]["all"]),
        "failed and good": (found["failed"]["good"], found["failed"]["all"]),
    }
    figures = {
        name: {"share": hits / max(total, 1), "upper_95": upper(hits, total), "asked": ASKED[name]}
        for name, (hits, total) in shares.items()
    }
    print(figures)
    by_kind = {
        kind: counts([r for r in rows if r["kind"] == kind]) for kind in {r["kind"] for r in rows}
    }
    by_fault = {
        fault: counts([r for r in rows if r["fault"] == fault])
        for fault in {r["fault"] for r in rows}
    }
    curves = {}
    for name in FIGURES:
        full = curve(rows, name)
        step = max(1, len(full["threshold"]) // 40)
        curves[name] = {k: [float(f"{x:.4g}") for x in v[::step]] for k, v in full.items()}
    if arguments.figure:
        draw_figure(rows, arguments.figure)
    save(
        "verdicts",
        {
            "sets": len({r["seed"] for r in rows}),
            "counts": found,
            "shares": figures,
            "by_kind": dict(sorted(by_kind.items())),
            "by_fault": dict(sorted(by_fault.items())),
            "curves": curves,
        },
    )
    return 0 if all(f["share"] <= f["asked"] for f in figures.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
