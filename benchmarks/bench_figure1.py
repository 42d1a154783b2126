r"""The experiment of the paper's figure 1: single noisy pictures of known objects.

    python benchmarks/bench_figure1.py --size 256 --images 10 --iterations 1000
    python benchmarks/bench_figure1.py --size 96 --images 1 --iterations 250 --pictures P \
        --figure docs/images/figure1.png

Simulated tubes, rings and blobs (the `filaments`, `rings` and `blobs` of
``simrecon.physics.phantoms``) behind NA 1.4 at 525 nm, camera pixels of 65 nm that integrate,
background 1 e, read noise 1 e, gain 2 and offset 100, at 5, 10, 25 and 100 photo-electrons (99.9th
percentile of the noise-free picture without background). Methods:

noisy      the picture itself
gaussian   the best Gaussian filter, its width chosen by the truth
rl_best    accelerated Richardson–Lucy, its iteration chosen by the truth
rl         the same with the stop of ``zsdeconv deconvolve``, without the truth
sparse     sparse deconvolution with its defaults, without the truth
sparse_best  its strength chosen by the truth
original   network, losses and pairs of the paper (``paper_training.py``), schedule scaled
network    ``zsdeconv.enhance`` on the same picture without its companion (`deconvolved`, as shown)
ours       ``zsdeconv.enhance`` with its companion: the network mixed with sparse deconvolution in
           the share that the picture itself asks for (`companion`, noted in every row)

The reference is the object through an ideal microscope of 1.5 times the cut-off, on the camera's
pixels. PSNR in dB after the linear fit; FRC resolution in nm: where the correlation with the
noise-free reference falls to 0.5, which is 1/7 between two noisy halves (Rosenthal & Henderson, J.
Mol. Biol. 333, 721, 2003, eq. 11: C = sqrt(2F/(1+F))); decorrelation resolution in nm. Results go
to ``results/figure1.json`` after every picture and group of methods; a run of the same
size goes on where an earlier one stopped. Steps are noted in every row.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, table
from paper_training import original
from scipy.ndimage import gaussian_filter

from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D
from simrecon.physics.otf import ideal_otf, theoretical_otf
from simrecon.physics.phantoms import make_phantom
from simrecon.qc.figures import new_figure
from simrecon.qc.metrics import decorrelation_resolution, frc, psnr
from zsdeconv import Measurement, ZsSettings, enhance
from zsdeconv.baselines.blur import Blur
from zsdeconv.baselines.deconvolution import richardson_lucy, sparse_deconvolution
from zsdeconv.baselines.lucy import lucy_steps
from zsdeconv.baselines.stop import best_iteration
from zsdeconv.pairs_image import camera_measurement
from zsdeconv.pairs_sim import ideal_psf

KINDS, LEVELS = ("filaments", "rings", "blobs"), (5.0, 10.0, 25.0, 100.0)
METHODS = ("noisy", "gaussian", "rl_best", "rl", "sparse", "sparse_best", "original", "network",
           "ours")  # fmt: skip
GROUPS = ("classical", "network", "ours", "original")
SHOWN = ("noisy", "rl_best", "sparse", "original", "ours", "reference")
PIXEL_UM, FINE, MARGIN_PX = 0.065, 4, 32
OPTICS = Optics(1.4, 525.0)
CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.0)
BACKGROUND_E, SHARPER, BORDER_PX = 1.0, 1.5, 8
STRENGTHS = (0.2, 0.3, 0.4, 0.6, 0.8)
GAUSSIANS_PX = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)


def whole_scene(kind: Any, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free picture and reference with the margin around them, which is periodic.

    Both (size + 2 MARGIN_PX,) * 2, in units of the inner picture's peak.
    """
    side = size + 2 * MARGIN_PX
    grid = Grid((side * FINE, side * FINE), PIXEL_UM / FINE)
    drawn = make_phantom(kind, grid, np.random.default_rng(seed))
    k = np.hypot(np.fft.fftfreq(grid.shape[0], grid.pixel_um)[:, None],
                 np.fft.rfftfreq(grid.shape[1], grid.pixel_um)[None, :])  # fmt: skip
    otf = theoretical_otf(OPTICS)
    inner = slice(MARGIN_PX, MARGIN_PX + size)
    pictures = []
    for transfer in (np.interp(k, otf.k_per_um, otf.values),
                     ideal_otf(k / (SHARPER * OPTICS.cutoff_per_um))):  # fmt: skip
        seen = np.fft.irfft2(np.fft.rfft2(drawn) * transfer, s=grid.shape)
        pixels = seen.reshape(side, FINE, side, FINE).mean(axis=(1, 3))
        pictures.append(np.maximum(pixels, 0.0))
    peak = float(np.percentile(pictures[0][inner, inner], 99.9))
    return pictures[0] / peak, pictures[1] / peak


