"""Pairs in time against re-corrupted pairs: a movie of which one part stands still.

    python benchmarks/bench_movie.py [--steps 0 1 4] [--size 96] [--iterations 200]

Five simulated widefield pictures: filaments that stand still, and beads that travel along x by so
many pixels (65 nm) from picture to picture. One network learns from all five, once from pairs in
time and once from re-corrupted ones; ``wrong gain``: the camera's gain is stated 1.5 times too
large, which only re-corruption uses in its pairs. PSNR in dB of the middle picture, denoised
against the noise-free picture, deconvolved against the object at 1.4 times the cut-off, after one
linear fit of the whole picture: over the field, over the pixels where the beads make at least a
tenth of their brightest light (``moving``), and over the others (``still``). Rows go to
``results/movie.json`` as they come.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, table

from simrecon.model.camera import Camera
from simrecon.physics.exposure import expose
from zsdeconv import ZsSettings
from zsdeconv.demo_picture import CAMERA, PictureScene, simulate_picture
from zsdeconv.image_psf import theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.picture_training import train_pictures

PICTURES = 5
BACKGROUND_E = 2.0
KINDS = ("recorrupted", "temporal")
QUIET = {"probes": False, "uncertainty_draws": 0, "held_out_draws": 0}


def cut(picture: np.ndarray, column: int, size: int) -> np.ndarray:
    """A window of a larger picture, without its background."""
    return picture[:size, column : column + size].astype(np.float64) - BACKGROUND_E


def movie(
    step_px: int, size: int, peak_e: float, seed: int
) -> tuple[list[np.ndarray], dict[str, np.ndarray], PictureScene]:
    """Counts in order of time; truths of the middle picture; the still scene."""
    still = simulate_picture(kind="filaments", size=size, peak_e=peak_e,
                             background_e=BACKGROUND_E, seed=seed)  # fmt: skip
    wide = size + step_px * PICTURES
    moving = simulate_picture(kind="beads", size=wide + wide % 2, peak_e=peak_e,
                              background_e=BACKGROUND_E, seed=seed + 1)  # fmt: skip
    rng = np.random.default_rng([seed, 11])
    counts = []
    for t in range(PICTURES):
        clean = still.clean_e + cut(moving.clean_e, t * step_px, size)
        counts.append(expose(clean, CAMERA, rng)[0])
    middle = PICTURES // 2 * step_px
    beads = cut(moving.clean_e, middle, size)
    truths = {
        "denoised": still.clean_e + beads,
        "deconvolved": still.reference + cut(moving.reference, middle, size),
        "moving": beads > 0.1 * np.percentile(beads, 99.9),
    }
    return counts, truths, still


def regional(picture: np.ndarray, truth: np.ndarray, moving: np.ndarray) -> dict[str, float]:
    """PSNR of the regions after one linear fit; the peak is the whole truth's range."""
    slope, shift = np.polyfit(picture.ravel(), truth.ravel(), 1)
    error = (slope * picture + shift - truth) ** 2
    peak = 20.0 * np.log10(np.ptp(truth))
    regions = {"all": np.ones_like(moving), "moving": moving, "still": ~moving}
    return {k: float(peak - 10.0 * np.log10(error[r].mean())) for k, r in regions.items()}


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", nargs="*", type=int, default=[0, 1, 4])
    parser.add_argument("--gains", nargs="*", type=float, default=[1.0, 1.5])
    parser.add_argument("--peak", type=float, default=20.0)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=71)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of every case")
    a = parser.parse_args()
    path = RESULTS / "movie.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())["results"] if path.exists() else []
    for gain in a.gains:
        for step_px in a.steps:
            counts, truths, still = movie(step_px, a.size, a.peak, a.seed)
            optics = still.stack.optics[0]
            psf = theoretical_psf(optics, still.stack.pixel_um, "widefield")
            camera = Camera(CAMERA.gain * gain, CAMERA.offset, CAMERA.read_noise_e)
            imaging = Imaging(still.stack.pixel_um, psf, optics.cutoff_per_um, camera)
            shown = {"truth": truths["deconvolved"], "clean": truths["denoised"],
                     "noisy": counts[PICTURES // 2]}  # fmt: skip
            for pairs in KINDS:
                settings = ZsSettings(
                    iterations=a.iterations, patch=96, seed=5, pairs=pairs, **QUIET
                )
                began = time.process_time()
                made = train_pictures(counts, imaging, settings)
                row = {
                    "step_px": step_px, "gain_stated": gain, "peak_e": a.peak, "pairs": pairs,
                    "size": a.size, "seed": a.seed, "iterations": a.iterations,
                    "cpu_s": time.process_time() - began,
                    "noisy": regional(made.image, truths["denoised"], truths["moving"]),
                    "denoised": regional(made.denoised, truths["denoised"], truths["moving"]),
                    "deconvolved": regional(
                        made.deconvolved, truths["deconvolved"], truths["moving"]
                    ),
                }  # fmt: skip
                shown |= {pairs: made.deconvolved, f"{pairs}, denoised": made.denoised}
                rows.append(row)
                print(json.dumps(row), flush=True)
                save("movie", rows)
            if a.pictures:
                a.pictures.mkdir(parents=True, exist_ok=True)
                np.savez(a.pictures / f"movie_{step_px}_{gain:g}.npz", **shown)
    keys = ("gain_stated", "step_px", "pairs")
    cells = [
        [*(r[k] for k in keys), *(f"{r[s][p]:.2f}" for s in ("denoised", "deconvolved")
                                  for p in ("moving", "still"))]
        for r in rows
    ]  # fmt: skip
    print(table([*keys, "denoised, moving", "still", "deconvolved, moving", "still"], cells))


if __name__ == "__main__":
    main()
