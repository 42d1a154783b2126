"""Time and memory of 3D-SIM: build, reconstruct, variance, as multiples of the bare FFTs needed.

Run: ``python benchmarks/bench_volume.py [--sizes 128x16 256x24] [--memory 512x32]``. A size is the
raw field's edge in pixels, and its planes; 15 frames. The bare FFTs are one padded complex
transform of the raw size per direction and order, and the inverse real one of the picture. Times
are medians of processor time, which neighbours disturb least; run it with one thread. With
``--memory`` only the peak memory of a process that builds and reconstructs (``--variance``: and
propagates) is measured and set beside the prediction; exits 1 when they differ by over 20 %.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
from common import save, table

from simrecon.backend import fftn, irfftn
from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.theory_volume import theoretical_volume_otf
from simrecon.provenance import peak_memory_gb
from simrecon.recon.memory import frames_memory, operator_memory
from simrecon.recon.operator import Reconstructor

OPTICS = Optics(
    na=1.2, emission_nm=520.0, immersion_index=1.33, excitation_nm=488.0, excitation_na=1.1
)
PIXEL_UM, DZ_UM = 0.08, 0.125


def geometry(size: str) -> VolumeGrid:
    edge, planes = (int(n) for n in size.split("x"))
    return VolumeGrid((planes, edge, edge), PIXEL_UM, DZ_UM)


def three_beam(grid: VolumeGrid) -> PatternFit:
    rng = np.random.default_rng(0)
    frequency = OPTICS.excitation_na / (OPTICS.excitation_nm * 1e-3)
    directions = []
    for d in range(3):
        angle = 0.3 + np.pi * d / 3
        phases = 2 * np.pi * np.arange(5) / 5 + rng.normal(0, 0.05, 5)
        directions.append(
            DirectionPattern(
                frequency_per_um=(frequency * np.sin(angle), frequency * np.cos(angle)),
                phase_rad=tuple(phases),
                modulation=(0.5, 0.7),
                intensity=tuple(1 + rng.normal(0, 0.02, 5)),
            )
        )
    return PatternFit(grid.pixel_um, grid.lateral.shape, tuple(directions))


def timed(functions: dict[str, Any], runs: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    return {name: median(values) for name, values in times.items()}


def measure(size: str, runs: int) -> dict[str, float]:
    grid = geometry(size)
    pattern, otf = three_beam(grid), theoretical_volume_otf(OPTICS, pixel_um=PIXEL_UM)
    frames = np.random.default_rng(1).poisson(100.0, (3, 5, *grid.shape)).astype(np.float32)

    def build() -> Reconstructor:
        return Reconstructor.from_frames(frames, pattern, otf, grid, frame_variance_e2=100.0)

    start = time.process_time()
    operator = build()
    built = time.process_time() - start
    padded = operator.padded_sr_grid.shape
    raw = np.ones((padded[0], padded[1] // 2, padded[2] // 2), np.complex64)
    half = np.ones((*padded[:2], padded[2] // 2 + 1), np.complex64)

    def bare() -> None:
        for _ in range(9):
            fftn(raw, 3)
        irfftn(half, padded)

    start = time.process_time()
    operator.variance(frames)
    first = time.process_time() - start
    functions = {
        "bare_fft": bare,
        "reconstruct": lambda: operator.reconstruct(frames),
        "variance": lambda: operator.variance(frames),
    }
    found = timed(functions, runs)
    return {**found, "build": built, "first_variance": first, "kept": operator._moments.keeps}


def peak(size: str, variance: bool) -> dict[str, float]:
    """Peak memory of this process and what is predicted for it, GB."""
    grid = geometry(size)
    pattern, otf = three_beam(grid), theoretical_volume_otf(OPTICS, pixel_um=PIXEL_UM)
    before = peak_memory_gb()
    frames = np.ones((3, 5, *grid.shape), np.float32)
    frames += np.arange(15, dtype=np.float32).reshape(3, 5, 1, 1, 1)
    operator = Reconstructor.from_frames(frames, pattern, otf, grid, frame_variance_e2=100.0)
    image = operator.reconstruct(frames)
    if variance:
        image = image, operator.variance(frames.copy())
    held = frames_memory(pattern, grid, zoom=2, variance=variance)
    own = operator_memory(pattern, otf, grid, variance=variance).peak
    return {"measured_gb": peak_memory_gb(), "predicted_gb": before + (held + own) / 1e9}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=["128x16", "256x24"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", help="measure the memory of this size only")
    parser.add_argument("--variance", action="store_true", help="with --memory: variance too")
    args = parser.parse_args()
    if args.memory:
        found = peak(args.memory, args.variance)
        print({name: round(value, 2) for name, value in found.items()})
        return int(abs(found["predicted_gb"] / found["measured_gb"] - 1) > 0.2)
    results = {size: measure(size, args.runs) for size in args.sizes}
    rows = []
    for size, found in results.items():
        cells = [size]
        for name in ("build", "reconstruct", "first_variance", "variance"):
            cells.append(f"{found[name]:.2f} ({found[name] / found['bare_fft']:.1f})")
        ratios = (found[name] / found["reconstruct"] for name in ("first_variance", "variance"))
        rows.append([*cells, ", ".join(f"{ratio:.1f}" for ratio in ratios)])
    header = [
        "field x planes",
        "build s (x bare FFTs)",
        "reconstruct",
        "first variance",
        "variance",
    ]
    print(table([*header, "variance / reconstruct"], rows))
    save("volume", results)
    print(f"peak memory {peak_memory_gb():.2f} GB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
