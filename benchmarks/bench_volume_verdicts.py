"""Are the verdicts of volumes right? Directions of 3D-SIM stacks and sheets with known truth.

Run: ``python benchmarks/bench_volume_verdicts.py --rows rows.jsonl [--sets 100] [--first 0]`` (own
simulator and a fixed mixture, see `volume_verdict_sets.py`; some ten seconds per stack on one
core). Rows are kept in the file given, and stacks that are there are not fitted again: a run that
was interrupted goes on. ``--sets 0`` only evaluates them.

A direction is *good* when its frequency is within 0.05 DFT samples of the field from the truth, and
*off* otherwise, also when there is no pattern or the planes are in a wrong order. Asked: among
"ok" directions at most 1 % off, among "failed" ones at most 5 % good.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from bench_verdicts import error_px, read_rows
from common import save, table
from scipy.stats import beta
from volume_verdict_sets import FAULTS, OPTICS_TOLD, VolumeSet, draw

from simrecon.estimate.volume.estimator import estimate_volume_pattern
from simrecon.model.pattern import DirectionPattern

GOOD_PX = 0.05
SD_EDGES_PX = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 1.0)


def fit_rows(seed: int) -> list[dict[str, Any]]:
    """One row per direction of stack number `seed`."""
    one = draw(seed)
    start = process_time()
    fit = estimate_volume_pattern(
        one.frames_e, one.grid, one.otf, variance_e2=one.variance_e2,
        expected_frequency_per_um=one.expected_per_um, otf_at=one.otf_at,
    )  # fmt: skip
    seconds = process_time() - start
    # directions that share a carrier fail together, and only the whole fit says so
    shared = fit.verdict == "failed" and all(d.verdict != "failed" for d in fit.directions)
    rows = []
    for d, got in enumerate(fit.directions):
        told = [n for n in fit.notes if n.startswith(f"direction {d + 1} ")]
        rows.append(
            one.settings
            | {
                "direction": d,
                "verdict": "failed" if shared else got.verdict,
                "reasons": told[0].partition(": ")[2].split("; ") if told else [],
                "evidence_nats": got.evidence_nats,
                "rivalry": got.rivalry,
                "correlation": list(got.correlation),
                "fit_seconds": seconds,
            }
            | errors(got, one, d)
        )
    return rows


def errors(got: DirectionPattern, one: VolumeSet, direction: int) -> dict[str, Any]:
    """Errors and standard deviations: frequency (y, x) in DFT samples, degrees, contrasts."""
    extent = np.array(one.grid.shape[1:]) * one.grid.pixel_um
    sd = np.array(got.frequency_sd_per_um) * extent
    true = one.truth.pattern.directions[direction]
    place = one.frequency_per_um[direction]
    found: dict[str, Any] = {
        "error_px": error_px(np.array(got.frequency_per_um), place, extent),
        "frequency_sd_px": float(np.hypot(*sd)),
    }
    if place is None:
        return found
    f, t = np.array(got.frequency_per_um), np.array(place)
    sign = 1.0 if f @ t > 0 else -1.0
    # phases at the centre of the field, where they do not depend on the frequency's error
    centre = 0.5 * (extent - one.grid.pixel_um)
    phase = np.array(true.phase_rad) + 2 * np.pi * float(t @ centre)
    off = sign * (np.array(got.phase_rad) + 2 * np.pi * float(f @ centre)) - phase
    off = np.angle(np.exp(1j * off))
    return found | {
        "frequency_error_px": list((sign * f - t) * extent),
        "frequency_sd_yx_px": list(sd),
        "phase_error_deg": list(np.degrees(off)),
        "phase_sd_deg": list(np.degrees(got.phase_sd_rad)),
        "modulation_error": list(np.subtract(got.modulation, true.modulation)),
        "modulation_sd": list(got.modulation_sd),
        "modulation": list(true.modulation),
        "sheet_um": got.sheet_offset_um,
        "sheet_sd_um": got.sheet_offset_sd_um,
    }


def good(row: dict[str, Any]) -> bool:
    """Whether a direction was found."""
    return row["error_px"] is not None and row["error_px"] <= GOOD_PX


def share(rows: list[dict[str, Any]], wrong: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Number, wrong ones and the one-sided 95 % limit of their share (Clopper–Pearson)."""
    n, k = len(rows), sum(wrong(r) for r in rows)
    limit = float(beta.ppf(0.95, k + 1, n - k)) if n > k else 1.0
    return {"directions": n, "wrong": k, "share": k / n if n else None, "limit_95": limit}


