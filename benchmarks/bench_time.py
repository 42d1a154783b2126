"""Time and memory of the engine on 9 frames: fit, build, reconstruct, variance.

Run: ``python benchmarks/bench_time.py [--sizes 256 512 513 1024 2048] [--runs 7]``. Every size has
a process of its own, which reads the frames from a file: its peak memory is the engine's (before
the peer runs). Times are medians of wall times in that warm process (beyond `WARM_UP_TO` one run,
the peer's first), also as multiples of the bare FFTs that any band-separating reconstruction needs
(one padded complex transform per band and direction, one of the picture). With
napari-sim-processor installed (BSD-3, from PyPI) its calibration (phases fitted, as ours) and
reconstruction of the same frames run in turn with ours; it takes square even frames only. Processor
times of both, all threads together, are kept beside. Exits 1 when 512² takes more than 2 s, or 512²
or 1024² more than half of the peer's time.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
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
LIMIT_OF_PEER = {"512": 0.5, "1024": 0.5}
OPTICS = Optics(na=1.4, emission_nm=520.0)
WARM_UP_TO = 1024
"""Largest size that is run more than once."""


def timed(
    functions: dict[str, Callable[[], Any]], runs: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Median wall and processor times of every function; they take turns, after a warm-up each."""
    wall: dict[str, list[float]] = {name: [] for name in functions}
    processor: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 1 if runs > 1 else 1):
        for name, function in functions.items():
            start, used = time.perf_counter(), time.process_time()
            function()
            if turn or runs == 1:
                wall[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - used)
    return tuple({name: median(v) for name, v in one.items()} for one in (wall, processor))


def prepare(size: int, path: Path) -> None:
    """Simulated frames, their variance, OTF and grid, in a file."""
    stack, truth = simulate(
        shape=(size, size), optics=OPTICS, phase_jitter_rad=0.1, intensity_jitter=0.03, seed=1
    )
    frames = stack.frames_e()
    with path.open("wb") as file:
        pickle.dump((frames, raw_variance(frames, stack.camera), stack.grid, truth.otf), file)


def measure(path: Path, runs: int) -> dict[str, Any]:
    """All times of one size, s."""
    with path.open("rb") as file:
        frames, variance, grid, otf = pickle.load(file)
    mean_variance = variance.mean(axis=(2, 3))

    def fit() -> Any:
        return estimate_pattern(frames, grid.pixel_um, otf, variance_e2=variance)

    def build() -> Reconstructor:
        return Reconstructor.from_frames(
            frames, pattern, otf, grid, frame_variance_e2=mean_variance
        )

    pattern = fit()
    operator = build()
    operator.reconstruct(frames)
    peak = peak_memory_gb()
    padded = operator.padded_sr_grid.shape
    raw = np.zeros((6, padded[0] // 2, padded[1] // 2), np.complex64)
    picture = np.zeros(padded, np.complex64)
    functions: dict[str, Callable[[], Any]] = {
        "fit": fit,
        "build": build,
        "reconstruct": lambda: operator.reconstruct(frames),
        "variance": lambda: operator.variance(variance),
        "bare_fft": lambda: (fft2(raw), ifft2(picture)),
    }
    peer, size = peer_napari.processor_class(), grid.shape[0]
    if peer is not None and size % 2 == 0:
        stack9 = np.maximum(frames.reshape(9, size, size), 0)
        tool = peer_napari.configured(peer, OPTICS, grid.pixel_um, 3, 3)
        functions["peer_calibrate"] = lambda: tool.calibrate(stack9)
        functions["peer_reconstruct"] = lambda: tool.reconstruct_rfftw(stack9)
    found, processor = (with_sums(one) for one in timed(functions, runs))
    return {**found, "peak_memory_gb": peak, "verdict": pattern.verdict, "processor": processor}


def with_sums(times: dict[str, float]) -> dict[str, float]:
    """Add what is compared with the peer, and the ratio."""
    times = dict(times)
    times["estimate_and_reconstruct"] = times["fit"] + times["build"] + times["reconstruct"]
    if "peer_calibrate" in times:
        times["peer"] = times["peer_calibrate"] + times["peer_reconstruct"]
        times["of_peer"] = times["estimate_and_reconstruct"] / times["peer"]
    return times


def row(size: str, found: dict[str, Any]) -> list[str]:
    floor = found["bare_fft"]
    cells = [f"{size}²"]
    for name in ("fit", "build", "reconstruct", "variance", "estimate_and_reconstruct"):
        cells.append(f"{found[name]:.3f} ({found[name] / floor:.0f})")
    own = found["processor"]
    cells.append(f"{found['peer']:.2f} ({found['of_peer']:.2f})" if "peer" in found else "")
    cells.append(f"{own['of_peer']:.2f}" if "peer" in own else "")
    cells.append(f"{found['peak_memory_gb']:.2f}")
    return cells


def in_own_process(size: int, runs: int, folder: Path) -> dict[str, Any]:
    """:func:`measure` in a fresh interpreter."""
    path, result = folder / f"{size}.pickle", folder / "result.pickle"
    prepare(size, path)
    command = [sys.executable, __file__, "--runs", str(runs), "--frames", str(path)]
    subprocess.run([*command, "--result", str(result)], check=True)
    path.unlink()
    found: dict[str, Any] = pickle.loads(result.read_bytes())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 513, 1024, 2048])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--name", default="time", help="results/NAME.json")
    parser.add_argument("--frames", type=Path, help="used by the program itself")
    parser.add_argument("--result", type=Path, help="used by the program itself")
    args = parser.parse_args()
    if args.frames is not None:
        args.result.write_bytes(pickle.dumps(measure(args.frames, args.runs)))
        return 0
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in args.sizes:
            runs = args.runs if size <= WARM_UP_TO else 1
            results[str(size)] = in_own_process(size, runs, Path(folder))
    header = ["9 frames of", "fit s (× bare FFTs)", "build", "reconstruct", "variance map"]
    header += ["estimate + reconstruct", f"{peer_napari.NAME} s (ours/its)", "processor time"]
    print(table([*header, "peak GB"], [row(s, r) for s, r in results.items()]))
    if peer_napari.processor_class() is not None:
        results["peer_version"] = version(peer_napari.NAME)
    save(args.name, results)
    slow = results.get("512", {}).get("estimate_and_reconstruct", 0.0) > LIMIT_S
    behind = [results.get(s, {}).get("of_peer", 0.0) > most for s, most in LIMIT_OF_PEER.items()]
    return int(slow or any(behind))


if __name__ == "__main__":
    raise SystemExit(main())
