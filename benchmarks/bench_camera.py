"""How well ``simcal camera`` finds a simulated camera, beside emva1288 on the same frames.

    python benchmarks/bench_camera.py            # writes benchmarks/results/camera_calibration.json

500 dark frames and 4 × 125 flats of 32 × 48 pixels per draw (Poisson light that flickers by 2 %,
read noise, offsets ±2 ADU, sensitivities ±1 %, one pixel in a thousand hot). ``emva1288`` (LGPL,
of the extra `test` only) is compared where it is installed. The last part
estimates the camera from nine simulated SIM frames, for four objects and two levels of light.
"""

from __future__ import annotations

import resource
import time

import numpy as np
from common import save

from calibration.camera import calibrate_camera
from calibration.camera_results import read_noise_adu
from calibration.moments import measure
from simrecon import simulate
from simrecon.estimate.image_noise import camera_from_images
from simrecon.model.camera import Camera
from simrecon.physics.simulate_camera import sensor

SHAPE, LEVELS_E, DRAWS = (32, 48), (50, 200, 500, 1000), 10
CAMERAS = ((2.2, 1.5), (0.47, 1.6), (7.0, 0.9), (1.1, 6.0))
"""Gain (ADU/e) and read noise (e)."""


def stacks(gain: float, read_e: float, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    chip = sensor(SHAPE, Camera(gain, 100.0, read_e), seed=seed)
    rng = np.random.default_rng(seed)
    dark = np.stack(list(chip.frames(0, 500, rng)))
    return dark, [np.stack(list(chip.frames(e, 125, rng, 0.02))) for e in LEVELS_E]


def emva(dark: np.ndarray, flats: list[np.ndarray]) -> tuple[float, float] | None:
    """Gain and read noise (e) of the package, all frames in pairs; None when not installed."""
    try:
        from emva1288.process.data import Data1288
        from emva1288.process.results import Results1288
        from emva1288.process.routines import get_int_imgs
    except ImportError:
        return None
    vars(np).setdefault("asfarray", lambda a: np.asarray(a, float))  # it is written for NumPy 1

    def pairs(frames: np.ndarray) -> dict[str, float]:
        found = [get_int_imgs(list(frames[i : i + 2])) for i in range(0, len(frames) - 1, 2)]
        return {
            "sum": float(np.mean([np.sum(f["sum"]) for f in found])),
            "pvar": float(np.mean([np.sum(f["pvar"]) for f in found])),
            "dmean": float(np.sqrt(np.mean([f["dmean"] ** 2 for f in found]))),
        }

    levels = {float(e): pairs(f) for e, f in zip(LEVELS_E, flats, strict=True)}
    data = {
        "width": SHAPE[1], "height": SHAPE[0], "temporal": {1.0: {0.0: pairs(dark), **levels}},
        "spatial": {1.0: {0.0: get_int_imgs(list(dark)), 1000.0: get_int_imgs(list(flats[-1]))}},
    }  # fmt: skip
    theirs = Results1288(Data1288(data).data)
    return float(theirs.K), float(theirs.sigma_d)


def truth() -> list[dict[str, object]]:
    rows = []
    for number, (gain, read_e) in enumerate(CAMERAS):
        ours, pulls, differences = [], [], []
        for seed in range(100 * number, 100 * number + DRAWS):
            dark, flats = stacks(gain, read_e, seed)
            record, found = calibrate_camera(dark, flats)
            g, r = record.results["gain"], record.results["read_noise"]
            ours.append((g["value"] / gain - 1, r["rms"] / read_e - 1))
            pulls.append(((g["value"] - gain) / g["sd"], (r["rms"] - read_e) / r["rms_sd"]))
            theirs = emva(dark, flats)
            if theirs is not None:
                every = float(np.sqrt(np.mean(read_noise_adu(found) ** 2))) / g["value"]
                differences.append((g["value"] / theirs[0] - 1, every / theirs[1] - 1))
        worst = 100 * np.abs(ours).max(axis=0)
        row = {
            "gain": gain, "read_noise_e": read_e, "draws": DRAWS,
            "worst_gain_error_percent": worst[0], "worst_read_noise_error_percent": worst[1],
            "pull_rms": np.sqrt(np.mean(np.square(pulls), axis=0)).tolist(),
        }  # fmt: skip
        if differences:
            names = ("gain", "read_noise")
            largest = 100 * np.abs(differences).max(axis=0)
            row["worst_difference_to_emva1288_percent"] = dict(zip(names, largest, strict=True))
        print(row)
        rows.append(row)
    return rows


def pictures() -> list[dict[str, object]]:
    rows = []
    for kind in ("filaments", "mixed", "beads", "blobs"):
        for peak in (50.0, 1000.0):
            camera = Camera(2.2, 100.0, 1.5)
            stack, _ = simulate(shape=(128, 128), peak_e=peak, kind=kind, camera=camera)
            optics = stack.optics[0]
            cutoff = 2 * optics.na * stack.pixel_um / (optics.emission_nm / 1000)
            frames = np.asarray(stack.data).reshape(-1, 128, 128)
            for known in ({}, {"offset": 100.0, "read_noise_e": 1.5}):
                found = camera_from_images(frames, cutoff_per_px=cutoff, **known)
                rows.append({
                    "object": kind, "peak_e": peak, "others_known": bool(known),
                    "gain_error_percent": 100 * (found.gain / 2.2 - 1),
                    "gain_sd_percent": 100 * found.gain_sd / 2.2,
                })  # fmt: skip
                print(rows[-1])
    return rows


def streaming() -> dict[str, float]:
    """Time per megapixel, and memory with twice the frames."""
    rng = np.random.default_rng(0)
    frames = rng.poisson(100.0, (4, 512, 512)).astype(np.uint16)

    def run(count: int) -> tuple[float, float]:
        start = time.perf_counter()
        measure(frames[i % 4] for i in range(count))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return (time.perf_counter() - start) / (count * frames[0].size / 1e6), peak

    _, before = run(40)
    seconds, after = run(80)
    return {"seconds_per_megapixel": seconds, "peak_mb_40": before, "peak_mb_80": after}


def main() -> None:
    save(
        "camera_calibration",
        {"streaming": streaming(), "truth": truth(), "pictures": pictures()},
    )


if __name__ == "__main__":
    main()
