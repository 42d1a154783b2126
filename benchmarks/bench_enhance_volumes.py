r"""Zero-shot enhancement of SIM volumes on simulated frames with known truth.

    python benchmarks/bench_enhance_volumes.py [--scenes 3d:filaments:50 lls:mixed:50 …]
        [--shape 12 64 64] [--iterations 250] [--seed 3] [--quick] [--figure F.png]

For every scene (mode : phantom : 99.9th percentile of the widefield in photo-electrons): PSNR after
the least-squares linear fit, away from the borders, of the widefield, the linear SIM volume, the
best Richardson–Lucy on all raw frames (of all its iterations, at its own or at the shown
resolution, chosen by the truth), and the enhanced volume; χ² of the raw frames, flux, coverage of
the uncertainty, wall and processor time, memory. ``reach`` is the frequency along z, y and x
(cycles/µm) at which a volume's correlation with the object falls below 0.5 (`axis_reach`).
References: the true object at 1.5 times the resolution of the
linear volume (``Measurement.shown_psf``; keys without suffix), and at its own (``_at_sim``). Of
beads also the widths along z, y and x of the mean bead, µm, and y over x. The pattern and the OTF
are the true ones for all methods. Rows are saved as they come, after those of earlier runs; each
holds its steps and what ``--quick`` left out.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from axis_reach import axis_reach
from common import RESULTS, save, table
from scipy.ndimage import gaussian_filter, maximum_filter

from simrecon import simulate_volume
from simrecon.config import build_settings
from simrecon.physics.simulate_volume import VolumeTruth
from simrecon.qc import metrics
from simrecon.qc.figures import new_figure
from zsdeconv import Enhanced, Measurement, ZsSettings, enhance
from zsdeconv.baselines.richardson_lucy import RichardsonLucy
from zsdeconv.bridge import to_host
from zsdeconv.config import VOLUME_DEFAULTS
from zsdeconv.pairs_sim_volume import sim_volume_measurement
from zsdeconv.pairs_volume import widths_px

SCENES = ("3d:filaments:50", "3d:filaments:10", "3d:mixed:50", "3d:mixed:10",
          "lls:mixed:50", "lls:mixed:10", "lls:beads:50")  # fmt: skip
NAME = "enhance_volumes"
BORDER = (2, 8, 8)
BEAD_BOX = (3, 10, 10)
CORRELATION = 0.5
"""With the object itself: half of what is shown at that frequency is right in phase and size."""
PICTURES = ("widefield", "sim", "denoised", "enhanced", "object")
COLUMNS = {
    "scene": "scene", "shape": "planes, y, x", "psnr_widefield": "widefield", "psnr_sim": "SIM",
    "psnr_rl": "best RL", "psnr_denoised": "denoised", "psnr_enhanced": "enhanced",
    "gain": "gain at 1.5×", "gain_at_sim": "at 1×", "chi2": "χ²", "flux_ratio": "flux",
    "covered_1_sigma": "in 1σ", "cpu_s": "processor s",
}  # fmt: skip


def inner(volume: np.ndarray) -> np.ndarray:
    """Without the borders."""
    return volume[tuple(slice(b, -b) for b in BORDER)]


def psnr(volume: np.ndarray, reference: np.ndarray) -> float:
    """After the linear fit, of the inside, dB."""
    flat = (inner(v).reshape(-1, inner(v).shape[-1]) for v in (volume, reference))
    return float(metrics.psnr(*flat))


def at_resolution(truth: VolumeTruth, psf: np.ndarray, gain: float) -> np.ndarray:
    """The true object through a Gaussian of ``1/gain`` of the PSF's widths."""
    sigmas = [w / gain / 2.3548 for w in widths_px(psf)]
    return gaussian_filter(truth.object_e.astype(np.float64), sigmas, mode="nearest")


def best_richardson_lucy(
    measurement: Measurement, references: dict[str, np.ndarray], iterations: int
) -> tuple[dict[str, float], int]:
    """Best PSNR per reference over the iterations, plain or shown; and the iteration for ``""``."""
    padding = measurement.padding
    solver = RichardsonLucy(measurement, padding)
    best = {f"psnr_rl{suffix}": -np.inf for suffix in references}
    at = 0
    for i, f in enumerate(solver.iterate(measurement.frames_e, iterations, accelerate=True), 1):
        whole = to_host(f)
        pictures = [measurement.inside(v) for v in (whole, measurement.shown(whole))]
        for suffix, reference in references.items():
            value = max(psnr(p, reference) for p in pictures)
            if value > best[f"psnr_rl{suffix}"]:
                best[f"psnr_rl{suffix}"] = value
                at = i if suffix == "" else at
    return best, at


