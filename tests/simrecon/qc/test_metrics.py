"""Figures against a truth, checked with sums written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simrecon.errors import InputError
from simrecon.qc.metrics import equalised_psnr, linear_fit, nrmse, psnr

RNG = np.random.default_rng(7)
REFERENCE = gaussian_filter(RNG.random((60, 67)) ** 8, 2.0) * 1e3


def test_linear_fit_recovers_gain_and_offset():
    assert linear_fit((REFERENCE - 5.0) / 3.0, REFERENCE) == pytest.approx((3.0, 5.0))


def test_psnr_equals_the_written_out_number():
    image = 0.5 * REFERENCE + 20.0 + RNG.normal(0, 1.0, REFERENCE.shape)
    n = sx = sy = sxx = sxy = 0.0
    for x, y in zip(image.ravel(), REFERENCE.ravel(), strict=True):
        n, sx, sy, sxx, sxy = n + 1, sx + x, sy + y, sxx + x * x, sxy + x * y
    gain = (n * sxy - sx * sy) / (n * sxx - sx * sx)
    offset = (sy - gain * sx) / n
    error = sum(
        (gain * x + offset - y) ** 2 for x, y in zip(image.ravel(), REFERENCE.ravel(), strict=True)
    )
    span = np.percentile(REFERENCE, 99.99) - REFERENCE.min()
    assert psnr(image, REFERENCE) == pytest.approx(10 * math.log10(span**2 / (error / n)))
    assert nrmse(image, REFERENCE) == pytest.approx(math.sqrt(error / n) / REFERENCE.std())


def test_gain_and_offset_do_not_matter_and_perfection_is_infinite():
    noisy = REFERENCE + RNG.normal(0, 2.0, REFERENCE.shape)
    assert psnr(7 * noisy - 90, REFERENCE) == pytest.approx(psnr(noisy, REFERENCE))
    assert psnr(REFERENCE.copy(), REFERENCE) == math.inf


def test_margin_leaves_the_border_out():
    spoiled = REFERENCE + RNG.normal(0, 1.0, REFERENCE.shape)
    clean = psnr(spoiled[8:-8, 8:-8], REFERENCE[8:-8, 8:-8])
    spoiled[:8] += 500.0
    assert psnr(spoiled, REFERENCE, margin_px=8) == pytest.approx(clean)
    assert psnr(spoiled, REFERENCE) < clean - 10


@pytest.mark.parametrize("shape", [(64, 64), (61, 70)])
def test_equalised_psnr_ignores_radial_filters_but_not_noise_or_phase(shape):
    reference = gaussian_filter(RNG.random(shape), 1.5, mode="wrap")
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])

    def filtered(gain):
        return np.fft.ifft2(np.fft.fft2(reference) * gain).real

    apodized = filtered(np.exp(-20 * k**2))
    assert equalised_psnr(apodized, reference) > psnr(apodized, reference) + 10
    shifted = np.roll(reference, 1, axis=0)
    assert equalised_psnr(shifted, reference) < 40
    noisy = reference + RNG.normal(0, 0.2 * reference.std(), shape)
    assert equalised_psnr(noisy, reference) >= psnr(noisy, reference)


def test_equalised_psnr_is_exact_for_gains_constant_on_its_rings():
    shape = (48, 55)
    reference = RNG.random(shape)
    radius = np.rint(
        np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :]) * 48
    )
    image = np.fft.ifft2(np.fft.fft2(reference) / (1 + radius)).real
    assert equalised_psnr(image, reference) > 200


@pytest.mark.parametrize(
    "image, message",
    [
        (np.ones((10, 12)), "same grid"),
        (np.full_like(REFERENCE, np.nan), "NaN"),
        (np.zeros_like(REFERENCE), "constant"),
    ],
)
def test_what_cannot_be_compared_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        psnr(image, REFERENCE)
