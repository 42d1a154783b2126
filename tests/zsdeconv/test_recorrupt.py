from __future__ import annotations

import numpy as np
import pytest

from zsdeconv.recorrupt import draw_noise, recorrupt


@pytest.mark.parametrize("alpha", [0.4, 1.0, 1.7])
def test_copies_are_independent_with_the_promised_variances(alpha):
    rng = np.random.default_rng(0)
    variance = np.linspace(0.5, 20.0, 200_000).astype(np.float32)
    noise = np.sqrt(variance) * rng.standard_normal(variance.size).astype(np.float32)
    a, b = recorrupt(noise, draw_noise(variance, rng), alpha)
    unit_a, unit_b = a / np.sqrt(variance), b / np.sqrt(variance)
    tolerance = 6.0 * (1 + alpha**2) * (1 + alpha**-2) / np.sqrt(variance.size)
    assert abs(np.mean(unit_a * unit_b)) < tolerance
    assert np.var(unit_a) == pytest.approx(1 + alpha**2, rel=0.02)
    assert np.var(unit_b) == pytest.approx(1 + alpha**-2, rel=0.02)


def test_copies_stay_independent_through_the_reconstruction(scene):
    """Monte Carlo of the whole chain: raw noise → L → pair; covariance at every lag is zero."""
    _, truth, _, measurement = scene
    rng = np.random.default_rng(1)
    variance = np.maximum(truth.expected_e, 0).reshape(measurement.frames_e.shape) + 2.25
    cross = auto = 0.0
    for _ in range(60):
        own = measurement.lift(draw_noise(variance, rng))
        z = measurement.lift(draw_noise(variance, rng))
        a, b = recorrupt(own, z, 0.7)
        fa, fb = np.fft.fft2(a), np.fft.fft2(b)
        cross = cross + fa * np.conj(fb) / 60
        auto = auto + np.sqrt(np.abs(fa) ** 2 * np.abs(fb) ** 2) / 60
    inside = auto > 0.05 * auto.max()
    coherence = np.mean(cross[inside].real) / np.mean(auto[inside])
    assert abs(coherence) < 0.02
    wrong = recorrupt(own, 0.5 * z, 0.7)  # half the noise: the copies share what is missing
    assert np.corrcoef(wrong[0].ravel(), wrong[1].ravel())[0, 1] > 0.2


def test_sign_turns_the_draw():
    a, b = recorrupt(np.zeros(3), np.ones(3), 2.0, sign=-1)
    np.testing.assert_array_equal(a, -2.0)
    np.testing.assert_array_equal(b, 0.5)
