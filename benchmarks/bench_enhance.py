r"""Acceptance of the zero-shot enhancement on simulated frames with known truth.

    python benchmarks/bench_enhance.py --size 512 --budget 7min
    python benchmarks/bench_enhance.py --size 256 --iterations 500 --seed 11 \
        --pictures P --figure docs/images/enhancement.png
    python benchmarks/bench_enhance.py --quick

For filaments, rings and blobs at 50 and 10 photo-electrons (99.9th percentile of the widefield):
PSNR after the least-squares linear fit of the widefield, the Wiener-SIM image with automatic Γ
and with the constant 0.05, the best Richardson–Lucy over iterations on the SIM image with the
effective PSF, the best one on all raw frames together, and the enhanced picture; χ² of the raw
frames; flux; coverage of the uncertainty; time and memory. Enhanced is the picture at its shown
resolution (1.5 times the SIM cut-off), "object" the estimate behind it; Richardson–Lucy is scored
both ways and the better one counts.

There are two references: the true object at 1.5 times the SIM resolution
(``zsdeconv.demo.reference_object``; keys without suffix) and at the SIM resolution itself
(``simrecon.physics.reference.reference_image``; keys ending in ``_at_sim``). Where the pattern
cannot be fitted from the frames, the true one is given to every method, and the row says so.
Last, blank frames. Everything goes to ``results/NAME.json``, rewritten after every row; a run with
the same settings, size and seed goes on where an earlier one stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, save, table

from simrecon.config import ReconstructionSettings, Settings
from simrecon.errors import QualityError
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.reference import reference_image
from simrecon.physics.simulate import Truth, simulate
from simrecon.pipeline import reconstruct
from simrecon.qc.figures import new_figure
from simrecon.qc.metrics import psnr
from zsdeconv import Enhanced, Measurement, ZsSettings, enhance, image_measurement, sim_measurement
from zsdeconv.baselines.richardson_lucy import richardson_lucy
from zsdeconv.config import parse_duration_s
from zsdeconv.demo import reference_object

KINDS, PEAKS = ("filaments", "rings", "blobs"), (50.0, 10.0)
CONSTANT = Settings(
    reconstruction=ReconstructionSettings(regularization="wiener", wiener_constant=0.05)
)
COLUMNS = {
    "kind": "object", "peak_e": "peak e", "pattern": "pattern", "psnr_widefield": "widefield",
    "psnr_sim": "SIM auto", "psnr_constant": "SIM w = 0.05", "psnr_rl_image": "best RL, image",
    "psnr_rl_joint": "best RL, frames", "psnr_enhanced": "enhanced", "gain": "gain over auto",
    "gain_constant": "over w = 0.05", "gain_at_sim": "over auto, at SIM res.",
    "gain_constant_at_sim": "over w = 0.05, at SIM res.", "chi2": "χ²", "flux_ratio": "flux",
    "covered_1_sigma": "in 1σ", "covered_1_sigma_bright": "in 1σ, bright", "total_s": "s",
}  # fmt: skip


def best_over_iterations(
    measurement: Measurement, reference: np.ndarray, iterations: int, offset: float = 0.0
) -> tuple[float, int]:
    """(PSNR, iteration) of the best Richardson–Lucy estimate, chosen against the truth.

    As it is, or at the resolution at which enhanced objects are shown: whichever is better.
    """
    found = []
    for i, f in enumerate(richardson_lucy(measurement, iterations), start=1):
        for picture in (f, measurement.shown(f)):
            found.append((float(psnr(picture - offset, reference)), i))
    return max(found)


def image_baseline(
    image: np.ndarray, psf: np.ndarray, pixel_um: float, reference: np.ndarray, iterations: int
) -> tuple[float, int]:
    """Richardson–Lucy of the SIM image (made positive by an offset) with the effective PSF."""
    offset = max(0.0, -float(image.min())) + 1e-3
    measurement = image_measurement(image + offset, 1.0, psf, pixel_um)
    return best_over_iterations(measurement, reference, iterations, offset)


def usable_pattern(stack: SimStack, truth: Truth) -> tuple[PatternFit, str]:
    """The fitted pattern, or the true one where the pipeline refuses the fit."""
    try:
        return reconstruct(stack).pattern, "fitted"
    except QualityError:
        return truth.pattern, "true (fit failed)"


def coverage(done: Enhanced, reference: np.ndarray) -> dict[str, float]:
    """Fraction of pixels within one standard error, everywhere and in the brightest fifth."""
    if done.uncertainty is None:
        return {}
    inside = np.abs(done.deconvolved - reference) < done.uncertainty
    bright = reference > np.percentile(reference, 80)
    return {
        "covered_1_sigma": float(inside.mean()),
        "covered_1_sigma_bright": float(inside[bright].mean()),
    }


def compare(
    pictures: dict[str, np.ndarray], reference: np.ndarray, suffix: str = ""
) -> dict[str, float]:
    """PSNR of every picture, and what the enhanced one gains over both linear ones, dB."""
    found = {name: float(psnr(image, reference)) for name, image in pictures.items()}
    out = {f"psnr_{name}{suffix}": value for name, value in found.items()}
    out[f"gain{suffix}"] = found["enhanced"] - found["sim"]
    out[f"gain_constant{suffix}"] = found["enhanced"] - found["constant"]
    return out


def row(
    kind: Any,
    peak_e: float,
    size: int,
    settings: ZsSettings,
    seed: int,
    iterations: int,
    folder: Path | None,
) -> dict[str, Any]:
    """All methods on one acquisition; `folder` keeps the pictures."""
    stack, truth = simulate(shape=(size, size), kind=kind, peak_e=peak_e, background=2.0, seed=seed)
    reference = reference_object(truth, stack.pixel_um)
    pattern, how = usable_pattern(stack, truth)
    done = enhance(stack, settings, pattern=pattern)
    result = done.reconstruction
    assert result is not None
    measurement = sim_measurement(
        stack, result, Settings(), shown_cutoff=settings.shown_cutoff or 1.5
    )
    pictures = {
        "widefield": np.kron(result.widefield[0, 0, 0], np.ones((2, 2), np.float32)),
        "sim": done.image,
        "constant": reconstruct(stack, CONSTANT, pattern=pattern).image[0, 0, 0],
        "denoised": done.denoised,
        "enhanced": done.deconvolved,
        "object": done.objects,
    }
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{kind}_{peak_e:g}.npz", **pictures, truth=reference)
    psf = result.effective_psf[0]
    single = image_baseline(done.image, psf, done.pixel_um, reference, iterations)
    joint = best_over_iterations(measurement, reference, iterations)
    found = done.qc["enhancement"]
    return {
        "kind": kind, "peak_e": peak_e, "size": size, "seed": seed, "pattern": how,
        **compare(pictures, reference),
        **compare(pictures, reference_image(truth), "_at_sim"),
        "held_out_gain": found["held_out_gain"], "held_out_gain_sd": found["held_out_gain_sd"],
        "psnr_rl_image": single[0], "rl_image_iterations": single[1],
        "psnr_rl_joint": joint[0], "rl_joint_iterations": joint[1],
        "chi2": found["chi2"], "flux_ratio": found["flux_ratio"],
        "flux_to_truth": float(done.deconvolved.mean() / reference.mean()),
        **coverage(done, reference),
        "steps": done.provenance["iterations"], "training_s": done.provenance["training_s"],
        "total_s": done.qc["total_s"], "peak_memory_gb": done.qc["peak_memory_gb"],
    }  # fmt: skip


def blank(size: int, settings: ZsSettings, seed: int) -> dict[str, Any]:
    """Frames without an object, automatic Γ: what is in the picture, relative to its mean."""
    stack, truth = simulate(shape=(size, size), kind="constant", peak_e=6.0, seed=seed)
    pattern, how = usable_pattern(stack, truth)
    done = enhance(stack, settings, pattern=pattern)
    found = done.qc["enhancement"]
    flat = np.full_like(done.deconvolved, truth.object_e.mean())
    return {
        "kind": "blank", "peak_e": 6.0, "size": size, "seed": seed, "pattern": how,
        "mean_to_truth": float(done.deconvolved.mean() / truth.object_e.mean()),
        "relative_sd": float(done.deconvolved.std() / done.deconvolved.mean()),
        "relative_sd_sim": float(done.image.std() / done.image.mean()),
        "chi2": found["chi2"], "flux_ratio": found["flux_ratio"], "reasons": done.qc["reasons"],
        **({} if done.uncertainty is None else
           {"covered_1_sigma": float((np.abs(done.deconvolved - flat) < done.uncertainty).mean())}),
        "total_s": done.qc["total_s"],
    }  # fmt: skip


def earlier_rows(name: str, settings: dict[str, Any], size: int, seed: int) -> list[dict[str, Any]]:
    """Rows of an interrupted run with the same settings, size and seed."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())["results"]
    if found["settings"] != settings:
        return []
    return [r for r in found["rows"] if r.get("seed") == seed and r["size"] <= size]


