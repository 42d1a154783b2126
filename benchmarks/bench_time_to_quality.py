r"""Seconds until a picture is as good as the original method makes it, and seconds per prediction.

    python benchmarks/bench_time_to_quality.py --original-s 900
    python benchmarks/bench_time_to_quality.py --parts inference

**quality**: the 256² filaments of ``bench_figure1.py`` at 25 photo-electrons. The original
(``paper_training.py``: the published network, losses and pairs, batches of four 128² patches in
float32) trains for so many seconds and is looked at every 25 steps, once with the published rate
and once with four times that, which is the better one of a short training. Ours is the whole of
``zsdeconv.enhance`` (start, training, stacking, prediction and all judgements) with its defaults
but the number of steps, anew for every number. Both run in this process with as many threads, in
turn; seconds are those of the *processor* (all threads together), which neighbours disturb less
than wall time. Compared are denoised pictures with the noise-free one, in dB after the linear fit.

**inference**: a 1024² picture, as the whole of ``zsdeconv predict`` and by
``PictureModel.predict`` in a process of its own: wall seconds (medians) and the peak memory of each
process by its own account (``VmHWM``; what the parent hears about its children includes what it had
in memory itself when it started them). The original took 20.6 s and 6.2 GB (TensorFlow 2.15, two
cores; ×2 output), its steps 3.2 s. Results go to ``results/time_to_quality.json`` as they come.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tifffile
from bench_figure1 import BACKGROUND_E, BORDER_PX, CAMERA, OPTICS, PIXEL_UM, measurement, psf, scene
from common import RESULTS, save, table
from paper_training import original

from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.bridge import threads

LEVEL_E, EVERY = 25.0, 25
PUBLISHED_LR = 5e-5
OURS = (5, 10, 20, 40, 80, 160)
PREDICT = """
import json, sys, time
import tifffile
from zsdeconv.picture_model import PictureModel
from pathlib import Path
from simrecon.provenance import peak_memory_gb
model = PictureModel.read(Path(sys.argv[1]))
picture = tifffile.imread(sys.argv[2])
times = []
for _ in range(int(sys.argv[3])):
    begun = time.perf_counter()
    model.predict(picture)
    times.append(time.perf_counter() - begun)
print(json.dumps([times, peak_memory_gb()]))
"""
COMMAND = """
import sys
from pathlib import Path
from simrecon.provenance import peak_memory_gb
from simrecon.shell import execute
from zsdeconv.cli import app
code = execute(app, sys.argv[2:])
Path(sys.argv[1]).write_text(str(peak_memory_gb()))
sys.exit(code)
"""


class Stopped(Exception):
    """The time of the original is over."""


def recording(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (size, size), and the noise-free picture in electrons."""
    clean = LEVEL_E * scene("filaments", size, seed)[0] + BACKGROUND_E
    rng = np.random.default_rng(seed)
    return np.rint(100.0 + 2.0 * (rng.poisson(clean) + rng.normal(0, 1, clean.shape))), clean


def trace_of_original(
    counts: np.ndarray, score: Callable[[np.ndarray], float], lr: float, seconds: float
) -> dict[str, Any]:
    """PSNR of the denoised picture every `EVERY` steps, over processor seconds."""
    found: list[dict[str, float]] = []
    looking = 0.0
    begun = time.process_time()

    def look(step: int, denoised: np.ndarray, _: np.ndarray) -> None:
        nonlocal looking
        now = time.process_time()
        used = now - begun - looking
        found.append({"step": step, "seconds": round(used, 1), "psnr": score(denoised)})
        print(f"original, rate {lr:g}: {found[-1]}", flush=True)
        looking += time.process_time() - now
        if used > seconds:
            raise Stopped

    with suppress(Stopped):
        original(counts, psf(), offset=100.0, gain=2.0, read_variance=4.0, steps=50_000, patch=128,
                 batch=4, lr=lr, bfloat16=False, every=EVERY, look=look)  # fmt: skip
    return {"rate": lr, "looks": found}


def trace_of_ours(counts: np.ndarray, score: Callable[[np.ndarray], float]) -> list[dict[str, Any]]:
    """PSNR of the denoised picture for every number of steps, and processor seconds of it all."""
    found = []
    for steps in OURS:
        begun = time.process_time()
        made = enhance(measurement(counts), ZsSettings(iterations=steps, uncertainty_draws=0))
        used = time.process_time() - begun
        found.append({"steps": steps, "seconds": round(used, 1), "psnr": score(made.denoised)})
        print(f"ours: {found[-1]}", flush=True)
    return found


