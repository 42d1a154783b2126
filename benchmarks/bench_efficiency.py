"""How close the pattern fit comes to the physical limit, and whether its errors are honest.

Run: ``python benchmarks/bench_efficiency.py [--kept-ratios]`` (208 data sets, some five minutes of
processor time, two with ``--kept-ratios``; own simulator).

Four kinds of objects at four light levels: 256², three directions and phases, modulation
0.85/0.70/0.55, steps jittered by 6°, intensities by 3 %, read noise 1.5 e. For every set the
Cramér–Rao bound is computed for the *known* object, all frequencies, phases, intensities and
modulations of a direction being unknown together. Nobody knows the object; how much larger the
bound is when it is unknown too (:mod:`unknown_object`), is computed for one object of each kind at
every level, on 128² (the ratio depends on spectrum and light, not on the field). No ratio
depends on the fit: ``--kept-ratios`` takes them from the results of the last run.
Reported:

* efficiency: mean of (error² / bound), against the known object (asked at most 2 at 100 and 1000
  photo-electrons; where the ratio of the bounds is above 2 nobody can reach that), against an
  object of which only the spectrum is known, and against one that is free;
* coverage: share of errors within one claimed standard deviation; asked 68 ± 4 %;
* bias: mean error in units of the claimed standard deviation; asked below a third.

Directions that the fit itself calls failed, and carriers that are wrong (a frequency more than one
DFT sample off), are counted, not averaged: how often that happens is the business of
``bench_verdicts.py``. ``--uneven`` multiplies the objects by a smooth random brightness
(log-normal, sd 1, over 3 µm; bounds of the known object at two levels only); ``--unweighted`` fits
without the weight that makes the noise even.
"""

from __future__ import annotations

import argparse
import functools
import json

import numpy as np
from bench_pattern import aligned
from common import RESULTS, save, table
from scipy.ndimage import gaussian_filter
from unknown_object import Frames, fisher, variances

from simrecon.estimate import estimate_pattern, task
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.exposure import expose
from simrecon.physics.forward import Detector
from simrecon.physics.simulate import Truth, simulate
from simrecon.recon.preprocess import raw_variance

KINDS = ("filaments", "rings", "blobs", "beads")
PEAKS_E = (1000.0, 300.0, 100.0, 30.0)
SHAPE, PIXEL_UM = (256, 256), 0.065
BOUND_SHAPE = (128, 128)
FREE, BRIGHTNESS_UM = 100.0, 3.0
"""Power of a free object's prior over that of its spectrum; width σ of an uneven brightness."""
OPTICS = Optics(na=1.4, emission_nm=520.0)
CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5, source="simulated")
QUANTITIES = ("frequency", "phase", "modulation")
EFFICIENCIES = ("efficiency", "efficiency_spectrum_known", "efficiency_object_free")


def derivatives(truth: Truth) -> list[np.ndarray]:
    """∂(expected frame)/∂(f_y, f_x, m, φ_j, g_j) of every direction, (P, 5, Y, X).

    Phases count from the centre of the field. φ_j and g_j change frame j alone.
    """
    detector = Detector(truth.field, truth.otf)
    centre = (np.array(truth.pattern.shape) - 1) / 2 * truth.pattern.pixel_um
    y, x = truth.fine_grid.positions_um()
    y, x = y - centre[0], x - centre[1]
    plain = detector(truth.fine_object)
    result = []
    for d in truth.pattern.directions:
        fy, fx = d.frequency_per_um
        angle = 2 * np.pi * (fy * y + fx * x)
        lit = {}
        for name, wave in (("cos", np.cos(angle)), ("sin", np.sin(angle))):
            lit[name] = [detector(truth.fine_object * wave * r) for r in (1.0, y, x)]
        m = d.modulation[0]
        frames = []
        for phase, g in zip(d.phase_rad, d.intensity, strict=True):
            at = phase + 2 * np.pi * (fy * centre[0] + fx * centre[1])
            c, s = np.cos(at), np.sin(at)
            cosine = c * lit["cos"][0] - s * lit["sin"][0]
            slope = [-(s * a + c * b) for a, b in zip(lit["cos"], lit["sin"], strict=True)]
            frames.append(
                [
                    2 * np.pi * g * m * slope[1],
                    2 * np.pi * g * m * slope[2],
                    g * cosine,
                    g * m * slope[0],
                    plain + m * cosine,
                ]
            )
        result.append(np.array(frames))
    return result


