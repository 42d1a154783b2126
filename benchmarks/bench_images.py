"""Plain pictures: real pairs against N2V, robustness, sets, adaptation, false alarms.

    python benchmarks/bench_images.py fmd --data DIR --n2v PYTHON     # real noisy/clean pairs
    python benchmarks/bench_images.py robust sets adapt white gain    # simulated

Every figure goes into results/images.json at once; what is there is not measured again. The real
pairs are the fmd set (`raw/*.png` with `gt/*.png`, means of 50): crops of 256², noise model,
training and N2V from that crop of the one noisy picture alone. They come without a PSF: a Gaussian
of 1.2 pixels stands in, and only the denoised stage is judged. PSNR in dB with peak 255 on the
real pairs, after the linear fit on simulated ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RESULTS, save, table
from scipy.ndimage import gaussian_filter

from simrecon.estimate.noise_colour import noise_colour
from simrecon.model.camera import Camera
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.demo_picture import CAMERA, PictureScene, simulate_picture
from zsdeconv.image_noise import find_noise
from zsdeconv.image_psf import theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.picture_model import PictureModel
from zsdeconv.picture_training import adapted, train_pictures

FMD = (
    "Confocal_MICE_1", "TwoPhoton_MICE_1", "WideField_BPAE_R_1",
    "Confocal_FISH_1", "TwoPhoton_BPAE_B_1", "WideField_BPAE_G_1",
    "Confocal_BPAE_G_1", "TwoPhoton_BPAE_R_1", "WideField_BPAE_B_1",
)  # fmt: skip
CROP = slice(128, 384)
QUICK: dict[str, Any] = {
    "patch": 128, "uncertainty_draws": 0, "held_out_draws": 0, "seed": 5,
}  # fmt: skip


def gaussian_psf(sigma_px: float = 1.2) -> np.ndarray:
    y, x = np.mgrid[-8:9, -8:9]
    psf = np.exp(-(x**2 + y**2) / (2 * sigma_px**2))
    return psf / psf.sum()


def plain_psnr(picture: np.ndarray, clean: np.ndarray) -> float:
    return float(20 * np.log10(255.0 / np.sqrt(np.mean((picture - clean) ** 2))))


def fmd(name: str, data: Path, n2v: str | None, iterations: int) -> dict[str, Any]:
    from matplotlib.image import imread

    noisy = np.rint(imread(data / "raw" / f"{name}.png") * 255.0).astype(np.float64)[CROP, CROP]
    clean = imread(data / "gt" / f"{name}.png").astype(np.float64)[CROP, CROP] * 255.0
    start = time.perf_counter()
    noise = find_noise(lambda: [noisy])
    imaging = Imaging(0.1, gaussian_psf(), 2.5, noise.camera, noise.shot_noise, noise.kernel)
    made = enhance(
        imaging.measure(noisy), ZsSettings(iterations=iterations, stacking_draws=0, **QUICK)
    )
    ours = made.denoised * noise.camera.gain + noise.camera.offset
    seconds = time.perf_counter() - start
    filtered = (gaussian_filter(noisy, s) for s in np.arange(0.4, 5.0, 0.2))
    found: dict[str, Any] = {
        "noise": noise.colour.verdict, "gain": float(noise.camera.gain), "shot": noise.shot_noise,
        "noisy": plain_psnr(noisy, clean),
        "gaussian": max(plain_psnr(g, clean) for g in filtered),
        "ours": plain_psnr(ours, clean), "ours_s": round(seconds), "iterations": iterations,
    }  # fmt: skip
    if n2v is not None:
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/in.npy", noisy)
            script = Path(__file__).with_name("careamics_n2v.py")
            start = time.perf_counter()
            subprocess.run([n2v, str(script), f"{folder}/in.npy", f"{folder}/out.npy"],
                           check=True, capture_output=True, cwd=folder)  # fmt: skip
            found["n2v_s"] = round(time.perf_counter() - start)
            found["n2v"] = plain_psnr(np.load(f"{folder}/out.npy"), clean)
    return found


def imaging_of(scene: PictureScene, camera: Camera = CAMERA) -> Imaging:
    optics = scene.stack.optics[0]
    psf = theoretical_psf(optics, scene.stack.pixel_um, "widefield")
    return Imaging(scene.stack.pixel_um, psf, optics.cutoff_per_um, camera)


def scores(scene: PictureScene, denoised: np.ndarray, deconvolved: np.ndarray) -> dict[str, float]:
    return {
        "denoised": float(psnr(denoised, scene.clean_e)),
        "deconvolved": float(psnr(deconvolved, scene.reference)),
    }


def robust(iterations: int, size: int, found: dict[str, Any]) -> Iterator[None]:
    """Gain, read noise and α wrong by ±30 %; goes on where `found` ends."""
    scene = simulate_picture(kind="filaments", size=size, peak_e=30.0, seed=31)
    wrong = {"right": (1.0, 1.0, 1.0)}
    for index, name in enumerate(("gain", "read noise", "alpha")):
        for factor in (0.7, 1.3):
            factors = [1.0, 1.0, 1.0]
            factors[index] = factor
            wrong[f"{name} × {factor:g}"] = tuple(factors)
    for name, (gain, read, alpha) in wrong.items():
        if name in found:
            continue
        camera = Camera(CAMERA.gain * gain, CAMERA.offset, CAMERA.read_noise_e * read)
        settings = ZsSettings(iterations=iterations, alpha=(0.3 * alpha, 1.0 * alpha), **QUICK)
        made = enhance(imaging_of(scene, camera).measure(scene.counts), settings)
        found[name] = scores(scene, made.denoised, made.deconvolved)
        print("robust", name, found[name], flush=True)
        yield


def sets(iterations: int, size: int) -> dict[str, Any]:
    """One picture alone, and the same picture by a model of five."""
    scenes = [
        simulate_picture(kind="filaments", size=size, peak_e=30.0, seed=s) for s in range(41, 46)
    ]
    imaging = imaging_of(scenes[0])
    settings = ZsSettings(iterations=iterations, **QUICK)
    alone = train_pictures([scenes[2].counts], imaging, settings)
    many = train_pictures([s.counts for s in scenes], imaging, settings)
    return {
        "noisy": {"denoised": float(psnr(alone.image, scenes[2].clean_e)),
                  "deconvolved": float(psnr(alone.image, scenes[2].reference))},
        "alone": scores(scenes[2], alone.denoised, alone.deconvolved),
        "of five": scores(scenes[2], many.denoised, many.deconvolved),
    }  # fmt: skip


def adapt(iterations: int, size: int) -> dict[str, Any]:
    """A movie of blobs becomes one of filaments: the general model, adapted, trained anew."""
    from zsdeconv.checkpoint import write_model

    before = [simulate_picture(kind="blobs", size=size, peak_e=60.0, seed=s) for s in (51, 52, 53)]
    after = simulate_picture(kind="filaments", size=size, peak_e=30.0, seed=54)
    imaging = imaging_of(after)
    settings = ZsSettings(iterations=iterations, **QUICK)
    general = train_pictures([s.counts for s in before], imaging, settings)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), general.model, general.model_facts)
        model = PictureModel.read(Path(folder))
    found = {"noisy": {"denoised": float(psnr(imaging.measure(after.counts).image, after.clean_e))}}
    plain = model.predict(after.counts)
    found["general model"] = scores(after, plain.denoised, plain.deconvolved)
    for steps in (50,):
        made = adapted(model, after.counts, steps)
        found[f"adapted, {steps} steps"] = scores(after, made.denoised, made.deconvolved)
    for steps in (50, iterations):
        fresh = train_pictures(
            [after.counts], imaging, settings.model_copy(update={"iterations": steps})
        )
        found[f"trained on it, {steps} steps"] = scores(after, fresh.denoised, fresh.deconvolved)
    return found


def white() -> dict[str, Any]:
    """False alarms of the whiteness test, and how much smoothing it finds."""
    alarms, count, missed = 0, 0, {0.4: 0, 0.5: 0, 0.7: 0}
    for kind in ("filaments", "rings", "blobs", "mixed", "beads"):
        for peak in (5.0, 30.0, 300.0):
            for seed in range(8):
                counts = simulate_picture(kind=kind, size=128, peak_e=peak, seed=seed).counts
                alarms += noise_colour([counts]).verdict != "white"
                count += 1
                if seed == 0:
                    for sigma in missed:
                        smooth = gaussian_filter(counts.astype(float), sigma)
                        missed[sigma] += noise_colour([smooth]).verdict == "white"
    return {"pictures": count, "false alarms": alarms,
            "missed of 15, smoothed by": {f"{s:g} px": n for s, n in missed.items()}}  # fmt: skip


def gain() -> dict[str, Any]:
    """How often a gain that is given is doubted, right or not, and how far the used one is off."""
    found: dict[str, dict[str, Any]] = {}
    for peak in (5.0, 30.0, 300.0):
        row, off = found.setdefault(f"{peak:g} e", {"pictures": 0}), []
        for kind in ("filaments", "rings", "blobs", "mixed", "beads"):
            for seed in range(4):
                scene = simulate_picture(kind=kind, size=128, peak_e=peak, seed=100 + seed)
                row["pictures"] += 1
                for factor in (1.0, 0.7, 0.8, 1.25, 1.3):
                    noise = find_noise(
                        lambda scene=scene: [scene.counts], gain=factor * float(CAMERA.gain),
                        offset=float(CAMERA.offset), read_noise_e=float(CAMERA.read_noise_e),
                        cutoff_per_px=scene.cutoff_per_um * scene.stack.pixel_um,
                    )  # fmt: skip
                    name = f"doubted, gain x {factor:g}"
                    row[name] = row.get(name, 0) + any("gain" in d for d in noise.doubts)
                    if noise.camera.source == "estimated":
                        off.append(abs(float(noise.camera.gain) / float(CAMERA.gain) - 1.0))
        row["replaced by, off by (rms)"] = float(np.sqrt(np.mean(np.square(off))))
        row["replaced by, off by (at most)"] = max(off)
    return found


PARTS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "sets": sets, "adapt": adapt, "white": lambda *_: white(), "gain": lambda *_: gain(),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=["fmd", "robust", *PARTS])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--n2v")
    parser.add_argument("--names", nargs="*", default=FMD)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "images.json"
    results = json.loads(path.read_text())["results"] if path.exists() else {}
    for part in given.parts:
        if part == "fmd":
            pairs = results.setdefault("fmd", {})
            for name in given.names:
                if name not in pairs:
                    pairs[name] = fmd(name, given.data, given.n2v, given.iterations)
                    print(name, pairs[name], flush=True)
                    save("images", results)
        elif part == "robust":
            for _ in robust(given.iterations, given.size, results.setdefault("robust", {})):
                save("images", results)
        elif part not in results:
            results[part] = PARTS[part](given.iterations, given.size)
            print(part, results[part], flush=True)
            save("images", results)
    pairs = results.get("fmd", {})
    columns = ("noise", "noisy", "gaussian", "n2v", "ours")
    rows = [
        [n, r["noise"], *(f"{r.get(c, np.nan):.2f}" for c in columns[1:])] for n, r in pairs.items()
    ]
    print(table(["picture", *columns], rows))


if __name__ == "__main__":
    main()
