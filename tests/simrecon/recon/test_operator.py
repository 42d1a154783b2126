"""The operator against brute force: point objects whose frames are summed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sim_examples import constant_frames, ideal_otf, make_pattern, point_frames

from simrecon.backend import to_numpy
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.recon.operator import Reconstructor, Regularization

SIZES = [(64, 64), (61, 67), (48, 75)]
WIDE = [(128, 128), (113, 127), (135, 150)]  # Airy tails of interior points end in the field


def build(grid: Grid, **options) -> Reconstructor:
    options = {
        "frame_variance_e2": 100.0,
        "regularization": Regularization(wiener_constant=0.1),
        **options,
    }
    return Reconstructor(make_pattern(grid), ideal_otf(), grid, **options)


def emitters(grid: Grid, seed: int = 1):
    """Points well inside the field, at arbitrary sub-pixel places."""
    rng = np.random.default_rng(seed)
    ey, ex = grid.extent_um
    return [
        (ey * rng.uniform(0.38, 0.62), ex * rng.uniform(0.38, 0.62), rng.uniform(50, 500))
        for _ in range(7)
    ]


@pytest.mark.parametrize("shape", WIDE)
def test_noise_free_equals_effective_psf_convolved_with_object(shape):
    grid = Grid(shape, 0.065)
    op = build(grid)
    points = emitters(grid)
    image = op.reconstruct(point_frames(grid, op.pattern, points).astype(np.float32))
    padded = op.padded_sr_grid
    ky, kx = padded.frequencies_per_um()
    spectrum = np.zeros(padded.shape, complex)
    for y, x, weight in points:
        spectrum += weight * np.exp(
            -2j * np.pi * (ky * (y - op.sr_grid.offset_um) + kx * (x - op.sr_grid.offset_um))
        )
    # Σ_k T(k) e^{2πi k·r} / N_sr is per SR pixel; × zoom² makes it per raw pixel area
    expected = op.zoom**2 * np.fft.ifft2(spectrum * op.effective_otf()).real
    expected = expected[: op.sr_grid.shape[0], : op.sr_grid.shape[1]]
    error = np.linalg.norm(image - expected) / np.linalg.norm(expected)
    assert error < 1e-3


@pytest.mark.parametrize("shape", WIDE)
def test_forward_of_a_smooth_object_matches_brute_force(shape):
    grid = Grid(shape, 0.065)
    op = build(grid)
    sr = op.sr_grid
    y, x = sr.positions_um()
    cy, cx = 0.5 * grid.extent_um[0], 0.5 * grid.extent_um[1]
    blob = 30 * np.exp(-((y - cy) ** 2 + 0.5 * (x - cx) ** 2) / (2 * 0.09**2))
    frames = op.forward(blob.astype(np.float32))
    # the same object as emitters, one per SR pixel (per raw pixel area → per SR pixel)
    points = [
        (float(y[i, 0]), float(x[0, j]), float(blob[i, j]) / op.zoom**2)
        for i in range(sr.shape[0])
        for j in range(sr.shape[1])
        if blob[i, j] > 1e-4
    ]
    expected = point_frames(grid, op.pattern, points)
    assert np.linalg.norm(frames - expected) < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("shape", SIZES)
def test_constant_object_stays_constant(shape):
    grid = Grid(shape, 0.065)
    op = build(grid)
    image = op.reconstruct(constant_frames(grid, op.pattern, 42.0))
    assert np.max(np.abs(image - 42.0)) < 42.0 * 2e-5


@pytest.mark.parametrize("shape", SIZES)
def test_adjoint(shape, to_library):
    grid = Grid(shape, 0.065)
    rng = np.random.default_rng(3)
    frames = to_library(rng.normal(size=(3, 3, *shape)).astype(np.float32))
    image = to_library(rng.normal(size=(2 * shape[0], 2 * shape[1])).astype(np.float32))
    op = build(grid, reference=frames)
    forward = to_numpy(op.reconstruct(frames)).astype(float)
    back = to_numpy(op.adjoint(image)).astype(float)
    left = np.vdot(forward, to_numpy(image).astype(float))
    right = np.vdot(to_numpy(frames).astype(float), back)
    scale = np.linalg.norm(forward) * np.linalg.norm(to_numpy(image))
    assert abs(left - right) < 1e-5 * scale
    assert np.linalg.norm(back) > 0


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("zoom", [1, 2, 3])
def test_adjoint_of_the_forward_model(shape, zoom, to_library):
    rng = np.random.default_rng(3)
    frames = to_library(rng.normal(size=(3, 3, *shape)).astype(np.float32))
    image = to_library(rng.normal(size=(zoom * shape[0], zoom * shape[1])).astype(np.float32))
    op = build(Grid(shape, 0.065), reference=frames, zoom=zoom, regularization=None)
    seen = to_numpy(op.forward(image)).astype(float)
    back = to_numpy(op.forward_adjoint(frames)).astype(float)
    left = np.vdot(seen, to_numpy(frames).astype(float))
    right = np.vdot(to_numpy(image).astype(float), back)
    assert back.shape == op.sr_grid.shape
    assert np.linalg.norm(back) > 0
    assert abs(left - right) < 1e-5 * np.linalg.norm(seen) * np.linalg.norm(to_numpy(frames))


def test_libraries_agree(to_library):
    grid = Grid((45, 52), 0.065)
    rng = np.random.default_rng(4)
    host = rng.poisson(50, size=(3, 3, *grid.shape)).astype(np.float32)
    frames = to_library(host)
    op, ref = build(grid, reference=frames), build(grid)
    image = ref.reconstruct(host)
    for ours, theirs in [
        (op.reconstruct(frames), image),
        (op.variance(frames), ref.variance(host)),
        (op.forward(to_library(image)), ref.forward(image)),
        (op.forward_adjoint(frames), ref.forward_adjoint(host)),
    ]:
        assert np.linalg.norm(to_numpy(ours) - theirs) < 1e-5 * np.linalg.norm(theirs)


def test_linear():
    grid = Grid((40, 40), 0.065)
    op = build(grid)
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, *op.frames_shape)).astype(np.float32)
    combined = op.reconstruct(2 * a - 3 * b)
    assert np.allclose(combined, 2 * op(a) - 3 * op(b), atol=1e-4 * np.abs(combined).max())


@pytest.mark.parametrize("shape", [(40, 40), (37, 43)])
@pytest.mark.parametrize("camera_map", [False, True])
def test_variance_matches_monte_carlo(shape, camera_map):
    grid = Grid(shape, 0.065)
    op = build(grid)
    rng = np.random.default_rng(6)
    variance = np.full(op.frames_shape, 40.0)
    variance[..., 12:22, 15:30] = 400.0
    variance *= rng.uniform(0.6, 1.5, (3, 3, 1, 1))
    if camera_map:  # hot pixels and a read-noise map of an sCMOS
        variance = variance + rng.gamma(2.0, 10.0, grid.shape)
        variance[..., 5, 7] += 5000.0
    predicted = op.variance(variance.astype(np.float32))
    draws = 400
    total = np.zeros(op.sr_grid.shape)
    square = np.zeros(op.sr_grid.shape)
    for _ in range(draws):
        noise = (rng.normal(size=op.frames_shape) * np.sqrt(variance)).astype(np.float32)
        image = op.reconstruct(noise).astype(float)
        total += image
        square += image**2
    measured = (square - total**2 / draws) / (draws - 1)
    ratio = predicted / measured
    assert abs(np.median(ratio) - 1) < 0.01
    inner = ratio[12:-12, 12:-12]
    low, high = np.percentile(inner, [5, 95])
    assert 0.86 < low < 1 < high < 1.16


def test_variance_equals_explicit_kernel_sum():
    """A second, slow way to the same number: the response to every raw pixel, squared."""
    grid = Grid((16, 15), 0.065)
    op = build(grid, margin_um=0.0)
    rng = np.random.default_rng(7)
    variance = rng.uniform(1, 9, op.frames_shape).astype(np.float32)
    explicit = np.zeros(op.sr_grid.shape)
    impulse = np.zeros(op.frames_shape, np.float32)
    for index in np.ndindex(op.frames_shape):
        impulse[index] = 1
        explicit += variance[index] * op.reconstruct(impulse).astype(float) ** 2
        impulse[index] = 0
    assert np.allclose(op.variance(variance), explicit, rtol=2e-4)


def test_effective_psf_is_normalised_and_centred():
    grid = Grid((51, 64), 0.065)
    op = build(grid)
    psf = op.effective_psf()
    assert psf.dtype == np.float32
    assert psf.sum() == pytest.approx(1.0, abs=1e-5)
    peak = np.unravel_index(np.argmax(psf), psf.shape)
    assert peak == (psf.shape[0] // 2, psf.shape[1] // 2)
    small = op.effective_psf((21, 21))
    assert np.argmax(small) == 21 * 10 + 10
    with pytest.raises(UsageError, match="larger than the field"):
        op.effective_psf((9999, 9))


def test_effective_psf_is_anisotropic_when_modulations_differ():
    grid = Grid((64, 64), 0.065)
    pattern = make_pattern(grid)
    flat = [
        DirectionPattern(d.frequency_per_um, d.phase_rad, (m,), d.intensity)
        for d, m in zip(pattern.directions, (0.9, 0.05, 0.05), strict=True)
    ]
    op = Reconstructor(
        PatternFit(grid.pixel_um, grid.shape, tuple(flat)),
        ideal_otf(),
        grid,
        frame_variance_e2=100.0,
        regularization=Regularization(wiener_constant=0.03),
    )
    psf = op.effective_psf((41, 41)).astype(float)
    y, x = np.mgrid[-20:21, -20:21]
    core = np.clip(psf, 0, None) * (np.hypot(y, x) < 8)
    angle = pattern.directions[0].angle_rad
    along = y * np.sin(angle) + x * np.cos(angle)
    across = -y * np.cos(angle) + x * np.sin(angle)
    assert (core * along**2).sum() < 0.8 * (core * across**2).sum()


def test_automatic_regularisation_minimises_the_error():
    """Auto × 1 has a smaller squared error than auto × 0.01 and auto × 100."""
    grid = Grid((64, 64), 0.065)
    pattern = make_pattern(grid)
    points = emitters(grid)
    clean = point_frames(grid, pattern, points)
    rng = np.random.default_rng(8)
    variance = np.clip(clean, 0, None) + 4.0
    frames = (clean + rng.normal(size=clean.shape) * np.sqrt(variance)).astype(np.float32)
    mean_variance = variance.mean(axis=(2, 3))
    errors = {}
    for factor in (0.01, 1.0, 100.0):
        op = Reconstructor.from_frames(
            frames,
            pattern,
            ideal_otf(),
            grid,
            frame_variance_e2=mean_variance,
            regularization_factor=factor,
            apodization_kind="none",
        )
        image = op.reconstruct(frames).astype(float)
        sharp = Reconstructor(
            pattern,
            ideal_otf(),
            grid,
            frame_variance_e2=mean_variance,
            regularization=Regularization(wiener_constant=1e-4),
            apodization_kind="none",
        ).reconstruct(clean.astype(np.float32))
        errors[factor] = np.linalg.norm(image - sharp)
    assert errors[1.0] < errors[0.01]
    assert errors[1.0] < errors[100.0]


def test_blank_frames_give_a_blank_picture():
    grid = Grid((64, 64), 0.065)
    rng = np.random.default_rng(9)
    frames = (20 + rng.normal(0, 5, (3, 3, *grid.shape))).astype(np.float32)
    op = Reconstructor.from_frames(
        frames, make_pattern(grid), ideal_otf(), grid, frame_variance_e2=25.0
    )
    image = op.reconstruct(frames)
    assert image.mean() == pytest.approx(frames.mean(), rel=0.01)
    assert image.std() < 0.5  # a plain average of nine frames has 1.7


def test_bad_geometry_is_refused():
    grid = Grid((32, 32), 0.065)
    op = build(grid)
    with pytest.raises(InputError, match="wrong shape"):
        op.reconstruct(np.zeros((3, 3, 31, 32), np.float32))
    with pytest.raises(InputError, match="another pixel size"):
        Reconstructor(
            op.pattern,
            op.otf,
            Grid((32, 32), 0.1),
            frame_variance_e2=1.0,
            regularization=op.regularization,
        )
    with pytest.raises(InputError, match="positive noise variance"):
        build(grid, frame_variance_e2=0.0)
    with pytest.raises(UsageError, match="needs a regularisation"):
        build(grid, regularization=Regularization())
    with pytest.raises(UsageError, match="needs a regularisation"):
        build(grid, regularization=None).reconstruct(np.zeros(op.frames_shape, np.float32))
    first = op.pattern.directions[0]
    same = DirectionPattern(first.frequency_per_um, (0.1, 0.1, 0.1), (0.7,), (1.0, 1.0, 1.0))
    pattern = PatternFit(grid.pixel_um, grid.shape, (same,))
    with pytest.raises(QualityError, match="too alike"):
        Reconstructor(
            pattern,
            op.otf,
            grid,
            frame_variance_e2=1.0,
            regularization=op.regularization,
        )
    two = DirectionPattern(first.frequency_per_um, (0.1, 2.1), (0.7,), (1.0, 1.0))
    with pytest.raises(UsageError, match="not enough phase steps"):
        Reconstructor(
            PatternFit(grid.pixel_um, grid.shape, (two,)),
            op.otf,
            grid,
            frame_variance_e2=1.0,
            regularization=op.regularization,
        )
