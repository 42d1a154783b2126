"""Linear and iterative reconstructions of the same frames, and what the automatic strength loses.

Run: ``python benchmarks/bench_iterative.py [--size 256] [--kinds K …] [--peaks E …] [--seeds N …]``
with ``--picture FILE.png`` for crops at 100 e. Frames from this project's simulator (finer grid, no
code shared with the reconstruction): period 210 nm, modulation 0.85/0.70/0.55, steps jittered by
6°, intensities by 3 %, a background of 2 % of the peak, read noise 1.5 e. All methods use the true
pattern.

The reference is the object at the resolution of linear SIM (ideal OTF stretched to cut-off +
pattern frequency). Iterative pictures are sharper than that: they are blurred to it before they are
scored; the linear picture has it already. "equalised" is after the best gain per Fourier ring.

"oracle" is the best strength of a sweep chosen by the truth: Γ × 0.03…30; λ half a decade up and
down from the automatic one, and further as long as it pays; every number of iterations up to twice
the automatic one + 20.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import save, table

from simrecon.backend import fft2, ifft2
from simrecon.model.noise import FrameNoise
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.reference import reference_image, reference_otf
from simrecon.physics.simulate import Truth, simulate
from simrecon.qc.metrics import equalised_psnr, linear_fit, psnr
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.preprocess import raw_variance
from simrecon.recon.richardson_lucy import RichardsonLucy
from simrecon.recon.solver import IterativeMethod, IterativeSolver, Strength

KINDS = ("filaments", "rings", "blobs", "beads")
METHODS: tuple[IterativeMethod, ...] = ("tv", "hessian", "rl")
MARGIN_PX = 16
HALF_DECADE = 10**0.5
Score = Callable[[np.ndarray, bool], dict[str, float]]


class Case:
    """One simulated acquisition, its operator, and the scorer."""

    def __init__(self, kind: str, peak_e: float, seed: int, size: int) -> None:
        stack, self.truth = simulate(
            shape=(size, size),
            kind=kind,
            peak_e=peak_e,
            seed=seed,
            background=0.02 * peak_e,
            phase_jitter_rad=np.radians(6.0),
            intensity_jitter=0.03,
        )
        self.frames = stack.frames_e()
        self.variance = raw_variance(self.frames, stack.camera)
        self.noise = FrameNoise(float(np.mean(stack.camera.read_noise_e)) ** 2)
        self.operator = Reconstructor.from_frames(
            self.frames,
            self.truth.pattern,
            self.truth.otf,
            stack.grid,
            frame_variance_e2=self.variance.mean(axis=(2, 3)),
        )
        self.reference = reference_image(self.truth)
        self._blur = blur(self.operator, self.truth)

    def score(self, image: np.ndarray, *, sharp: bool) -> dict[str, float]:
        """PSNR and equalised PSNR, dB; sharp pictures are blurred to the reference first."""
        image = self._blur(image) if sharp else image
        return {
            "psnr": psnr(image, self.reference, margin_px=MARGIN_PX),
            "equalised": equalised_psnr(image, self.reference, margin_px=MARGIN_PX),
        }


def blur(operator: Reconstructor, truth: Truth) -> Callable[[np.ndarray], np.ndarray]:
    """Convolution with the reference's PSF on the SR grid."""
    grid = operator.sr_grid
    padding = MirrorPadding.around(grid.shape, 64)
    frequency = np.mean([np.hypot(*d.frequency_per_um) for d in truth.pattern.directions])
    otf = reference_otf(truth.otf.cutoff_per_um + float(frequency))
    ky, kx = (np.fft.fftfreq(n, grid.pixel_um) for n in padding.padded)
    transfer = evaluate_otf(otf, ky[:, None], kx[None, :])

    def apply(image: np.ndarray) -> np.ndarray:
        spectrum = fft2(padding.extend(image.astype(np.float64))) * transfer
        return np.asarray(padding.crop(ifft2(spectrum).real))

    return apply


def best(tried: list[dict[str, float]]) -> dict[str, float]:
    """The best of each figure, whichever strength gave it."""
    return {name: max(t[name] for t in tried) for name in tried[0]}


def linear(case: Case) -> tuple[dict[str, Any], np.ndarray]:
    """The Wiener picture with its automatic Γ, and the best Γ."""
    start = time.perf_counter()
    image = case.operator.reconstruct(case.frames)
    seconds = time.perf_counter() - start
    auto = case.score(image, sharp=False)
    tried = [auto]
    found = case.operator.regularization
    assert found is not None
    for factor in (0.03, 0.1, 0.3, 3.0, 10.0, 30.0):
        other = Reconstructor(
            case.operator.pattern,
            case.operator.otf,
            case.operator.grid,
            frame_variance_e2=case.operator.frame_variance_e2,
            regularization=Regularization(found.signal_power, factor),
        )
        tried.append(case.score(other.reconstruct(case.frames), sharp=False))
    return {**auto, "oracle": best(tried), "seconds": seconds}, image