def compared(originals: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For every rate: the best that it reached, when; and when ours was as good."""
    rows = []
    for one in originals:
        best = max(one["looks"], key=lambda look: look["psnr"])
        first = next((o for o in ours if o["psnr"] >= best["psnr"]), None)
        rows.append({
            "rate": one["rate"], "psnr": best["psnr"], "step": best["step"],
            "seconds": best["seconds"], "ours_steps": first and first["steps"],
            "ours_psnr": first and first["psnr"], "ours_seconds": first and first["seconds"],
            "sooner": first and best["seconds"] / first["seconds"],
        })  # fmt: skip
    return rows


def quality(size: int, seed: int, seconds: float) -> dict[str, Any]:
    """The first part."""
    counts, clean = recording(size, seed)

    def score(image: np.ndarray) -> float:
        return psnr(image, clean, margin_px=BORDER_PX)

    ours = trace_of_ours(counts, score)
    originals = [trace_of_original(counts, score, r, seconds) for r in (PUBLISHED_LR, 2e-4)]
    return {"size": size, "level_e": LEVEL_E, "threads": threads(),
            "noisy_psnr": score(counts), "originals": originals, "ours": ours,
            "compared": compared(originals, ours)}  # fmt: skip


def by_call(model: Path, picture: Path, runs: int) -> tuple[list[float], float]:
    """Wall seconds of every call in a process of its own, and that process's peak memory, GB."""
    program = [sys.executable, "-c", PREDICT, str(model), str(picture), str(runs)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    times, memory_gb = json.loads(done.stdout)
    return times, memory_gb


def by_command(model: Path, picture: Path, output: Path) -> tuple[float, float]:
    """Wall seconds and peak memory, GB, of the whole of ``zsdeconv predict``."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "memory"
        program = [sys.executable, "-c", COMMAND, str(note), "predict", str(picture),
                   "--model", str(model), "-o", str(output)]  # fmt: skip
        begun = time.perf_counter()
        subprocess.run(program, check=False)
        return time.perf_counter() - begun, float(note.read_text())


def inference(side: int, runs: int) -> dict[str, Any]:
    """The second part: a model of few steps, which takes as long as one of many."""
    found: dict[str, Any] = {"side": side, "threads": threads()}
    with tempfile.TemporaryDirectory() as folder:
        picture, model = Path(folder) / "picture.tif", Path(folder) / "model"
        counts = recording(side, 7)[0].astype(np.uint16)
        tifffile.imwrite(picture, counts)
        small = Path(folder) / "small.tif"
        tifffile.imwrite(small, counts[:256, :256])
        program = [sys.executable, "-c", "from zsdeconv.cli import run; run()"]
        optics = ["--pixel-um", str(PIXEL_UM), "--na", str(OPTICS.na), "--emission-nm",
                  str(OPTICS.emission_nm), "--gain", str(CAMERA.gain), "--offset",
                  str(CAMERA.offset), "--read-noise-e", "1"]  # fmt: skip
        subprocess.run([*program, "train", str(small), "-o", str(model), *optics,
                        "--set=zsdeconv.iterations=20"], check=True)  # fmt: skip
        times, found["call_gb"] = by_call(model, picture, runs)
        found |= {"call_first_s": times[0], "call_s": median(times)}
        commands = [by_command(model, picture, Path(folder) / f"out{n}") for n in range(runs)]
        found["command_s"] = median(seconds for seconds, _ in commands)
        found["command_gb"] = max(memory_gb for _, memory_gb in commands)
    return found


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--original-s", type=float, default=900.0, help="of either rate")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--parts", nargs="*", default=("quality", "inference"),
                        choices=("quality", "inference"))  # fmt: skip
    a = parser.parse_args(argv)
    path = RESULTS / "time_to_quality.json"
    results = json.loads(path.read_text())["results"] if path.exists() else {}
    if "inference" in a.parts:
        results["inference"] = inference(a.side, a.runs)
        save("time_to_quality", results)
        print(results["inference"])
    if "quality" in a.parts:
        results["quality"] = quality(a.size, 100, a.original_s)
        save("time_to_quality", results)
        header = list(results["quality"]["compared"][0])
        print(table(header, [list(r.values()) for r in results["quality"]["compared"]]))


if __name__ == "__main__":
    main()
