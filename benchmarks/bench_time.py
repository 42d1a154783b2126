"""Time and memory of the engine on 512² × 9 frames: fit, build, reconstruct, variance.

Run: ``python benchmarks/bench_time.py [--size 512] [--runs 7]``. Medians of wall times in one
warm process, as multiples of the bare FFTs that any band-separating reconstruction needs (one
padded complex transform per band and direction, one of the picture), and the peak memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from common import save, table

from simrecon.backend import fft2, ifft2
from simrecon.estimate import estimate_pattern
from simrecon.physics.simulate import simulate
from simrecon.provenance import peak_memory_gb
from simrecon.recon.operator import Reconstructor
from simrecon.recon.preprocess import raw_variance

LIMIT_S = 2.0


def timed(function: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Median wall time of `runs` calls after one warm-up, and the last result."""
    result = function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return median(times), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    stack, truth = simulate(
        shape=(args.size, args.size), phase_jitter_rad=0.1, intensity_jitter=0.03, seed=1
    )
    frames, grid, otf = stack.frames_e(), stack.grid, truth.otf
    variance = raw_variance(frames, stack.camera)
    mean_variance = variance.mean(axis=(2, 3))

    def fit() -> Any:
        return estimate_pattern(frames, grid.pixel_um, otf, variance_e2=variance)

    fit_s, pattern = timed(fit, args.runs)

    def build() -> Reconstructor:
        return Reconstructor.from_frames(
            frames, pattern, otf, grid, frame_variance_e2=mean_variance
        )

    build_s, operator = timed(build, args.runs)
    recon_s, _ = timed(lambda: operator.reconstruct(frames), args.runs)
    variance_s, _ = timed(lambda: operator.variance(variance), args.runs)
    padded = operator.padded_sr_grid.shape
    raw = np.zeros((6, padded[0] // 2, padded[1] // 2), np.complex64)
    picture = np.zeros(padded, np.complex64)
    floor_s, _ = timed(lambda: (fft2(raw), ifft2(picture)), args.runs)
    total = fit_s + build_s + recon_s
    rows = [
        ["pattern fit", f"{fit_s:.2f}", f"{fit_s / floor_s:.0f}"],
        ["operator, automatic regularisation", f"{build_s:.2f}", f"{build_s / floor_s:.0f}"],
        ["reconstruct", f"{recon_s:.3f}", f"{recon_s / floor_s:.1f}"],
        ["variance map", f"{variance_s:.2f}", f"{variance_s / floor_s:.1f}"],
        ["estimate + reconstruct", f"{total:.2f} (limit {LIMIT_S:g})", f"{total / floor_s:.0f}"],
        ["bare FFTs", f"{floor_s:.3f}", "1"],
    ]
    print(table([f"{args.size}² × 9", "median s", "× bare FFTs"], rows))
    memory = peak_memory_gb()
    print(f"peak memory {memory:.2f} GB")
    save(
        "time",
        {
            "size": args.size,
            "fit_s": fit_s,
            "build_s": build_s,
            "reconstruct_s": recon_s,
            "variance_s": variance_s,
            "bare_fft_s": floor_s,
            "estimate_and_reconstruct_s": total,
            "peak_memory_gb": memory,
        },
    )


if __name__ == "__main__":
    main()
