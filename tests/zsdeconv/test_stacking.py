"""Stacking: the weights that unseen copies ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from zsdeconv.measurement import Measurement
from zsdeconv.pairs_image import image_measurement
from zsdeconv.pairs_sim import ideal_psf
from zsdeconv.recorrupt import draw_noise, recorrupt
from zsdeconv.stacking import RINGS, Copy, Stacking, ring_filters


@pytest.mark.parametrize("shape", [(40, 36), (33, 31)])
def test_rings_add_up_to_one(shape):
    rings = ring_filters(shape, 0.3)
    assert rings.shape == (RINGS, shape[0], shape[1] // 2 + 1)
    np.testing.assert_allclose(rings.sum(axis=0), 1.0, atol=1e-6)
    assert rings[0, 0, 0] == 1.0


def weakened(picture: np.ndarray, measurement: Measurement, gain: float) -> np.ndarray:
    """A picture whose rings from the third on are `gain` times as strong."""
    weights = np.array([np.zeros(RINGS), np.r_[1.0, 1.0, np.full(RINGS - 2, gain)]])
    return Stacking(weights, measurement.image_cutoff_px)(picture, picture)


@pytest.fixture(scope="module")
def partner(scene):
    measurement = scene[3]
    noise = draw_noise(measurement.variance_e2, np.random.default_rng(5))
    return recorrupt(measurement.frames_e, noise, 0.5)[1]


def test_detail_that_came_out_too_weak_is_raised_again(scene, partner):
    """Rings halved: the data double them where they see them, and the picture is restored."""
    _, truth, _, measurement = scene
    dim = weakened(truth.object_e, measurement, 0.5)
    found = Stacking.fit(measurement, [Copy(np.zeros_like(dim), dim, partner, 5.0)])
    gains = found.weights[1]
    np.testing.assert_allclose(gains[:2], 1.0, atol=0.1)
    assert 1.4 < gains[2] < 2.1  # on the slope
    assert gains[3] == pytest.approx(2.0, abs=0.2)
    assert gains[-1] == pytest.approx(1.0, abs=0.05)  # beyond what the frames see: left alone
    inner = (slice(12, -12), slice(12, -12))
    better = found(np.zeros_like(dim), dim)
    assert better.dtype == np.float32
    wanted = truth.object_e[inner]
    assert np.std(better[inner] - wanted) < 0.75 * np.std(dim[inner] - wanted)


def test_the_picture_that_predicts_gets_the_weight(scene, partner):
    _, truth, _, measurement = scene
    flat = np.full_like(truth.object_e, truth.object_e.mean())
    noisy = flat + np.random.default_rng(1).normal(0, 30, flat.shape).astype(np.float32)
    found = Stacking.fit(measurement, [Copy(truth.object_e, noisy, partner, 5.0)])
    assert found.weights[0, 2] == pytest.approx(1.0, abs=0.1)
    assert abs(found.weights[1, 2]) < 0.1


def test_a_small_dim_picture_is_left_as_it_is():
    """What its noise seems to ask for is not significant; many times the light, and it is."""
    rng = np.random.default_rng(3)
    truth = gaussian_filter(rng.random((64, 64)), 3.0)
    truth = 4.0 * (truth / truth.mean()) ** 6
    psf = ideal_psf(0.25, 25)
    for light, gain in ((0.3, 1.0), (3000.0, 2.0)):
        expected = image_measurement(light * truth, 1.0, psf, 0.1).predict(light * truth)
        noisy = expected + rng.normal(0.0, np.sqrt(5.0 * expected))
        measurement = replace(
            image_measurement(noisy[0], expected[0], psf, 0.1), image_cutoff_px=0.25
        )
        weak = weakened((light * truth).astype(np.float32), measurement, 0.5)
        found = Stacking.fit(measurement, [Copy(0 * weak, weak, noisy.astype(np.float32), 5.0)])
        assert found.weights[1, 3] == pytest.approx(gain, abs=0.2)


def test_weights_of_learned_pixels_count_only_where_others_agree(scene):
    """The partner of the shown pixels asks for three times the detail; the withheld ones decide."""
    _, truth, _, measurement = scene
    dim = weakened(truth.object_e, measurement, 0.5)
    rng = np.random.default_rng(6)
    withheld = rng.random(measurement.frames_e.shape[1:]) < 0.05
    learned, honest = (measurement.predict(g * dim) for g in (3.0, 2.0))
    noise = np.sqrt(5.0 * measurement.variance_e2)
    honest = honest + noise * rng.standard_normal(noise.shape, dtype=np.float32)
    found = {}
    for name, seen in (("learned", np.where(withheld, honest, learned)), ("honest", honest)):
        copy = Copy(0 * dim, dim, seen.astype(np.float32), 5.0)
        found[name] = Stacking.fit(measurement, [copy], withheld).weights[1, 3]
    assert found["learned"] < 2.6
    assert found["honest"] == pytest.approx(2.0, abs=0.15)
