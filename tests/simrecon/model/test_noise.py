"""Noise of frames that were divided, averaged and cut."""

import numpy as np
import pytest

from simrecon.model.noise import FrameNoise


def test_variance_follows_division_and_averaging():
    """Against 40,000 draws of two frames each, divided by a map."""
    rng = np.random.default_rng(0)
    factors = np.array([0.5, 1.0, 2.0])
    mean, read_e = np.array([3.0, 20.0, 90.0]), 2.0
    raw = rng.poisson(mean, (40_000, 2, 3)) + rng.normal(0, read_e, (40_000, 2, 3))
    draws = (raw / factors).mean(axis=1)
    noise = FrameNoise(read_e**2).divided(factors).averaged(2)
    np.testing.assert_allclose(draws.var(axis=0), noise.variance(mean / factors), rtol=0.03)


def test_negative_expectations_have_read_noise_only():
    noise = FrameNoise(4.0, 0.5)
    np.testing.assert_array_equal(noise.variance(np.array([-3.0, 2.0])), [4.0, 5.0])


def test_part_and_map_leave_numbers_alone():
    noise = FrameNoise(np.arange(4.0).reshape(1, 1, 2, 2), 0.5)
    part = noise.part((slice(None), slice(None), slice(0, 1), slice(1, 2)))
    assert part.read_variance_e2.item() == 1.0
    assert part.shot_e == pytest.approx(0.5)
    assert noise.map(lambda a: a + 1).read_variance_e2.max() == 4.0
