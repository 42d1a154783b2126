"""Zero-shot restoration of simulated volumes: noisy, Richardson-Lucy, re-corrupted, interleaved.

Run with ``python benchmarks/bench_volume_networks.py [--scenes NAME …] [--picture F.png]`` for the
table of docs/volume_enhancement.md and with ``--ablation`` for the compact network's (quality at
equal time). Results are kept in ``benchmarks/results/volume_networks.json`` entry by entry, so that
an interrupted run goes on.

Scene: filaments and seven isolated beads, 24 × 80 × 80 voxels of 0.16 × 0.08 × 0.08 µm cut from a
larger object (light comes from beyond the volume), NA 1.1 water, 525 nm; `confocal` multiplies the
detection PSF with that of the excitation (488 nm). Poisson noise and 1 e read noise. PSNR after a
linear fit against the object through a Gaussian of 2/3 of the PSF's widths ("1.5×");
Richardson-Lucy is the best of 60 iterations, chosen by the truth, at that resolution or as it is.
Gains: median full width at half maximum of the beads in the noise-free blurred volume over that in
the restored object, and ratio of the frequencies at which the correlation with the true object
falls below 1/2, restored over noisy, within 30° of the plane (lateral) or the axis (axial).
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path

import common
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, zoom
from scipy.signal import fftconvolve

from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.phantoms_volume import Box, make_volume_phantom
from simrecon.physics.pupil import pupil_psf
from simrecon.qc import metrics
from zsdeconv.baselines.richardson_lucy import richardson_lucy
from zsdeconv.config import VOLUME_DEFAULTS, build_settings
from zsdeconv.measurement import Measurement
from zsdeconv.models import CompactNet3D, PaperRcan3D, RichardsonLucyNet, parameter_count
from zsdeconv.optimiser import Optimiser
from zsdeconv.pairs_volume import camera_volume, sharper_gaussian
from zsdeconv.restore import by_network, by_start, network_pictures, stack
from zsdeconv.train import fit
from zsdeconv.training import prepare

NAME = "volume_networks"
PIXEL_UM, DZ_UM, SHAPE, PAD = 0.08, 0.16, (24, 80, 80), (12, 24, 24)
INNER = tuple(slice(p, p + n) for p, n in zip(PAD, SHAPE, strict=True))
READ_NOISE_E, BACKGROUND_E = 1.0, 1.0
SCENES = {
    f"{kind}, {peak} e": (kind, peak) for peak in (20, 100) for kind in ("confocal", "widefield")
}
ROWS: dict[str, dict[str, object]] = {
    "re-corrupted": {"pairs": "recorrupted"},
    "interleaved": {"pairs": "interleaved"},
    "interleaved, gap 0.3": {"pairs": "interleaved", "gap_weight": 0.3},
}
VARIANTS = {
    "factorised 24": lambda: CompactNet3D(width=24),
    "factorised 16": lambda: CompactNet3D(width=16),
    "factorised 32": lambda: CompactNet3D(width=32),
    "full 3×3×3, 16": lambda: CompactNet3D(width=16, factorised=False),
    "RLN, 16": lambda: RichardsonLucyNet(dims=3),
    "RCAN of the paper": PaperRcan3D,
}


@dataclass(frozen=True)
class Scene:
    """Truth, what it looks like without noise, what was measured, and where the beads are."""

    objects: np.ndarray
    clean: np.ndarray
    reference: np.ndarray
    measurement: Measurement
    beads: np.ndarray


def psf_of(kind: str) -> np.ndarray:
    """Vectorial PSF on the volume's grid, centred on n//2."""
    z = (np.arange(31) - 15) * DZ_UM
    optics = [Optics(na=1.1, emission_nm=wave, immersion_index=1.333, pixel_integration=False)
              for wave in (525.0, 488.0)]  # fmt: skip
    psf = pupil_psf(optics[0], Grid((65, 65), PIXEL_UM), z_um=z).astype(np.float64)
    if kind == "confocal":
        psf = (psf * pupil_psf(optics[1], Grid((65, 65), PIXEL_UM), z_um=z))[7:-7, 16:-16, 16:-16]
    return psf / psf.sum()


