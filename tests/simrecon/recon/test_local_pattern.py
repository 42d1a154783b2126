"""The operator with a pattern that bends and fades over the field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sim_examples import CUTOFF, ideal_otf, make_pattern

from simrecon.backend import to_numpy
from simrecon.model.grid import Grid
from simrecon.model.local_field import CONTRAST_FLOOR, LocalField, undone
from simrecon.recon.bands import make_bands
from simrecon.recon.operator import Reconstructor, Regularization


def bending(extent_um, turn=2.6, loss=0.6):
    def c(y, x):
        t = np.clip(y / extent_um[0], 0, 1)
        s = t * t * (3 - 2 * t)
        return (1 - loss * s) * np.exp(1j * turn * s) * (1 + 0.1 * np.sin(x / extent_um[1]))

    return c


def bent_pattern(grid, turn=2.6, loss=0.6):
    pattern = make_pattern(grid)
    c = bending(grid.extent_um, turn, loss)
    directions = (
        replace(pattern.directions[0], local=LocalField.sampled(c, grid.extent_um, 33)),
        *pattern.directions[1:],
    )
    return replace(pattern, directions=directions)


def build(grid, pattern=None, **options):
    options = {
        "frame_variance_e2": 100.0,
        "regularization": Regularization(wiener_constant=0.1),
        **options,
    }
    return Reconstructor(pattern or bent_pattern(grid), ideal_otf(), grid, **options)


def point_frames(grid, pattern, points):
    """Frames of point emitters, light evaluated by its formula at every emitter."""
    ky, kx = grid.frequencies_per_um()
    v = np.minimum(np.hypot(ky, kx) / CUTOFF, 1.0)
    h = 2 / np.pi * (np.arccos(v) - v * np.sqrt(1 - v * v))
    local = bending(grid.extent_um)
    frames = np.zeros((3, 3, *grid.shape))
    for d, direction in enumerate(pattern.directions):
        fy, fx = direction.frequency_per_um
        for j in range(3):
            spectrum = np.zeros(grid.shape, complex)
            for y, x, weight in points:
                c = local(y, x) if d == 0 else 1.0
                turn = 2 * np.pi * (fy * y + fx * x) + direction.phase_rad[j] + np.angle(c)
                light = 1 + direction.modulation[0] * abs(c) * np.cos(turn)
                spectrum += weight * light * np.exp(-2j * np.pi * (ky * y + kx * x))
            frames[d, j] = direction.intensity[j] * np.fft.ifft2(spectrum * h).real
    return frames


@pytest.mark.parametrize("shape", [(192, 192), (181, 199)])
def test_noise_free_equals_effective_psf_convolved_with_object(shape):
    """Where the contrast is above the floor, as with a pattern that is the same everywhere."""
    grid = Grid(shape, 0.065)
    op = build(grid)
    rng = np.random.default_rng(1)
    ey, ex = grid.extent_um
    points = [
        (ey * rng.uniform(0.3, 0.7), ex * rng.uniform(0.3, 0.7), rng.uniform(50, 500))
        for _ in range(9)
    ]
    image = op.reconstruct(point_frames(grid, op.pattern, points).astype(np.float32))
    ky, kx = op.padded_sr_grid.frequencies_per_um()
    offset = op.sr_grid.offset_um
    spectrum = sum(
        w * np.exp(-2j * np.pi * (ky * (y - offset) + kx * (x - offset))) for y, x, w in points
    )
    expected = op.zoom**2 * np.fft.ifft2(spectrum * op.effective_otf()).real
    expected = expected[: image.shape[0], : image.shape[1]]
    error = np.linalg.norm(image - expected) / np.linalg.norm(expected)
    assert error < 3e-3  # measured 2.4e-3: the slope of c over one PSF, to first order
    plain = build(grid, make_pattern(grid))
    wrong = plain.reconstruct(point_frames(grid, op.pattern, points).astype(np.float32))
    assert np.linalg.norm(wrong - expected) / np.linalg.norm(expected) > 0.1


def test_forward_lights_the_object_with_the_field():
    grid = Grid((96, 90), 0.065)
    op = build(grid)
    y, x = op.sr_grid.positions_um()
    cy, cx = 0.6 * grid.extent_um[0], 0.5 * grid.extent_um[1]
    blob = 30 * np.exp(-((y - cy) ** 2 + 0.5 * (x - cx) ** 2) / (2 * 0.07**2))
    points = [
        (float(y[i, 0]), float(x[0, j]), float(blob[i, j]) / op.zoom**2)
        for i in range(blob.shape[0])
        for j in range(blob.shape[1])
        if blob[i, j] > 3e-3
    ]
    expected = point_frames(grid, op.pattern, points)
    found = op.forward(blob.astype(np.float32))
    assert np.linalg.norm(found - expected) < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("shape", [(64, 64), (61, 67)])
def test_adjoints_and_libraries(shape, to_library):
    rng = np.random.default_rng(3)
    host = rng.normal(size=(3, 3, *shape)).astype(np.float32)
    sharp = rng.normal(size=(2 * shape[0], 2 * shape[1])).astype(np.float32)
    frames, image = to_library(host), to_library(sharp)
    grid = Grid(shape, 0.065)
    op, ref = build(grid, reference=frames), build(grid)
    for seen, back, there, here in (
        (op.reconstruct(frames), op.adjoint(image), sharp, host),
        (op.forward(image), op.forward_adjoint(frames), host, sharp),
    ):
        seen, back = to_numpy(seen).astype(float), to_numpy(back).astype(float)
        scale = np.linalg.norm(seen) * np.linalg.norm(there)
        assert abs(np.vdot(seen, there) - np.vdot(here, back)) < 1e-5 * scale
        assert np.linalg.norm(back) > 0
    squares = to_library(host**2)
    for ours, theirs in [
        (op.reconstruct(frames), ref.reconstruct(host)),
        (op.variance(squares), ref.variance(host**2)),
        (op.forward(image), ref.forward(sharp)),
        (op.forward_adjoint(frames), ref.forward_adjoint(host)),
    ]:
        assert np.linalg.norm(to_numpy(ours) - theirs) < 1e-5 * np.linalg.norm(theirs)


def test_constant_object_stays_constant():
    grid = Grid((64, 60), 0.065)
    op = build(grid)
    bright = np.full(op.sr_grid.shape, 42.0, np.float32)
    image = op.reconstruct(op.forward(bright))
    assert np.max(np.abs(image - 42.0)) < 1e-4 * 42.0
    plain = build(grid, make_pattern(grid)).reconstruct(op.forward(bright))
    assert np.max(np.abs(plain - 42.0)) > 5 * np.max(np.abs(image - 42.0))


def test_variance_matches_monte_carlo():
    grid = Grid((40, 37), 0.065)
    op = build(grid)
    rng = np.random.default_rng(6)
    variance = np.full(op.frames_shape, 40.0)
    variance[..., 12:22, 15:30] = 400.0
    variance *= rng.uniform(0.6, 1.5, (3, 3, 1, 1))
    predicted = op.variance(variance.astype(np.float32))
    square = np.zeros(op.sr_grid.shape)
    draws = 400
    for _ in range(draws):
        noise = (rng.normal(size=op.frames_shape) * np.sqrt(variance)).astype(np.float32)
        square += op.reconstruct(noise).astype(float) ** 2
    ratio = predicted / (square / draws)
    assert abs(np.median(ratio) - 1) < 0.01
    plain = build(grid, make_pattern(grid)).variance(variance.astype(np.float32))
    assert np.median(predicted[-12:] / plain[-12:]) > 1.1  # a faint band, raised


def test_contrast_is_raised_down_to_the_floor_only():
    c = np.array([[2.0, 0.5j, 0.1 * np.exp(1j), 0.0]])
    expected = np.array([[0.5, -2j, np.exp(-1j) / CONTRAST_FLOOR, 0.0]])
    assert np.allclose(undone(c), expected)
    grid = Grid((48, 48), 0.065)
    plain, bent = (
        make_bands(p, np.full((3, 3), 5.0)) for p in (make_pattern(grid), bent_pattern(grid))
    )
    ratio = [b.noise_e2 / a.noise_e2 for a, b in zip(plain, bent, strict=True)]
    assert ratio[0] == 1
    assert ratio[2:] == [1] * 4
    assert 1.5 < ratio[1] < 4
