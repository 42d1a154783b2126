"""The iterative methods: optimality, monotone objectives, strengths chosen by held-out frames."""

from dataclasses import replace

import numpy as np
import pytest
from sim_examples import ideal_otf, make_pattern

from simrecon.backend import to_numpy
from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.noise import FrameNoise
from simrecon.recon.holdout import HeldOut
from simrecon.recon.iterative import LeastSquares, minimise, operator_norm
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.part import shifted
from simrecon.recon.penalties import Penalty
from simrecon.recon.richardson_lucy import RichardsonLucy
from simrecon.recon.solver import IterativeSolver

READ_E2 = 2.25


def scene(shape=(40, 44), brightness=200.0, seed=0):
    """Operator, object, noisy frames and their smooth variance: blobs on a dim background."""
    grid = Grid(shape, 0.065)
    op = Reconstructor(
        make_pattern(grid),
        ideal_otf(),
        grid,
        frame_variance_e2=brightness / 4,
        regularization=Regularization(wiener_constant=0.1),
        margin_um=0.4,
    )
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 2 * shape[0], 0 : 2 * shape[1]]
    truth = np.full(y.shape, 0.02)
    for _ in range(12):
        cy, cx, s = rng.uniform(8, 2 * shape[0] - 8), rng.uniform(8, 2 * shape[1] - 8), 2.5
        truth += rng.uniform(0.3, 1) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s**2))
    truth = (brightness * truth).astype(np.float32)
    clean = np.maximum(op.forward(truth), 0)
    frames = rng.poisson(clean) + rng.normal(0, READ_E2**0.5, clean.shape)
    variance = np.broadcast_to(clean.mean(axis=(0, 1)) + READ_E2, clean.shape)
    return op, truth, frames.astype(np.float32), variance.astype(np.float32)


def noise_of(frames):
    return FrameNoise(np.full(frames.shape, READ_E2, np.float32))


def error(image, truth):
    return float(np.linalg.norm(to_numpy(image)[8:-8, 8:-8] - truth[8:-8, 8:-8]))


def test_power_iteration_finds_the_largest_eigenvalue():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(30, 30)).astype(np.float32)
    a = a @ a.T
    start = np.ones(30, np.float32)
    norm = operator_norm(lambda x: a @ x, start, 200)
    assert norm == pytest.approx(float(np.linalg.eigvalsh(a)[-1]), rel=1e-3)
    assert norm == operator_norm(lambda x: a @ x, start, 200)
    assert operator_norm(np.zeros_like, start, 5) == 0.0


def test_curvature_majorises_the_data_term():
    """d − FᵀWF has no negative direction: random, smooth and checkered images."""
    op, _, frames, variance = scene((24, 26))
    data = LeastSquares(op, frames, 1 / variance)
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:48, 0:52]
    tried = [rng.normal(size=y.shape), np.ones(y.shape), (-1.0) ** (y + x), np.cos(0.8 * x)]
    for image in tried:
        image = image.astype(np.float32)
        off = data.value(op.forward(image) + frames)  # ½ xᵀ FᵀWF x
        assert 0 < off <= 0.5 * float((data.curvature * image**2).sum()) * (1 + 1e-4)


@pytest.mark.parametrize("kind", ["tv", "hessian"])
def test_minimum_is_the_minimum(kind):
    """At the end J is a minimum over every pixel's neighbourhood of feasible images."""
    op, _, frames, variance = scene((20, 22))
    data, penalty = LeastSquares(op, frames, 1 / variance), Penalty(kind)
    weight = 0.05 * data.precision_per_e

    def total(image):
        return data.value(data.expected(image)) + weight * penalty.value(image)

    start = np.full(op.sr_grid.shape, frames.mean(), np.float32)
    found = minimise(data, penalty, weight, start, max_iterations=600, stop_fraction=1e-5)
    other = minimise(
        data, penalty, weight, np.zeros_like(start), max_iterations=600, stop_fraction=1e-5
    )
    assert found.objective[-1] == pytest.approx(total(found.image), rel=1e-5)
    # J is convex: two starts, one value
    assert other.objective[-1] == pytest.approx(found.objective[-1], rel=2e-5)
    rng = np.random.default_rng(2)
    for size in (0.01, 0.3, 3.0):
        moved = np.maximum(found.image + size * rng.normal(size=start.shape), 0)
        assert total(moved.astype(np.float32)) > found.objective[-1] * (1 - 1e-5)