def make_scene(kind: str, peak_e: float, seed: int) -> Scene:
    """Simulate one acquisition."""
    rng = np.random.default_rng(seed)
    psf = psf_of(kind)
    larger = tuple(n + 2 * p for n, p in zip(SHAPE, PAD, strict=True))
    box = Box(larger, (0.0, 0.0, 0.0), (DZ_UM, PIXEL_UM, PIXEL_UM))
    density = make_volume_phantom("filaments", box, rng).astype(np.float64)
    density *= peak_e / np.percentile(fftconvolve(density, psf, "same")[INNER], 99.8)
    beads = empty_places(density, 7, rng)
    for place in beads:
        density[tuple(place)] += 0.7 * peak_e / psf.max()
    objects = density + BACKGROUND_E
    clean = np.maximum(fftconvolve(density, psf, "same"), 0.0)[INNER] + BACKGROUND_E
    counts = rng.poisson(clean) + rng.normal(0.0, READ_NOISE_E, SHAPE)
    camera = Camera(read_noise_e=READ_NOISE_E)
    measurement = camera_volume(counts, psf, PIXEL_UM, DZ_UM, camera, shown_gain=1.5)
    shown = fftconvolve(density, sharper_gaussian(psf, 1.5), "same")[INNER] + BACKGROUND_E
    return Scene(objects[INNER], clean, shown, measurement, beads - np.asarray(PAD))


