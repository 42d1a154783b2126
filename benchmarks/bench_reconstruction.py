"""Fitted against true parameters, and against napari-sim-processor, on the same raw frames.

Run: ``python benchmarks/bench_reconstruction.py --bench2d DIR [--objects 1 2] [--seeds 0 1]``
where DIR holds ``gen_sim2d.py`` and ``simmetrics.py``, a generator and a scorer that share no
code with this project (512², 3×3, periods 208–213 nm, modulation 0.85/0.70/0.55). With
napari-sim-processor installed (BSD-3, from PyPI) it runs beside ours in the same process.

"equalised PSNR" is the PSNR after the best gain per Fourier ring, so that apodizations cancel.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
import types
from statistics import mean, median
from typing import Any

import numpy as np
from common import save, table

from simrecon.estimate import estimate_pattern
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.otf import theoretical_otf
from simrecon.recon.operator import Reconstructor
from simrecon.recon.preprocess import raw_variance

WIENER_SWEEP = (0.02, 0.05, 0.1, 0.2)


def true_pattern(truth: dict[str, Any]) -> PatternFit:
    """The generator's parameters (fx, fy) in our value type (fy, fx)."""
    directions = tuple(
        DirectionPattern(
            (truth["F"][d][1], truth["F"][d][0]),
            tuple(truth["phases"][d]),
            (truth["m"][d],),
            tuple(truth["amps"][d]),
        )
        for d in range(3)
    )
    return PatternFit(truth["dx"], (truth["N"], truth["N"]), directions)


def on_raw_pixel_zero(image: np.ndarray) -> np.ndarray:
    """Move SR pixel centres onto the scorer's grid (its pixel 0 lies on raw pixel 0)."""
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(1j * np.pi * (ky + kx))).real


def ours(raw: np.ndarray, truth: dict[str, Any], pattern: PatternFit | None) -> dict[str, Any]:
    """Image and times of this project, with fitted or given parameters."""
    frames = (raw - truth["offset"]).astype(np.float32)
    optics = Optics(na=truth["na"], emission_nm=1e3 * truth["lem"], pixel_integration=False)
    otf = theoretical_otf(optics, model="ideal")
    variance = raw_variance(frames, Camera(read_noise_e=truth["read"]))
    start = time.perf_counter()
    if pattern is None:
        pattern = estimate_pattern(frames, truth["dx"], otf, variance_e2=variance)
    fitted = time.perf_counter()
    operator = Reconstructor.from_frames(
        frames,
        pattern,
        otf,
        Grid((truth["N"],) * 2, truth["dx"]),
        frame_variance_e2=variance.mean(axis=(2, 3)),
    )
    image = operator.reconstruct(frames)
    end = time.perf_counter()
    return {"image": on_raw_pixel_zero(image), "fit_s": fitted - start, "recon_s": end - fitted}


def napari_processor() -> Any | None:
    """The peer's processor class, without importing its Qt widget; None when not installed."""
    spec = importlib.util.find_spec("napari_sim_processor")
    if spec is None or spec.submodule_search_locations is None:
        return None
    package = types.ModuleType("napari_sim_processor")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["napari_sim_processor"] = package
    module = importlib.import_module("napari_sim_processor.processors.convSimProcessor")
    return module.ConvSimProcessor


def napari(raw: np.ndarray, truth: dict[str, Any], cls: Any, score: Any) -> dict[str, Any]:
    """The peer with its phases fitted, best Wiener parameter of a sweep (chosen by the truth)."""
    best: dict[str, Any] = {}
    for wiener in WIENER_SWEEP:
        tool = cls(3, 3)
        tool.debug = False
        tool.magnification, tool.pixelsize = 1.0, truth["dx"]
        tool.NA, tool.wavelength, tool.n = truth["na"], truth["lem"], 1.515
        tool.beta, tool.w, tool.eta, tool.usePhases = 0.0, wiener, 0.75, True
        stack = np.maximum(raw.reshape(9, truth["N"], truth["N"]) - truth["offset"], 0)
        start = time.perf_counter()
        tool.calibrate(stack.astype(np.float32))
        fitted = time.perf_counter()
        image = tool.reconstruct_rfftw(stack.astype(np.float32))
        end = time.perf_counter()
        result = {"image": image, "fit_s": fitted - start, "recon_s": end - fitted}
        result["psnr_eq"] = score(image, truth)
        if not best or result["psnr_eq"] > best["psnr_eq"]:
            best = result
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench2d", required=True)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--peaks", type=float, nargs="+", default=[1000, 100])
    args = parser.parse_args()
    sys.path.insert(0, args.bench2d)
    generator = importlib.import_module("gen_sim2d")
    metrics = importlib.import_module("simmetrics")
    peer = napari_processor()
    results = []
    for peak in args.peaks:
        for objseed in args.objects:
            for seed in args.seeds:
                raw, _, _, reference, truth = generator.simulate(peak, True, seed, objseed)

                def score(image: np.ndarray, tr: Any, ref: np.ndarray = reference) -> float:
                    return float(metrics.image_metrics(image, ref, tr)["psnr_eq"])

                entry: dict[str, Any] = {"peak": peak, "object": objseed, "seed": seed}
                runs = {
                    "true": ours(raw, truth, true_pattern(truth)),
                    "fit": ours(raw, truth, None),
                }
                if peer is not None:
                    runs["napari-sim-processor"] = napari(raw, truth, peer, score)
                for name, run in runs.items():
                    entry[name] = {
                        "psnr_eq": score(run["image"], truth),
                        "fit_s": run["fit_s"],
                        "recon_s": run["recon_s"],
                    }
                print(entry, flush=True)
                results.append(entry)
    rows = []
    for peak in args.peaks:
        some = [r for r in results if r["peak"] == peak]
        for name in ("true", "fit", "napari-sim-processor"):
            if name not in some[0]:
                continue
            loss = mean(r["true"]["psnr_eq"] - r[name]["psnr_eq"] for r in some)
            rows.append(
                [
                    f"{peak:g}",
                    name,
                    f"{mean(r[name]['psnr_eq'] for r in some):.2f}",
                    f"{loss:.2f}",
                    f"{median(r[name]['fit_s'] for r in some):.2f}",
                    f"{median(r[name]['recon_s'] for r in some):.2f}",
                ]
            )
    header = ["peak e", "parameters", "PSNR eq. dB", "loss to true, dB", "fit s", "recon s"]
    print(table(header, rows))
    save("reconstruction", results)


if __name__ == "__main__":
    main()
