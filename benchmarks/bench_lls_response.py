"""What the operator makes of lattice light-sheet SIM: effective PSF, noise, lattices.

Run: ``python benchmarks/bench_lls_response.py [--parts psf beyond variance lattices]``. The
simulator (``simrecon.simulate_volume``) convolves on a finer grid and shares no code with the
operator; patterns are the true ones.

psf
    Distance between the noise-free picture and T ⊛ object, the object on the simulator's own grid,
    for a point-like object whose light stays within the stack (64 × 128 × 128).
beyond
    The same for structures that fill a stack and go on beyond it, by distance of the plane from
    the nearest end, with and without the weights that keep light from beyond out.
variance
    Variance map of a small volume over that of noise draws, averaged over its voxels.
lattices
    Reach along x, y and z of pictures and of the mean of their frames (two recordings, 1/7) for
    lattices of three finenesses.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
from axis_reach import axis_reach
from common import save, table
from volume_draws import variance_over_draws

from simrecon import simulate_volume
from simrecon.model.stack import SimStack
from simrecon.physics.exposure import expose
from simrecon.physics.lattice import Lattice
from simrecon.physics.simulate_volume import LATTICE, VolumeTruth
from simrecon.recon.attenuation import DISTANT_LIGHT_OF_SHEET, CentreWeight
from simrecon.recon.operator import Reconstructor

OFFSET_UM = 0.4
MARGIN_PX = 24
LATTICES = ((LATTICE.na_min, LATTICE.na_max), (0.435, 0.485), (0.5, 0.6))
"""Annuli: the default; of a fundamental period of 1.06 µm (0.53 µm finest, as users of cudasirecon
give it); and the outer end of what lattice microscopes use."""


def operator_of(
    frames_e: np.ndarray, truth: VolumeTruth, weights: CentreWeight | None = DISTANT_LIGHT_OF_SHEET
) -> Reconstructor:
    """The operator that the pipeline would build, with the true pattern."""
    variance = truth.expected_e.mean(axis=(2, 3, 4)) + 2.0
    return Reconstructor.from_frames(
        frames_e, truth.pattern, truth.otf, truth.grid, frame_variance_e2=variance,
        attenuation=weights,
    )  # fmt: skip


def recording(stack: SimStack, truth: VolumeTruth, seed: int) -> np.ndarray:
    """Frames (A, P, Z, Y, X) with noise, electrons."""
    counts, _ = expose(truth.expected_e, stack.camera, np.random.default_rng((9, seed)))
    return np.asarray((counts.astype(np.float32) - stack.camera.offset) / stack.camera.gain)


def expected_picture(operator: Reconstructor, truth: VolumeTruth) -> np.ndarray:
    """T ⊛ object on the SR grid, object and margins on the simulator's grid; not for stage scans.

    T is band-limited: its kernel is read between planes, and convolved without a period.
    """
    field = truth.field
    kernel = scipy.fft.ifftn(operator.effective_otf()).real
    planes = len(kernel)
    spectrum = scipy.fft.fft(kernel, axis=0)
    fine = np.zeros((planes * field.fine_z, *kernel.shape[1:]), dtype=complex)
    half = (planes - 1) // 2
    fine[: half + 1], fine[-half:] = spectrum[: half + 1], spectrum[-half:]
    kernel = scipy.fft.fftshift(scipy.fft.ifft(fine, axis=0).real).astype(np.float32)
    kernel /= kernel.sum(dtype=np.float64)
    shape = [
        scipy.fft.next_fast_len(a + b - 1, real=True)
        for a, b in zip(kernel.shape, truth.fine_object.shape, strict=True)
    ]
    seen = scipy.fft.rfftn(truth.fine_object, shape)
    seen *= scipy.fft.rfftn(kernel, shape)
    whole = scipy.fft.irfftn(seen, shape)
    first = [n // 2 for n in kernel.shape]
    z = first[0] + field.lead_planes + field.fine_z * np.arange(field.camera.shape[0])
    y, x = (
        slice(f + 2 * lead, f + 2 * lead + 2 * n)
        for f, lead, n in zip(first[1:], field.lead_px, field.camera.shape[1:], strict=True)
    )
    return np.asarray(whole[z][:, y, x])


def effective_psf() -> dict[str, Any]:
    """Light that stays within the stack."""
    shape = (64, 128, 128)
    options: dict[str, Any] = {"mode": "lls", "shape": shape, "sheet_offset_um": OFFSET_UM}
    _, truth = simulate_volume(kind="beads", **options)
    field = truth.field
    density = np.zeros(field.box.shape, dtype=np.float32)
    z = field.lead_planes + field.fine_z * (shape[0] - 1) // 2
    y, x = (2 * lead + n for lead, n in zip(field.lead_px, shape[1:], strict=True))
    density[z - 4 : z + 5, y - 8 : y + 8, x - 8 : x + 8] = np.random.default_rng(0).random(
        (9, 16, 16)
    )
    _, truth = simulate_volume(fine_object=density, otf=truth.otf, **options)
    operator = operator_of(truth.expected_e, truth)
    expected = expected_picture(operator, truth)
    off = operator.reconstruct(truth.expected_e) - expected
    return {"shape": shape, "distance": float(np.linalg.norm(off) / np.linalg.norm(expected))}


def light_from_beyond(shape: tuple[int, int, int]) -> dict[str, Any]:
    """By distance of a plane from the nearest end of the stack, µm."""
    _, truth = simulate_volume(mode="lls", shape=shape, sheet_offset_um=OFFSET_UM, seed=1)
    result: dict[str, Any] = {"shape": shape}
    inner = np.s_[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    from_end = np.minimum(np.arange(shape[0]), np.arange(shape[0])[::-1])
    for name, weights in (("weights", DISTANT_LIGHT_OF_SHEET), ("mirrored", None)):
        operator = operator_of(truth.expected_e, truth, weights)
        expected = expected_picture(operator, truth)[inner]
        picture = operator.reconstruct(truth.expected_e)[inner]
        power = np.mean(expected[from_end >= 4] ** 2)
        squares = np.mean((picture - expected) ** 2, axis=(1, 2)) / power
        steps = [0, *range(2, shape[0] // 2, 4), shape[0] // 2]
        result[name] = {
            "distance": float(np.sqrt(np.mean(squares[from_end >= 4]))),
            "negative": float(np.maximum(-picture, 0).sum() / np.abs(picture).sum()),
            "by_depth_um": [
                [
                    truth.grid.dz_um * a,
                    truth.grid.dz_um * (b - 1),
                    float(np.sqrt(np.mean(squares[(from_end >= a) & (from_end < b)]))),
                ]
                for a, b in pairwise(steps)
            ],
        }
    return result


def map_over_draws(draws: int) -> dict[str, Any]:
    """Mean ratio of the variance map to that of noise draws, away from the lateral border."""
    shape = (16, 64, 96)
    result: dict[str, Any] = {"shape": shape, "draws": draws}
    for peak in (1000.0, 100.0):
        _, truth = simulate_volume(mode="lls", shape=shape, peak_e=peak, seed=1)
        variance = truth.expected_e + 2.0
        operator = operator_of(truth.expected_e, truth)
        ratio = variance_over_draws(operator, variance, draws, MARGIN_PX)
        result[f"{peak:.0f}_e"] = float(1.0 / np.mean(1.0 / ratio))
    return result


def lattice_row(na: tuple[float, float], peak_e: float, seeds: int) -> dict[str, Any]:
    """Reach of one lattice at one level of light, mean over scenes."""
    lattice = Lattice("square", na[1], na[0], 488.0)
    rows = []
    for seed in range(1, seeds + 1):
        stack, truth = simulate_volume(
            mode="lls", shape=(40, 96, 160), dz_um=0.12, lattice=lattice, peak_e=peak_e, seed=seed
        )
        frames = [recording(stack, truth, i) for i in (0, 1)]
        operator = operator_of(frames[0], truth)
        m, pixel_um, dz_um = MARGIN_PX, truth.grid.pixel_um, truth.grid.dz_um
        fine = [operator.reconstruct(f)[:, m:-m, m:-m] for f in frames]
        m = MARGIN_PX // 2
        wide = [f.mean(axis=(0, 1))[:, m:-m, m:-m] for f in frames]
        rows.append(
            (
                axis_reach(fine[0], fine[1], (dz_um, 0.5 * pixel_um, 0.5 * pixel_um), 1 / 7),
                axis_reach(wide[0], wide[1], (dz_um, pixel_um, pixel_um), 1 / 7),
            )
        )
    row: dict[str, Any] = {
        "na": na, "peak_e": peak_e, "finest_period_um": 0.5 / lattice.fundamental_per_um,
        "support_x": 1.0 + 2.0 * lattice.fundamental_per_um / truth.otf.cutoff_per_um,
    }  # fmt: skip
    for axis in "xyz":
        sim, seen = (float(np.mean([r[i][axis] for r in rows])) for i in (0, 1))
        row |= {f"{axis}_per_um": sim, f"{axis}_widefield_per_um": seen, f"gain_{axis}": sim / seen}
    row["gain_x_each"] = [r[0]["x"] / r[1]["x"] for r in rows]
    return row


def main() -> None:
    """Measure, print, save the results after each part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = ["psf", "beyond", "variance", "lattices"]
    parser.add_argument("--parts", nargs="*", choices=names, default=names)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shape", type=int, nargs=3, default=[48, 96, 128], help="of part beyond")
    parser.add_argument("--name", default="lls_response", help="of the results file")
    args = parser.parse_args()
    shape = (args.shape[0], args.shape[1], args.shape[2])
    parts = {
        "psf": effective_psf,
        "beyond": lambda: light_from_beyond(shape),
        "variance": lambda: map_over_draws(args.draws),
    }
    results: dict[str, Any] = {}
    for part in args.parts:
        if part == "lattices":
            rows = results["lattices"] = []
            for na in LATTICES:
                for peak_e in (1000.0, 100.0):
                    rows.append(lattice_row(na, peak_e, args.seeds))
                    save(args.name, results)
            print(table(list(rows[0]), [[str(v) for v in r.values()] for r in rows]))
        else:
            results[part] = parts[part]()
            print(part, results[part], flush=True)
        save(args.name, results)


if __name__ == "__main__":
    main()
