"""From fitted directions with known truth to shares, intervals and curves of the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from simrecon.estimate import acceptance

Row = dict[str, Any]
OFF_PX = 0.05
VERDICTS = ("ok", "weak", "failed")
ASKED = {"ok and off": 0.01, "failed and good": 0.05}
LIGHT_E = (20, 50, 100, 300, 1000)
SD_PX = (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.1, 0.5)
FIGURES: dict[str, tuple[str, str, str, float, Callable[[Row], float]]] = {
    "frequency_sd_px": (
        "frequency sd, DFT samples", "at most", "frequency uncertain",
        acceptance.FREQUENCY_SD_OK_PX, lambda r: -r["frequency_sd_px"],
    ),
    "evidence_nats": (
        "evidence, nats", "at least", "evidence of", acceptance.NATS_OK["nothing"],
        lambda r: r["evidence_nats"],
    ),
    "rivalry": (
        "rivalry", "at most", "the sample repeats", acceptance.RIVALRY_OK, lambda r: -r["rivalry"],
    ),
    "correlation": (
        "correlation", "at least", "overlap correlation", acceptance.CORRELATION_OK,
        lambda r: r["correlation"],
    ),
}  # fmt: skip
"""Figures that are judged: name, sense, how their reason begins, limit, larger for the better."""


def off(row: Row) -> bool:
    """Whether a direction is not where the pattern is."""
    return row["error_px"] is None or row["error_px"] > OFF_PX


def interval(hits: int, total: int, confidence: float = 0.95) -> list[float]:
    """Two-sided interval of a share (Clopper and Pearson 1934)."""
    tail = 0.5 * (1 - confidence)
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, total - hits + 1))
    high = 1.0 if hits >= total else float(beta.ppf(1 - tail, hits + 1, total - hits))
    return [round(low, 5), round(high, 5)]


def upper(hits: int, total: int, confidence: float = 0.95) -> float:
    """One-sided upper limit of a share."""
    return interval(hits, total, 2 * confidence - 1)[1]


def counts(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Numbers of good and off directions per verdict."""
    result = {}
    for verdict in VERDICTS:
        own = [r for r in rows if r["verdict"] == verdict]
        wrong = sum(map(off, own))
        result[verdict] = {"all": len(own), "good": len(own) - wrong, "off": wrong}
    return result


def share(hits: int, total: int, asked: float) -> dict[str, Any]:
    """A measured share with its limits."""
    return {
        "share": hits / max(total, 1),
        "interval_95": interval(hits, total),
        "upper_95": upper(hits, total),
        "asked": asked,
    }


def evaluate(rows: Sequence[Row]) -> dict[str, Any]:
    """All that is reported, JSON-ready."""
    found = counts(rows)
    hits = {
        "ok and off": (found["ok"]["off"], found["ok"]["all"]),
        "failed and good": (found["failed"]["good"], found["failed"]["all"]),
    }
    sets: dict[int, list[Row]] = {}
    for row in rows:
        sets.setdefault(row["seed"], []).append(row)
    whole = [own for own in sets.values() if all(r["verdict"] == "ok" for r in own)]
    return {
        "sets": len(sets),
        "sets with every direction ok": len(whole),
        "of these with a direction off": sum(any(map(off, own)) for own in whole),
        "counts": found,
        "shares": {k: share(*pair, ASKED[k]) for k, pair in hits.items()},
        **{f"by_{name}": by_class(rows, name) for name in ("kind", "period", "told", "fault")},
        "by_light": by_class(rows, "light"),
        "by_sd": by_sd(rows),
        "curves": {name: thinned(curve(rows, name)) for name in FIGURES},
    }


def by_class(rows: Sequence[Row], name: str) -> dict[str, dict[str, int]]:
    """Good directions, and how many of them are trusted, per class."""
    classes: dict[str, list[Row]] = {}
    for row in rows:
        classes.setdefault(light(row) if name == "light" else row[name], []).append(row)
    result = {}
    for key in sorted(classes, key=lambda k: (len(k.split("–")[0]), k)):
        own = classes[key]
        good = [r for r in own if not off(r)]
        trusted = [r for r in own if r["verdict"] == "ok"]
        result[key] = {
            "directions": len(own),
            "good": len(good),
            "good and ok": sum(r["verdict"] == "ok" for r in good),
            "ok": len(trusted),
            "ok and off": sum(map(off, trusted)),
        }
    return result


