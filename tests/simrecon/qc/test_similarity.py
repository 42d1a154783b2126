from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from simrecon.errors import InputError
from simrecon.qc.metrics import filament_width, flux_slope, linear_fit, ssim


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    truth = gaussian_filter(rng.random((70, 64)), 2.0) * 100
    return truth, truth + rng.normal(0, 1.0, truth.shape)


def test_ssim_is_that_of_scikit_image_after_the_fit(pair):
    truth, noisy = pair
    gain, offset = linear_fit(noisy, truth)
    span = float(np.percentile(truth, 99.99) - truth.min())
    theirs = structural_similarity(
        gain * noisy + offset, truth, data_range=span, gaussian_weights=True,
        use_sample_covariance=False,
    )  # fmt: skip
    assert ssim(noisy, truth) == pytest.approx(theirs, abs=1e-6)
    assert 0.1 < theirs < 0.95
    assert ssim(3.0 * noisy - 7.0, truth) == pytest.approx(theirs, abs=1e-6)
    assert ssim(truth, truth) == pytest.approx(1.0)


def test_flux_slope_sees_compression_and_not_sharpness():
    rng = np.random.default_rng(1)
    truth = np.zeros((96, 96))
    truth[rng.integers(0, 96, 60), rng.integers(0, 96, 60)] = rng.uniform(10, 3000, 60)
    truth = gaussian_filter(truth, 1.0)
    assert flux_slope(truth + 5.0, truth) == pytest.approx(1.0)
    assert flux_slope(0.8 * truth, truth) == pytest.approx(0.8)
    assert flux_slope(gaussian_filter(truth, 1.0), truth) == pytest.approx(0.95, abs=0.06)
    assert flux_slope(50.0 * np.sqrt(truth / 50.0), truth) < 0.7
    with pytest.raises(InputError, match="blocks"):
        flux_slope(truth[:20, :20], truth[:20, :20], block_px=16)
    with pytest.raises(InputError, match="size"):
        flux_slope(truth[1:], truth)


def filaments(sigma_px: float, size: int = 128) -> np.ndarray:
    """Straight lines of a Gaussian profile in several directions."""
    y, x = np.mgrid[:size, :size].astype(float)
    picture = np.full((size, size), 3.0)
    for angle, offset in ((0.2, 20.0), (1.1, 5.0), (1.9, -30.0), (2.7, -85.0)):
        distance = (y - 10) * np.cos(angle) - (x - 20) * np.sin(angle) - offset
        picture += 50.0 * np.exp(-0.5 * (distance / sigma_px) ** 2)
    return picture


@pytest.mark.parametrize("sigma_px", [1.2, 2.0])
def test_width_of_known_filaments_in_every_direction(sigma_px):
    found = filament_width(filaments(sigma_px), 0.05)
    assert found.fwhm_um == pytest.approx(2.3548 * sigma_px * 0.05, rel=0.04)
    assert found.places > 100
    assert found.sd_um < 0.05 * found.fwhm_um


def test_a_guide_keeps_noise_from_narrowing_the_profiles():
    rng = np.random.default_rng(2)
    clean = filaments(1.5)
    noisy = rng.poisson(0.4 * clean).astype(float)
    guided = filament_width(noisy, 0.05, guide=clean)
    assert guided.fwhm_um == pytest.approx(2.3548 * 1.5 * 0.05, rel=0.08)
    assert abs(guided.fwhm_um - 0.1766) < 4 * guided.sd_um + 0.005
    with pytest.raises(InputError, match="grid"):
        filament_width(noisy, 0.05, guide=clean[1:])
    with pytest.raises(InputError, match="few"):
        filament_width(noisy, 0.05, guide=clean, places=5)