def test_objective_never_rises_and_stops_when_only_noise_is_left():
    op, _, frames, variance = scene()
    data, penalty = LeastSquares(op, frames, 1 / variance), Penalty("tv")
    weight = 0.03 * data.precision_per_e
    start = np.zeros(op.sr_grid.shape, np.float32)
    found = minimise(data, penalty, weight, start)
    assert (np.diff(found.objective) <= 0).all()
    assert "noise" in found.reason
    longer = minimise(data, penalty, weight, start, stop_fraction=1e-5, max_iterations=400)
    assert longer.iterations > found.iterations
    # what was left is below a tenth of the standard deviation of ½χ²
    assert 0 <= found.objective[-1] - longer.objective[-1] < 0.1 * (0.5 * frames.size) ** 0.5
    cut = minimise(data, penalty, weight, start, max_iterations=3)
    assert (cut.iterations, cut.reason) == (3, "limit of 3 iterations")


def test_richardson_lucy_gains_likelihood_and_keeps_the_light():
    op, _, frames, _ = scene(brightness=20.0)
    assert (frames < -READ_E2).any()  # counts that plain Richardson-Lucy cannot take
    found = RichardsonLucy(op, frames, noise_of(frames)).run(40)
    assert (np.diff(found.objective) <= 0).all()
    assert found.image.min() > 0
    # at 1.2 e per pixel and 1.5 e of read noise; counts clipped at 0 would give 8 % too much
    assert found.image.mean() == pytest.approx(frames.mean(), rel=0.05)
    assert found.iterations == 40


def test_richardson_lucy_is_accelerated(monkeypatch):
    op, _, frames, _ = scene()
    fast = RichardsonLucy(op, frames, noise_of(frames)).run(20)
    monkeypatch.setattr(RichardsonLucy, "_pull", staticmethod(lambda step, old: 0.0))
    plain = RichardsonLucy(op, frames, noise_of(frames)).run(60)
    assert fast.objective[-1] < plain.objective[40]


def test_held_out_copies_are_independent():
    rng = np.random.default_rng(3)
    variance = rng.uniform(1, 9, (200, 300)).astype(np.float32)
    frames = (rng.normal(size=variance.shape) * np.sqrt(variance)).astype(np.float32)
    held = HeldOut.of(frames, variance)
    a, b = held.fit / np.sqrt(variance), held.test / np.sqrt(variance)
    assert np.mean(a * b) == pytest.approx(0, abs=0.03)  # six standard deviations
    assert np.var(a) == pytest.approx(1.25, rel=0.02)
    assert np.var(b) == pytest.approx(5.0, rel=0.02)
    assert held.error(np.zeros_like(frames)) == pytest.approx(1, rel=0.02)


def test_degrees_of_freedom_of_a_mean_over_blocks():
    """Averages of nine pixels have one parameter per nine."""
    rng = np.random.default_rng(4)
    frames = rng.normal(size=(150, 3, 150, 3)).astype(np.float32)
    held = HeldOut.of(frames, np.ones_like(frames))

    def blocks(x):
        return np.broadcast_to(x.mean(axis=(1, 3), keepdims=True), x.shape)

    found = held.degrees_of_freedom(blocks(held.fit), blocks(frames))
    assert found == pytest.approx(1 / 9, rel=0.05)


@pytest.mark.parametrize("method", ["tv", "hessian", "rl"])
def test_chosen_strength_is_near_the_best_and_beats_the_linear_picture(method):
    op, truth, frames, variance = scene(brightness=40.0)
    solver = IterativeSolver(op, method)
    strength = solver.tune(frames, variance, noise_of(frames))
    found = solver.solve(frames, variance, noise_of(frames), strength)
    assert 0.9 < found.chi2_reduced < 1.1
    assert found.chi2 < found.chi2_reduced
    assert 0.001 < strength.degrees_of_freedom < 0.2
    ours = error(found.image, truth)
    assert ours < 0.8 * error(op.reconstruct(frames), truth)
    for factor in (0.1, 10.0):
        other = IterativeSolver(op, method, factor=factor)
        image = other.solve(frames, variance, noise_of(frames), strength).image
        assert ours < error(image, truth)
    again = IterativeSolver(op, method).tune(frames, variance, noise_of(frames))
    assert again == strength


