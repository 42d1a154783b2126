"""Does an object grid twice as fine as the camera's help where the camera samples too coarsely?

    python benchmarks/bench_upsampling.py [--pixels 0.13 0.16] [--peaks 30 300] [--size 64]

Simulated widefield pictures (NA 1.4, 525 nm: Nyquist 0.094 µm). The picture is enhanced with
``--upsampling 2`` and without; what the latter makes is brought to the fine grid by its cosine
series and by cubic splines, and the better of both counts. Truth on the fine grid: the object
through an ideal microscope of 1.5 times the cut-off of the optics, and through one of 1.0 times it
(``_at_optics``). PSNR in dB after the linear fit; Fourier ring correlation with that truth: the
frequency (cycles/µm) at which it falls below 0.5, as a multiple of the camera's Nyquist frequency.
Rows go to ``results/upsampling.json`` as they come.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, table
from scipy.ndimage import zoom as spline_zoom

from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.exposure import expose
from simrecon.physics.simulate import simulate
from simrecon.qc.frc import frc
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings
from zsdeconv.demo import ideally_seen
from zsdeconv.image_psf import theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.picture_training import train_pictures
from zsdeconv.upsampling import interpolated

OPTICS = Optics(na=1.4, emission_nm=525.0)
CAMERA = Camera(gain=2.2, offset=100.0, read_noise_e=1.5)
BORDER = 6
QUIET = {"probes": False, "uncertainty_draws": 0, "held_out_draws": 0}


def picture(kind: Any, pixel_um: float, peak_e: float, size: int, seed: int) -> Any:
    """Counts, and the truth."""
    _, truth = simulate(
        shape=(size, size), pixel_um=pixel_um, optics=OPTICS, kind=kind, peak_e=peak_e,
        background=2.0, period_um=0.3, seed=seed,
    )  # fmt: skip
    counts = expose(truth.widefield_e, CAMERA, np.random.default_rng([seed, 7]))[0]
    return counts, truth


def finer(coarse: np.ndarray) -> list[np.ndarray]:
    """A picture on a grid twice as fine: by its cosine series, and by cubic splines."""
    spline = spline_zoom(coarse, 2, order=3, mode="reflect", grid_mode=True)
    return [interpolated(coarse[None], 2), spline]


def inner(values: np.ndarray) -> np.ndarray:
    """Without the border."""
    return values[BORDER:-BORDER, BORDER:-BORDER]


def row(
    kind: str, pixel_um: float, peak_e: float, zoom: int, size: int, seed: int, iterations: int
) -> tuple[dict[str, Any], np.ndarray]:
    """One picture enhanced on one grid, and what was made of it on the fine grid."""
    counts, truth = picture(kind, pixel_um, peak_e, size, seed)
    psf = theoretical_psf(OPTICS, pixel_um, "widefield", zoom)
    imaging = Imaging(pixel_um, psf, OPTICS.cutoff_per_um, CAMERA, zoom=zoom)
    settings = ZsSettings(iterations=iterations, patch=128, seed=5, **QUIET)
    began = time.process_time()
    made = train_pictures([counts], imaging, settings)
    cpu_s = time.process_time() - began
    nyquist = 0.5 / pixel_um
    found: dict[str, Any] = {
        "object": kind, "pixel_um": pixel_um, "peak_e": peak_e, "grid": zoom, "size": size,
        "seed": seed, "iterations": iterations, "cpu_s": cpu_s,
        "chi2": made.qc["enhancement"]["chi2"],
    }  # fmt: skip
    best: np.ndarray | None = None
    for gain, suffix in ((1.5, ""), (1.0, "_at_optics")):
        reference = inner(ideally_seen(truth, gain * OPTICS.cutoff_per_um, pixel_um / 2))
        noisy = [inner(v) for v in finer((counts - CAMERA.offset) / CAMERA.gain)]
        found[f"psnr_noisy{suffix}"] = max(float(psnr(v, reference)) for v in noisy)
        for name in ("denoised", "deconvolved", "objects"):
            value = getattr(made, name)
            on_fine = [inner(v) for v in ([value] if zoom == 2 else finer(value))]
            scores = [float(psnr(v, reference)) for v in on_fine]
            curves = [frc(v, reference, pixel_um / 2, threshold=0.5) for v in on_fine]
            reach = [c.crossing_per_um or float(c.frequency_per_um[-1]) for c in curves]
            found[f"psnr_{name}{suffix}"] = max(scores)
            found[f"frc_{name}{suffix}"] = max(reach) / nyquist
            if name == "deconvolved" and suffix == "":
                best = on_fine[int(np.argmax(scores))]
    assert best is not None
    return found, best


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kinds", nargs="*", default=["filaments"])
    parser.add_argument("--pixels", nargs="*", type=float, default=[0.13, 0.16])
    parser.add_argument("--peaks", nargs="*", type=float, default=[300.0, 30.0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--seed", type=int, default=61)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of every scene")
    a = parser.parse_args()
    path = RESULTS / "upsampling.json"
    rows = json.loads(path.read_text())["results"] if path.exists() else []
    for kind in a.kinds:
        for pixel_um in a.pixels:
            for peak_e in a.peaks:
                shown = {}
                for zoom in (1, 2):
                    found, shown[f"grid {zoom}"] = row(
                        kind, pixel_um, peak_e, zoom, a.size, a.seed, a.iterations
                    )
                    rows.append(found)
                    print(json.dumps(found), flush=True)
                    save("upsampling", rows)
                if a.pictures:
                    truth = picture(kind, pixel_um, peak_e, a.size, a.seed)[1]
                    seen = ideally_seen(truth, 1.5 * OPTICS.cutoff_per_um, pixel_um / 2)
                    a.pictures.mkdir(parents=True, exist_ok=True)
                    name = f"{kind}_{pixel_um:g}_{peak_e:g}.npz"
                    np.savez(a.pictures / name, **shown, truth=inner(seen))
    keys = ["object", "pixel_um", "peak_e", "grid", "psnr_noisy", "psnr_denoised",
            "psnr_deconvolved", "frc_denoised", "frc_deconvolved"]  # fmt: skip
    cells = [[f"{r[k]:.2f}" if isinstance(r[k], float) else r[k] for k in keys] for r in rows]
    print(table(keys, cells))


if __name__ == "__main__":
    main()
