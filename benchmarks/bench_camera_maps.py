"""Per-pixel camera maps against their means: error of fit and picture, and the variance.

A simulated sCMOS camera: gain ±5 %, offset ±3 counts, read noise 1–3 e with 5 % of the columns at
10 e; without and with dead pixels (0.05 % each of NaN gain and of 60 e read noise). 256², 3 × 3.
The picture's error is the rms difference to the operator with true pattern on noise-free frames,
over the rms of that picture.

    python benchmarks/bench_camera_maps.py
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from scmos import expose, pattern_errors, scmos

from simrecon import pipeline
from simrecon.errors import QualityError
from simrecon.model.camera import Camera
from simrecon.physics.simulate import simulate
from simrecon.recon.operator import Reconstructor

SHAPE = (256, 256)


def run(stack: Any, truth: Any, ideal: np.ndarray) -> dict[str, Any]:
    """Errors of one way to describe the camera."""
    try:
        result = pipeline.reconstruct(stack)
    except QualityError:
        return {"fit": "failed"}
    frequency_px, phase_deg = pattern_errors(result.pattern, truth.pattern)
    off = result.image[0, 0, 0] - ideal
    inside = (slice(8, -8), slice(8, -8))
    predicted = float(np.mean(result.variance[0, 0, 0][inside]))
    return {
        "frequency_px": frequency_px,
        "phase_deg": phase_deg,
        "picture": float(np.sqrt(np.mean(off**2) / np.mean(ideal**2))),
        "error power over variance": float(np.mean(off[inside] ** 2)) / predicted,
        "noise_model": result.verdicts["noise_model"],
        "overall": result.verdicts["overall"],
    }


def main() -> None:
    table: dict[str, Any] = {}
    for peak_e in (1000.0, 100.0, 30.0):
        for bad in (0, 64):
            rows: dict[str, list[dict[str, Any]]] = {"maps": [], "means": []}
            for seed, kind in enumerate(("filaments", "mixed")):
                stack, truth = simulate(
                    shape=SHAPE, kind=kind, peak_e=peak_e, seed=seed, background=5.0
                )
                camera = scmos(SHAPE, seed, bad)
                counts = expose(truth.expected_e, camera, np.random.default_rng(seed + 10))
                stack = replace(stack, data=counts[None, None, :, :, None], camera=camera)
                level = truth.expected_e.mean(axis=(2, 3)) + camera.summary()["read_noise_e"] ** 2
                operator = Reconstructor.from_frames(
                    truth.expected_e, truth.pattern, truth.otf, stack.grid,
                    frame_variance_e2=level,
                )  # fmt: skip
                ideal = np.asarray(operator.reconstruct(truth.expected_e))
                rows["maps"].append(run(stack, truth, ideal))
                means = Camera(**camera.summary(), source="given")
                rows["means"].append(run(replace(stack, camera=means), truth, ideal))
            name = f"{peak_e:g} e, {bad} bad pixels"
            table[name] = rows
            for way, found in rows.items():
                print(name, way, found, flush=True)
    save("camera_maps", table)


if __name__ == "__main__":
    main()
