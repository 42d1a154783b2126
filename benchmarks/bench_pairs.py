"""Re-corrupted against pixel-realigned pairs on simulated SIM frames with known truth.

    python benchmarks/bench_pairs.py [--size 96] [--iterations 200] [--kinds filaments rings]
        [--peaks 10 50] [--noises "as told" "gain × 1.5" …] [--pairs re-corrupted realigned]

The same network, steps and seed learn from re-corrupted pairs (default settings; of the right noise
model also without the re-simulation term, which needs the noise model too) and from pixel-realigned
ones, which know no noise. What the camera is said to be is right (``as told``) or wrong: its gain
is stated 1.5 times too large or too small, the electrons were multiplied at random (EMCCD: twice
the shot noise, and skewed), or every row of every frame has an offset of its own of 2 e rms, which
is no independent noise. PSNR in dB after the least-squares linear fit, against the object at 1.5
times the SIM resolution; χ² of the raw frames in units of the stated noise. The pattern is the true
one. Rows go to ``results/pairs.json`` as they come, after those of earlier runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, table

from simrecon.model.camera import Camera
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import Truth, simulate
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.demo import reference_object

NOISES = ("as told", "gain × 1.5", "gain ÷ 1.5", "multiplied", "rows")
PAIRS: dict[str, dict[str, Any]] = {
    "re-corrupted": {},
    "realigned": {"pairs": "realigned"},
    "re-corrupted, no re-simulation": {"resimulation": 0.0},
}
ROW_NOISE_E = 2.0
QUIET = {"probes": False, "uncertainty_draws": 0, "held_out_draws": 0}


def with_noise(stack: SimStack, truth: Truth, noise: str, seed: int) -> SimStack:
    """The frames with another noise than their camera says, or another camera than they had."""
    camera = stack.camera
    gain = float(np.asarray(camera.gain))
    if noise.startswith("gain"):
        wrong = gain * 1.5 if "×" in noise else gain / 1.5
        return replace(stack, camera=Camera(wrong, camera.offset, camera.read_noise_e))
    if noise == "as told":
        return stack
    rng = np.random.default_rng([seed, 5])
    electrons = (np.asarray(stack.data, dtype=np.float64) - camera.offset) / gain
    if noise == "multiplied":
        photons = rng.poisson(truth.expected_e).reshape(stack.data.shape)
        electrons = np.where(photons > 0, rng.gamma(np.maximum(photons, 1e-9)), 0.0)
        electrons += rng.normal(0.0, float(np.asarray(camera.read_noise_e)), electrons.shape)
    else:
        electrons += rng.normal(0.0, ROW_NOISE_E, (*electrons.shape[:-1], 1))
    counts = np.rint(electrons * gain + camera.offset)
    return replace(stack, data=np.clip(counts, 0, 65535).astype(np.uint16))


def rows(
    kind: Any, peak_e: float, noise: str, size: int, seed: int, values: dict[str, Any],
    kept: Sequence[str], pictures: Path | None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """One scene with every kind of pairs."""
    stack, truth = simulate(shape=(size, size), kind=kind, peak_e=peak_e, background=2.0, seed=seed)
    stack = with_noise(stack, truth, noise, seed)
    reference = reference_object(truth, stack.pixel_um)
    shown = {"truth": reference}
    for name, chosen in PAIRS.items():
        if name not in kept or ("resimulation" in chosen and noise != "as told"):
            continue
        began = time.process_time()
        done = enhance(stack, ZsSettings(**values, **QUIET, **chosen), pattern=truth.pattern)
        shown |= {"sim": done.image, name: done.deconvolved, f"{name}, denoised": done.denoised}
        yield {
            "object": kind, "peak_e": peak_e, "noise": noise, "seed": seed, "size": size,
            "pairs": name, **values,
            "sim": float(psnr(done.image, reference)),
            "denoised": float(psnr(done.denoised, reference)),
            "enhanced": float(psnr(done.deconvolved, reference)),
            "chi2": done.qc["enhancement"]["chi2"], "cpu_s": time.process_time() - began,
        }  # fmt: skip
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        np.savez(pictures / f"{kind}_{peak_e:g}_{NOISES.index(noise)}.npz", **shown)


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--patch", type=int, default=192)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--kinds", nargs="*", default=["filaments", "rings"])
    parser.add_argument("--peaks", nargs="*", type=float, default=[10.0, 50.0])
    parser.add_argument("--noises", nargs="*", choices=NOISES, default=NOISES)
    parser.add_argument("--pairs", nargs="*", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of every scene")
    a = parser.parse_args(argv)
    values = {"iterations": a.iterations, "patch": a.patch, "width": a.width}
    path = RESULTS / "pairs.json"
    found = json.loads(path.read_text())["results"] if path.exists() else []
    for noise in a.noises:
        for kind in a.kinds:
            for peak_e in a.peaks:
                for row in rows(kind, peak_e, noise, a.size, a.seed, values, a.pairs, a.pictures):
                    found.append(row)
                    print(json.dumps(row), flush=True)
                    save("pairs", found)
    keys = ("noise", "object", "peak_e", "pairs", "sim", "denoised", "enhanced", "chi2")
    cells = [[f"{r[k]:.2f}" if isinstance(r[k], float) else r[k] for k in keys] for r in found]
    print(table(list(keys), cells))


if __name__ == "__main__":
    main()