def scene(kind: Any, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free picture (peak 1) and reference in the same unit, (size, size)."""
    inner = slice(MARGIN_PX, MARGIN_PX + size)
    clean, truth = whole_scene(kind, size, seed)
    return clean[inner, inner], truth[inner, inner]


def camera_counts(expected_e: np.ndarray, seed: int, level_e: float) -> np.ndarray:
    """One noisy picture in counts of the light that is expected."""
    rng = np.random.default_rng([seed, int(level_e)])
    light = rng.poisson(expected_e) + rng.normal(0.0, 1.0, expected_e.shape)
    return np.asarray(np.rint(100.0 + 2.0 * light))


def psf() -> np.ndarray:
    """PSF on the camera's pixels."""
    return Camera3D((33, 33), PIXEL_UM, (0.0,)).image(OPTICS)[0]


def measurement(counts: np.ndarray) -> Measurement:
    """The picture as ``zsdeconv image`` takes it: shown at 1.5 times its cut-off."""
    kernel, cutoff = psf(), OPTICS.cutoff_per_um * PIXEL_UM
    shown = ideal_psf(min(1.5 * cutoff, 0.5), len(kernel))
    made = camera_measurement(counts, kernel, PIXEL_UM, CAMERA)
    return replace(made, image_cutoff_px=cutoff, shown_psf=shown)


def classical(electrons: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures of the methods without a network."""

    def score(image: np.ndarray) -> float:
        return psnr(image, reference, margin_px=BORDER_PX)

    kernel, read = psf(), float(np.mean(CAMERA.read_noise_e)) ** 2
    steps = lucy_steps(electrons, Blur(kernel, electrons.shape), read_variance_e2=read)
    sparse = {
        s: sparse_deconvolution(electrons, kernel, read_variance_e2=read, strength=s).image
        for s in STRENGTHS
    }
    return {
        "noisy": electrons,
        "gaussian": max((gaussian_filter(electrons, s) for s in GAUSSIANS_PX), key=score),
        "rl_best": best_iteration((s.image for s in steps), score, 60)[2],
        "rl": richardson_lucy(electrons, kernel, read_variance_e2=read).image,
        "sparse": sparse_deconvolution(electrons, kernel, read_variance_e2=read).image,
        "sparse_best": max(sparse.values(), key=score),
    }


def figures(image: np.ndarray, reference: np.ndarray) -> dict[str, float | None]:
    """PSNR, FRC against the reference, decorrelation."""
    inner = (slice(BORDER_PX, -BORDER_PX),) * 2
    ring = frc(image[inner], reference[inner], PIXEL_UM, threshold=0.5)
    own = decorrelation_resolution(image[inner], PIXEL_UM)
    return {
        "psnr": psnr(image, reference, margin_px=BORDER_PX),
        "frc_nm": None if ring.resolution_um is None else 1e3 * ring.resolution_um,
        "decorrelation_nm": None if own.resolution_um is None else 1e3 * own.resolution_um,
    }


def made(group: str, counts: np.ndarray, reference: np.ndarray, a: argparse.Namespace,
         seed: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:  # fmt: skip
    """Pictures of a group of methods, and what else is to be noted."""
    started = time.perf_counter()
    facts: dict[str, Any] = {}
    if group == "classical":
        pictures = classical(CAMERA.electrons(counts), reference)
    elif group == "original":
        picture = original(
            counts, psf(), offset=100.0, gain=2.0, read_variance=4.0, steps=a.original_steps,
            seed=seed,
        )[1]  # fmt: skip
        pictures, facts = {"original": picture}, {"original_steps": a.original_steps}
    else:
        settings = ZsSettings(iterations=a.iterations, uncertainty_draws=0,
                              patch=min(192, a.size), companion=group == "ours")  # fmt: skip
        done = enhance(measurement(counts), settings)
        found = done.qc["enhancement"]
        pictures = {group: done.deconvolved, f"{group}_denoised": done.denoised}
        keep = ("chi2", "flux_ratio", "held_out_gain", "held_out_gain_sd")
        kept = min(done.qc["looks"], key=lambda look: look[1])[0]
        facts = {f"{group}_{key}": found[key] for key in keep}
        facts |= {f"{group}_steps": a.iterations, f"{group}_verdict": done.verdicts["overall"],
                  f"{group}_kept_step": kept}  # fmt: skip
        if group == "ours":
            mixed = done.model_facts["companion"]
            facts["companion_share"] = None if mixed is None else mixed["share"]
    facts[f"{group}_s"] = round(time.perf_counter() - started, 1)
    return pictures, facts


def add(group: str, row: dict[str, Any], a: argparse.Namespace) -> None:
    """Add a group of methods to the row of one picture."""
    clean, truth = scene(row["kind"], a.size, row["seed"])
    expected = row["level_e"] * clean + BACKGROUND_E
    counts = camera_counts(expected, row["seed"], row["level_e"])
    reference = row["level_e"] * truth + BACKGROUND_E
    pictures, facts = made(group, counts, reference, a, row["seed"])
    row |= {name: figures(picture, reference) for name, picture in pictures.items()} | facts
    if a.pictures:
        folder = a.pictures / f"{row['kind']}_{row['level_e']:g}_{row['seed']}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in {**pictures, "reference": reference}.items():
            np.save(folder / f"{name}.npy", picture.astype(np.float32))


def summary(rows: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """Mean over the pictures of every object and level: PSNR (FRC nm) per method."""
    for kind in KINDS:
        for level in sorted({r["level_e"] for r in rows}):
            cell = [r for r in rows if r["kind"] == kind and r["level_e"] == level]
            if not cell:
                continue
            found = []
            for name in METHODS:
                done = [r[name] for r in cell if name in r]
                rings = [f["frc_nm"] or 2e3 * PIXEL_UM for f in done]
                decibel = [f["psnr"] for f in done]
                text = f"{np.mean(decibel):.2f} ({np.mean(rings):.0f})" if done else ""
                found.append(text)
            yield [kind, f"{level:g}", len(cell), *found]


def draw(folder: Path, target: Path, level_e: float, seed: int) -> None:
    """One row of pictures per object, all in the reference's scale after the linear fit."""
    paths = [p for k in KINDS if (p := folder / f"{k}_{level_e:g}_{seed}").exists()]
    figure = new_figure(2.3 * len(SHOWN), 2.4 * len(paths) + 0.3)
    axes = figure.subplots(len(paths), len(SHOWN), squeeze=False)
    for line, path in zip(axes, paths, strict=True):
        pictures = {p.stem: np.load(p) for p in path.glob("*.npy")}
        truth = pictures["reference"]
        low, high = float(truth.min()), float(np.percentile(truth, 99.7))
        for ax, name in zip(line, SHOWN, strict=True):
            if name not in pictures:
                ax.set_axis_off()
                continue
            gain, shift = np.polyfit(pictures[name].ravel(), truth.ravel(), 1)
            ax.imshow(gain * pictures[name] + shift, cmap="inferno", vmin=low, vmax=high)
            ax.set(xticks=[], yticks=[])
            if path == paths[0]:
                ax.set_title(name)
    figure.savefig(target, dpi=80)


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=1000, help="steps of ours")
    parser.add_argument("--original-steps", type=int, default=0, help="[as many as ours]")
    parser.add_argument("--levels", nargs="*", type=float, default=LEVELS)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--methods", nargs="*", default=GROUPS, choices=GROUPS)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of every row")
    parser.add_argument("--figure", type=Path, help="figure of one level (--pictures)")
    parser.add_argument("--figure-level", type=float, default=25.0)
    parser.add_argument("--name", default="figure1", help="results/NAME.json")
    a = parser.parse_args(argv)
    a.original_steps = a.original_steps or a.iterations
    path, rows = RESULTS / f"{a.name}.json", []
    if path.exists():
        earlier = json.loads(path.read_text())["results"]
        rows = earlier["rows"] if earlier["size"] == a.size else []
    have = {(r["kind"], r["level_e"], r["seed"]): r for r in rows}
    cells = [(k, e, 100 + i) for i in range(a.images) for e in a.levels for k in a.kinds]
    for group in a.methods:
        for cell in cells:
            if cell not in have:
                have[cell] = dict(zip(("kind", "level_e", "seed"), cell, strict=True))
                rows.append(have[cell])
            if f"{group}_s" in have[cell]:
                continue
            add(group, have[cell], a)
            print(json.dumps(have[cell]), flush=True)
            save(a.name, {"size": a.size, "rows": rows})
    print(table(["object", "e", "pictures", *METHODS], list(summary(rows))))
    if a.pictures and a.figure:
        draw(a.pictures, a.figure, a.figure_level, 100)


if __name__ == "__main__":
    main()
