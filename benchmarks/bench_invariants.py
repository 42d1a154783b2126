"""Invariants of the linear operator (physics of L) on simulated data, with their bounds.

Run: ``python benchmarks/bench_invariants.py`` (about two minutes on two cores).

The object and the frames come from the simulator's slow forward model (fine grid, modulate,
convolve, sample), which shares no code with the operator; the expected picture T ⊛ S is made
by convolving the fine object with the operator's effective OTF.
"""

from __future__ import annotations

import sys

import numpy as np
from common import save, table

from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.otf import evaluate_otf, theoretical_otf
from simrecon.physics.simulate import fine_field, simulate
from simrecon.recon.apodization import apodization
from simrecon.recon.operator import Reconstructor, Regularization

OPTICS = Optics(na=1.4, emission_nm=525.0)
SHAPES = [(256, 256), (255, 257), (211, 197)]
BORDER = 40  # SR pixels left out beside the border, where the mirror stands for the unseen


def fine_convolution(truth, op) -> np.ndarray:
    """T ⊛ S on the SR grid from the fine object."""
    grid = truth.fine_grid
    ky, kx = grid.frequencies_per_um()
    # T at the fine grid's own frequencies, from its definition (physics of L, effective OTF)
    precision = np.zeros(grid.shape)
    for band in op.bands:
        signs = (1,) if band.order == 0 else (1, -1)
        for sign in signs:
            cy, cx = sign * band.carrier_per_um
            h = band.amplitude * evaluate_otf(op.otf, ky + cy, kx + cx)
            precision += np.abs(h) ** 2 / band.noise_e2
    window = apodization(op.apodization_kind, op.bands, op.otf, None, ky, kx)
    gamma = op.regularization.wiener_constant**2 * op.band_precision().max()
    gamma = np.full(grid.shape, gamma)
    gamma[0, 0] = 0
    transfer = window * precision / (precision + gamma)
    y0 = op.sr_grid.offset_um - grid.offset_um
    shifted = np.fft.fft2(truth.fine_object) * transfer * np.exp(2j * np.pi * (ky + kx) * y0)
    step = round(op.sr_grid.pixel_um / grid.pixel_um)
    ny, nx = op.sr_grid.shape
    return np.fft.ifft2(shifted).real[::step, ::step][:ny, :nx]


def noise_free(shape: tuple[int, int], kind: str) -> float:
    """Relative error of L(noise-free) against T ⊛ S, away from the border."""
    _, truth = simulate(
        shape=shape, optics=OPTICS, kind=kind, phase_jitter_rad=0.1, intensity_jitter=0.03, seed=1
    )
    op = Reconstructor(
        truth.pattern,
        truth.otf,
        fine_field(shape, 0.065).camera,
        frame_variance_e2=100.0,
        regularization=Regularization(wiener_constant=0.03),
    )
    image = op.reconstruct(truth.expected_e)
    expected = fine_convolution(truth, op)
    inner = (slice(BORDER, -BORDER),) * 2
    return float(np.linalg.norm((image - expected)[inner]) / np.linalg.norm(expected[inner]))


def variance_ratio(shape: tuple[int, int], camera_map: bool, draws: int = 400) -> list[float]:
    """Median and 5/95 % percentiles of predicted over Monte-Carlo variance."""
    rng = np.random.default_rng(5)
    read = rng.gamma(4.0, 0.5, shape) if camera_map else 1.5
    _, truth = simulate(shape=shape, optics=OPTICS, peak_e=50, background=5, seed=2)
    variance = Camera(read_noise_e=read).variance_e2(truth.expected_e)
    op = Reconstructor(
        truth.pattern,
        theoretical_otf(OPTICS, pixel_um=0.065),
        fine_field(shape, 0.065).camera,
        frame_variance_e2=variance.mean(axis=(2, 3)),
        regularization=Regularization(wiener_constant=0.05),
    )
    predicted = op.variance(variance)
    total = np.zeros(op.sr_grid.shape)
    square = np.zeros(op.sr_grid.shape)
    for _ in range(draws):
        # true camera noise: Poisson light plus normal read noise
        frames = rng.poisson(np.maximum(truth.expected_e, 0)) + rng.normal(
            size=op.frames_shape
        ) * np.asarray(read)
        image = op.reconstruct((frames - truth.expected_e).astype(np.float32)).astype(float)
        total += image
        square += image**2
    ratio = predicted / ((square - total**2 / draws) / (draws - 1))
    return [float(v) for v in (np.median(ratio), *np.percentile(ratio, [5, 95]))]


def within_bound(value: float | list[float]) -> bool:
    """Relative error below 1e-3, or median variance ratio within 1 %."""
    return abs(value[0] - 1) <= 0.01 if isinstance(value, list) else value < 1e-3


def main() -> None:
    rows = []
    results = {}
    for shape in SHAPES:
        for kind in ("filaments", "rings", "blobs"):
            error = noise_free(shape, kind)
            results[f"noise_free {shape} {kind}"] = error
            rows.append([f"L(noise-free) vs T⊛S, {kind}", shape, f"{error:.1e}", "< 1e-3"])
    for camera_map in (False, True):
        for shape in ((64, 64), (61, 67)):
            median, low, high = variance_ratio(shape, camera_map)
            name = "variance / Monte Carlo" + (", read-noise map" if camera_map else "")
            results[f"{name} {shape}"] = [median, low, high]
            rows.append([name, shape, f"{median:.4f} ({low:.2f}…{high:.2f})", "1.00 ± 0.01"])
    print(table(["invariant", "raw size", "measured", "bound"], rows))
    save("invariants", results)
    missed = [name for name, value in results.items() if not within_bound(value)]
    if missed:
        sys.exit("bound missed: " + ", ".join(missed))


if __name__ == "__main__":
    main()
