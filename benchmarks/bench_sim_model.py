"""A model of one SIM recording on other recordings of the same set-up: as it is, and adapted.

    python benchmarks/bench_sim_model.py --size 128 --iterations 150 --adapt 50

The model learns from one recording of filaments (``zsdeconv.enhance``). It then restores new
recordings of filaments, rings and blobs at the same light, and of filaments at a quarter and at
four times of it, each with its own pattern ("model": ``zsdeconv sim --model``; "adapted": with
``--adapt``); "alone" is a training of its own with as many steps as the model had. PSNR in dB after
the linear fit to the object at 1.5 times the SIM resolution; processor seconds of everything after
the reconstruction. Results go to ``results/sim_model.json`` as they come.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from bench_series import BORDER_PX
from common import save, table

from simrecon.config import Settings
from simrecon.errors import QualityError
from simrecon.physics.simulate import simulate
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.demo import reference_object
from zsdeconv.learned import Learned
from zsdeconv.measurement import Measurement
from zsdeconv.sim_model import SimModel
from zsdeconv.time_points import Recording


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--adapt", type=int, default=50)
    parser.add_argument("--peak-e", type=float, default=40.0)
    a = parser.parse_args(argv)
    settings = ZsSettings(iterations=a.iterations, uncertainty_draws=0, probes=False)

    def scene(kind: Any, peak_e: float, seed: int) -> tuple[Measurement, np.ndarray, str]:
        stack, truth = simulate(shape=(a.size, a.size), kind=kind, peak_e=peak_e, seed=seed,
                                noise_seed=seed, phase_jitter_rad=0.05)  # fmt: skip
        wanted = reference_object(truth, stack.pixel_um)
        try:
            return Recording(stack, settings, Settings()).measure(0)[1], wanted, "fitted"
        except QualityError:
            known = Recording(stack, settings, Settings(), pattern=truth.pattern)
            return known.measure(0)[1], wanted, "true"

    first, *_ = scene("filaments", a.peak_e, 5)
    made = enhance(first, settings)
    model = SimModel(
        Learned.of(made.model, made.model_facts, first.image_cutoff_px), made.model_facts
    )
    rows: list[dict[str, Any]] = []
    cases = [("filaments", 1.0), ("rings", 1.0), ("blobs", 1.0), ("filaments", 0.25),
             ("filaments", 4.0)]  # fmt: skip
    for number, (kind, share) in enumerate(cases):
        m, wanted, pattern = scene(kind, share * a.peak_e, 25 + number)

        def score(image: np.ndarray, reference: np.ndarray = wanted) -> float:
            return round(float(psnr(image, reference, margin_px=BORDER_PX)), 2)

        row: dict[str, Any] = {
            "object": kind,
            "peak_e": share * a.peak_e,
            "pattern": pattern,
            "sim": score(m.inside(m.image)),
        }
        rows.append(row)
        ways: dict[str, Any] = {
            "model": lambda m=m: model.predict(m),
            "adapted": lambda m=m: model.adapted(m, a.adapt),
            "alone": lambda m=m: enhance(m, settings),
        }
        for name, way in ways.items():
            begun = time.process_time()
            found = way()
            row[f"{name}_s"] = round(time.process_time() - begun, 1)
            row |= {name: score(found.deconvolved), f"{name}_denoised": score(found.denoised)}
            chi2 = found.qc["enhancement"]["chi2"] if name == "alone" else found.chi2
            row[f"{name}_chi2"] = round(chi2, 3)
        save("sim_model", {**vars(a), "rows": rows})
    ways_told = [f"{n}{s}" for n in ("model", "adapted", "alone") for s in ("", "_chi2", "_s")]
    header = ["object", "peak_e", "pattern", "sim", *ways_told]
    print(table(header, [[row[k] for k in header] for row in rows]))


if __name__ == "__main__":
    main()
