"""How much of the truth one standard error covers, on simulated scenes.

    python benchmarks/bench_uncertainty.py --size 96 --iterations 120 --folder F
    python benchmarks/bench_uncertainty.py --cells sim:blobs:10 image:rings:50

A cell is KIND:OBJECT:PEAK: SIM frames (``sim``, true pattern, 99.9th percentile of the widefield
PEAK photo-electrons) or a plain picture (``image``), trained on with the defaults but for the given
number of steps and the patch. Counted is how often the result lies within one standard error of the
truth at the resolution of the result: everywhere, in the brightest fifth of the truth, and in
fifths of the error bar itself. `--folder` keeps the trainings, so that a changed error bar is
measured on the same ones. Rows go to ``results/NAME.json`` at once, and what is there is not
measured again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, save, table

from simrecon.physics.simulate import simulate
from zsdeconv import Enhanced, ZsSettings, enhance
from zsdeconv.demo import reference_object
from zsdeconv.demo_picture import CAMERA, simulate_picture
from zsdeconv.image_psf import theoretical_psf
from zsdeconv.imaging import Imaging

CELLS = ("sim:filaments:50", "sim:blobs:10", "sim:rings:50", "sim:rings:10", "sim:filaments:10",
         "sim:blobs:50", "image:filaments:50", "image:blobs:50", "image:rings:50")  # fmt: skip


def trained(
    cell: str, size: int, seed: int, settings: ZsSettings, folder: Path | None
) -> tuple[Enhanced, np.ndarray]:
    """The enhancement of a cell, and its truth on the result's grid."""
    what, kind, peak = cell.split(":")
    scene: dict[str, Any] = {"kind": kind, "peak_e": float(peak), "seed": seed}
    again = folder is not None and any(folder.glob("training.*"))
    if what == "sim":
        stack, truth = simulate(shape=(size, size), background=2.0, **scene)
        done = enhance(stack, settings, pattern=truth.pattern, folder=folder, resume=again)
        return done, reference_object(truth, stack.pixel_um)
    picture = simulate_picture(size=size, **scene)
    optics, pixel_um = picture.stack.optics[0], picture.stack.pixel_um
    psf = theoretical_psf(optics, pixel_um, "widefield")
    measurement = Imaging(pixel_um, psf, optics.cutoff_per_um, CAMERA).measure(picture.counts)
    return enhance(measurement, settings, folder=folder, resume=again), picture.reference


def coverage(done: Enhanced, reference: np.ndarray) -> dict[str, Any]:
    """Shares of pixels within one standard error, and rms error over rms error bar."""
    assert done.uncertainty is not None
    error, bar = np.abs(done.deconvolved - reference), done.uncertainty
    inside = error < bar
    fifth = np.searchsorted(np.percentile(bar, (20, 40, 60, 80)), bar)
    return {
        "covered": float(inside.mean()),
        "covered_bright": float(inside[reference > np.percentile(reference, 80)].mean()),
        "covered_by_fifths_of_the_bar": [float(inside[fifth == k].mean()) for k in range(5)],
        "rms_error_over_rms_bar": float(np.sqrt(np.mean(error**2) / np.mean(bar**2))),
    }


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", nargs="*", default=CELLS)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--iterations", type=int, default=120)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=81)
    parser.add_argument("--folder", type=Path, help="where trainings are kept and taken from")
    parser.add_argument("--name", default="uncertainty", help="results/NAME.json")
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    settings = ZsSettings(iterations=a.iterations, patch=a.patch, probes=False, held_out_draws=0)
    path = RESULTS / f"{a.name}.json"
    rows = json.loads(path.read_text())["results"]["rows"] if path.exists() else {}
    for cell in a.cells:
        key = f"{cell}, {a.size}², {a.iterations} steps, seed {a.seed}"
        if key in rows:
            continue
        kept = None
        if a.folder is not None:
            kept = a.folder / key.replace(" ", "_").replace(":", "_")
            kept.mkdir(parents=True, exist_ok=True)
        rows[key] = coverage(*trained(cell, a.size, a.seed, settings, kept))
        print(key, json.dumps(rows[key]), flush=True)
        save(a.name, {"settings": settings.model_dump(mode="json"), "rows": rows})
    shown = [[key, f"{r['covered']:.2f}", f"{r['covered_bright']:.2f}"] for key, r in rows.items()]
    print(table(["cell", "in 1σ", "in 1σ, bright"], shown))


if __name__ == "__main__":
    main()