def empty_places(density: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Voxels (count, 3) far from structures, from the border and from each other."""
    from scipy.ndimage import distance_transform_edt

    far = distance_transform_edt(
        density <= 0.02 * density.max(), sampling=(DZ_UM, PIXEL_UM, PIXEL_UM)
    )
    found: list[np.ndarray] = []
    edge = np.asarray((5, 10, 10))
    for _ in range(20000):
        place = rng.integers(np.add(PAD, edge), np.add(PAD, SHAPE) - edge)
        near = [np.linalg.norm((place - f) * (DZ_UM, PIXEL_UM, PIXEL_UM)) for f in found]
        if far[tuple(place)] > 0.55 and min(near, default=9.0) > 1.4:
            found.append(place)
        if len(found) == count:
            break
    return np.asarray(found)


def psnr(volume: np.ndarray, reference: np.ndarray) -> float:
    """PSNR after the linear fit, over all planes together, dB."""
    flat = [np.asarray(v).reshape(-1, SHAPE[-1]) for v in (volume, reference)]
    return round(metrics.psnr(*flat), 2)


def bead_widths(volume: np.ndarray, beads: np.ndarray) -> list[float]:
    """Median full widths at half maximum along z and laterally, voxels."""
    found: list[list[float]] = [[], []]
    for place in beads:
        for axis, half in ((0, 5), (1, 8), (2, 8)):
            low = place[axis] - half
            inside = [slice(p - 1, p + 2) for p in place]
            inside[axis] = slice(max(0, low), place[axis] + half + 1)
            others = tuple(a for a in range(3) if a != axis)
            line = zoom(
                volume[tuple(inside)].mean(axis=others), 10, order=3, mode="nearest", grid_mode=True
            )
            middle = (place[axis] - max(0, low)) * 10 + 4
            top = int(np.argmax(line[middle - 15 : middle + 16])) + middle - 15
            level = 0.5 * (line[top] + np.percentile(line, 10))
            left = top - int(np.argmax(line[top::-1] < level)) if (line[:top] < level).any() else 0
            right = (
                top + int(np.argmax(line[top:] < level))
                if (line[top:] < level).any()
                else len(line)
            )
            found[0 if axis == 0 else 1].append((right - left) / 10)
    return [float(np.median(f)) for f in found]


def resolved_per_um(volume: np.ndarray, objects: np.ndarray) -> list[float]:
    """Frequencies at which the correlation with the truth falls below 1/2: axial, lateral."""
    window = (
        np.hanning(SHAPE[0] + 2)[1:-1, None, None]
        * np.hanning(SHAPE[1])[:, None]
        * np.hanning(SHAPE[2])
    )
    a, b = (np.fft.fftn((v - v.mean()) * window) for v in (volume, objects))
    kz = np.fft.fftfreq(SHAPE[0], DZ_UM)[:, None, None]
    kr = np.hypot(np.fft.fftfreq(SHAPE[1], PIXEL_UM)[:, None], np.fft.fftfreq(SHAPE[2], PIXEL_UM))
    k, angle = np.hypot(kz, kr), np.degrees(np.arctan2(np.abs(kz), kr))
    step, found = 0.26, []
    for inside, limit in ((angle > 60, 0.5 / DZ_UM), (angle < 30, 0.5 / PIXEL_UM)):
        ring = np.where(inside & (k < limit), (k / step).astype(int), -1)
        count = int(ring.max()) + 1
        sums = [np.bincount(ring[ring >= 0], weights=w[ring >= 0], minlength=count)
                for w in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)]  # fmt: skip
        curve = gaussian_filter1d(sums[0] / np.sqrt(sums[1] * sums[2] + 1e-30), 0.7)
        below = np.flatnonzero(curve < 0.5)
        below = below[below >= 1]
        if not len(below):
            found.append(limit)
            continue
        i = int(below[0])
        part = (curve[i - 1] - 0.5) / max(curve[i - 1] - curve[i], 1e-9)
        found.append(float((i - 0.5 + min(max(part, 0.0), 1.0)) * step))
    return found


def judged(scene: Scene, objects: np.ndarray) -> dict[str, object]:
    """Figures of a restored object."""
    noisy = resolved_per_um(scene.measurement.image, scene.objects)
    seen = resolved_per_um(objects, scene.objects)
    wide, sharp = bead_widths(scene.clean, scene.beads), bead_widths(objects, scene.beads)
    return {
        "psnr_db": psnr(scene.measurement.shown(objects), scene.reference),
        "psnr_object_db": psnr(objects, scene.reference),
        "bead_gain_axial": round(wide[0] / sharp[0], 2),
        "bead_gain_lateral": round(wide[1] / sharp[1], 2),
        "resolved_per_um": [round(v, 2) for v in seen],
        "resolved_gain_axial": round(seen[0] / noisy[0], 2),
        "resolved_gain_lateral": round(seen[1] / noisy[1], 2),
    }


def best_richardson_lucy(scene: Scene) -> tuple[dict[str, object], np.ndarray]:
    """The iteration that comes closest to the truth."""
    best, kept, at = -np.inf, None, 0
    for count, f in enumerate(richardson_lucy(scene.measurement, 60), start=1):
        score = max(psnr(scene.measurement.shown(f), scene.reference), psnr(f, scene.reference))
        if score > best:
            best, kept, at = score, f, count
    assert kept is not None
    return {**judged(scene, kept), "psnr_db": round(best, 2), "iterations": at}, kept


def trained(
    scene: Scene, steps: int, pairs: str, **more: object
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Train on the volume; figures of the network's and of the stacked object."""
    settings = build_settings(
        **{
            **VOLUME_DEFAULTS,
            "patch": 48,
            "iterations": steps,
            "pairs": pairs,
            "device": "cpu",
            **more,
        }
    )
    begun = time.perf_counter()
    run = prepare(scene.measurement, settings, torch.device("cpu"))
    frames = scene.measurement.frames_e
    start = scene.measurement.inside(by_start(run, frames))
    fit(run)
    inside = scene.measurement.inside
    denoised, plain = (inside(p) for p in network_pictures(run, frames))
    stack(run, np.random.default_rng(1))
    objects = inside(by_network(run, frames)[1])
    return {
        **judged(scene, objects),
        "start_psnr_db": psnr(scene.measurement.shown(start), scene.reference),
        "without_stacking": judged(scene, plain),
        "denoised_psnr_db": psnr(denoised, scene.clean),
        "steps": run.iteration,
        "training_s": round(run.elapsed_s, 1),
        "total_s": round(time.perf_counter() - begun, 1),
    }, {"denoised": denoised, "objects": objects}


def measure(name: str, seed: int, steps: int, kept: dict, folder: Path, wanted: list[str]) -> None:
    """All rows of one scene that are not there yet."""
    scene = make_scene(*SCENES[name], seed)
    rows = kept.setdefault(f"{name}, seed {seed}, {steps} steps", {})
    if "noisy" not in rows:
        noisy = judged(scene, scene.measurement.image)
        rows["noisy"] = {
            **noisy,
            "psnr_db": noisy["psnr_object_db"],
            "beads": len(scene.beads),
            "noise_free_psnr_db": psnr(scene.clean, scene.reference),
            "against_clean_db": psnr(scene.measurement.image, scene.clean),
        }
    volumes = {"noisy": scene.measurement.image, "clean": scene.clean, "truth": scene.reference}
    if "Richardson-Lucy, best" not in rows:
        rows["Richardson-Lucy, best"], best = best_richardson_lucy(scene)
        volumes["Richardson-Lucy"] = scene.measurement.shown(best)
    for row in wanted:
        if row in rows:
            continue
        rows[row], made = trained(scene, steps, **ROWS[row])
        volumes[row] = scene.measurement.shown(made["objects"])
        common.save(NAME, kept)
        keep_volumes(folder, name, volumes)
        print(name, row, json.dumps(rows[row]), flush=True)
    common.save(NAME, kept)
    keep_volumes(folder, name, volumes)


def keep_volumes(folder: Path, name: str, volumes: dict[str, np.ndarray]) -> None:
    """Add volumes of a scene to its file, for the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    before = dict(np.load(path)) if path.exists() else {}
    np.savez_compressed(path, **{**before, **volumes})


def ablation(seed: int, seconds: float, kept: dict) -> None:
    """Compact networks after equal training times on one core, on the confocal scene at 20 e."""
    scene = make_scene("confocal", 20, seed)
    rows = kept.setdefault(f"ablation, confocal, 20 e, seed {seed}, {seconds:g} s", {})
    for name, build in VARIANTS.items():
        if name in rows:
            continue
        settings = build_settings(
            **{**VOLUME_DEFAULTS, "patch": 48, "budget_s": seconds, "device": "cpu"}
        )
        run = prepare(scene.measurement, settings, torch.device("cpu"))
        torch.manual_seed(0)
        run.network = build()
        run.mean, run.optimiser = (
            copy.deepcopy(run.network),
            Optimiser(run.network, orthogonal=True),
        )
        fit(run)
        begun = time.perf_counter()
        made = network_pictures(run, scene.measurement.frames_e)
        denoised, objects = (scene.measurement.inside(p) for p in made)
        start = scene.measurement.inside(by_start(run, scene.measurement.frames_e))
        rows[name] = {
            "psnr_db": psnr(scene.measurement.shown(objects), scene.reference),
            "denoised_psnr_db": psnr(denoised, scene.clean),
            "start_psnr_db": psnr(scene.measurement.shown(start), scene.reference),
            "parameters": parameter_count(run.network),
            "steps": run.iteration,
            "inference_s": round(time.perf_counter() - begun, 1),
        }
        print(name, json.dumps(rows[name]), flush=True)
        common.save(NAME, kept)


def stored() -> dict:
    """Results of earlier runs."""
    path = common.RESULTS / f"{NAME}.json"
    return json.loads(path.read_text())["results"] if path.exists() else {}


def picture(folder: Path, path: Path) -> None:
    """Planes and xz sections of every method, for the scenes whose volumes are there."""
    from simrecon.qc.figures import new_figure

    scenes = {n: np.load(folder / f"{n}.npz") for n in SCENES if (folder / f"{n}.npz").exists()}
    scenes = {n: v for n, v in scenes.items() if "re-corrupted" in v}
    names = [n for n in ("noisy", "Richardson-Lucy", "interleaved", "re-corrupted", "truth")
             if all(n in v for v in scenes.values())]  # fmt: skip
    figure = new_figure(2.9 * len(names), 4.3 * len(scenes))
    axes = np.atleast_2d(figure.subplots(len(scenes), len(names)))
    for row, (scene, volumes) in zip(axes, scenes.items(), strict=True):
        for ax, name in zip(row, names, strict=True):
            volume = volumes[name]
            middle = SHAPE[0] // 2
            plane = volume[middle - 1 : middle + 2].max(axis=0)
            thick = round(DZ_UM / PIXEL_UM)
            section = np.repeat(volume[:, 38:43].max(axis=1), thick, axis=0)
            gap = np.full((2, plane.shape[1]), np.nan)
            shown = np.vstack((plane, gap, section))
            ax.imshow(shown, cmap="inferno", vmin=0, vmax=np.nanpercentile(shown, 99.7))
            ax.set_title(f"{scene}: {name}", fontsize=9)
            ax.set_xticks([])
            ax.set_yticks([])
    figure.savefig(path, dpi=85)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rows", nargs="*", default=list(ROWS)[:2], choices=list(ROWS))
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--volumes", type=Path, default=Path("volume-networks"), help="folder of .npz"
    )
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = stored()
    if given.ablation:
        ablation(given.seed, given.seconds, kept)
        return
    for name in given.scenes:
        measure(name, given.seed, given.steps, kept, given.volumes, given.rows)
    if given.picture is not None:
        picture(given.volumes, given.picture)


if __name__ == "__main__":
    main()
