from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve, gaussian_filter

from simrecon.errors import InputError, UsageError
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D
from simrecon.qc.metrics import psnr
from zsdeconv.baselines.deconvolution import richardson_lucy, sparse_deconvolution
from zsdeconv.baselines.lucy import lucy_steps
from zsdeconv.baselines.sparse import _components, _Splitting, estimated_background, sparse_image
from zsdeconv.baselines.stop import best_iteration


def gaussian_psf(shape: tuple[int, ...], sigma: float = 1.6) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    psf = np.exp(-sum(a**2 for a in axes) / (2 * sigma**2))
    return psf / psf.sum()


OPTICS = Optics(1.2, 525.0, pixel_integration=False)
PSF = Camera3D((21, 21), 0.06, (0.0,), pixel_integration=False).image(OPTICS)[0]


def lines(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Some straight filaments."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(shape)
    for _ in range(8):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        angle = rng.uniform(0, np.pi)
        t = np.arange(-80, 80, 0.25)
        rows, columns = np.rint(y + t * np.sin(angle)), np.rint(x + t * np.cos(angle))
        ok = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        picture[rows[ok].astype(int), columns[ok].astype(int)] = 1.0
    return picture


@pytest.fixture(scope="module", params=[10.0, 60.0])
def scene(request):
    rng = np.random.default_rng(0)
    objects = gaussian_filter(lines((96, 96), 2), 1.2)
    blurred = convolve(objects, PSF)
    scale = request.param / blurred.max()
    clean = blurred * scale + 1.0
    noisy = (rng.poisson(clean) + rng.normal(0, 1, clean.shape)).astype(np.float32)
    reference = objects * scale
    return noisy, clean, lambda image: psnr(image, reference, margin_px=8)


def test_the_stop_needs_no_truth_and_comes_near_the_best(scene):
    noisy, _, figure = scene
    done = richardson_lucy(noisy, PSF, read_variance_e2=1.0)
    from zsdeconv.baselines.blur import Blur

    steps = lucy_steps(noisy, Blur(PSF, noisy.shape), read_variance_e2=1.0)
    best, _, _ = best_iteration((s.image for s in steps), figure, 40)
    assert figure(done.image) > best - 1.5
    assert figure(done.image) > figure(noisy) + 2.0
    assert "as small as the noise" in done.reason
    assert done.chi2 == pytest.approx(1.0, abs=0.12)
    assert done.image.min() >= 0
    assert done.image.sum() == pytest.approx(noisy.sum(), rel=0.05)


def test_held_out_copies_stop_it_too(scene):
    noisy, _, figure = scene
    done = richardson_lucy(noisy, PSF, read_variance_e2=1.0, stop="held-out")
    assert "independent copy" in done.reason
    assert np.argmin(done.scores) == done.iterations - 1 < 40
    assert figure(done.image) > figure(noisy)


def test_wrong_noise_is_seen_in_chi2_and_does_not_run_away(scene):
    noisy, _, figure = scene
    done = richardson_lucy(3.0 * noisy, PSF, read_variance_e2=1.0)
    assert done.chi2 > 2.0
    assert done.iterations < 20
    assert figure(done.image) > figure(noisy)


def test_a_rule_that_is_never_met_hands_over(scene):
    noisy, _, _ = scene
    done = richardson_lucy(noisy, PSF, read_variance_e2=1.0, momentum="none", most=2)
    assert "independent copy" in done.reason
    assert "stayed" in done.reason
    assert done.iterations <= 2


def test_a_number_of_iterations_is_kept(scene):
    noisy, _, _ = scene
    assert richardson_lucy(noisy, PSF, stop=3).iterations == 3
    with pytest.raises(UsageError):
        richardson_lucy(noisy, PSF, stop=0)
    with pytest.raises(UsageError, match="stop rule"):
        richardson_lucy(noisy, PSF, stop="never")


def test_sparse_beats_its_second_step_alone_at_low_light(scene):
    noisy, clean, figure = scene
    sparse = sparse_deconvolution(noisy, PSF, read_variance_e2=1.0)
    plain = richardson_lucy(noisy, PSF, read_variance_e2=1.0)
    assert figure(sparse.image) > figure(plain.image) + (0.3 if clean.max() < 20 else -0.5)
    assert 0.0 < sparse.background_e < 3.0
    assert sparse.image.sum() == pytest.approx(noisy.sum(), rel=0.1)


def test_one_strength_serves_all_light_levels():
    """The same picture in other units, noise included, gives the same result in those units."""
    rng = np.random.default_rng(1)
    y = (convolve(lines((48, 48), 1), PSF) * 90 + rng.normal(0, 2, (48, 48))).astype(np.float32)
    one = sparse_image(y, 4.0, background_e=0.0)
    hundred = sparse_image(100 * y, 4e4, background_e=0.0)
    np.testing.assert_allclose(hundred, 100 * one, rtol=1e-3, atol=1e-2)


def objective(g, y, variance, strength, rho, components):
    sigma = np.sqrt(variance.mean())
    data = 0.5 * np.sum((y - g) ** 2 / variance)
    rough = sum(np.abs(part.apply(g)).sum() for part in components)
    return data + strength * (rough + rho * np.abs(g).sum()) / sigma


@pytest.mark.parametrize("shape", [(14, 15), (5, 12, 13)])
def test_the_splitting_finds_the_minimum(shape):
    """No small change, along axes or at random, lowers the published objective."""
    rng = np.random.default_rng(2)
    y = (20 * gaussian_psf(shape, 2.0) / gaussian_psf(shape, 2.0).max()).astype(np.float32)
    y += rng.normal(0, 1, shape).astype(np.float32)
    variance = rng.uniform(0.5, 1.5, shape).astype(np.float32)
    parts = _components(len(shape), 0.7)
    g = sparse_image(
        y, variance, strength=0.5, sparsity=0.3, continuity=0.7, background_e=0.0, iterations=600
    ).astype(np.float64)
    least = objective(g, y, variance, 0.5, 0.3, parts)
    for _ in range(60):
        change = rng.normal(0, 1, shape)
        if rng.random() < 0.5:
            change = gaussian_filter(change, 1.5)
        for size in (0.3, 0.03):
            other = np.maximum(g + size * change, 0.0)
            assert objective(other, y, variance, 0.5, 0.3, parts) > least * (1 - 1e-4)
    assert least < 0.9 * objective(np.maximum(y, 0), y, variance, 0.5, 0.3, parts)


@pytest.mark.parametrize("ndim", [2, 3])
def test_components_are_transposed_and_diagonal_in_cosines(ndim):
    rng = np.random.default_rng(3)
    shape = (6, 7, 8)[:ndim]
    parts = _components(ndim, 0.5)
    assert len(parts) == (3 if ndim == 2 else 6)
    x, p = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    for part in parts:
        assert np.vdot(part.apply(x), p) == pytest.approx(np.vdot(x, part.transpose(p)), abs=1e-4)
    split = _Splitting(x, np.ones_like(x), 0.8, 0.0, parts)
    back = x + 0.8 * sum(part.transpose(part.apply(x)) for part in parts)
    np.testing.assert_allclose(split._solve(back.astype(np.float32)), x, atol=1e-4)


def test_a_movie_helps_each_of_its_frames():
    rng = np.random.default_rng(4)
    clean = convolve(lines((64, 64), 5), PSF) * 25 + 1
    movie = rng.poisson(np.repeat(clean[None], 6, 0)).astype(np.float32)
    together = sparse_deconvolution(movie, PSF, background_e=1.0)
    alone = sparse_deconvolution(movie[3], PSF, background_e=1.0)
    reference = gaussian_filter(lines((64, 64), 5), 1.2)
    gain = psnr(together.image[3], reference, margin_px=6) - psnr(
        alone.image, reference, margin_px=6
    )
    assert gain > 0.5
    assert together.image.shape == movie.shape


def test_a_volume_is_deconvolved_along_all_axes():
    rng = np.random.default_rng(6)
    psf = gaussian_psf((9, 7, 7), 1.5)
    clean = np.ones((20, 24, 26))
    clean[10, 12, 13] += 3000.0
    y = rng.poisson(convolve(clean, psf)).astype(np.float32)
    for done in (richardson_lucy(y, psf), sparse_deconvolution(y, psf)):
        assert np.unravel_index(done.image.argmax(), y.shape) == (10, 12, 13)
        peak = done.image[10, 12, 13] / done.image[:, 12, 13].sum()
        assert peak > 1.3 * y[10, 12, 13] / y[:, 12, 13].sum()


def test_a_psf_that_is_off_centre_is_refused(scene):
    with pytest.raises(InputError, match="not centred"):
        richardson_lucy(scene[0], np.roll(PSF, 2, axis=1), stop=1)


def test_background_and_refusals():
    rng = np.random.default_rng(5)
    y = rng.poisson(np.where(np.arange(64) < 40, 3.0, 90.0) * np.ones((64, 1))).astype(np.float32)
    assert estimated_background(y) == pytest.approx(3.0, abs=0.4)
    with pytest.raises(UsageError):
        sparse_image(y, 1.0, strength=-1.0)
    with pytest.raises(InputError):
        sparse_image(np.where(y == y.max(), np.nan, y), 1.0)
