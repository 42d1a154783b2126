"""How much of the truth one standard error covers, on simulated scenes.

    python benchmarks/bench_uncertainty.py --folder F
    python benchmarks/bench_uncertainty.py --cells sim:blobs:10:96:200:102 --name mine

A cell is KIND:OBJECT:PEAK:SIZE:STEPS:SEED: SIM frames (``sim``, true pattern, 99.9th percentile of
the widefield PEAK photo-electrons) or a plain picture (``image``), SIZE² raw pixels, trained on
with the defaults but for STEPS and patches of 128. The weights of the error bar were chosen on the
cells of ``CHOSEN``; those of ``COMPARED`` were looked at while estimators were compared but entered
no weight; those of ``UNSEEN`` were made for the test. Counted is how often the result lies within
one standard error of the truth at the resolution of the result: everywhere, in the brightest fifth
of the truth, and in fifths of the error bar itself. `--folder` keeps the trainings, so that a
changed error bar is measured on the same ones. Rows go to ``results/NAME.json`` at once, and what
is there is not measured again.
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
from zsdeconv.demo import ideally_seen, reference_object
from zsdeconv.demo_picture import CAMERA, simulate_picture
from zsdeconv.image_psf import theoretical_psf
from zsdeconv.imaging import Imaging

CHOSEN = (
    "sim:filaments:10:96:200:101", "sim:rings:50:96:200:103", "sim:beads:100:96:200:104",
    "sim:blobs:50:96:200:105", "sim:rings:100:96:120:117", "sim:mixed:30:128:250:119",
    "image:filaments:10:128:250:114", "image:rings:50:128:250:113",
    "image:beads:100:128:250:115", "image:blobs:200:128:250:118",
)  # fmt: skip
COMPARED = (
    "sim:blobs:10:96:200:102", "sim:rings:10:96:200:106", "sim:filaments:100:96:200:107",
    "sim:beads:30:96:200:108", "sim:blobs:100:96:200:109", "sim:filaments:30:96:500:110",
    "image:filaments:50:128:250:111", "image:blobs:20:128:250:112",
    "image:mixed:30:128:250:116", "image:rings:200:128:250:120",
)  # fmt: skip
UNSEEN = (
    "sim:rings:30:96:200:201", "sim:blobs:30:96:200:203", "sim:filaments:50:128:250:205",
    "sim:beads:50:96:200:207", "sim:mixed:100:96:400:209", "sim:constant:10:96:200:211",
    "image:filaments:100:128:250:202", "image:rings:20:128:250:204",
    "image:blobs:50:128:250:206", "image:mixed:100:128:250:208",
    "image:filaments:30:128:400:210", "image:constant:20:128:250:212",
    "sim:filaments:30:256:600:301", "image:mixed:50:256:600:302",
)  # fmt: skip
SETS = {"chosen": CHOSEN, "compared": COMPARED, "unseen": UNSEEN}
PATCH = 128
FINEST_PX = 0.5
"""Cut-off at which pictures of these optics are shown, cycles per pixel: the grid's."""


def settings_of(steps: int) -> ZsSettings:
    """The training of a cell."""
    return ZsSettings(iterations=steps, patch=PATCH, probes=False, held_out_draws=0)


def trained(cell: str, folder: Path | None) -> tuple[Enhanced, np.ndarray]:
    """The enhancement of a cell, and its truth on the result's grid."""
    what, kind, *numbers = cell.split(":")
    size, steps, seed = (int(n) for n in numbers[1:])
    scene: dict[str, Any] = {"kind": kind, "peak_e": float(numbers[0]), "seed": seed}
    settings = settings_of(steps)
    again = folder is not None and any(folder.glob("training.*"))
    if what == "sim":
        stack, truth = simulate(shape=(size, size), background=2.0, **scene)
        done = enhance(stack, settings, pattern=truth.pattern, folder=folder, resume=again)
        return done, reference_object(truth, stack.pixel_um)
    picture = simulate_picture(size=size, **scene)
    optics, pixel_um = picture.stack.optics[0], picture.stack.pixel_um
    psf = theoretical_psf(optics, pixel_um, "widefield")
    measurement = Imaging(pixel_um, psf, optics.cutoff_per_um, CAMERA).measure(picture.counts)
    done = enhance(measurement, settings, folder=folder, resume=again)
    _, truth = simulate(shape=(size, size), background=2.0, camera=CAMERA, **scene)
    return done, ideally_seen(truth, FINEST_PX / pixel_um, pixel_um)


def coverage(done: Enhanced, reference: np.ndarray) -> dict[str, Any]:
    """Shares of pixels within one standard error, and rms error over rms error bar."""
    assert done.uncertainty is not None
    error, bar = np.abs(done.deconvolved - reference), done.uncertainty
    inside = error < bar
    fifth = np.searchsorted(np.percentile(bar, (20, 40, 60, 80)), bar)
    bright = reference > np.percentile(reference, 80)
    return {
        "covered": float(inside.mean()),
        "covered_bright": float(inside[bright].mean()) if bright.any() else None,
        "covered_by_fifths_of_the_bar": [float(inside[fifth == k].mean()) for k in range(5)],
        "rms_error_over_rms_bar": float(np.sqrt(np.mean(error**2) / np.mean(bar**2))),
        "training_s": done.provenance["training_s"],
    }


def which(cell: str) -> str:
    """Whether the weights were chosen on a cell."""
    return next((name for name, cells in SETS.items() if cell in cells), "other")


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation, least and largest coverage of every set, blank fields left out."""
    found: dict[str, Any] = {}
    for name in SETS:
        mine = [r for c, r in rows.items() if r["set"] == name and ":constant:" not in c]
        if not mine:
            continue
        found[name] = {"cells": len(mine)}
        for key in ("covered", "covered_bright"):
            values = np.array([r[key] for r in mine])
            found[name][key] = {
                "mean": float(values.mean()), "sd": float(values.std()),
                "least": float(values.min()), "largest": float(values.max()),
                "within 0.64 to 0.72": int(np.count_nonzero(np.abs(values - 0.68) <= 0.04)),
            }  # fmt: skip
    return found


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", nargs="*", default=[*CHOSEN, *COMPARED, *UNSEEN])
    parser.add_argument("--folder", type=Path, help="where trainings are kept and taken from")
    parser.add_argument("--name", default="uncertainty", help="results/NAME.json")
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    path = RESULTS / f"{a.name}.json"
    rows = json.loads(path.read_text())["results"]["rows"] if path.exists() else {}
    for cell in a.cells:
        if cell in rows:
            continue
        kept = None
        if a.folder is not None:
            kept = a.folder / cell.replace(":", "_")
            kept.mkdir(parents=True, exist_ok=True)
        rows[cell] = {"set": which(cell), **coverage(*trained(cell, kept))}
        print(cell, json.dumps(rows[cell]), flush=True)
        said = settings_of(1).model_dump(mode="json", exclude={"iterations"})
        save(a.name, {"settings": said, "summary": summary(rows), "rows": rows})
    keys = ("covered", "covered_bright")
    shown = [
        [cell, r["set"], *("" if r[k] is None else f"{r[k]:.2f}" for k in keys)]
        for cell, r in rows.items()
    ]
    print(table(["cell", "set", "in 1σ", "in 1σ, bright"], shown))
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