@pytest.mark.parametrize("method", ["tv", "rl"])
def test_frames_that_were_divided_give_the_divided_picture(method):
    """Divided by 4, noise and all: the same weights, so the same picture, four times dimmer."""
    op, _, frames, variance = scene(brightness=40.0)
    solver = IterativeSolver(op, method, max_iterations=30)
    data = (frames, variance, noise_of(frames))
    ours = solver.solve(*data, solver.tune(*data))
    data = (frames / 4, variance / 16, noise_of(frames).divided(4.0))
    divided = solver.solve(*data, solver.tune(*data))
    np.testing.assert_allclose(4 * divided.image, ours.image, rtol=0, atol=0.02 * ours.image.max())
    assert divided.chi2 == pytest.approx(ours.chi2, rel=1e-3)


def test_strength_is_chosen_on_a_part_of_a_large_field(monkeypatch):
    monkeypatch.setattr("simrecon.recon.solver.TUNING_SIDE_PX", 32)
    op, _, frames, variance = scene((64, 80))
    strength = IterativeSolver(op, "rl").tune(frames, variance, noise_of(frames))
    assert 2 < strength.value < 100


def test_what_the_model_misses_is_not_fitted(monkeypatch):
    """A modulation that is far too small: the misfit counts as noise, and rl stops earlier."""
    op, _, frames, variance = scene(brightness=1e5)
    lower = [replace(d, modulation=(0.3 * d.modulation[0],)) for d in op.pattern.directions]
    wrong = Reconstructor(
        replace(op.pattern, directions=tuple(lower)),
        op.otf,
        op.grid,
        frame_variance_e2=op.frame_variance_e2,
        regularization=op.regularization,
        margin_um=op.margin_um,
    )
    counted = IterativeSolver(wrong, "rl").tune(frames, variance, noise_of(frames))
    monkeypatch.setattr("simrecon.recon.solver.MISFIT_NOTED", 1e9)
    fitted = IterativeSolver(wrong, "rl").tune(frames, variance, noise_of(frames))
    assert counted.misfit == pytest.approx(fitted.misfit)
    assert counted.misfit > 1.2
    assert counted.value < 0.8 * fitted.value


def test_part_of_the_field_predicts_the_same_frames():
    op, truth, _, _ = scene((64, 80))
    pattern = shifted(op.pattern, (10, 20), (40, 44))
    part = Reconstructor(
        pattern,
        op.otf,
        Grid((40, 44), 0.065),
        frame_variance_e2=1.0,
        regularization=None,
        margin_um=0.4,
    )
    whole = op.forward(truth)[..., 10:50, 20:64]
    seen = part.forward(truth[20:100, 40:128])
    inner = (..., slice(10, -10), slice(10, -10))
    assert np.linalg.norm((seen - whole)[inner]) < 0.01 * np.linalg.norm(whole[inner])


@pytest.mark.parametrize("method", ["tv", "hessian", "rl"])
def test_libraries_agree(method, to_library, monkeypatch):
    monkeypatch.setattr("simrecon.recon.solver.TUNING_ITERATIONS", 4)
    op, _, frames, variance = scene((20, 24))
    there = to_library(frames)
    other = Reconstructor(
        op.pattern,
        op.otf,
        op.grid,
        frame_variance_e2=op.frame_variance_e2,
        regularization=op.regularization,
        margin_um=op.margin_um,
        reference=there,
    )
    images = []
    for operator, move in ((op, np.asarray), (other, to_library)):
        solver = IterativeSolver(operator, method, max_iterations=6)
        arrays = [move(frames), move(variance), noise_of(frames).map(move)]
        solution = solver.solve(*arrays, solver.tune(*arrays))
        images.append(to_numpy(solution.image))
    assert np.linalg.norm(images[0] - images[1]) < 1e-3 * np.linalg.norm(images[0])


def test_an_operator_without_regularisation_is_refused():
    op, _, _, _ = scene((20, 24))
    bare = Reconstructor(op.pattern, op.otf, op.grid, frame_variance_e2=1.0, regularization=None)
    with pytest.raises(UsageError, match="starts from the linear picture"):
        IterativeSolver(bare, "tv")