def evaluate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, shares asked for, and errors beside their standard deviations."""
    by = {v: [r for r in rows if r["verdict"] == v] for v in ("ok", "weak", "failed")}
    return {
        "stacks": len({r["seed"] for r in rows}),
        "counts": {v: {"all": len(own), "good": sum(map(good, own))} for v, own in by.items()},
        "ok_off": share(by["ok"], lambda r: not good(r)),
        "failed_good": share(by["failed"], good),
        "within_sd": within_sd([r for r in rows if r["verdict"] != "failed"]),
        "phases_by_jitter": _phases_by_jitter([r for r in rows if r["verdict"] != "failed"]),
        "fit_seconds_median": float(np.median([r["fit_seconds"] for r in rows])),
        "by_mode": _groups(rows, "mode", ("3d", "lls")),
        "by_light": _groups(rows, "peak_e", (100.0, 300.0, 1000.0)),
        "by_fault": _groups(rows, "fault", tuple(FAULTS)),
        "by_told": _groups(rows, "told", tuple(OPTICS_TOLD)),
        "by_size": _groups(rows, "size", (64, 80, 96)),
        "by_sd": _by_sd(rows),
    }


def within_sd(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Errors of directions whose carrier is the right one within one standard deviation."""
    near = [r for r in rows if r["error_px"] is not None and r["error_px"] < 0.5]
    figures = (
        ("frequency", "frequency_error_px", "frequency_sd_yx_px"),
        ("phase", "phase_error_deg", "phase_sd_deg"),
        ("contrast", "modulation_error", "modulation_sd"),
    )
    found = []
    for name, error, sd in figures:
        ratio = [abs(e / s) for r in near for e, s in zip(r[error], r[sd], strict=True) if s > 0]
        found.append(
            {
                "error of": name,
                "directions": len(near),
                "values": len(ratio),
                "within one sd": float(np.mean(np.array(ratio) < 1.0)) if ratio else None,
                "median |error| / sd (normal: 0.67)": float(np.median(ratio)) if ratio else None,
            }
        )
    return found


def _phases_by_jitter(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Errors of phases over their standard deviations by how uneven the steps truly are."""
    found = []
    for jitter in sorted({r["phase_jitter_rad"] for r in rows}):
        own = within_sd([r for r in rows if r["phase_jitter_rad"] == jitter])
        found.append({"jitter of the steps, rad": jitter} | own[1])
    return found


def _groups(rows: list[dict[str, Any]], key: str, values: Iterable[Any]) -> list[dict[str, Any]]:
    found = []
    for value in values:
        own = [r for r in rows if r[key] == value]
        ok = [r for r in own if r["verdict"] == "ok"]
        failed = [r for r in own if r["verdict"] == "failed"]
        found.append(
            {
                key: value,
                "directions": len(own),
                "good": sum(map(good, own)),
                "ok": len(ok),
                "ok and off": sum(not good(r) for r in ok),
                "failed": len(failed),
                "failed and good": sum(map(good, failed)),
            }
        )
    return found


def _by_sd(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Directions whose carrier is the right one, by the standard deviation of their frequency."""
    near = [r for r in rows if r["error_px"] is not None and r["error_px"] < 0.5]
    found = []
    for low, high in pairwise(SD_EDGES_PX):
        own = [r for r in near if low <= r["frequency_sd_px"] < high]
        ratio = [r["error_px"] / r["frequency_sd_px"] for r in own if r["frequency_sd_px"] > 0]
        found.append(
            {
                "frequency sd, samples": f"{low:g}–{high:g}",
                "directions": len(own),
                "off": sum(not good(r) for r in own),
                "rms error, samples": _rms([r["error_px"] for r in own]),
                "rms error over sd": _rms(ratio),
            }
        )
    return found


def _rms(values: list[float]) -> float | None:
    return round(float(np.sqrt(np.mean(np.square(values)))), 4) if values else None


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=100, help="stacks in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first stack")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, kept and continued")
    parser.add_argument("--name", default="volume_verdicts", help="of the results file")
    arguments = parser.parse_args()
    done = {row["seed"] for row in read_rows(arguments.rows)}
    with arguments.rows.open("a") as out:
        for seed in range(arguments.first, arguments.first + arguments.sets):
            if seed not in done:
                out.write("".join(json.dumps(row) + "\n" for row in fit_rows(seed)))
                out.flush()
    found = evaluate(read_rows(arguments.rows))
    print(found["counts"], found["ok_off"], found["failed_good"], sep="\n")
    errors_of = ("within_sd", "phases_by_jitter")
    for name in (
        *errors_of,
        *(f"by_{n}" for n in ("mode", "light", "fault", "told", "size", "sd")),
    ):
        print(table(list(found[name][0]), [list(row.values()) for row in found[name]]))
    save(arguments.name, found)


if __name__ == "__main__":
    main()