def mean_bead(volume: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean of the surroundings of the brightest beads that stand alone."""
    smooth = gaussian_filter(truth.astype(np.float64), (0.5, 1.5, 1.5))
    size = tuple(2 * b + 1 for b in BEAD_BOX)
    alone = (maximum_filter(smooth, size) == smooth) & (smooth > 0.3 * smooth.max())
    parts = []
    for place in np.argwhere(alone):
        box = tuple(slice(p - b, p + b + 1) for p, b in zip(place, BEAD_BOX, strict=True))
        if all(s.start >= 0 and s.stop <= n for s, n in zip(box, truth.shape, strict=True)):
            parts.append(volume[box])
    return np.mean(parts, axis=0)


def bead_facts(volumes: dict[str, np.ndarray], truth: VolumeTruth) -> dict[str, Any]:
    """Widths of the mean bead in every volume, µm."""
    pitch = (truth.grid.dz_um, truth.grid.pixel_um / 2, truth.grid.pixel_um / 2)
    found = {}
    for name, volume in volumes.items():
        bead = mean_bead(volume, truth.object_e)
        widths = np.multiply(widths_px(bead - np.median(bead)), pitch)
        found[name] = {"width_um": widths.round(4).tolist(),
                       "y_over_x": float(widths[1] / widths[2])}  # fmt: skip
    return {"beads": found}


def row(
    scene: str, shape: tuple[int, ...], settings: ZsSettings, seed: int, folder: Path | None
) -> dict[str, Any]:
    """All methods on one scene; `folder` keeps the volumes."""
    mode, kind, peak = scene.split(":")
    began = time.process_time()
    stack, truth = simulate_volume(
        mode=mode, shape=shape, kind=kind, peak_e=float(peak), seed=seed,
        phase_jitter_rad=0.05, intensity_jitter=0.02,
    )  # fmt: skip
    engine = build_settings(("benchmark", {"mode": mode}))
    done = enhance(
        stack, settings, engine=engine, otf=truth.otf, pattern=replace(truth.pattern, verdict="ok"),
        progress=lambda stage, n, of, note="": print(stage, n, of, note, flush=True),
    )  # fmt: skip
    result = done.reconstruction
    assert result is not None
    m = sim_volume_measurement(stack, result, engine, shown_cutoff=settings.shown_cutoff or 1.5)
    assert m.shown_psf is not None
    references = {"": at_resolution(truth, m.shown_psf, 1.0),
                  "_at_sim": at_resolution(truth, m.shown_psf, 1 / 1.5)}  # fmt: skip
    volumes = {
        "widefield": np.kron(result.widefield[0, 0], np.ones((1, 2, 2), np.float32)),
        "sim": done.image, "denoised": done.denoised, "enhanced": done.deconvolved,
        "object": done.objects,
    }  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{scene.replace(':', '_')}.npz", **volumes, truth=references[""])
    scores = {
        f"psnr_{name}{suffix}": psnr(volume, reference)
        for suffix, reference in references.items()
        for name, volume in volumes.items()
    }
    cpu_s = time.process_time() - began
    pitch_um = (stack.dz_um or 0.0, stack.pixel_um / 2, stack.pixel_um / 2)
    reach = {
        name: axis_reach(volume, truth.object_e, pitch_um, CORRELATION)
        for name, volume in volumes.items()
    }
    lucy, at = best_richardson_lucy(m, references, 60)
    beads = bead_facts({**volumes, "truth": truth.object_e}, truth) if kind == "beads" else {}
    return {
        "scene": scene, "shape": list(shape), "seed": seed,
        "quick": settings.uncertainty_draws == 0, "cpu_s": cpu_s, "reach": reach,
        **scores, **lucy, "rl_iteration": at,
        **{f"gain{s}": scores[f"psnr_enhanced{s}"] - scores[f"psnr_sim{s}"] for s in references},
        **facts(done, references[""]), **beads,
    }  # fmt: skip


def facts(done: Enhanced, reference: np.ndarray) -> dict[str, Any]:
    """Trust, time and memory."""
    found = done.qc["enhancement"]
    out = {
        "chi2": found["chi2"], "flux_ratio": found["flux_ratio"], "verdicts": dict(done.verdicts),
        "flux_to_truth": float(inner(done.deconvolved).mean() / inner(reference).mean()),
        "held_out_gain": found["held_out_gain"], "held_out_gain_sd": found["held_out_gain_sd"],
        "steps": done.provenance["iterations"], "training_s": done.provenance["training_s"],
        "total_s": done.qc["total_s"], "plan_s": done.qc["plan"]["total_s"],
        "peak_memory_gb": done.qc["peak_memory_gb"], "plan_gb": done.qc["plan"]["memory_gb"],
    }  # fmt: skip
    if done.uncertainty is not None:
        off = inner(np.abs(done.deconvolved - reference) < done.uncertainty)
        bright = inner(reference) > np.percentile(inner(reference), 80)
        out |= {"covered_1_sigma": float(off.mean()),
                "covered_1_sigma_bright": float(off[bright].mean())}  # fmt: skip
    return out


def draw(folder: Path, scenes: list[str], target: Path) -> None:
    """A plane and a section of every volume and of the truth, one pair of rows per scene."""
    names = [n for n in PICTURES if n not in ("object", "denoised")] + ["truth"]
    figure = new_figure(2.6 * len(names), 3.5 * len(scenes) + 0.3)
    grid = figure.subplots(2 * len(scenes), len(names), height_ratios=(3, 1) * len(scenes))
    for number, scene in enumerate(scenes):
        kept = np.load(folder / f"{scene.replace(':', '_')}.npz")
        truth = kept["truth"]
        z, y = len(truth) // 2, int(np.argmax((truth**2).sum(axis=(0, 2))))
        for column, name in enumerate(names):
            volume = kept[name]
            for part, ax in zip((volume[z], volume[:, y]), grid[2 * number :, column],
                                strict=False):  # fmt: skip
                high = np.percentile(truth[z], 99.8)
                ax.imshow(part, cmap="inferno", vmin=0, vmax=high, aspect="auto")
                ax.set(xticks=[], yticks=[])
            grid[2 * number, column].set_title(
                f"{name}, {scene.replace(':', ' ')} e" if column == 0 else name, fontsize=9
            )
    figure.savefig(target, dpi=90)


def earlier_rows() -> list[dict[str, Any]]:
    """Rows of earlier runs."""
    path = RESULTS / f"{NAME}.json"
    return list(json.loads(path.read_text())["results"]["rows"]) if path.exists() else []


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", nargs="+", default=list(SCENES))
    parser.add_argument("--shape", nargs=3, type=int, default=[12, 64, 64])
    parser.add_argument("--iterations", type=int, default=250)
    parser.add_argument("--seed", type=int, default=3, help="chosen by the truth: it is not empty")
    parser.add_argument("--quick", action="store_true", help="no uncertainty")
    parser.add_argument("--pictures", type=Path, help="folder for the volumes of every scene")
    parser.add_argument("--figure", type=Path, help="figure of the scenes (--pictures)")
    a = parser.parse_args()
    less = {"uncertainty_draws": 0} if a.quick else {}
    settings = ZsSettings(**{**VOLUME_DEFAULTS, "iterations": a.iterations, **less})
    said = settings.model_dump(mode="json")
    rows = earlier_rows()
    for scene in a.scenes:
        if (scene, a.shape, a.seed) in [(r["scene"], r["shape"], r["seed"]) for r in rows]:
            continue
        rows.append(row(scene, tuple(a.shape), settings, a.seed, a.pictures))
        print(json.dumps(rows[-1]), flush=True)
        save(NAME, {"settings": said, "rows": rows})
    cells = [[r.get(key, "") for key in COLUMNS] for r in rows]
    shown = [[f"{v:.2f}" if isinstance(v, float) else v for v in line] for line in cells]
    print(table(list(COLUMNS.values()), shown))
    if a.pictures and a.figure:
        draw(a.pictures, a.scenes, a.figure)


if __name__ == "__main__":
    main()
