"""One network for a SIM movie beside a network for every time point: quality and time.

    python benchmarks/bench_series.py --size 128 --times 6 --iterations 150

Filaments that change completely after two thirds of the movie, with the same instrument and fresh
noise at every time point. "series": ``train_series`` on four time points (``zsdeconv sim --time
all``). "alone": ``zsdeconv.enhance`` on one time point with as many steps, for a time point that
the series was trained on and one that it was not, before and after the change. PSNR in dB after the
linear fit to the object at 1.5 times the SIM resolution. The series' seconds are processor seconds
of everything (patterns, training, all time points), those of "alone" of one time point. Results go
to ``results/series.json``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np
from common import save, table

from simrecon.physics.simulate import Truth, simulate
from simrecon.qc.metrics import psnr
from zsdeconv import ZsSettings, enhance
from zsdeconv.demo import reference_object
from zsdeconv.series import train_series

BORDER_PX = 8


def scene(size: int, peak_e: float, seed: int, noise_seed: int) -> tuple[Any, Truth]:
    """One time point."""
    return simulate(shape=(size, size), kind="filaments", peak_e=peak_e, seed=seed,
                    noise_seed=noise_seed, phase_jitter_rad=0.05)  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--times", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--peak-e", type=float, default=40.0)
    a = parser.parse_args(argv)
    change = 2 * a.times // 3
    made = [scene(a.size, a.peak_e, 5 if t < change else 15, 100 + t) for t in range(a.times)]
    stack = replace(made[0][0], data=np.concatenate([s.data for s, _ in made]))
    wanted = [reference_object(truth, stack.pixel_um) for _, truth in made]
    settings = ZsSettings(iterations=a.iterations, uncertainty_draws=0, probes=False)

    def score(image: np.ndarray, t: int) -> float:
        return round(float(psnr(image, wanted[t], margin_px=BORDER_PX)), 2)

    begun = time.process_time()
    series = train_series(stack, settings)
    trained_s = time.process_time() - begun
    rows: list[dict[str, Any]] = []
    for point in series:
        assert point.image is not None
        assert point.predicted is not None
        rows.append({
            "time": point.time, "trained_on": point.time in series.trained_on,
            "sim": score(point.image, point.time),
            "series_denoised": score(point.predicted.denoised, point.time),
            "series": score(point.predicted.deconvolved, point.time),
            "chi2": round(point.predicted.chi2, 3),
        })  # fmt: skip
    every_s = time.process_time() - begun
    results = {**vars(a), "change_at": change, "training_s": round(trained_s, 1),
               "series_s": round(every_s, 1), "rows": rows}  # fmt: skip
    save("series", results)
    for t in (0, 1, change, a.times - 1):
        begun = time.process_time()
        done = enhance(stack, settings, time=t)
        rows[t] |= {"alone": score(done.deconvolved, t),
                    "alone_s": round(time.process_time() - begun, 1)}  # fmt: skip
        save("series", results)
    header = ["time", "trained_on", "sim", "series_denoised", "series", "chi2", "alone", "alone_s"]
    print(table(header, [[row.get(k, "") for k in header] for row in rows]))
    print({k: results[k] for k in ("training_s", "series_s")})


if __name__ == "__main__":
    main()