def bounds(slopes: np.ndarray, variance_e2: np.ndarray) -> dict[str, np.ndarray]:
    """Cramér–Rao bounds of one direction: variances of f (2,), φ (P,) and m (1,)."""
    phases = slopes.shape[0]
    fisher = np.zeros((3 + 2 * phases, 3 + 2 * phases))
    for j in range(phases):
        rows = [0, 1, 2, 3 + j, 3 + phases + j]
        flat = slopes[j].reshape(5, -1).astype(np.float64)
        fisher[np.ix_(rows, rows)] += (flat / variance_e2[j].ravel()) @ flat.T
    scale = 1.0 / np.sqrt(np.diag(fisher))
    variance = np.diag(np.linalg.inv(fisher * np.outer(scale, scale))) * scale**2
    return {
        "frequency": variance[:2],
        "modulation": variance[2:3],
        "phase": variance[3 : 3 + phases],
    }


def simulated(kind: str, seed: int, shape: tuple[int, int], *, uneven: bool = False) -> Truth:
    """One object and pattern at 1000 photo-electrons."""
    made = functools.partial(
        simulate,
        shape=shape,
        pixel_um=PIXEL_UM,
        optics=OPTICS,
        kind=kind,
        peak_e=1000.0,
        phase_jitter_rad=np.deg2rad(6.0),
        intensity_jitter=0.03,
        camera=CAMERA,
        seed=seed,
        fine=2,
    )
    truth = made()[1]
    if not uneven:
        return truth
    noise = np.random.default_rng([5, seed]).standard_normal(truth.fine_object.shape)
    slow = gaussian_filter(noise, BRIGHTNESS_UM / truth.fine_grid.pixel_um, mode="wrap")
    bright = truth.fine_object * np.exp(slow / slow.std())
    return made(fine_object=bright.astype(np.float32))[1]


def bound_ratios(kind: str, seed: int, peak_e: float) -> dict[str, dict[str, np.ndarray]]:
    """Bounds of each direction with the object unknown over those with it known, (D,)."""
    truth = simulated(kind, seed, BOUND_SHAPE)
    share = peak_e / 1000.0
    slopes = [s * np.float32(share) for s in derivatives(truth)]
    noise = truth.expected_e * share + CAMERA.read_noise_e**2
    model, count = Frames(truth), len(truth.pattern.directions)
    prior = model.prior() * share**2
    known = variances(fisher(model, slopes, noise, None), count)
    result = {}
    for name, power in (("spectrum", prior), ("free", FREE * prior)):
        ratio = variances(fisher(model, slopes, noise, power), count) / known
        parts = {"frequency": ratio[:, :2], "phase": ratio[:, 3:6], "modulation": ratio[:, 2:3]}
        result[name] = {q: part.mean(axis=1) for q, part in parts.items()}
    return result


def kept_ratios(kind: str, seed: int, peak_e: float) -> dict[str, dict[str, np.ndarray]]:
    """:func:`bound_ratios` as the last run found them, for the same `seed`."""
    kept = json.loads((RESULTS / "efficiency.json").read_text())["results"]
    if kept.get("first", 0) != seed:
        raise SystemExit(f"the kept ratios are those of --first {kept.get('first', 0)}")
    one = kept["bound_ratios"][f"{kind} {peak_e:.0f}"]
    return {n: {q: np.array(v) for q, v in ratio.items()} for n, ratio in one.items()}


def no_ratios(*_: object) -> dict[str, dict[str, np.ndarray]]:
    """Of uneven objects, whose bounds are computed for the known object only."""
    return {n: dict.fromkeys(QUANTITIES, np.full(3, np.nan)) for n in ("spectrum", "free")}


def measure(
    kind: str, seed: int, peaks_e: tuple[float, ...], *, uneven: bool = False
) -> dict[float, dict]:
    """Errors, claimed standard deviations, bounds and directions at all light levels."""
    truth = simulated(kind, seed, SHAPE, uneven=uneven)
    slopes = derivatives(truth)
    true = truth.pattern.directions
    result: dict[float, dict] = {}
    for n, peak in enumerate(peaks_e):
        share = peak / 1000.0
        rng = np.random.default_rng([7, seed, n])
        counts, _ = expose(truth.expected_e * share, CAMERA, rng)
        frames = CAMERA.electrons(counts)
        fit = estimate_pattern(
            frames, PIXEL_UM, truth.otf, variance_e2=raw_variance(frames, CAMERA)
        )
        rows: dict[str, list[list[float]]] = {q: [] for q in QUANTITIES}
        errors = aligned(
            fit, np.array([d.frequency_per_um for d in true]), np.array([d.phase_rad for d in true])
        )
        wrong = 0
        for d, (df, dphi) in enumerate(errors):
            got = fit.directions[d]
            off = got.verdict != "failed" and np.abs(df).max() * SHAPE[0] * PIXEL_UM > 1.0
            wrong += off
            if got.verdict == "failed" or off:
                continue
            noise = truth.expected_e[d] * share + CAMERA.read_noise_e**2
            bound = bounds(slopes[d] * share, noise)
            dm = [got.modulation[0] - true[d].modulation[0]]
            for quantity, error, sd in (
                ("frequency", df, got.frequency_sd_per_um),
                ("phase", dphi, got.phase_sd_rad),
                ("modulation", dm, got.modulation_sd),
            ):
                rows[quantity] += [
                    [*(float(v) for v in one), d]
                    for one in zip(error, sd, np.sqrt(bound[quantity]), strict=True)
                ]
        failed = sum(d.verdict == "failed" for d in fit.directions)
        result[peak] = {"verdict": fit.verdict, "failed": failed, "wrong": wrong, **rows}
    return result


