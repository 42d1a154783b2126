from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import convolve
from skimage.restoration import richardson_lucy as skimage_lucy

from simrecon.errors import InputError, UsageError
from zsdeconv.baselines.blur import Blur, checked_psf
from zsdeconv.baselines.lucy import curvature, lucy_steps


def gaussian_psf(shape: tuple[int, ...], sigma: float = 1.6) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    psf = np.exp(-sum(a**2 for a in axes) / (2 * sigma**2))
    return psf / psf.sum()


def lopsided(shape: tuple[int, ...]) -> np.ndarray:
    psf = gaussian_psf(shape)
    psf[tuple(slice(n // 2, None) for n in shape)] *= 3.0
    return psf / psf.sum()


def after(count: int, *args, **options) -> np.ndarray:
    return next(islice(lucy_steps(*args, **options), count - 1, None)).image.copy()


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    truth = np.full((64, 60), 1.0)
    truth[rng.integers(12, 52, 40), rng.integers(12, 48, 40)] += 300.0
    psf = gaussian_psf((13, 13))
    clean = convolve(truth, psf, mode="constant")
    return truth, psf, rng.poisson(clean).astype(np.float32)


@pytest.mark.parametrize("shape", [(9, 7), (8, 6), (5, 6, 7)])
def test_the_blur_is_a_convolution_of_a_larger_field(shape):
    """Against a direct sum of shifted copies, odd and even PSFs, two and three axes."""
    rng = np.random.default_rng(1)
    size = (12, 11, 13)[-len(shape) :]
    psf = lopsided(shape)
    blur = Blur(psf, size)
    field = rng.random(blur.field).astype(np.float32)
    expected = np.zeros(size)
    reach = [n - 1 - n // 2 for n in shape]
    for index in np.ndindex(*shape):
        start = [r + n // 2 - i for r, n, i in zip(reach, shape, index, strict=True)]
        part = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        expected += psf[index] * field[part]
    np.testing.assert_allclose(blur(field), expected, atol=1e-5)
    frame = rng.random(size).astype(np.float32)
    left, right = np.vdot(blur(field), frame), np.vdot(field, blur.transpose(frame))
    assert left == pytest.approx(right, rel=1e-5)


def test_plain_iterations_are_those_of_scikit_image_far_from_the_border(scene):
    _, psf, y = scene
    inner = (slice(14, -14),) * 2
    ours = after(6, y, Blur(psf, y.shape), momentum="none")
    theirs = skimage_lucy(y, psf, num_iter=6, clip=False)
    assert np.corrcoef(ours[inner].ravel(), theirs[inner].ravel())[0, 1] > 0.999


def test_light_from_outside_the_field_is_neither_lost_nor_folded_back():
    """A flat object stays flat up to the border; scikit-image's zero padding makes a ridge."""
    psf = gaussian_psf((13, 13), 2.5)
    y = np.full((40, 40), 50.0, np.float32)
    ours = after(20, y, Blur(psf, y.shape))
    np.testing.assert_allclose(ours, 50.0, rtol=0.02)
    assert np.ptp(skimage_lucy(y, psf, num_iter=20, clip=False)) > 5.0


@pytest.mark.parametrize("momentum", ["biggs", "heavy-ball"])
def test_momentum_saves_iterations(scene, momentum):
    """20 accelerated iterations have the likelihood of more than 40 plain ones."""
    _, psf, y = scene
    blur = Blur(psf, y.shape)

    def fit(steps):
        u = np.maximum(steps.seen, 1e-3)
        return float(np.sum(u - y * np.log(u)))

    plain = fit(next(islice(lucy_steps(y, blur, momentum="none"), 39, None)))
    assert fit(next(islice(lucy_steps(y, blur, momentum=momentum), 19, None))) < plain


def test_read_noise_and_negative_counts_keep_dark_pixels_dark(scene):
    truth, psf, _ = scene
    rng = np.random.default_rng(3)
    blur = Blur(psf, truth.shape)
    clean = convolve(truth, psf, mode="constant")
    level = []
    for _ in range(4):
        y = (rng.poisson(clean) + rng.normal(0, 5.0, clean.shape)).astype(np.float32)
        assert y.min() < -5
        level.append(after(8, y, blur, read_variance_e2=25.0)[:, :6].mean())
    assert np.mean(level) == pytest.approx(1.0, abs=0.6)  # clipping at 0 would give 2.5


def test_bad_pixels_do_not_count(scene):
    _, psf, y = scene
    weight = np.ones_like(y)
    weight[30, 20:30] = 0.0
    spoiled = y.copy()
    spoiled[30, 20:30] = np.nan
    image = after(10, spoiled, Blur(psf, y.shape, weight))
    whole = after(10, y, Blur(psf, y.shape))
    assert image.max() < 1.5 * whole.max()
    assert np.corrcoef(image.ravel(), whole.ravel())[0, 1] > 0.9


def test_total_variation_calms_a_flat_field():
    rng = np.random.default_rng(4)
    psf = gaussian_psf((9, 9))
    y = rng.poisson(20.0, (48, 48)).astype(np.float32)
    blur = Blur(psf, y.shape)
    rough = after(20, y, blur).std()
    assert after(20, y, blur, tv=0.5).std() < 0.5 * rough


def test_curvature_is_minus_the_gradient_of_total_variation():
    rng = np.random.default_rng(5)
    f = rng.random((7, 8)).astype(np.float32)

    def total(x):
        dy = np.diff(x, axis=0, append=x[-1:])
        dx = np.diff(x, axis=1, append=x[:, -1:])
        return np.sqrt(dy**2 + dx**2 + 1e-4).sum()

    for place in ((0, 0), (3, 4), (6, 7), (6, 2)):
        up, down = f.astype(np.float64), f.astype(np.float64)
        up[place] += 1e-4
        down[place] -= 1e-4
        slope = (total(up) - total(down)) / 2e-4
        assert curvature(f, 1e-2)[place] == pytest.approx(-slope, abs=1e-3)


def test_refusals(scene):
    _, psf, y = scene
    blur = Blur(psf, y.shape)
    with pytest.raises(InputError, match="NaN"):
        lucy_steps(np.where(y == y.max(), np.nan, y), blur)
    with pytest.raises(InputError, match="no light"):
        lucy_steps(y - 1e4, blur)
    with pytest.raises(UsageError, match="cannot start"):
        lucy_steps(y[1:], blur)
    with pytest.raises(UsageError, match="dimensions"):
        checked_psf(psf[0], 2)
    with pytest.raises(InputError, match="negative"):
        checked_psf(np.where(psf < 0.01 * psf.max(), -0.02 * psf.max(), psf), 2)
    with pytest.raises(InputError, match="NaN"):
        checked_psf(np.where(psf == psf.max(), np.nan, psf), 2)
