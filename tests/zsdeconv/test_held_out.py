from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from zsdeconv import ZsSettings, enhance, image_measurement
from zsdeconv.baselines.richardson_lucy import richardson_lucy
from zsdeconv.held_out import HeldOut, compare


def _deconvolve(measurement, iterations):
    def method(frames):
        *_, last = richardson_lucy(measurement, iterations, frames.astype(np.float32))
        return last

    return method


def test_the_better_method_wins_without_a_truth(scene):
    _, truth, _, measurement = scene
    good = _deconvolve(measurement, 10)
    mean = np.full_like(truth.object_e, measurement.frames_e.mean())
    found = compare(measurement, good, lambda _: mean, 2, np.random.default_rng(0))
    assert found.gain > 10 * found.gain_sd > 0
    back = compare(measurement, lambda _: mean, good, 2, np.random.default_rng(0))
    assert back.worse
    assert back.gain == pytest.approx(-found.gain)


def test_repeating_the_noise_does_not_pay():
    """A method that gives its own copy back explains that one perfectly, and loses."""
    rng = np.random.default_rng(0)
    picture = 50.0 + rng.normal(0.0, 3.0, (48, 48))
    point = np.zeros((3, 3))
    point[1, 1] = 1.0
    measurement = image_measurement(picture, 9.0, point, 0.1)

    def itself(frames):
        return frames[0]

    def smooth(frames):
        return gaussian_filter(frames[0], 2.0)

    np.testing.assert_allclose(measurement.predict(picture)[0], picture, rtol=1e-4)
    found = compare(measurement, itself, smooth, 4, rng)
    assert found.worse
    # the copy has 1.25 times the noise's variance: that much too far from its partner
    assert found.gain == pytest.approx(-1.25, abs=0.3)


def test_errors_count():
    assert not HeldOut(-0.01, 0.02).worse
    assert HeldOut(-0.03, 0.02).worse


def test_a_spoilt_training_gives_the_classical_start_and_says_so(scene, monkeypatch):
    stack, truth, _, _ = scene
    from zsdeconv import enhancement
    from zsdeconv.restore import by_start

    runs = []

    def spoil(run, *_):
        runs.append(run)
        run.mean.deconvolve.tail.bias.data.fill_(3.0)
        return run

    monkeypatch.setattr(enhancement, "fit", spoil)
    settings = ZsSettings(width=8, bank=2, iterations=1, uncertainty_draws=0, stacking_draws=0)
    done = enhance(stack, settings, pattern=truth.pattern)
    start = by_start(runs[0], runs[0].measurement.frames_e)
    np.testing.assert_allclose(
        done.objects, start * (done.objects.mean() / start.mean()), rtol=1e-4
    )
    assert done.verdicts["training"] == "weak"
    assert not done.passed
    assert any("is the classical start" in line for line in done.qc["reasons"])
    assert done.qc["enhancement"]["held_out_gain"] < 0
