"""Lattice light-sheet SIM on simulated stacks whose sheet lies 0.4 µm from the focal plane.

Run: ``python benchmarks/bench_lls_sets.py [--shape 48 128 256] [--peaks 1000 100]
[--picture F.png]``. The simulator (``simrecon.simulate_volume``) convolves on a finer grid and
shares no code with the operator. Its noise-free frames, times each level of light, are exposed
twice. Per level: the distance found, errors of the pattern, spectrally equalised PSNR of the inner
planes against the object with the fitted pattern, with the true one and with the sheet taken to be
in focus; the frequency along x, y and z at which the two recordings stop correlating (1/7), in the
pictures and in the means of their frames (widefield); along x also that at which a picture stops
correlating with the object (0.5). Results are saved after each level. What the operator itself does
is measured by ``bench_lls_response.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from axis_reach import axis_reach
from common import save, table

from simrecon import pipeline, simulate_volume
from simrecon.config import build_settings
from simrecon.model.stack import SimStack
from simrecon.physics.exposure import expose
from simrecon.physics.simulate_volume import LATTICE, VolumeTruth
from simrecon.qc.metrics import equalised_psnr
from simrecon.result import Result

OFFSET_UM = 0.4
MARGIN_PX, MARGIN_PLANES = 24, 4
OF_OBJECT, OF_RECORDINGS = 0.5, 1 / 7
"""Correlation with the object, and of two recordings, down to which a frequency counts as seen."""


def planes_psnr(image: np.ndarray, truth: VolumeTruth) -> float:
    """Mean over the inner planes."""
    inner = range(MARGIN_PLANES, len(image) - MARGIN_PLANES)
    values = [equalised_psnr(image[z], truth.object_e[z], margin_px=MARGIN_PX) for z in inner]
    return float(np.mean(values))


def dimmed(truth: VolumeTruth, share: float) -> VolumeTruth:
    """The same object with less light."""
    part = np.float32(share)
    return replace(truth, object_e=truth.object_e * part, expected_e=truth.expected_e * part)


def exposed(stack: SimStack, truth: VolumeTruth, seed: Sequence[int]) -> SimStack:
    """A recording with noise of its own."""
    counts, _ = expose(truth.expected_e, stack.camera, np.random.default_rng(seed))
    return replace(stack, data=counts[None, None])


def reaches(
    recordings: Sequence[np.ndarray], pitch_um: tuple[float, float, float], margin_px: int
) -> dict[str, float]:
    """Along x, y and z: frequency at which two recordings of the object stop correlating."""
    inner = np.s_[:, margin_px:-margin_px, margin_px:-margin_px]
    first, second = (volume[inner] for volume in recordings)
    return axis_reach(first, second, pitch_um, OF_RECORDINGS)


def reach_gains(ours: Sequence[Result], truth: VolumeTruth) -> dict[str, float]:
    """Reach of the picture over that of the mean of its frames, from two recordings of each."""
    pixel_um, dz_um = truth.grid.pixel_um, truth.grid.dz_um
    fine = reaches([r.image[0, 0] for r in ours], (dz_um, *[0.5 * pixel_um] * 2), MARGIN_PX)
    coarse = reaches([r.widefield[0, 0] for r in ours], (dz_um, pixel_um, pixel_um), MARGIN_PX // 2)
    found = {f"{a}_per_um": fine[a] for a in "xyz"}
    found |= {f"{a}_widefield_per_um": coarse[a] for a in "xyz"}
    return found | {f"gain_{a}": fine[a] / coarse[a] for a in "xyz"}


def measure(
    stacks: Sequence[SimStack], truth: VolumeTruth, peak_e: float, picture: str | None
) -> dict[str, Any]:
    """One level of light: two recordings, of which the first one gives the pattern."""
    keys = {
        "mode": "lls", "variance": False,
        "lattice_na_max": LATTICE.na_max, "lattice_na_min": LATTICE.na_min,
    }  # fmt: skip
    settings = build_settings(("benchmark", keys))
    ours = pipeline.reconstruct(stacks[0], settings)
    again = pipeline.reconstruct(stacks[1], settings, pattern=ours.pattern)
    (fit,), (true,) = ours.pattern.directions, truth.pattern.directions
    best = pipeline.reconstruct(stacks[0], settings, pattern=replace(truth.pattern, verdict="ok"))
    off = replace(fit, sheet_offset_um=0.0, sheet_offset_sd_um=None)
    focused = pipeline.reconstruct(
        stacks[0], settings, pattern=replace(ours.pattern, directions=(off,), verdict="ok")
    )
    image, wide = ours.image[0, 0], np.kron(ours.widefield[0, 0], np.ones((1, 2, 2)))
    if picture is not None:
        draw(picture, wide, focused.image[0, 0], image, truth.object_e)
    inner = np.s_[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    pitch = (truth.grid.dz_um, *[0.5 * truth.grid.pixel_um] * 2)
    seen, seen_wide = (
        axis_reach(v[inner], truth.object_e[inner], pitch, OF_OBJECT)["x"] for v in (image, wide)
    )
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
        "negative": ours.qc["acquisitions"][0]["negative_fraction"],
        **reach_gains((ours, again), truth),
        "gain_x_with_object": seen / seen_wide,
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
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", help="of the first level of light")
    parser.add_argument("--name", default="lls_sets", help="of the results file")
    args = parser.parse_args()
    shape = (args.shape[0], args.shape[1], args.shape[2])
    results: dict[str, Any] = {"shape": shape, "offset_um": OFFSET_UM, "sets": []}
    rows = results["sets"]
    brightest = max(args.peaks)
    stack, bright = simulate_volume(
        mode="lls", shape=shape, peak_e=brightest, sheet_offset_um=OFFSET_UM, seed=args.seed,
        phase_jitter_rad=np.deg2rad(3.0), intensity_jitter=0.02,
    )  # fmt: skip
    for peak in args.peaks:
        truth = dimmed(bright, peak / brightest)
        stacks = [exposed(stack, truth, (int(peak), recording)) for recording in (0, 1)]
        rows.append(measure(stacks, truth, peak, None if rows else args.picture))
        save(args.name, results)
        names = [n for n in rows[0] if n != "seconds"]
        print(table(names, [[_short(r[n]) for n in names] for r in rows]), flush=True)


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
