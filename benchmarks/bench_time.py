"""Time and memory of the engine on 9 frames: fit, build, reconstruct, variance.

Run: ``python benchmarks/bench_time.py [--sizes 512 256 511 1024 2048] [--runs 7]``. Medians of wall
times in one warm process, as multiples of the bare FFTs that any band-separating reconstruction
needs (one padded complex transform per band and direction, one of the picture), and the peak
memory. With napari-sim-processor installed (BSD-3, from PyPI) its calibration (phases fitted, as
ours) and reconstruction of the same frames run in turn with ours; it takes square even frames only.
Exits 1 when 512² takes more than 2 s, or more than half of the peer's time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import peer_napari
from common import save, table

from simrecon.backend import fft2, ifft2
from simrecon.estimate import estimate_pattern
from simrecon.model.optics import Optics
from simrecon.physics.simulate import simulate
from simrecon.provenance import peak_memory_gb
from simrecon.recon.operator import Reconstructor
from simrecon.recon.preprocess import raw_variance

LIMIT_S = 2.0
LIMIT_OF_PEER = 0.5
PEER_FROM, PEER_TO = 256, 1024
"""Sizes at which the peer runs along (beyond, its arrays no longer fit beside ours)."""


def timed(functions: dict[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Median wall time of every function; they take turns, after one warm-up each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def measure(size: int, runs: int, peer: Any | None) -> dict[str, float]:
    """All times of one size, s."""
    optics = Optics(na=1.4, emission_nm=520.0)
    stack, truth = simulate(
        shape=(size, size), optics=optics, phase_jitter_rad=0.1, intensity_jitter=0.03, seed=1
    )
    frames, grid, otf = stack.frames_e(), stack.grid, truth.otf
    variance = raw_variance(frames, stack.camera)
    mean_variance = variance.mean(axis=(2, 3))
    pattern = estimate_pattern(frames, grid.pixel_um, otf, variance_e2=variance)

    def build() -> Reconstructor:
        return Reconstructor.from_frames(
            frames, pattern, otf, grid, frame_variance_e2=mean_variance
        )

    operator = build()
    padded = operator.padded_sr_grid.shape
    raw = np.zeros((6, padded[0] // 2, padded[1] // 2), np.complex64)
    picture = np.zeros(padded, np.complex64)
    functions: dict[str, Callable[[], Any]] = {
        "fit": lambda: estimate_pattern(frames, grid.pixel_um, otf, variance_e2=variance),
        "build": build,
        "reconstruct": lambda: operator.reconstruct(frames),
        "variance": lambda: operator.variance(variance),
        "bare_fft": lambda: (fft2(raw), ifft2(picture)),
    }
    if peer is not None and size % 2 == 0 and PEER_FROM <= size <= PEER_TO:
        stack9 = np.maximum(frames.reshape(9, size, size), 0)
        tool = peer_napari.configured(peer, optics, grid.pixel_um, 3, 3)
        functions["peer_calibrate"] = lambda: tool.calibrate(stack9)
        functions["peer_reconstruct"] = lambda: tool.reconstruct_rfftw(stack9)
    found = timed(functions, runs)
    found["estimate_and_reconstruct"] = found["fit"] + found["build"] + found["reconstruct"]
    if "peer_calibrate" in found:
        found["peer"] = found["peer_calibrate"] + found["peer_reconstruct"]
        found["of_peer"] = found["estimate_and_reconstruct"] / found["peer"]
    return {**found, "peak_memory_gb": peak_memory_gb()}


def row(size: int, found: dict[str, float]) -> list[str]:
    floor = found["bare_fft"]
    cells = [f"{size}²"]
    for name in ("fit", "build", "reconstruct", "variance", "estimate_and_reconstruct"):
        cells.append(f"{found[name]:.3f} ({found[name] / floor:.0f})")
    cells.append(f"{found['peer']:.2f} ({found['of_peer']:.2f})" if "peer" in found else "")
    cells.append(f"{found['peak_memory_gb']:.2f}")
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 511, 512, 1024, 2048])
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    peer = peer_napari.processor_class()
    results = {}
    for size in args.sizes:  # growing sizes: the peak memory is that of the largest so far
        results[str(size)] = measure(size, args.runs if size <= 1024 else 1, peer)
    header = ["9 frames of", "fit s (× bare FFTs)", "build", "reconstruct", "variance map"]
    header += ["estimate + reconstruct", f"{peer_napari.NAME} s (ours/its)", "peak GB so far"]
    print(table(header, [row(int(s), r) for s, r in results.items()]))
    save("time", results)
    at_512 = results.get("512", {})
    slow = at_512.get("estimate_and_reconstruct", 0.0) > LIMIT_S
    return int(slow or at_512.get("of_peer", 0.0) > LIMIT_OF_PEER)


if __name__ == "__main__":
    raise SystemExit(main())
