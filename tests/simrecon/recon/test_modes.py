"""Several orders, and directions that share their frames: the same operator, the same proofs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mode_examples import MODES, frames_of_points, mode_pattern
from sim_examples import ideal_h, ideal_otf

from simrecon.backend import to_numpy
from simrecon.errors import QualityError, UsageError
from simrecon.model.grid import Grid
from simrecon.physics.forward import Detector, FineField, expected_frames
from simrecon.recon.bands import condition_numbers, make_bands, separation_rows
from simrecon.recon.operator import Reconstructor, Regularization

modes = pytest.mark.parametrize("mode", MODES)


def build(mode: str, grid: Grid, **options) -> Reconstructor:
    options = {"regularization": Regularization(wiener_constant=0.1), **options}
    return Reconstructor(
        mode_pattern(mode, grid), ideal_otf(), grid, frame_variance_e2=100.0, **options
    )


def emitters(grid: Grid):
    rng = np.random.default_rng(1)
    ey, ex = grid.extent_um
    return [
        (ey * rng.uniform(0.38, 0.62), ex * rng.uniform(0.38, 0.62), rng.uniform(50, 500))
        for _ in range(5)
    ]


@modes
def test_noise_free_equals_effective_psf_convolved_with_object(mode):
    grid = Grid((127, 135), 0.065)
    op = build(mode, grid)
    points = emitters(grid)
    image = op.reconstruct(frames_of_points(grid, op.pattern, points).astype(np.float32))
    ky, kx = op.padded_sr_grid.frequencies_per_um()
    offset = op.sr_grid.offset_um
    spectrum = sum(
        w * np.exp(-2j * np.pi * (ky * (y - offset) + kx * (x - offset))) for y, x, w in points
    )
    expected = op.zoom**2 * np.fft.ifft2(spectrum * op.effective_otf()).real
    expected = expected[: op.sr_grid.shape[0], : op.sr_grid.shape[1]]
    assert np.linalg.norm(image - expected) < 1e-3 * np.linalg.norm(expected)


@modes
def test_forward_matches_brute_force(mode):
    grid = Grid((91, 85), 0.065)
    op = build(mode, grid)
    y, x = op.sr_grid.positions_um()
    cy, cx = 0.5 * grid.extent_um[0], 0.5 * grid.extent_um[1]
    blob = 30 * np.exp(-((y - cy) ** 2 + 0.5 * (x - cx) ** 2) / (2 * 0.09**2))
    points = [
        (float(y[i, 0]), float(x[0, j]), float(blob[i, j]) / op.zoom**2)
        for i, j in np.argwhere(blob > 1e-3)
    ]
    expected = frames_of_points(grid, op.pattern, points)
    frames = op.forward(blob.astype(np.float32))
    assert np.linalg.norm(frames - expected) < 1e-3 * np.linalg.norm(expected)


@modes
def test_simulator_and_operator_expect_the_same_frames(mode):
    grid = Grid((64, 60), 0.065)
    op = build(mode, grid)
    field = FineField(grid, 4, 24)
    y, x = field.grid.positions_um()
    cy, cx = 0.5 * grid.extent_um[0], 0.45 * grid.extent_um[1]
    blob = 30 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 0.15**2))
    expected = expected_frames(
        blob.astype(np.float32),
        op.pattern.directions,
        Detector(field, ideal_otf()),
        simultaneous=op.pattern.simultaneous,
    )
    y, x = op.sr_grid.positions_um()
    blob = 30 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 0.15**2))
    frames = op.forward(blob.astype(np.float32))
    assert expected.shape == op.frames_shape
    assert np.linalg.norm(frames - expected) < 2e-3 * np.linalg.norm(expected)


@modes
def test_constant_object_stays_constant(mode):
    grid = Grid((61, 67), 0.065)
    op = build(mode, grid)
    y, x = grid.positions_um()
    pattern = op.pattern
    frames = np.empty(op.frames_shape, np.float32)
    for a, j in np.ndindex(*op.frames_shape[:2]):
        used = pattern.directions if pattern.simultaneous else (pattern.directions[a],)
        light = np.ones(grid.shape)
        for d in used:
            fy, fx = d.frequency_per_um
            for n, m in enumerate(d.modulation, start=1):
                seen = m * float(ideal_h(np.array(n * fy), np.array(n * fx)))
                light += seen * np.cos(n * (2 * np.pi * (fy * y + fx * x) + d.phase_rad[j]))
        frames[a, j] = 42.0 * used[0].intensity[j] * light
    assert np.max(np.abs(op.reconstruct(frames) - 42.0)) < 42.0 * 3e-5


@modes
def test_adjoints(mode, to_library):
    grid = Grid((48, 53), 0.065)
    rng = np.random.default_rng(3)
    shape = build(mode, grid).frames_shape
    frames = to_library(rng.normal(size=shape).astype(np.float32))
    image = to_library(rng.normal(size=(96, 106)).astype(np.float32))
    op = build(mode, grid, reference=frames)
    for apply, adjoint in ((op.reconstruct, op.adjoint), (op.forward_adjoint, op.forward)):
        made, back = to_numpy(apply(frames)).astype(float), to_numpy(adjoint(image)).astype(float)
        left = np.vdot(made, to_numpy(image).astype(float))
        right = np.vdot(to_numpy(frames).astype(float), back)
        assert abs(left - right) < 1e-5 * np.linalg.norm(made) * np.linalg.norm(to_numpy(image))
        assert abs(left) > 0


@modes
def test_variance_equals_explicit_kernel_sum(mode):
    grid = Grid((16, 15), 0.065)
    op = build(mode, grid, margin_um=0.0)
    rng = np.random.default_rng(7)
    variance = rng.uniform(1, 9, op.frames_shape).astype(np.float32)
    explicit = np.zeros(op.sr_grid.shape)
    impulse = np.zeros(op.frames_shape, np.float32)
    for index in np.ndindex(op.frames_shape):
        impulse[index] = 1
        explicit += variance[index] * op.reconstruct(impulse).astype(float) ** 2
        impulse[index] = 0
    assert np.allclose(op.variance(variance), explicit, rtol=3e-4)


@modes
def test_drifting_frames_are_reconstructed_as_those_at_rest(mode):
    grid = Grid((96, 96), 0.065)
    still = mode_pattern(mode, grid)
    rng = np.random.default_rng(2)
    sets, phases = len(still.frame_sets), len(still.directions[0].phase_rad)
    drift = [tuple((float(v), 0.5 * float(v)) for v in rng.uniform(-0.04, 0.04, phases))] * sets
    moving = replace(
        still,
        directions=tuple(
            replace(d, drift_um=drift[still.frame_set(i)]) for i, d in enumerate(still.directions)
        ),
    )
    points = emitters(grid)
    frames = np.zeros((sets, phases, *grid.shape))
    for a, j in np.ndindex(sets, phases):
        uy, ux = drift[a][j]
        there = [(y + uy, x + ux, w) for y, x, w in points]
        frames[a, j] = frames_of_points(grid, still, there)[a, j]
    options = {
        "frame_variance_e2": 100.0,
        "regularization": Regularization(wiener_constant=0.1),
    }
    image = Reconstructor(moving, ideal_otf(), grid, **options)(frames.astype(np.float32))
    # the bands separate with the phases on the sample
    rest = moving.at_rest()
    expected = Reconstructor(rest, ideal_otf(), grid, **options)(
        frames_of_points(grid, rest, points).astype(np.float32)
    )
    assert np.linalg.norm(image - expected) < 2e-3 * np.linalg.norm(expected)


@modes
def test_separation_recovers_bands_with_unequal_steps(mode):
    pattern = mode_pattern(mode, Grid((32, 32), 0.065))
    rng = np.random.default_rng(5)
    for members in pattern.frame_sets:
        directions = [pattern.directions[d] for d in members]
        upper = [(d, n) for d in directions for n in range(1, len(d.modulation) + 1)]
        zero = rng.normal()
        bands = rng.normal(size=len(upper)) + 1j * rng.normal(size=len(upper))
        frames = np.full(len(directions[0].phase_rad), zero, complex)
        for (d, n), band in zip(upper, bands, strict=True):
            frames += 2 * np.real(band * np.exp(1j * n * np.array(d.phase_rad)))
        frames *= directions[0].intensity
        assert np.allclose(separation_rows(*directions) @ frames, [zero, *bands])


def test_shared_frames_hold_one_band_zero_and_one_of_each_direction():
    pattern = mode_pattern("hex", Grid((32, 32), 0.065))
    bands = make_bands(pattern, np.full((1, 7), 2.0))
    assert [(b.direction, b.order, b.frames) for b in bands] == [
        (0, 0, 0), (0, 1, 0), (1, 1, 0), (2, 1, 0)
    ]  # fmt: skip
    assert np.allclose([b.noise_e2 for b in bands], 2.0 / 7, rtol=0.05)


def test_condition_of_equal_steps_is_one_and_alike_phases_are_refused():
    pattern = mode_pattern("hex", Grid((32, 32), 0.065))
    steps = 2 * np.pi * np.arange(7) / 7
    even = [
        replace(d, phase_rad=tuple(n * steps), intensity=(1.0,) * 7)
        for d, n in zip(pattern.directions, (1, 2, -3), strict=True)
    ]
    assert np.allclose(condition_numbers(replace(pattern, directions=tuple(even))), [1.0])
    same = [replace(d, phase_rad=tuple(steps)) for d in even]
    with pytest.raises(QualityError, match="too alike"):
        separation_rows(*same)
    with pytest.raises(UsageError, match="not enough phase steps") as caught:
        separation_rows(
            *(replace(d, phase_rad=d.phase_rad[:6], intensity=(1.0,) * 6) for d in even)
        )
    assert "3 directions at once" in caught.value.expected
