"""Resolution of 3D-SIM by shell correlation, and how much of it the light allows.

Run: ``python benchmarks/bench_volume_resolution.py [--stacks 128x24:1000 128x24:100 96x48:1000]
[--excitation-na 1.2] [--figure F.png]``. Per stack (edge, planes, peak in photo-electrons) two
recordings of one scene that differ by their noise only go through the operator with the true
pattern (what the fit costs: ``bench_volume_sets.py``); so do the two halves into which the first
can be split (``independent_halves``). Fourier shell correlations, 1/7, laterally (within 20° of the
plane) and axially (within 30° of the axis), of the volumes and of their widefield, which is the
mean of *all* the same frames.

Of a reconstruction only the frequencies count that it passes (transfer above 0.001): beyond them
there is no noise either, only what the ends of the stack leak, the same in both. Of the widefield
they all count laterally, as usual; axially only those that it passes, or the leak would count.

Beside each stands the curve that photon noise and OTF allow, computed from the true object: with
T and W the operator's transfer and precision, ``Σ T²|S|² / Σ T² (|S|² + 1/W)`` over a shell. A
defect would be a measured curve below that. Stacks that are in the results are not measured again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import RESULTS, save, table

from simrecon import pipeline, simulate_volume
from simrecon.config import build_settings
from simrecon.model.stack import SimStack
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.simulate_volume import OPTICS_3D, VolumeTruth
from simrecon.qc.frc import FrcResult, correlation_curve
from simrecon.qc.fsc import Sector, fsc, shells, volume_window, windowed_spectrum
from simrecon.qc.halves import independent_halves
from simrecon.recon.operator import Reconstructor
from simrecon.recon.preprocess import raw_variance

PIXEL_UM, DZ_UM = 0.08, 0.125
FINE_UM, COARSE_UM = (DZ_UM, 0.5 * PIXEL_UM, 0.5 * PIXEL_UM), (DZ_UM, PIXEL_UM, PIXEL_UM)
MARGIN_PX = 8
PASSED = 1e-3
"""Transfer below which a frequency counts as not imaged; beyond it is only what the ends leak."""
NAMED = ("edge", "planes", "peak_e", "seed", "excitation_na")
STACKS = ["128x24:1000", "128x24:100", "96x48:1000"]
SECTORS: tuple[Sector, ...] = ("lateral", "axial")


@dataclass(frozen=True)
class Imaging:
    """Transfer T and noise power of an image on its DFT samples, (Z, Y, X).

    `everywhere`: whether laterally the frequencies that it does not pass count, too.
    """

    transfer: np.ndarray
    noise: np.ndarray
    everywhere: bool

    def passed(self, sector: Sector) -> np.ndarray | None:
        """Frequencies that count; None: all."""
        if self.everywhere and sector == "lateral":
            return None
        return np.asarray(np.abs(self.transfer) > PASSED)

    def expected(self, spectrum: np.ndarray, voxel_um: Any, sector: Sector) -> FrcResult:
        """Shell correlation of two images of an object with this (windowed) spectrum."""
        shell, frequency = shells(spectrum.shape, voxel_um, sector)
        use, passed = shell < frequency.size, self.passed(sector)
        if passed is not None:
            use &= passed
        signal = np.abs(self.transfer[use] * spectrum[use]) ** 2
        noise = self.noise[use]

        def total(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.bincount(shell[use], values, frequency.size))

        power, count = total(signal + noise), total(np.ones(signal.size))
        return correlation_curve(
            frequency, total(signal), power, power, count, "1/7", f"expected ({sector})"
        )


def of_picture(operator: Reconstructor, shape: tuple[int, ...], window: float) -> Imaging:
    """The operator on the DFT samples of a part of its volume; `window`: sum of its squares."""
    padded = operator.padded_sr_grid.shape
    place = np.ix_(
        *(
            np.round(np.fft.fftfreq(n) * big).astype(int)
            for n, big in zip(shape, padded, strict=True)
        )
    )
    transfer = operator.effective_otf()[place]
    precision = np.maximum(operator.band_precision()[place], 1e-30)
    return Imaging(transfer, 4 * window * transfer**2 / precision, everywhere=False)


def of_widefield(
    truth: VolumeTruth, shape: tuple[int, ...], window: float, variance_e2: float
) -> Imaging:
    """The mean of all frames."""
    frequencies = [np.fft.fftfreq(n, v) for n, v in zip(shape, COARSE_UM, strict=True)]
    kz, ky, kx = np.meshgrid(*frequencies, indexing="ij", sparse=True)
    transfer = evaluate_volume_otf(truth.otf, 0, kz, ky, kx)
    noise = window * variance_e2 / np.prod(truth.expected_e.shape[:2])
    return Imaging(transfer, np.full(shape, noise), everywhere=True)


def inner(volume: np.ndarray, zoom: int) -> np.ndarray:
    """Without the lateral border."""
    edge = slice(zoom * MARGIN_PX, -zoom * MARGIN_PX)
    return np.asarray(volume[:, edge, edge], dtype=np.float64)


def measure(
    edge: int, planes: int, peak_e: float, seed: int, excitation_na: float
) -> dict[str, Any]:
    """One stack."""
    recordings, truth = record(edge, planes, peak_e, seed, excitation_na)
    stack = recordings[0]
    settings = build_settings(("benchmark", {"mode": "3d", "variance": False}))
    known = replace(truth.pattern, verdict="ok")
    result = pipeline.reconstruct(stack, settings, otf=truth.otf, pattern=known)
    operator = result.reconstructors[0][0]
    frames = [frames_e(one) for one in recordings]
    variance = np.stack(
        [raw_variance(frames[0][:, :, z], stack.camera) for z in range(planes)], axis=2
    )
    halves = independent_halves(frames[0], variance, np.random.default_rng(seed))
    pictures = [inner(operator.reconstruct(f), 2) for f in frames]
    split = [inner(operator.reconstruct(f), 2) for f in halves]
    wide = [inner(f.mean(axis=(0, 1)), 1) for f in frames]
    thing = inner(truth.object_e, 2)
    spectrum = windowed_spectrum(thing)
    sim = of_picture(operator, thing.shape, float(np.sum(volume_window(thing.shape) ** 2)))
    low = wide[0].shape
    light = of_widefield(truth, low, float(np.sum(volume_window(low) ** 2)), float(variance.mean()))
    # the object's spectrum on the camera's samples: the middle of that on the SR grid, per pixel
    keep = np.ix_(*(np.round(np.fft.fftfreq(n) * n).astype(int) for n in low))
    coarse = spectrum[keep] / 4
    found: dict[str, Any] = {
        "edge": edge, "planes": planes, "peak_e": peak_e, "seed": seed,
        "excitation_na": excitation_na,
        "finest_over_cutoff": 2 * float(np.hypot(*truth.pattern.directions[0].frequency_per_um))
        / truth.otf.cutoff_per_um,
    }  # fmt: skip
    for sector in SECTORS:
        curves = {
            "sim": fsc(*pictures, FINE_UM, sector, passed=sim.passed(sector)),
            "halves": fsc(*split, FINE_UM, sector, passed=sim.passed(sector)),
            "widefield": fsc(*wide, COARSE_UM, sector, passed=light.passed(sector)),
            "sim_expected": sim.expected(spectrum, FINE_UM, sector),
            "widefield_expected": light.expected(coarse, COARSE_UM, sector),
        }
        found[sector] = _numbers(curves)
    return found


def record(
    edge: int, planes: int, peak_e: float, seed: int, excitation_na: float
) -> tuple[list[SimStack], VolumeTruth]:
    """Two recordings of one scene, with different noise."""
    made = [
        simulate_volume(
            shape=(planes, edge, edge),
            pixel_um=PIXEL_UM,
            dz_um=DZ_UM,
            optics=replace(OPTICS_3D, excitation_na=excitation_na),
            peak_e=peak_e,
            phase_jitter_rad=np.deg2rad(3.0),
            intensity_jitter=0.02,
            seed=seed,
            noise_seed=noise,
        )
        for noise in (2 * seed, 2 * seed + 1)
    ]
    return [stack for stack, _ in made], made[0][1]


def frames_e(stack: SimStack) -> np.ndarray:
    """Frames (A, P, Z, Y, X) in photo-electrons."""
    return np.stack([stack.frames_e(plane=z) for z in range(stack.data.shape[4])], axis=2)


def _numbers(curves: dict[str, FrcResult]) -> dict[str, Any]:
    """Crossings, gains and curves."""
    cross = {name: curve.crossing_per_um for name, curve in curves.items()}
    return {
        **{f"{name}_per_um": value for name, value in cross.items()},
        "gain": _ratio(cross["sim"], cross["widefield"]),
        "gain_expected": _ratio(cross["sim_expected"], cross["widefield_expected"]),
        "curves": {
            name: {
                "per_um": [round(float(v), 3) for v in curve.frequency_per_um],
                "correlation": [round(float(v), 3) for v in curve.correlation],
            }
            for name, curve in curves.items()
        },
    }


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a / b


def draw(path: str, rows: list[dict[str, Any]]) -> None:
    """Curves of every stack, laterally and axially."""
    styles = {
        "sim": "C0-", "halves": "C2-", "widefield": "C1-", "sim_expected": "C0:",
        "widefield_expected": "C1:",
    }  # fmt: skip
    figure, axes = plt.subplots(
        len(rows), 2, figsize=(9, 2.8 * len(rows)), squeeze=False, layout="constrained"
    )
    for line, row in zip(axes, rows, strict=True):
        for axis, sector in zip(line, SECTORS, strict=True):
            for name, style in styles.items():
                curve = row[sector]["curves"][name]
                axis.plot(curve["per_um"], curve["correlation"], style, label=name, lw=1.2)
            axis.axhline(1 / 7, color="gray", lw=0.7)
            axis.set_title(f"{row['edge']}² × {row['planes']}, {row['peak_e']:g} e: {sector}")
            axis.set_xlabel("frequency, per µm")
    axes[0, 0].set_ylabel("shell correlation")
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=90)


def kept() -> list[dict[str, Any]]:
    """Rows of earlier runs."""
    path = RESULTS / "volume_resolution.json"
    return json.loads(path.read_text())["results"] if path.exists() else []


def main() -> None:
    """Measure, print a table, save the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stacks", nargs="*", default=STACKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--excitation-na", type=float, nargs="+", default=[1.2])
    parser.add_argument("--figure")
    args = parser.parse_args()
    rows = kept()
    done = {tuple(row[name] for name in NAMED) for row in rows}
    for na in args.excitation_na:
        for stack in args.stacks:
            size, peak = stack.split(":")
            edge, planes = (int(n) for n in size.split("x"))
            for seed in args.seeds:
                if (edge, planes, float(peak), seed, na) in done:
                    continue
                rows.append(measure(edge, planes, float(peak), seed, na))
                save("volume_resolution", rows)
    header = ["stack", "sector", "3D-SIM", "halves", "widefield", "gain", "gain expected"]
    names = ("sim_per_um", "halves_per_um", "widefield_per_um", "gain", "gain_expected")
    lines = [
        [f"{r['edge']}x{r['planes']}:{r['peak_e']:g}, NA {r['excitation_na']:g}", sector]
        + ["–" if r[sector][n] is None else f"{r[sector][n]:.2f}" for n in names]
        for r in rows
        for sector in SECTORS
    ]
    print(table(header, lines))
    if args.figure:
        draw(args.figure, rows)


if __name__ == "__main__":
    main()