def draw(folder: Path, target: Path, peak_e: float) -> None:
    """Widefield, linear SIM, enhanced and truth of all scenes of one brightness."""
    columns = {"widefield": "widefield", "sim": "SIM (linear)", "enhanced": "enhanced",
               "truth": "truth at 1.5 × SIM resolution"}  # fmt: skip
    scenes = [p for k in KINDS if (p := folder / f"{k}_{peak_e:g}.npz").exists()]
    figure = new_figure(3.2 * len(columns), 3.2 * len(scenes) + 0.4)
    for axes, path in zip(figure.subplots(len(scenes), len(columns), squeeze=False), scenes,
                          strict=True):  # fmt: skip
        pictures = np.load(path)
        ny, nx = pictures["truth"].shape
        part = (slice(ny // 4, ny // 4 + 224), slice(nx // 4, nx // 4 + 224))
        truth = pictures["truth"][part]
        low, high = float(truth.min()), float(np.percentile(truth, 99.7))
        for ax, (key, title) in zip(axes, columns.items(), strict=True):
            ax.imshow(pictures[key][part], cmap="inferno", vmin=low, vmax=high)
            ax.set(xticks=[], yticks=[])
            if path == scenes[0]:
                ax.set_title(title)
    figure.savefig(target, dpi=80)


def as_table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    cells = [[r.get(key, "") for key in COLUMNS] for r in rows]
    shown = [[f"{v:.2f}" if isinstance(v, float) else v for v in line] for line in cells]
    return table(list(COLUMNS.values()), shown)


def main(argv: list[str] | None = None) -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--budget", default="7min")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--rl-iterations", type=int, default=80)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--peaks", nargs="*", type=float, default=PEAKS)
    parser.add_argument("--quick", action="store_true", help="one small scene, 15 steps")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures of every scene")
    parser.add_argument("--figure", type=Path, help="figure of the dimmest scenes (--pictures)")
    parser.add_argument("--name", help="results/NAME.json [enhance, or enhance_quick]")
    a = parser.parse_args(argv)
    if a.quick:
        a.size, a.iterations, a.rl_iterations, a.kinds, a.peaks = 128, 15, 10, ["rings"], [50.0]
    limit = {"iterations": a.iterations} if a.iterations else {}
    if not a.iterations:
        limit["budget_s"] = parse_duration_s(a.budget)
    settings = ZsSettings(**limit)
    name = a.name or ("enhance_quick" if a.quick else "enhance")
    scenes = [(kind, peak) for peak in a.peaks for kind in a.kinds]
    said = settings.model_dump(mode="json")
    rows = earlier_rows(name, said, a.size, a.seed)
    have = {(r["kind"], r["peak_e"]) for r in rows}
    for kind, peak in [*scenes, ("blank", 6.0)]:
        if (kind, peak) in have:
            continue
        if kind == "blank":
            rows.append(blank(min(a.size, 256), settings, a.seed))
        else:
            rows.append(row(kind, peak, a.size, settings, a.seed, a.rl_iterations, a.pictures))
        print(json.dumps(rows[-1]), flush=True)
        save(name, {"settings": said, "rows": rows})
    print(as_table(rows))
    if a.pictures and a.figure:
        draw(a.pictures, a.figure, min(a.peaks))


if __name__ == "__main__":
    main()
