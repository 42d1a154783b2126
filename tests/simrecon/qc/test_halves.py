"""Re-corrupted halves: unbiased, with independent noise of twice the variance."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.qc.frc import frc
from simrecon.qc.halves import independent_halves


def test_noise_of_the_halves_is_independent_and_doubled():
    rng = np.random.default_rng(0)
    expected = np.linspace(20, 400, 300 * 300).reshape(300, 300)
    variance = expected + 9.0
    frames = rng.poisson(expected) + rng.normal(0, 3.0, expected.shape)
    a, b = independent_halves(frames, variance, rng)
    za, zb = ((h - expected) / np.sqrt(2 * variance) for h in (a, b))
    samples = expected.size
    assert abs(za.mean()) < 4 / np.sqrt(samples)
    assert abs(np.mean(za * zb)) < 4 / np.sqrt(samples)
    assert np.var(za) == pytest.approx(1.0, abs=0.02)
    assert np.var(zb) == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(0.5 * (a + b), frames, rtol=1e-5)


def test_their_ring_correlation_is_that_of_two_acquisitions_with_half_the_light():
    k = np.hypot(np.fft.fftfreq(256, 0.1)[:, None], np.fft.fftfreq(256, 0.1)[None, :])
    curves = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        detail = np.fft.fft2(rng.normal(size=(256, 256))) * np.exp(-(k**2) / 2.0)
        signal = 12 * np.fft.ifft2(detail).real + 100
        frames = rng.poisson(signal).astype(float)
        split = frc(*independent_halves(frames, signal, rng), 0.1)
        twice = frc(*(rng.poisson(signal / 2).astype(float) for _ in range(2)), 0.1)
        whole = frc(*(rng.poisson(signal).astype(float) for _ in range(2)), 0.1)
        curves.append([r.correlation[10:40].mean() for r in (split, twice, whole)])
    split_mean, twice_mean, whole_mean = np.mean(curves, axis=0)
    assert split_mean == pytest.approx(twice_mean, abs=0.012)
    assert whole_mean > twice_mean + 0.05


def test_impossible_variances_are_refused():
    with pytest.raises(InputError, match="not negative"):
        independent_halves(np.ones((4, 4)), -np.ones((4, 4)), np.random.default_rng(0))
