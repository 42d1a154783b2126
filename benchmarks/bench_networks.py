"""Which loss, prior, network and input: PSNR after an equal number of steps.

    python benchmarks/bench_networks.py --size 192 --iterations 400
    python benchmarks/bench_networks.py --quick

Every variant differs from the default in the named settings only. The reference is that of
``bench_enhance.py`` (1.5 times the SIM resolution); the true pattern is given. Everything goes to
``results/NAME.json``, rewritten after every row.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from common import RESULTS, save, table

from simrecon.physics.simulate import simulate
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.demo import reference_object

VARIANTS: dict[str, dict[str, Any]] = {
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
    "Adam throughout": {"inner_lr": 0.0},
    "float32": {"precision": "float32"},
    "one view": {"self_ensemble": False},
    "paper U-Net": {"network": "unet_paper", "lr": 2e-4},
    "paper U-Net, Adam": {"network": "unet_paper", "lr": 2e-4, "inner_lr": 0.0},
}


def row(
    kind: Any, peak_e: float, size: int, name: str, base: dict[str, Any], seed: int
) -> dict[str, Any]:
    """One variant on one scene."""
    stack, truth = simulate(shape=(size, size), kind=kind, peak_e=peak_e, background=2.0, seed=seed)
    reference = reference_object(truth, stack.pixel_um)
    start = time.perf_counter()
    done = enhance(stack, ZsSettings(**{**base, **VARIANTS[name]}), pattern=truth.pattern)
    found = {
        "kind": kind, "peak_e": peak_e, "variant": name, "size": size, "seed": seed,
        "steps": done.provenance["iterations"],
        "psnr_sim": float(psnr(done.image, reference)),
        "psnr_denoised": float(psnr(done.denoised, reference)),
        "psnr_enhanced": float(psnr(done.deconvolved, reference)),
        "chi2": done.qc["enhancement"]["chi2"],
        "flux_ratio": done.qc["enhancement"]["flux_ratio"],
        "total_s": time.perf_counter() - start,
    }  # fmt: skip
    found["gain"] = found["psnr_enhanced"] - found["psnr_sim"]
    return found


def earlier_rows(name: str) -> list[dict[str, Any]]:
    """Rows of an earlier run; each says its own size, seed and steps."""
    path = RESULTS / f"{name}.json"
    return list(json.loads(path.read_text())["results"]["rows"]) if path.exists() else []


COLUMNS = {
    "kind": "object", "peak_e": "peak e", "variant": "variant", "psnr_sim": "SIM",
    "psnr_denoised": "denoised", "psnr_enhanced": "enhanced", "gain": "gain", "chi2": "χ²",
    "flux_ratio": "flux", "total_s": "s",
}  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", default=["filaments", "rings", "blobs"])
    parser.add_argument("--peaks", nargs="*", type=float, default=[50.0, 10.0])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--quick", action="store_true", help="one small scene, 10 steps")
    parser.add_argument("--append", action="store_true", help="keep the rows of an earlier run")
    parser.add_argument("--name", help="results/NAME.json [networks, or networks_quick]")
    a = parser.parse_args(argv)
    if a.quick:
        a.size, a.iterations, a.kinds, a.peaks = 128, 10, ["rings"], [50.0]
        a.variants = ["default", "loss l2"]
    base = {"iterations": a.iterations, "uncertainty_draws": 0, "held_out_draws": 0}
    name = a.name or ("networks_quick" if a.quick else "networks")
    rows = earlier_rows(name) if a.append else []
    for kind in a.kinds:
        for peak in a.peaks:
            for variant in a.variants:
                rows.append(row(kind, peak, a.size, variant, base, a.seed))
                print(json.dumps(rows[-1]), flush=True)
                save(name, {"base": base, "variants": VARIANTS, "rows": rows})
    cells = [[r[key] for key in COLUMNS] for r in rows]
    shown = [[f"{v:.2f}" if isinstance(v, float) else v for v in line] for line in cells]
    print(table(list(COLUMNS.values()), shown))


if __name__ == "__main__":
    main()