def summary(rows: np.ndarray) -> dict[str, float]:
    """Figures of one quantity from (error, sd, bound, ratio spectrum, ratio free) rows (n, 5)."""
    error, sd, bound, spectrum, free = rows.T
    z = error / sd
    squared = (error / bound) ** 2
    over = zip(EFFICIENCIES, (np.ones_like(free), spectrum, free), strict=True)
    means = {e: float(np.mean(squared / one)) for e, one in over}
    return {
        **{name: value for name, value in means.items() if np.isfinite(value)},
        "coverage_68": float(np.mean(np.abs(z) < 1)),
        "rms_z": float(np.sqrt(np.mean(z**2))),
        "bias_over_sd": float(np.mean(error) / np.sqrt(np.mean(sd**2))),
        "count": len(rows),
    }


def main() -> int:
    """Measure, print, save; exit 1 when an asked figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=13, help="objects of each kind")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--kept-ratios", action="store_true", help="of the bounds: not anew")
    parser.add_argument("--uneven", action="store_true", help="objects of uneven brightness")
    parser.add_argument("--unweighted", action="store_true", help="without the weight for noise")
    arguments = parser.parse_args()
    uneven = arguments.uneven
    if arguments.unweighted:
        task.noise_weight = lambda variance_e2, *_: np.ones(variance_e2.shape[-2:], np.float32)
    sets: list[tuple[str, float, dict]] = []
    find = no_ratios if uneven else kept_ratios if arguments.kept_ratios else bound_ratios
    peaks = (1000.0, 100.0) if uneven else PEAKS_E
    ratios = {(k, p): find(k, arguments.first, p) for k in KINDS for p in peaks}
    for kind in KINDS:
        for seed in range(arguments.first, arguments.first + arguments.objects):
            for peak, found in measure(kind, seed, peaks, uneven=uneven).items():
                for q in QUANTITIES:
                    one = ratios[kind, peak]
                    for row in found[q]:
                        d = row.pop()
                        row += [float(one[name][q][d]) for name in ("spectrum", "free")]
                sets.append((kind, peak, found))
    cells, lines = {}, []
    for kind, peak in [("all", p) for p in peaks] + [(k, p) for k in KINDS for p in peaks]:
        chosen = [f for k, p, f in sets if p == peak and kind in ("all", k)]
        cell = {q: summary(np.array([r for f in chosen for r in f[q]])) for q in QUANTITIES}
        left_out = {name: int(sum(f[name] for f in chosen)) for name in ("failed", "wrong")}
        cells[f"{kind} {peak:.0f}"] = {**cell, **left_out}
        lines.append(
            [kind, f"{peak:.0f}"]
            + [
                " / ".join(f"{cell[q][e]:.1f}" for e in EFFICIENCIES if e in cell[q])
                for q in QUANTITIES
            ]
            + [f"{100 * cell[q]['coverage_68']:.0f}" for q in QUANTITIES]
            + [f"{cell[q]['bias_over_sd']:+.2f}" for q in QUANTITIES]
        )
    pooled = {q: summary(np.array([r for *_, f in sets for r in f[q]])) for q in QUANTITIES}
    heads = [f"{what} {q}" for what in ("efficiency", "% in 1 sd", "bias/sd") for q in QUANTITIES]
    print(table(["objects", "peak e", *heads], lines))
    print("all together:", pooled)
    passed = {
        "coverage": all(abs(p["coverage_68"] - 0.683) <= 0.04 for p in pooled.values()),
        "bias": all(abs(p["bias_over_sd"]) < 1 / 3 for p in pooled.values()),
        "efficiency": all(
            cells[f"{k} {p:.0f}"][q]["efficiency"] <= 2
            for k in KINDS
            for p in (100, 1000)
            for q in QUANTITIES
        ),
    }
    print(passed)
    verdicts = {f"{p:.0f}": [f["verdict"] for k, peak, f in sets if peak == p] for p in peaks}
    save(
        "efficiency" + "_uneven" * uneven + "_unweighted" * arguments.unweighted,
        {"sets": len(sets), "first": arguments.first, "passed": passed, "pooled": pooled,
         "cells": cells,
         "bound_ratios": {
             f"{k} {p:.0f}": {n: {q: v.tolist() for q, v in r.items()} for n, r in one.items()}
             for (k, p), one in ratios.items() if not uneven
         },
         "ok": {p: v.count("ok") / len(v) for p, v in verdicts.items()}},
    )  # fmt: skip
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