def light(row: Row) -> str:
    """Class of peak photo-electrons."""
    place = int(np.clip(np.searchsorted(LIGHT_E, row["peak_e"]), 1, len(LIGHT_E) - 1))
    return f"{LIGHT_E[place - 1]}–{LIGHT_E[place]} e"


def by_sd(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Directions that at most the frequency's standard deviation stops, by that; and what the
    picture loses in sets whose worst direction is there.
    """
    own = [r for r in rows if stopped_only_by(r, "frequency_sd_px")]
    result = []
    for low, high in pairwise(SD_PX):
        these = [r for r in own if low < r["frequency_sd_px"] <= high]
        ratios = [r["error_px"] / r["frequency_sd_px"] for r in these if r["error_px"] is not None]
        loss = [lost for sd, lost in losses(rows) if low < sd <= high]
        result.append(
            {
                "frequency sd, px": f"{low:g}–{high:g}",
                "directions": len(these),
                "off": sum(map(off, these)),
                "rms error over sd": _rounded(np.sqrt(np.mean(np.square(ratios))))
                if ratios
                else None,
                "pictures": len(loss),
                "mean loss, dB": _rounded(np.mean(loss)) if loss else None,
                "largest loss, dB": _rounded(max(loss)) if loss else None,
            }
        )
    return result


def losses(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Largest frequency sd (DFT samples) and loss (dB) of every picture that was made."""
    worst: dict[int, tuple[float, float]] = {}
    for r in rows:
        if r["loss_db"] is not None:
            sd = max(r["frequency_sd_px"], worst.get(r["seed"], (0.0, 0.0))[0])
            worst[r["seed"]] = (sd, r["loss_db"])
    return list(worst.values())


def stopped_only_by(row: Row, name: str) -> bool:
    """Whether nothing but `name` stops a row, or nothing at all."""
    begins = FIGURES[name][2]
    return all(reason.startswith(begins) for reason in row["reasons"])


def curve(rows: Sequence[Row], name: str) -> dict[str, list[float]]:
    """Share of off directions among those at least as good as a threshold, and how many they are.

    Only directions that no other figure stops take part, so that each curve shows what its own
    figure is needed for.
    """
    better = FIGURES[name][4]
    own = [r for r in rows if r["frequency_sd_px"] < 1.0 and stopped_only_by(r, name)]
    ranked = sorted(own, key=better, reverse=True)
    wrong = np.cumsum([off(r) for r in ranked])
    number = np.arange(1, len(ranked) + 1)
    return {
        "threshold": [abs(better(r)) for r in ranked],
        "share_off": (wrong / number).tolist(),
        "directions": number.tolist(),
    }


def thinned(full: dict[str, list[float]], points: int = 40) -> dict[str, list[float]]:
    """A curve with few points, for the results file."""
    step = max(1, len(full["threshold"]) // points)
    return {k: [float(f"{x:.4g}") for x in v[::step]] for k, v in full.items()}


def draw_figure(rows: Sequence[Row], path: Path) -> None:
    """The curves of all figures with their thresholds, and the loss of the pictures."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(FIGURES) + 1, figsize=(15.0, 3.0))
    for axis, (name, (label, word, _, limit, _)) in zip(axes, FIGURES.items(), strict=False):
        found = curve(rows, name)
        axis.plot(found["threshold"], 100 * np.array(found["share_off"]), lw=1.2)
        axis.axvline(limit, color="0.4", ls="--", lw=1)
        axis.axhline(100 * ASKED["ok and off"], color="tab:red", lw=0.8)
        axis.set_xlabel(f"{label}, {word}")
        axis.set_yscale("symlog", linthresh=1.0)
        axis.set_ylim(-0.2, 100)
        if name in ("frequency_sd_px", "evidence_nats"):
            axis.set_xscale("log")
    axes[0].set_ylabel("% off by more than 0.05 px")
    axes[-1].semilogx(*np.array(losses(rows)).T, ".", ms=3)
    axes[-1].axvline(FIGURES["frequency_sd_px"][3], color="0.4", ls="--", lw=1)
    axes[-1].set_xlabel("largest frequency sd, DFT samples")
    axes[-1].set_ylabel("loss of the picture, dB")
    figure.tight_layout()
    figure.savefig(path, dpi=70)


def _rounded(value: float) -> float:
    return round(float(value), 3)
