"""MCNR: photon statistics in closed form, written-out transforms, SIMcheck's grades."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.qc.mcnr import grade, mcnr


def _frames(directions, phases, photons, modulation, shape=(64, 64), seed=0):
    rng = np.random.default_rng(seed)
    x = np.arange(shape[1])[None, :]
    y = np.arange(shape[0])[:, None]
    frames = np.empty((directions, phases, *shape))
    for a in range(directions):
        for p in range(phases):
            turn = 2 * np.pi * ((0.17 + 0.05 * a) * x + 0.11 * y + p / phases)
            frames[a, p] = rng.poisson(photons * (1 + modulation * np.cos(turn)))
    return frames


@pytest.mark.parametrize("phases, noise", [(3, "predicted"), (5, "measured"), (8, "measured")])
def test_value_is_sqrt_of_phases_and_photons_times_modulation(phases, noise):
    result = mcnr(_frames(2, phases, 900.0, 0.2))
    # Anscombe: amplitude sqrt(N)·m, |k1| = P/2 of it, noise component sqrt(P/2)
    expected = math.sqrt(phases / 2) * math.sqrt(900.0) * 0.2
    assert result.noise == noise
    assert result.value == pytest.approx(expected, rel=0.06)
    assert result.per_direction == pytest.approx([expected] * 2, rel=0.06)


@pytest.mark.parametrize("phases", [3, 5, 6])
def test_light_without_pattern_gives_the_rayleigh_mean(phases):
    result = mcnr(_frames(3, phases, 100.0, 0.0))
    assert result.value == pytest.approx(math.sqrt(math.pi / 2), rel=0.05)
    assert result.grade == "inadequate"


def test_map_equals_the_written_out_transform():
    frames = _frames(1, 3, 50.0, 0.5, shape=(16, 16))
    result = mcnr(frames, read_noise_e=2.0)
    means = [frames[0, p].mean() for p in range(3)]
    for y, x in ((0, 0), (7, 9), (15, 15)):
        total = 0j
        for p in range(3):
            value = frames[0, p, y, x] * (sum(means) / 3) / means[p]
            total += 2 * math.sqrt(value + 0.375 + 4.0) * cmath.exp(-2j * math.pi * p / 3)
        assert result.map[y, x] == pytest.approx(abs(total) / math.sqrt(1.5), rel=1e-5)


def test_lamp_flicker_is_not_contrast():
    frames = _frames(1, 3, 400.0, 0.0)
    frames *= np.array([1.0, 1.3, 0.7])[None, :, None, None]
    assert mcnr(frames).value < 1.6


def test_only_features_count():
    frames = _frames(2, 5, 1000.0, 0.4)
    rng = np.random.default_rng(5)
    frames[:, :, :, 16:] = rng.poisson(20.0, (2, 5, 64, 48))
    result = mcnr(frames)
    assert result.feature_fraction == pytest.approx(0.25, abs=0.01)
    assert result.value > 3 * float(result.map[:, 16:].mean())


def test_second_order_counts_when_it_is_signal():
    frames = _frames(1, 5, 400.0, 0.3)
    rng = np.random.default_rng(8)
    for p in range(5):
        x = np.arange(64)[None, :]
        frames[0, p] = rng.poisson(
            400.0 * (1 + 0.3 * np.cos(2 * (0.9 * x + 2 * np.pi * p / 5))) * np.ones((64, 1))
        )
    assert mcnr(frames, orders=2).value == pytest.approx(math.sqrt(2.5 * 400) * 0.3, rel=0.1)


@pytest.mark.parametrize(
    "value, word", [(3.9, "inadequate"), (4.0, "low"), (8.0, "good"), (12.1, "very good")]
)
def test_grades_are_simchecks(value, word):
    assert grade(value) == word


@pytest.mark.parametrize(
    "frames", [np.ones((3, 64, 64)), np.ones((3, 2, 16, 16)), np.zeros((1, 3, 16, 16))]
)
def test_what_are_no_raw_frames_is_refused(frames):
    with pytest.raises(InputError):
        mcnr(frames)
