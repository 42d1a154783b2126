"""3D-SIM on simulated stacks: errors of the pattern fit, what they cost the picture, resolution.

Run: ``python benchmarks/bench_volume_sets.py [--stacks 128x24:1000 128x24:100 256x24:1000] [--seeds
1] [--picture F.png]``. A stack is its edge in pixels, its planes and its peak in photo-electrons;
results are saved after each. The simulator (``simrecon.simulate_volume``) convolves on a finer grid
and shares no code with the operator; its object goes on 1.2 µm beyond the planes. Per stack:
frequency errors in DFT samples, phase and modulation errors, the spectrally equalised PSNR of the
planes with fitted and with true parameters against the object, the frequency at which picture and
widefield stop correlating with the object (0.5), laterally and axially, and the distance between
the noise-free picture and T ⊛ object. ``--draws N`` sets the variance map of a small volume beside
N noise draws.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy.fft
from common import save, table
from volume_draws import variance_over_draws

from simrecon import pipeline, simulate_volume
from simrecon.config import build_settings
from simrecon.model.pattern import PatternFit
from simrecon.physics.simulate_volume import OPTICS_3D, VolumeTruth
from simrecon.qc.metrics import equalised_psnr
from simrecon.recon.attenuation import DISTANT_LIGHT
from simrecon.recon.operator import Reconstructor

PIXEL_UM, DZ_UM = 0.08, 0.125
MARGIN_PX, MARGIN_PLANES = 24, 3
THRESHOLD = 0.5


def pattern_errors(fit: PatternFit, true: PatternFit) -> dict[str, float]:
    """Root mean squares: frequency in DFT samples, phase steps in degrees, modulation.

    Frequencies and modulations also in units of their own standard deviations.
    """
    extent = np.array(true.shape) * true.pixel_um
    pixels, steps, contrast = [], [], []
    pixels_sd, contrast_sd = [], []
    for one, other in zip(fit.directions, true.directions, strict=True):
        f, t = np.array(one.frequency_per_um), np.array(other.frequency_per_um)
        sign = 1.0 if f @ t > 0 else -1.0
        pixels.append(float(np.hypot(*((sign * f - t) * extent))))
        pixels_sd += list((sign * f - t) / np.array(one.frequency_sd_per_um))
        off = sign * np.diff(one.phase_rad) - np.diff(other.phase_rad)
        steps += list(np.degrees(np.angle(np.exp(1j * off))))
        contrast += list(np.subtract(one.modulation, other.modulation))
        contrast_sd += list(np.subtract(one.modulation, other.modulation) / one.modulation_sd)
    return {
        "frequency_px": float(np.mean(pixels)),
        "step_deg": float(np.sqrt(np.mean(np.square(steps)))),
        "modulation": float(np.sqrt(np.mean(np.square(contrast)))),
        "frequency_over_sd": float(np.sqrt(np.mean(np.square(pixels_sd)))),
        "modulation_over_sd": float(np.sqrt(np.mean(np.square(contrast_sd)))),
    }


def planes_psnr(image: np.ndarray, truth: VolumeTruth) -> float:
    """Mean over the inner planes."""
    inner = range(MARGIN_PLANES, len(image) - MARGIN_PLANES)
    values = [equalised_psnr(image[z], truth.object_e[z], margin_px=MARGIN_PX) for z in inner]
    return float(np.mean(values))


def cutoffs_per_um(image: np.ndarray, truth: VolumeTruth) -> tuple[float, float]:
    """Lateral and axial frequency at which the correlation with the object falls below 0.5."""
    inner = (slice(None), slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
    taper = np.hanning(image[inner].shape[1] + 2)[1:-1]
    flat = taper[:, None] * taper[None]
    a, b = (np.fft.fftn((v[inner] - v[inner].mean()) * flat) for v in (image, truth.object_e))
    kz = np.abs(np.fft.fftfreq(len(image), DZ_UM))[:, None, None]
    k = np.fft.fftfreq(a.shape[1], 0.5 * PIXEL_UM)
    kr = np.hypot(k[:, None], k[None])[None] + 0 * kz
    found = []
    for axis, other, limit, step in ((kr, kz + 0 * kr, 0.6, 0.25), (kz + 0 * kr, kr, 4.0, 0.5)):
        used = other < limit
        bins = np.round(axis / step).astype(int)[used]
        cross = np.bincount(bins, (a * np.conj(b)).real[used])
        power = np.sqrt(
            np.bincount(bins, np.abs(a[used]) ** 2) * np.bincount(bins, np.abs(b[used]) ** 2)
        )
        curve = cross / np.maximum(power, 1e-30)
        below = np.flatnonzero(curve[1:] < THRESHOLD)
        n = int(below[0]) + 1 if below.size else len(curve) - 1
        drop = curve[n - 1] - curve[n]
        part = (curve[n - 1] - THRESHOLD) / drop if below.size and drop > 0 else 0.0
        found.append(float(step * (n - 1 + part)))
    return found[0], found[1]


def distance_from_expected(operator: Any, truth: VolumeTruth) -> float:
    """``|L(noise-free) − T ⊛ object| / |T ⊛ object|`` inside the margins."""
    seen = operator._sr_padding.extend(truth.object_e.astype(np.float64))
    seen = scipy.fft.irfftn(
        scipy.fft.rfftn(seen) * operator.effective_otf()[..., : seen.shape[-1] // 2 + 1], seen.shape
    )
    inner = np.s_[MARGIN_PLANES:-MARGIN_PLANES, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    expected = operator._sr_padding.crop(seen)[inner]
    picture = operator.reconstruct(truth.expected_e)[inner]
    return float(np.linalg.norm(picture - expected) / np.linalg.norm(expected))


def median_over_draws(draws: int) -> float:
    """Median ratio of the variance map to that of noise draws, away from the lateral border."""
    _, truth = simulate_volume(shape=(10, 48, 48), peak_e=200.0, seed=1)
    variance = truth.expected_e + 2.0
    operator = Reconstructor.from_frames(
        truth.expected_e, truth.pattern, truth.otf, truth.grid, attenuation=DISTANT_LIGHT,
        frame_variance_e2=variance.mean(axis=(2, 3, 4)),
    )  # fmt: skip
    return float(np.median(variance_over_draws(operator, variance, draws, MARGIN_PX)))


def measure(
    edge: int, planes: int, peak_e: float, seed: int, picture: str | None
) -> dict[str, Any]:
    """One stack."""
    stack, truth = simulate_volume(
        mode="3d",
        shape=(planes, edge, edge),
        pixel_um=PIXEL_UM,
        dz_um=DZ_UM,
        optics=OPTICS_3D,
        kind="mixed",
        peak_e=peak_e,
        phase_jitter_rad=np.deg2rad(3.0),
        intensity_jitter=0.02,
        seed=seed,
    )
    settings = build_settings(("benchmark", {"mode": "3d", "variance": False}))
    ours = pipeline.reconstruct(stack, settings, otf=truth.otf)
    true_pattern = replace(truth.pattern, verdict="ok")
    best = pipeline.reconstruct(stack, settings, otf=truth.otf, pattern=true_pattern)
    image, ideal = ours.image[0, 0], best.image[0, 0]
    wide = np.kron(ours.widefield[0, 0], np.ones((1, 2, 2)))
    lateral, axial = cutoffs_per_um(image, truth)
    wide_lateral, wide_axial = cutoffs_per_um(wide, truth)
    if picture is not None:
        draw(picture, wide, image, truth.object_e)
    return {
        "edge": edge,
        "planes": planes,
        "peak_e": peak_e,
        "seed": seed,
        "verdict": ours.qc["verdicts"]["overall"],
        **pattern_errors(ours.pattern, truth.pattern),
        "psnr_fitted_db": planes_psnr(image, truth),
        "psnr_true_db": planes_psnr(ideal, truth),
        "psnr_widefield_db": planes_psnr(wide, truth),
        "lateral_gain": lateral / wide_lateral if wide_lateral > 0 else None,
        "axial_gain": axial / wide_axial if wide_axial > 0 else None,
        "lateral_per_um": lateral,
        "axial_per_um": axial,
        "negative": ours.qc["acquisitions"][0]["negative_fraction"],
        "off_expected": distance_from_expected(best.reconstructors[0][0], truth),
        "seconds": ours.qc["timings_s"],
    }


def draw(path: str, wide: np.ndarray, image: np.ndarray, truth: np.ndarray) -> None:
    """A plane and a section of widefield, picture and object."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), height_ratios=(3, 1), layout="constrained")
    for column, (name, volume) in zip(
        axes.T, (("widefield", wide), ("3D-SIM", image), ("object", truth)), strict=True
    ):
        z, y = len(volume) // 2, volume.shape[1] // 2
        parts = (volume[z], volume[:, y - 2 : y + 3].mean(axis=1))
        for axis, part in zip(column, parts, strict=True):
            axis.imshow(part, cmap="gray", vmin=0, vmax=np.percentile(part, 99.8), aspect="auto")
            axis.set_axis_off()
        column[0].set_title(name)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure, print a table, save the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", nargs="*", default=["128x24:1000", "128x24:100", "256x24:1000"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--picture")
    args = parser.parse_args()
    results: dict[str, Any] = {"sets": []}
    if args.draws:
        results["variance_over_draws"] = median_over_draws(args.draws)
        results["draws"] = args.draws
        print(f"variance over {args.draws} draws: {results['variance_over_draws']:.4f}")
    rows = results["sets"]
    for stack in args.stacks:
        size, peak = stack.split(":")
        edge, planes = (int(n) for n in size.split("x"))
        for seed in args.seeds:
            rows.append(measure(edge, planes, float(peak), seed, args.picture))
            save("volume_sets", results)
            names = [n for n in rows[0] if n != "seconds"]
            print(table(names, [[_short(r[n]) for n in names] for r in rows]), flush=True)


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