def iterative(case: Case, method: IterativeMethod) -> tuple[dict[str, Any], np.ndarray]:
    """One method with its automatic strength, and the best strength of a sweep."""
    arrays = (case.frames, case.variance, case.noise)
    solver = IterativeSolver(case.operator, method)
    start = time.perf_counter()
    strength = solver.tune(*arrays)
    tuned = time.perf_counter()
    found = solver.solve(*arrays, strength)
    end = time.perf_counter()
    auto = case.score(found.image, sharp=True)
    sweep = iterations_sweep if method == "rl" else weight_sweep
    tried = [auto, *sweep(case, method, strength, auto)]
    return {
        **auto,
        "oracle": best(tried),
        "strength": strength.value,
        "degrees_of_freedom": strength.degrees_of_freedom,
        "chi2": found.chi2,
        "chi2_reduced": found.chi2_reduced,
        "iterations": found.estimate.iterations,
        "stopped": found.estimate.reason,
        "flux_to_truth": float(found.image.mean() / case.truth.object_e.mean()),
        "tune_s": tuned - start,
        "seconds": end - tuned,
    }, found.image


def weight_sweep(
    case: Case, method: IterativeMethod, strength: Strength, auto: dict[str, float]
) -> list[dict[str, float]]:
    """λ in half decades, up and down, as long as one of the figures gains."""
    tried = []
    for ratio in (HALF_DECADE, 1 / HALF_DECADE):
        last, factor = auto, ratio
        while 1e-3 < factor < 1e3:
            solver = IterativeSolver(case.operator, method, factor=factor)
            image = solver.solve(case.frames, case.variance, case.noise, strength).image
            here = case.score(image, sharp=True)
            tried.append(here)
            if all(here[name] <= last[name] + 0.01 for name in here):
                break
            last, factor = here, factor * ratio
    return tried


def iterations_sweep(
    case: Case, method: IterativeMethod, strength: Strength, auto: dict[str, float]
) -> list[dict[str, float]]:
    """Every number of iterations up to twice the automatic one + 20."""
    tried = []
    for found in RichardsonLucy(case.operator, case.frames, case.noise).iterate():
        tried.append(case.score(found.image, sharp=True))
        if found.iterations >= 2 * strength.value + 20:
            return tried
    raise AssertionError("iterate() does not end")


def draw(pictures: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Crops: one row per object, one column per method, each fitted to the object's grey scale."""
    import matplotlib.pyplot as plt

    titles = list(next(iter(pictures.values())))
    rows = len(pictures)
    figure, axes = plt.subplots(
        rows, len(titles), figsize=(2.2 * len(titles), 2.2 * rows), squeeze=False
    )
    for row, (kind, images) in zip(axes, pictures.items(), strict=True):
        middle = images["object"].shape[0] // 2
        part = (slice(middle - 60, middle + 60),) * 2
        top = float(np.percentile(images["object"][part], 99.7))
        for axis, (title, image) in zip(row, images.items(), strict=True):
            gain, offset = linear_fit(image, images["object"])
            axis.imshow(gain * image[part] + offset, cmap="inferno", vmin=0, vmax=top)
            axis.set(xticks=[], yticks=[])
            if kind == next(iter(pictures)):
                axis.set_title(title, fontsize=9)
        row[0].set_ylabel(kind, fontsize=9)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=110)


def show(results: list[dict[str, Any]], peaks: list[float]) -> None:
    """Means over objects per light level: equalised PSNR (PSNR), and what auto loses to oracle."""
    rows = []
    for peak in peaks:
        some = [r for r in results if r["peak_e"] == peak]
        for method in ("wiener", *METHODS):
            cells: list[Any] = [f"{peak:g}", method]
            for kind in KINDS:
                one = [r[method] for r in some if r["kind"] == kind]
                if one:
                    both = (np.mean([r[n] for r in one]) for n in ("psnr", "equalised"))
                    cells.append(" / ".join(f"{v:.2f}" for v in both))
                else:
                    cells.append("")
            for figure in ("psnr", "equalised"):
                loss = np.mean([r[method]["oracle"][figure] - r[method][figure] for r in some])
                cells.append(f"{loss:.2f}")
            cells.append(f"{np.median([r[method]['seconds'] for r in some]):.1f}")
            rows.append(cells)
    header = ["peak e", "method", *KINDS, "loss PSNR", "loss eq.", "s"]
    print(table(header, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--peaks", type=float, nargs="+", default=[100, 1000, 10, 30])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    results = []
    pictures: dict[str, dict[str, np.ndarray]] = {}
    for peak in args.peaks:
        for kind in args.kinds:
            for seed in args.seeds:
                case = Case(kind, peak, seed, args.size)
                entry: dict[str, Any] = {"kind": kind, "peak_e": peak, "seed": seed}
                entry["size"] = args.size
                images = {"object": case.truth.object_e}
                entry["wiener"], images["wiener"] = linear(case)
                for method in METHODS:
                    entry[method], images[method] = iterative(case, method)
                print(entry, flush=True)
                results.append(entry)
                if peak == 100 and seed == args.seeds[0]:
                    pictures[kind] = images
                save("iterative", results)
    show(results, args.peaks)
    if args.picture and pictures:
        draw(pictures, args.picture)


if __name__ == "__main__":
    main()
