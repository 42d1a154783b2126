r"""What a method could reach in the experiment of figure 1: oracles that know the truth.

    python benchmarks/bench_figure1_limits.py --size 96 --images 10

The same pictures, metric and reference as ``bench_figure1.py``, no training:

noisy        the picture itself
widefield    the same without noise
rings        Wiener filter, radially symmetric, with the true signal of every ring
wiener       Wiener filter with the true power of every single spatial frequency (but no phase)
rl_sharpest  accelerated Richardson–Lucy, its iteration chosen for its FRC against the truth

The filters see the picture with 32 pixels around it, periodic, as it was simulated, so that
they have no borders. A radially symmetric filter multiplies a whole ring of the spectrum and leaves
its correlation with the truth as it is: `rings` has the resolution of the noisy picture by
construction, whatever its PSNR. Results go to ``results/figure1_limits.json``; the table has the
resolutions of ours, of sparse deconvolution and of Richardson–Lucy of ``figure1.json`` beside them.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from bench_figure1 import (
    BACKGROUND_E,
    CAMERA,
    KINDS,
    LEVELS,
    MARGIN_PX,
    PIXEL_UM,
    camera_counts,
    figures,
    psf,
    whole_scene,
)  # fmt: skip
from common import RESULTS, save, table
from scipy import fft

from zsdeconv.baselines.blur import Blur
from zsdeconv.baselines.lucy import lucy_steps

METHODS = ("noisy", "widefield", "rings", "wiener", "rl_sharpest")
TRAINED = ("rl_best", "sparse", "network", "ours")
MOST_ITERATIONS = 60
END_NM = 2e3 * PIXEL_UM
"""Resolution of a picture that stays above the threshold up to the grid's end."""


def by_ring(power: np.ndarray) -> np.ndarray:
    """Means over rings of one frequency step, spread over the square spectrum again."""
    n = len(power)
    k = np.fft.fftfreq(n, 1.0 / n)
    ring = np.rint(np.hypot(k[:, None], k[None, :])).astype(int)
    sums = np.bincount(ring.ravel(), power.ravel())
    return np.asarray((sums / np.bincount(ring.ravel()))[ring])


def filtered(
    noisy: np.ndarray, clean: np.ndarray, truth: np.ndarray, rings: bool
) -> np.ndarray:  # fmt: skip
    """Wiener filter with the true power; truth and clean picture share their phases.

    Shot noise is white in the mean over positions: its power is the picture's mean variance.
    """
    seen, shown = np.abs(fft.fft2(clean)), np.abs(fft.fft2(truth))
    cross, power = seen * shown, seen**2
    if rings:
        cross, power = by_ring(cross), by_ring(power)
    noise = clean.size * float(np.mean(clean) + np.mean(CAMERA.read_noise_e) ** 2)
    return np.asarray(fft.ifft2(fft.fft2(noisy) * cross / (power + noise)).real)


def row(kind: str, level_e: float, size: int, seed: int) -> dict[str, Any]:
    """Figures of all oracles on one picture."""
    clean, truth = (
        level_e * p + BACKGROUND_E for p in whole_scene(kind, size, seed)
    )  # fmt: skip
    box = (slice(MARGIN_PX, MARGIN_PX + size),) * 2
    reference = truth[box]
    noisy = CAMERA.electrons(camera_counts(clean, seed + 10_000, level_e)).astype(float)
    noisy[box] = CAMERA.electrons(camera_counts(clean[box], seed, level_e))
    read = float(np.mean(CAMERA.read_noise_e)) ** 2
    steps = lucy_steps(noisy[box], Blur(psf(), reference.shape), read_variance_e2=read)
    lucy = [figures(s.image, reference) for s, _ in zip(steps, range(MOST_ITERATIONS))]  # noqa: B905
    return {
        "kind": kind, "level_e": level_e, "seed": seed,
        "noisy": figures(noisy[box], reference),
        "widefield": figures(clean[box], reference),
        "rings": figures(filtered(noisy, clean, truth, rings=True)[box], reference),
        "wiener": figures(filtered(noisy, clean, truth, rings=False)[box], reference),
        "rl_sharpest": min(lucy, key=lambda f: f["frc_nm"] or END_NM),
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Mean PSNR (resolution, nm) of every cell, and how many times the noisy picture's that is."""
    lines = []
    for kind in KINDS:
        for level in LEVELS:
            cell = [r for r in rows if (r["kind"], r["level_e"]) == (kind, level)]
            names = [n for n in (*METHODS, *TRAINED) if all(n in r for r in cell)]
            if not cell:
                continue
            nm = {n: float(np.mean([r[n]["frc_nm"] or END_NM for r in cell])) for n in names}
            lines.append([kind, f"{level:g}"] + [
                f"{np.mean([r[n]['psnr'] for r in cell]):.2f} ({nm[n]:.0f}, "
                f"{nm['noisy'] / nm[n]:.2f}×)" for n in names
            ])  # fmt: skip
    return lines


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=10)
    a = parser.parse_args()
    rows = [
        row(kind, level, a.size, 100 + i)
        for kind in KINDS for level in LEVELS for i in range(a.images)
    ]  # fmt: skip
    save("figure1_limits", {"size": a.size, "rows": rows})
    path = RESULTS / "figure1.json"
    earlier = json.loads(path.read_text())["results"] if path.exists() else {"size": 0}
    if earlier["size"] == a.size:
        have = {(r["kind"], r["level_e"], r["seed"]): r for r in earlier["rows"]}
        for r in rows:
            known = have.get((r["kind"], r["level_e"], r["seed"]), {})
            r |= {n: known[n] for n in TRAINED if n in known}
    print(table(["object", "e", *METHODS, *TRAINED], summary(rows)))


if __name__ == "__main__":
    main()
