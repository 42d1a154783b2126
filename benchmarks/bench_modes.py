"""Single-slice three-beam, nonlinear and hexagonal SIM on simulated recordings (docs/modes.md).

    python benchmarks/bench_modes.py verdicts [--sets 105]  results/modes_verdicts.json
    python benchmarks/bench_modes.py pictures [--size 192]  results/modes.json, images/modes.png

`verdicts`: recordings of random objects, light, periods, contrasts and errors, fitted without any
hint; how often the verdict is "ok", and whether one of those is off by more than 0.05 DFT samples.
`pictures`: one object in every mode; pattern errors, PSNR against the picture with true parameters,
and the frequency down to which the picture agrees with the object (ring correlation 0.5), beside
linear SIM with the same light per frame and with the same light in all frames. Exits 1 when an "ok"
is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, table

from simrecon import pipeline
from simrecon.config import ReconstructionSettings, Settings
from simrecon.model.mode import MODES
from simrecon.model.pattern import PatternFit
from simrecon.physics.reference import reference_image, reference_otf
from simrecon.physics.simulate import Truth, simulate
from simrecon.qc.decorrelation import decorrelation_resolution
from simrecon.qc.frc import frc
from simrecon.qc.metrics import equalised_psnr, linear_fit

NAMES = ("slice3", "nonlinear", "hex")
KINDS = ("filaments", "mixed", "rings", "blobs", "beads")
OFF_PX = 0.05
MARGIN_PX = 24
AGREES = 0.5
IMAGES = Path(__file__).parent.parent / "docs" / "images"


def settings_of(mode: str) -> Settings:
    """Settings of one mode without any hint; a third zoom where the support needs it."""
    return Settings(reconstruction=ReconstructionSettings(mode=mode))


def errors(fit: PatternFit, truth: PatternFit) -> list[dict[str, float]]:
    """Per direction: error of the fundamental (DFT samples), of phases (°) and modulations."""
    length = np.array(fit.shape) * fit.pixel_um
    rows = []
    for d in fit.directions:
        found = np.array(d.frequency_per_um)
        gaps = [
            (float(np.hypot(*((found - s * np.array(t.frequency_per_um)) * length))), s, t)
            for t in truth.directions
            for s in (1, -1)
        ]
        off_px, sign, true = min(gaps, key=lambda gap: gap[0])
        turn = np.angle(np.exp(1j * (np.array(d.phase_rad) - sign * np.array(true.phase_rad))))
        low = min(len(d.modulation), len(true.modulation))
        change = np.subtract(d.modulation[:low], true.modulation[:low])
        rows.append(
            {
                "df_px": off_px,
                "dphi_deg": float(np.rad2deg(np.sqrt(np.mean(turn**2)))),
                "dm": [float(c) for c in change],
                "orders": len(d.modulation),
            }
        )
    return rows


# -- verdicts -------------------------------------------------------------------------------------


def draw(mode: str, seed: int, size: int) -> tuple[Any, Truth, dict[str, Any]]:
    """A recording with everything drawn at random."""
    rng = np.random.default_rng([seed, NAMES.index(mode)])
    drawn: dict[str, Any] = {
        "kind": KINDS[seed % len(KINDS)],
        "peak_e": float(np.exp(rng.uniform(np.log(30), np.log(1000)))),
        "first_angle_rad": float(rng.uniform(0, np.pi)),
        "phase_jitter_rad": float(rng.uniform(0, 0.12)),
        "intensity_jitter": float(rng.uniform(0, 0.05)),
        "background": float(rng.uniform(0, 10)),
        "modulation": (float(rng.uniform(0.4, 1.0)),),
    }
    stretch = float(rng.uniform(0.92, 1.15))
    if mode == "slice3":
        drawn |= {"period_um": 0.42 * stretch, "central_amplitude": float(rng.uniform(0, 0.8))}
    elif mode == "nonlinear":
        drawn |= {"period_um": 0.21 * stretch, "dose": float(rng.uniform(0.2, 3.0))}
        drawn |= {"response": ("switching", "saturation")[seed % 2]}
        drawn |= {"phases": (5, 7)[seed // 2 % 2], "directions": 1}
    else:
        light = ("coherent", "incoherent")[seed % 2]
        drawn |= {"period_um": 0.23 * stretch, "hex_light": light}
    stack, truth = simulate(shape=(size, size), mode=mode, seed=seed, **drawn)
    return stack, truth, drawn


def verdicts(sets: int, size: int) -> bool:
    """Fit `sets` recordings of every mode, old ones kept; False: an "ok" was wrong."""
    path = RESULTS / "modes_verdicts.json"
    rows: dict[str, dict[str, Any]] = {mode: {} for mode in NAMES}
    if path.exists():
        rows |= json.loads(path.read_text())["results"]["recordings"]
    for mode in NAMES:
        for seed in range(sets):
            if str(seed) in rows[mode]:
                continue
            stack, truth, drawn = draw(mode, seed, size)
            fit = pipeline.estimate_pattern(stack, settings=settings_of(mode))
            worst_px = max(e["df_px"] for e in errors(fit, truth.pattern))
            row = {"verdict": fit.verdict, "df_px": round(worst_px, 4)}
            rows[mode][str(seed)] = row | {"kind": drawn["kind"], "peak_e": round(drawn["peak_e"])}
            print(mode, seed, rows[mode][str(seed)], flush=True)
            if seed % 15 == 14 or seed == sets - 1:
                save("modes_verdicts", {"size": size, "off_px": OFF_PX, "recordings": rows})
    lines, right = [], True
    for mode, found in rows.items():
        count = Counter(r["verdict"] for r in found.values())
        ok = [r["df_px"] for r in found.values() if r["verdict"] == "ok"]
        wrong = sum(df > OFF_PX for df in ok)
        right &= not wrong
        lines.append([mode, len(found), count["ok"], count["weak"], count["failed"],
                      f"{np.median(ok):.4f}", f"{max(ok):.4f}", wrong])  # fmt: skip
    header = ["mode", "recordings", "ok", "weak", "failed", "ok: median px", "largest px"]
    print(table([*header, f"ok but > {OFF_PX} px"], lines))
    return right


# -- pictures -------------------------------------------------------------------------------------


def finest_per_um(pattern: PatternFit) -> float:
    """Largest carrier of a pattern."""
    return max(len(d.modulation) / d.period_um for d in pattern.directions)


def agreement_nm(image: np.ndarray, truth: Truth, pixel_um: float) -> float | None:
    """Period down to which a picture agrees with the object: first ring correlation below 0.5."""
    sharp = reference_image(truth, otf=reference_otf(0.999 / pixel_um))
    inner = (slice(MARGIN_PX, -MARGIN_PX),) * 2
    found = frc(image[inner], sharp[inner], pixel_um, threshold=AGREES)
    return None if found.resolution_um is None else 1e3 * found.resolution_um


def one(
    mode: str, peak_e: float, size: int, **drawn: Any
) -> tuple[dict[str, Any], np.ndarray, Truth]:
    """Simulate, reconstruct with fitted and with true pattern, measure."""
    stack, truth = simulate(
        shape=(size, size), mode=mode, peak_e=peak_e, seed=4, kind="filaments", background=2.0,
        phase_jitter_rad=0.05, intensity_jitter=0.02, modulation=(0.9,), **drawn,
    )  # fmt: skip
    fitted = pipeline.reconstruct(stack, settings_of(mode))
    known = pipeline.reconstruct(stack, settings_of(mode), pattern=truth.pattern)
    pixel_um = fitted.grid.pixel_um
    image, true_image = fitted.image[0, 0, 0], known.image[0, 0, 0]
    edge = truth.otf.cutoff_per_um + finest_per_um(truth.pattern)
    reference = reference_image(truth, otf=reference_otf(edge))
    each = errors(fitted.patterns[0][0], truth.pattern)
    small = decorrelation_resolution(image, pixel_um).resolution_um
    numbers = {
        "mode": mode,
        "frames": int(np.prod(stack.data.shape[2:4])),
        "peak_e": peak_e,
        "verdict": fitted.patterns[0][0].verdict,
        "df_px": max(e["df_px"] for e in each),
        "dphi_deg": float(np.mean([e["dphi_deg"] for e in each])),
        "dm": max(abs(c) for e in each for c in e["dm"]),
        "orders": [e["orders"] for e in each],
        "condition": fitted.qc["patterns"][0][0][0]["mixing_condition"],
        "psnr_eq_db": equalised_psnr(image, reference, margin_px=MARGIN_PX),
        "psnr_eq_true_db": equalised_psnr(true_image, reference, margin_px=MARGIN_PX),
        "support_nm": 1e3 / edge,
        "agreement_nm": agreement_nm(image, truth, pixel_um),
        "decorrelation_nm": None if small is None else 1e3 * small,
    }
    return numbers, image, truth


def pictures(size: int) -> None:
    """Every mode on one object, at 1000 and 100 e; figure of the brighter ones."""
    rows: list[dict[str, Any]] = []
    shown: list[tuple[str, np.ndarray]] = []
    for peak_e in (1000.0, 100.0):
        for label, mode, factor, drawn in (
            ("linear, 9 frames", "2d", 1.0, {}),
            ("linear, light of 25 frames", "2d", 25 / 9, {}),
            ("slice3, 15 frames", "slice3", 1.0, {}),
            ("nonlinear, 25 frames", "nonlinear", 1.0, {}),
            ("nonlinear, 35 frames", "nonlinear", 1.0, {"phases": 7, "dose": 2.5}),
            ("hex, 7 frames", "hex", 1.0, {"period_um": 0.21}),
        ):
            numbers, image, truth = one(mode, factor * peak_e, size, **drawn)
            rows.append({"what": label, **numbers, "peak_e": peak_e})
            print(rows[-1], flush=True)
            if peak_e == 1000.0 and "light of" not in label:
                shown.append((label, image))
                if label.startswith("linear"):
                    wide = np.kron(truth.widefield_e, np.ones((2, 2), np.float32))
                    sharp = reference_image(truth, otf=reference_otf(0.999 / 0.0325))
                    shown.insert(0, ("widefield", wide))
                    shown.insert(1, ("object", sharp))
    print(table(["light", "what", "verdict", "df px", "dφ °", "PSNR (true) dB", "agrees to nm",
                 "decorrelation nm", "support nm"], [line(r) for r in rows]))  # fmt: skip
    save("modes", rows)
    figure(shown, IMAGES / "modes.png")


def line(r: dict[str, Any]) -> list[str]:
    """One row of the table."""

    def nm(value: float | None) -> str:
        return "–" if value is None else f"{value:.0f}"

    return [f"{r['peak_e']:.0f}", r["what"], r["verdict"], f"{r['df_px']:.4f}",
            f"{r['dphi_deg']:.2f}", f"{r['psnr_eq_db']:.2f} ({r['psnr_eq_true_db']:.2f})",
            nm(r["agreement_nm"]), nm(r["decorrelation_nm"]), nm(r["support_nm"])]  # fmt: skip


def figure(shown: list[tuple[str, np.ndarray]], path: Path) -> None:
    """Central parts side by side, grey values after the linear fit to the object."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sharp = dict(shown)["object"]
    inner = tuple(slice(n // 2 - 60, n // 2 + 60) for n in sharp.shape)
    fig, axes = pyplot.subplots(2, (len(shown) + 1) // 2, figsize=(12, 6.4))
    for axis in axes.ravel():
        axis.axis("off")
    for axis, (label, image) in zip(axes.ravel(), shown, strict=False):
        gain, offset = linear_fit(image, sharp)
        part = gain * image[inner] + offset
        low, high = np.percentile(part, [1, 99.7])
        axis.imshow(part, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(label, fontsize=9)
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    print(f"wrote {path}")


def main() -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("verdicts", "pictures"))
    parser.add_argument("--sets", type=int, default=105)
    parser.add_argument("--size", type=int, default=None)
    chosen = parser.parse_args()
    assert set(NAMES) < set(MODES)
    if chosen.part == "verdicts":
        return 0 if verdicts(chosen.sets, chosen.size or 128) else 1
    pictures(chosen.size or 192)
    return 0


if __name__ == "__main__":
    sys.exit(main())
