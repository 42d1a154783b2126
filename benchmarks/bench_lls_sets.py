"""Lattice light-sheet SIM on simulated stacks whose sheet lies 0.4 µm from the focal plane.

Run: ``python benchmarks/bench_lls_sets.py [--shape 48 128 256] [--peaks 1000 100] [--draws 60]
[--picture F.png]``. The simulator (``simrecon.simulate_volume``) convolves on a finer grid and
shares no code with the operator. Its noise-free frames, times each level of light, are exposed
anew. Per level: the distance found, errors of the pattern, spectrally equalised PSNR of the inner
planes against the object with the fitted pattern, with the true one and with the sheet taken to be
in focus; the frequency at which picture and widefield stop correlating with the object (0.5 and
1/7) along x, y and z; the distance between the noise-free picture and T ⊛ object. ``--draws N``
sets the variance map of a small volume beside N noise draws. Results are saved after each step.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy.fft
from common import save, table

from simrecon import pipeline, simulate_volume
from simrecon.config import build_settings
from simrecon.model.stack import SimStack
from simrecon.physics.exposure import expose
from simrecon.physics.simulate_volume import LATTICE, VolumeTruth
from simrecon.qc.metrics import equalised_psnr
from simrecon.recon.operator import Reconstructor

OFFSET_UM = 0.4
MARGIN_PX, MARGIN_PLANES = 24, 4
THRESHOLDS, STEP_PER_UM = (0.5, 1 / 7), 0.25
NARROW_PER_UM = 0.6
"""Half-width of the rod of frequencies about an axis."""


def axis_cutoffs(image: np.ndarray, truth: VolumeTruth, threshold: float) -> dict[str, float]:
    """Frequency along x, y and z at which the correlation with the object falls below a value."""
    inner = np.s_[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    spectra = []
    for volume in (image, truth.object_e):
        part = (volume[inner] - volume[inner].mean()).astype(np.float64)
        for axis, n in enumerate(part.shape):
            shape = [1, 1, 1]
            shape[axis] = n
            part = part * np.hanning(n + 2)[1:-1].reshape(shape)
        spectra.append(scipy.fft.fftn(part))
    a, b = spectra
    pitches = (truth.grid.dz_um, 0.5 * truth.grid.pixel_um, 0.5 * truth.grid.pixel_um)
    k = np.meshgrid(
        *(np.abs(np.fft.fftfreq(n, p)) for n, p in zip(a.shape, pitches, strict=True)),
        indexing="ij",
    )
    found = {}
    for axis, name in enumerate("zyx"):
        others = [k[i] for i in range(3) if i != axis]
        used = np.hypot(*others) < NARROW_PER_UM
        bins = np.round(k[axis][used] / STEP_PER_UM).astype(int)
        cross = np.bincount(bins, (a * np.conj(b)).real[used])
        power = np.bincount(bins, np.abs(a[used]) ** 2) * np.bincount(bins, np.abs(b[used]) ** 2)
        curve = cross / np.sqrt(np.maximum(power, 1e-30))
        below = np.flatnonzero(curve[1:] < threshold)
        n = int(below[0]) + 1 if below.size else len(curve) - 1
        drop = curve[n - 1] - curve[n]
        part = (curve[n - 1] - threshold) / drop if below.size and drop > 0 else 0.0
        found[name] = float(STEP_PER_UM * (n - 1 + part))
    return found


def planes_psnr(image: np.ndarray, truth: VolumeTruth) -> float:
    """Mean over the inner planes."""
    inner = range(MARGIN_PLANES, len(image) - MARGIN_PLANES)
    values = [equalised_psnr(image[z], truth.object_e[z], margin_px=MARGIN_PX) for z in inner]
    return float(np.mean(values))


def distance_from_expected(operator: Reconstructor, truth: VolumeTruth) -> float:
    """``|L(noise-free) − T ⊛ object| / |T ⊛ object|`` inside the margins."""
    seen = operator._sr_padding.extend(truth.object_e.astype(np.float32))
    spectrum = scipy.fft.rfftn(seen)
    # the truth holds means over fine pixels, and over half a plane on either side (1, 2, 1)
    ky, kx = (np.fft.fftfreq(n) for n in seen.shape[1:])
    spectrum /= np.sinc(ky)[:, None] * np.sinc(kx[: spectrum.shape[-1]])
    spectrum /= np.cos(0.5 * np.pi * np.fft.fftfreq(len(seen)))[:, None, None] ** 2
    spectrum *= operator.effective_otf()[..., : seen.shape[-1] // 2 + 1]
    inner = np.s_[MARGIN_PLANES:-MARGIN_PLANES, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    expected = operator._sr_padding.crop(scipy.fft.irfftn(spectrum, seen.shape))[inner]
    picture = operator.reconstruct(truth.expected_e)[inner]
    return float(np.linalg.norm(picture - expected) / np.linalg.norm(expected))


def variance_over_draws(draws: int) -> float:
    """Median ratio of the variance map to that of noise draws, away from the lateral border."""
    _, truth = simulate_volume(mode="lls", shape=(10, 48, 64), peak_e=200.0, seed=1)
    variance = truth.expected_e + 2.0
    operator = Reconstructor.from_frames(
        truth.expected_e, truth.pattern, truth.otf, truth.grid,
        frame_variance_e2=variance.mean(axis=(2, 3, 4)),
    )  # fmt: skip
    rng, sigma = np.random.default_rng(0), np.sqrt(variance)
    square = np.zeros(operator.sr_grid.shape)
    for _ in range(draws):
        noise = rng.standard_normal(sigma.shape, np.float32) * sigma
        square += operator.reconstruct(noise).astype(np.float64) ** 2
    ratio = operator.variance(variance) / (square / draws)
    inner = ratio[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    # the spread of the draws biases the mean of the ratio, not that of its inverse
    return float(1.0 / np.mean(1.0 / inner))


def exposed(stack: SimStack, truth: VolumeTruth, peak_e: float, brightest_e: float) -> Any:
    """The same object with less light: stack and truth."""
    share = np.float32(peak_e / brightest_e)
    dimmed = replace(truth, object_e=truth.object_e * share, expected_e=truth.expected_e * share)
    counts, _ = expose(dimmed.expected_e, stack.camera, np.random.default_rng(int(peak_e)))
    return replace(stack, data=counts[None, None]), dimmed


def measure(
    stack: SimStack, truth: VolumeTruth, peak_e: float, picture: str | None
) -> dict[str, Any]:
    """One level of light."""
    keys = {
        "mode": "lls", "variance": False,
        "lattice_na_max": LATTICE.na_max, "lattice_na_min": LATTICE.na_min,
    }  # fmt: skip
    settings = build_settings(("benchmark", keys))
    ours = pipeline.reconstruct(stack, settings)
    (fit,), (true,) = ours.pattern.directions, truth.pattern.directions
    best = pipeline.reconstruct(stack, settings, pattern=replace(truth.pattern, verdict="ok"))
    off = replace(fit, sheet_offset_um=0.0, sheet_offset_sd_um=None)
    focused = pipeline.reconstruct(
        stack, settings, pattern=replace(ours.pattern, directions=(off,), verdict="ok")
    )
    image, wide = ours.image[0, 0], np.kron(ours.widefield[0, 0], np.ones((1, 2, 2)))
    if picture is not None:
        draw(picture, wide, focused.image[0, 0], image, truth.object_e)
    gains: dict[str, float] = {}
    for threshold in THRESHOLDS:
        fine, coarse = (axis_cutoffs(v, truth, threshold) for v in (image, wide))
        gains |= {f"gain_{a}_at_{threshold:.2f}": fine[a] / coarse[a] for a in "xyz"}
        gains |= {f"{a}_per_um_at_{threshold:.2f}": fine[a] for a in "xyz"}
    extent_um = truth.grid.shape[2] * truth.grid.pixel_um
    return {
        "peak_e": peak_e,
        "verdict": ours.qc["verdicts"]["overall"],
        "offset_um": fit.sheet_offset_um,
        "offset_sd_um": fit.sheet_offset_sd_um,
        "frequency_px": abs(abs(fit.frequency_per_um[1]) - true.frequency_per_um[1]) * extent_um,
        "modulation": [fit.modulation[0], fit.modulation[1]],
        "modulation_true": [true.modulation[0], true.modulation[1]],
        "psnr_fitted_db": planes_psnr(image, truth),
        "psnr_true_db": planes_psnr(best.image[0, 0], truth),
        "psnr_in_focus_db": planes_psnr(focused.image[0, 0], truth),
        "psnr_widefield_db": planes_psnr(wide, truth),
        **gains,
        "off_expected": distance_from_expected(best.reconstructors[0][0], truth),
        "seconds": ours.qc["timings_s"],
    }


def draw(path: str, *volumes: np.ndarray) -> None:
    """A plane, a part of it and a section of widefield, pictures and object."""
    names = ("widefield", "sheet taken to be in focus", "distance found", "object")
    figure, axes = plt.subplots(3, 4, figsize=(15, 8), height_ratios=(2, 2, 1.2))
    for column, name, volume in zip(axes.T, names, volumes, strict=True):
        z, ny, nx = len(volume) // 2, *volume.shape[1:]
        near = np.s_[ny // 2 - 50 : ny // 2 + 50, nx // 2 - 100 : nx // 2 + 100]
        section = volume[:, ny // 2 - 2 : ny // 2 + 3].mean(axis=1)
        for axis, part in zip(column, (volume[z], volume[z][near], section), strict=True):
            top = np.percentile(part, 99.8)
            axis.imshow(part, cmap="gray", vmin=0, vmax=top, aspect="auto")
            axis.set_axis_off()
        column[0].set_title(name)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    """Measure, print a table, save the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=[48, 128, 256])
    parser.add_argument("--peaks", type=float, nargs="*", default=[1000.0, 100.0])
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture")
    parser.add_argument("--name", default="lls_sets", help="of the results file")
    args = parser.parse_args()
    shape = (args.shape[0], args.shape[1], args.shape[2])
    results: dict[str, Any] = {"shape": shape, "offset_um": OFFSET_UM, "sets": []}
    rows = results["sets"]
    if args.peaks:
        brightest = max(args.peaks)
        stack, truth = simulate_volume(
            mode="lls", shape=shape, peak_e=brightest, sheet_offset_um=OFFSET_UM, seed=args.seed,
            phase_jitter_rad=np.deg2rad(3.0), intensity_jitter=0.02,
        )  # fmt: skip
        for peak in args.peaks:
            rows.append(measure(*exposed(stack, truth, peak, brightest), peak, args.picture))
            save(args.name, results)
            names = [n for n in rows[0] if n != "seconds"]
            print(table(names, [[_short(r[n]) for n in names] for r in rows]), flush=True)
    if args.draws:
        results["variance_over_draws"] = variance_over_draws(args.draws)
        results["draws"] = args.draws
        print(f"variance over {args.draws} draws: {results['variance_over_draws']:.4f}")
        save(args.name, results)


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
