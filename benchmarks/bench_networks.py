"""Which loss, prior, network and input: PSNR after an equal number of steps.

    python benchmarks/bench_networks.py --size 192 --iterations 400

Every variant differs from the default in the named settings only. The reference is that of
``bench_enhance.py``; the true pattern is given.
"""

from __future__ import annotations

import argparse
import json
import time

from simrecon.physics.simulate import simulate
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.demo import reference_object

VARIANTS = {
    "default": {},
    "loss whitened": {"loss": "whitened"},
    "loss variance": {"loss": "variance"},
    "loss l2": {"loss": "l2"},
    "no re-simulation": {"resimulation": 0.0},
    "re-simulation x5": {"resimulation": 0.15},
    "tv 0.003": {"tv_weight": 0.003},
    "tv 0.01": {"tv_weight": 0.01},
    "input MMSE-regularised": {"input_regularization": 1.0},
    "input reg 0.2": {"input_regularization": 0.2},
    "width 16": {"width": 16},
    "width 48": {"width": 48},
    "mu 0.3": {"mu": 0.3},
    "alpha 0.5-1.5": {"alpha": (0.5, 1.5)},
    "paper U-Net": {"network": "unet_paper", "lr": 2e-4},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--kinds", nargs="*", default=["filaments", "rings", "blobs"])
    parser.add_argument("--peaks", nargs="*", type=float, default=[50.0, 10.0])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    a = parser.parse_args()
    for kind in a.kinds:
        for peak in a.peaks:
            stack, truth = simulate(
                shape=(a.size, a.size), kind=kind, peak_e=peak, background=2.0, seed=3
            )
            reference = reference_object(truth, stack.pixel_um)
            for name in a.variants:
                start = time.perf_counter()
                settings = ZsSettings(
                    **{"iterations": a.iterations, "uncertainty_draws": 0, **VARIANTS[name]}
                )
                done = enhance(stack, settings, pattern=truth.pattern)
                numbers = {
                    "kind": kind, "peak_e": peak, "variant": name,
                    "sim": round(float(psnr(done.image, reference)), 2),
                    "denoised": round(float(psnr(done.denoised, reference)), 2),
                    "enhanced": round(float(psnr(done.deconvolved, reference)), 2),
                    "chi2": round(done.qc["enhancement"]["chi2"], 3),
                    "s": round(time.perf_counter() - start),
                }  # fmt: skip
                print(json.dumps(numbers), flush=True)


if __name__ == "__main__":
    main()
