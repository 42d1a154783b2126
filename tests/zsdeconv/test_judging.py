from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from zsdeconv import qc
from zsdeconv.baselines.richardson_lucy import richardson_lucy
from zsdeconv.consistency import flux_factor, raw_consistency
from zsdeconv.pairs_image import image_measurement
from zsdeconv.uncertainty import bootstrap_uncertainty


def test_the_truth_is_consistent_and_errors_are_seen(scene):
    _, truth, _, measurement = scene
    good = raw_consistency(measurement, truth.object_e)
    inner = good.chi2_map[10:-10, 10:-10].mean()
    assert inner == pytest.approx(1.0, abs=0.05)
    assert abs(flux_factor(measurement, truth.object_e) - 1.0) < 0.03
    broken = truth.object_e.copy()
    broken[40:60, 50:70] += 150.0
    bad = raw_consistency(measurement, broken)
    assert bad.chi2_map[22:28, 27:33].mean() > 3.0
    assert bad.chi2_map[45:, :12].mean() == pytest.approx(good.chi2_map[45:, :12].mean(), rel=0.1)


@pytest.mark.parametrize(
    "chi2, flux, verdict",
    [(1.0, 1.0, "ok"), (1.15, 1.0, "weak"), (1.6, 1.0, "failed"), (0.7, 1.0, "failed"),
     (1.0, 1.015, "ok"), (1.0, 1.03, "weak"), (1.0, 0.97, "weak"), (1.0, 0.5, "failed")],
)  # fmt: skip
def test_verdicts(scene, chi2, flux, verdict):
    from dataclasses import replace

    found = replace(raw_consistency(scene[3], scene[1].object_e), chi2=chi2)
    verdicts = qc.judge(found, flux)
    assert verdicts["overall"] == verdict
    numbers = qc.numbers(found, flux, scene[1].object_e, None)
    assert numbers["flux_ratio"] * numbers["flux_factor_applied"] == pytest.approx(1.0)
    lines = qc.sentences(numbers, verdicts)
    assert f"{chi2:.3f}" in lines[0]
    assert f"out/in = {flux:.4f}" in lines[1]
    assert lines[1].endswith("was then applied")
    assert lines[-1] == f"verdict: {verdict}"


def test_uncertainty_of_a_linear_enhancer_is_the_propagated_noise(scene):
    """With enhance = identity on the lift, the spread is the reconstruction's own sigma."""
    _, truth, result, measurement = scene
    blurred = measurement.lift(truth.expected_e.reshape(measurement.frames_e.shape))
    offset = blurred - measurement.lift(measurement.predict(blurred))
    sigma = bootstrap_uncertainty(
        measurement,
        blurred,
        lambda frames: measurement.lift(frames) + offset,
        12,
        np.random.default_rng(0),
    )
    expected = np.sqrt(result.variance[0, 0, 0])
    ratio = (sigma / expected)[16:-16, 16:-16]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


def _psf(shape=(11, 9)):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    psf = np.exp(-((y - 5) ** 2 + (x - 4) ** 2) / 6) * (1 + 0.8 * np.tanh(x - 4))
    return psf / psf.sum()


def test_richardson_lucy_of_an_image_recovers_a_point_without_drift():
    truth = np.full((48, 40), 1.0, np.float32)
    truth[20, 17] += 500.0
    clean = image_measurement(truth, 1.0, _psf(), 0.05).predict(truth)[0]
    measurement = image_measurement(clean, np.maximum(clean, 0.1), _psf(), 0.05)
    *_, last = richardson_lucy(measurement, 80)
    assert np.unravel_index(np.argmax(last), last.shape) == (20, 17)
    assert last.max() > 4 * clean.max()
    assert last.sum() == pytest.approx(clean.sum(), rel=0.01)
    assert last.min() >= 0


def test_joint_richardson_lucy_gets_closer_to_the_frames(scene):
    _, truth, result, measurement = scene
    path = list(richardson_lucy(measurement, 12))
    chi2 = [raw_consistency(measurement, f).chi2 for f in path]
    assert all(b < a for a, b in pairwise(chi2))
    assert chi2[-1] == pytest.approx(1.0, abs=0.15)
    assert path[-1].mean() == pytest.approx(truth.object_e.mean(), rel=0.03)
    assert path[-1].shape == result.image.shape[-2:]
