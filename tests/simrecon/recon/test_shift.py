"""A sample that moves between frames, inside the operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sim_examples import constant_frames, ideal_otf, make_pattern, point_frames

from simrecon.backend import to_numpy
from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.shift import frames_at_rest

KINDS = ["directions", "frames"]


def drifting(grid: Grid, kind: str, seed: int = 2) -> PatternFit:
    """A pattern with drifts of some tenths of a pixel to two pixels, per direction or frame."""
    rng = np.random.default_rng(seed)
    pattern = make_pattern(grid)
    out = []
    for d in pattern.directions:
        steps = rng.normal(0, 0.06, (1 if kind == "directions" else 3, 2))
        drift = np.broadcast_to(steps, (3, 2))
        out.append(replace(d, drift_um=tuple((float(y), float(x)) for y, x in drift)))
    return replace(pattern, directions=tuple(out))


def build(pattern: PatternFit, grid: Grid, **options) -> Reconstructor:
    options = {
        "frame_variance_e2": 100.0,
        "regularization": Regularization(wiener_constant=0.1),
        **options,
    }
    return Reconstructor(pattern, ideal_otf(), grid, **options)


def points(grid: Grid) -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(1)
    ey, ex = grid.extent_um
    return [
        (ey * rng.uniform(0.38, 0.62), ex * rng.uniform(0.38, 0.62), rng.uniform(50, 500))
        for _ in range(7)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(128, 128), (113, 127)])
def test_noise_free_is_the_picture_of_the_sample_at_rest(shape, kind):
    grid = Grid(shape, 0.065)
    op = build(drifting(grid, kind), grid)
    image = op.reconstruct(point_frames(grid, op.pattern, points(grid)).astype(np.float32))
    padded = op.padded_sr_grid
    ky, kx = padded.frequencies_per_um()
    spectrum = np.zeros(padded.shape, complex)
    for y, x, weight in points(grid):
        r0 = op.sr_grid.offset_um
        spectrum += weight * np.exp(-2j * np.pi * (ky * (y - r0) + kx * (x - r0)))
    expected = op.zoom**2 * np.fft.ifft2(spectrum * op.effective_otf()).real
    expected = expected[: op.sr_grid.shape[0], : op.sr_grid.shape[1]]
    assert np.linalg.norm(image - expected) < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_moves_the_sample_and_not_the_light(kind):
    grid = Grid((96, 101), 0.065)
    op = build(drifting(grid, kind), grid)
    y, x = op.sr_grid.positions_um()
    cy, cx = 0.5 * grid.extent_um[0], 0.5 * grid.extent_um[1]
    blob = 30 * np.exp(-((y - cy) ** 2 + 0.5 * (x - cx) ** 2) / (2 * 0.07**2))
    emitters = [
        (float(y[i, 0]), float(x[0, j]), float(blob[i, j]) / op.zoom**2)
        for i, j in zip(*np.nonzero(blob > 1e-3), strict=True)
    ]
    expected = point_frames(grid, op.pattern, emitters)
    frames = op.forward(blob.astype(np.float32))
    assert np.linalg.norm(frames - expected) < 2e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_adjoint_and_libraries(kind, to_library):
    grid = Grid((45, 52), 0.065)
    rng = np.random.default_rng(3)
    pattern = drifting(grid, kind)
    light = 50 + np.maximum(point_frames(grid, pattern, points(grid)), 0)
    host = rng.poisson(light).astype(np.float32)
    image = rng.normal(size=(90, 104)).astype(np.float32)
    frames = to_library(host)
    op, ref = build(pattern, grid, reference=frames), build(pattern, grid)
    forward = to_numpy(op.reconstruct(frames)).astype(float)
    back = to_numpy(op.adjoint(to_library(image))).astype(float)
    scale = np.linalg.norm(forward) * np.linalg.norm(image)
    assert abs(np.vdot(forward, image) - np.vdot(host, back)) < 1e-5 * scale
    predicted = to_numpy(op.forward(to_library(image))).astype(float)
    transposed = to_numpy(op.forward_adjoint(frames)).astype(float)
    scale = np.linalg.norm(predicted) * np.linalg.norm(host)
    assert abs(np.vdot(predicted, host) - np.vdot(image, transposed)) < 1e-5 * scale
    for ours, theirs in [
        (forward, ref.reconstruct(host)),
        (to_numpy(op.variance(frames)), ref.variance(host)),
        (to_numpy(op.forward(to_library(image))), ref.forward(image)),
    ]:
        assert np.linalg.norm(ours - theirs) < 1e-5 * np.linalg.norm(theirs)
    power = op.signal_power(frames), ref.signal_power(host)
    assert power[0].power_e2 == pytest.approx(power[1].power_e2, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_variance_equals_explicit_kernel_sum(kind):
    grid = Grid((12, 10), 0.065)
    op = build(drifting(grid, kind), grid, margin_um=0.0)
    variance = np.random.default_rng(7).uniform(1, 9, op.frames_shape).astype(np.float32)
    explicit = np.zeros(op.sr_grid.shape)
    impulse = np.zeros(op.frames_shape, np.float32)
    for index in np.ndindex(op.frames_shape):
        impulse[index] = 1
        explicit += variance[index] * op.reconstruct(impulse).astype(float) ** 2
        impulse[index] = 0
    assert np.allclose(op.variance(variance), explicit, rtol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_object_stays_constant(kind):
    """Up to the border where whole directions move; frames that move apart ripple beside it."""
    grid = Grid((61, 67), 0.065)
    op = build(drifting(grid, kind), grid)
    image = op.reconstruct(constant_frames(grid, op.pattern, 42.0))
    border = 0 if kind == "directions" else 24
    inner = image[border : image.shape[0] - border, border : image.shape[1] - border]
    assert np.max(np.abs(inner - 42.0)) < 42.0 * (2e-5 if kind == "directions" else 1e-2)


def test_frames_at_rest_undo_the_drift():
    grid = Grid((96, 101), 0.065)
    pattern = drifting(grid, "frames")
    moved = point_frames(grid, pattern, points(grid))
    still = point_frames(grid, pattern.at_rest(), points(grid))
    back = frames_at_rest(moved.astype(np.float32), pattern)
    inner = np.s_[..., 8:-8, 8:-8]
    assert np.linalg.norm((back - still)[inner]) < 2e-3 * np.linalg.norm(still[inner])
    assert np.linalg.norm((moved - still)[inner]) > 0.05 * np.linalg.norm(still[inner])
    assert frames_at_rest(moved, pattern.at_rest()) is moved
