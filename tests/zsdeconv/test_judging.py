from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from simrecon.config import Settings
from zsdeconv import qc, uncertainty
from zsdeconv.baselines.richardson_lucy import richardson_lucy
from zsdeconv.consistency import flux_factor, raw_consistency
from zsdeconv.demo import reference_object
from zsdeconv.held_out import HeldOut
from zsdeconv.pairs_image import image_measurement
from zsdeconv.pairs_sim import sim_measurement


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


def test_the_held_out_comparison_gates_the_training(scene):
    good = replace(raw_consistency(scene[3], scene[1].object_e), chi2=1.0)
    for gain, verdict in ((0.01, "ok"), (-0.01, "weak")):
        held_out = HeldOut(gain, 0.001)
        verdicts = qc.judge(good, 1.0, held_out)
        assert verdicts["training"] == verdicts["overall"] == verdict
        lines = qc.sentences(qc.numbers(good, 1.0, scene[1].object_e, None, held_out), verdicts)
        assert ("is the classical start" in lines[2]) == (verdict == "weak")
        assert f"{gain:.4f} ± 0.0010" in lines[2]


@pytest.mark.parametrize(
    "chi2, flux, verdict",
    [(1.0, 1.0, "ok"), (1.15, 1.0, "weak"), (1.6, 1.0, "failed"), (0.7, 1.0, "failed"),
     (1.0, 1.015, "ok"), (1.0, 1.03, "weak"), (1.0, 0.97, "weak"), (1.0, 0.5, "failed")],
)  # fmt: skip
def test_verdicts(scene, chi2, flux, verdict):
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


def test_uncertainty_of_a_linear_enhancer_is_the_propagated_noise(scene, monkeypatch):
    """With enhance = identity on the lift, the distance is the mean one of its Gaussian noise."""
    monkeypatch.setattr(uncertainty, "SCALE", np.sqrt(np.pi / 2))
    monkeypatch.setattr(uncertainty, "DETAIL_WEIGHT", 0.0)
    _, truth, result, measurement = scene
    blurred = measurement.lift(truth.expected_e.reshape(measurement.frames_e.shape))
    offset = blurred - measurement.lift(measurement.predict(blurred))
    sigma = uncertainty.estimated_uncertainty(
        measurement,
        blurred,
        lambda frames: measurement.lift(frames) + offset,
        12,
        np.random.default_rng(0),
    )
    expected = np.sqrt(result.variance[0, 0, 0])
    ratio = (sigma / expected)[16:-16, 16:-16]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


def _point_like():
    psf = np.zeros((3, 3))
    psf[1, 1] = 1.0
    return psf


def test_uncertainty_counts_what_every_repeat_takes_away():
    """An enhancer that keeps 70 % of what it is shown: it took as much from the result."""
    picture = np.full((40, 40), 100.0)
    measurement = image_measurement(picture, 4.0, _point_like(), 0.1)
    sigma = uncertainty.estimated_uncertainty(
        measurement, 0.7 * picture, lambda f: 0.7 * f[0], 4, np.random.default_rng(0)
    )
    expected = uncertainty.SCALE_OF_ONE_FRAME * 0.3 * 70.0
    np.testing.assert_allclose(sigma.mean(), expected, rtol=0.01)


def test_a_picture_of_one_frame_is_less_certain_than_its_repeats_say(scene):
    picture = image_measurement(np.ones((40, 40)), 1.0, _point_like(), 0.1)
    assert uncertainty.scale(picture) == uncertainty.SCALE_OF_ONE_FRAME
    assert uncertainty.scale(scene[3]) == uncertainty.SCALE < uncertainty.SCALE_OF_ONE_FRAME


def test_what_is_finer_than_the_picture():
    psf = _psf()
    measurement = image_measurement(np.ones((40, 40)), 1.0, psf, 0.1)
    flat = np.full((40, 40), 7.0)
    np.testing.assert_allclose(uncertainty.extrapolated(measurement, flat), 0.0, atol=1e-5)
    point = np.zeros((40, 40))
    point[20, 18] = 1.0
    found = uncertainty.extrapolated(measurement, point)
    expected = point.copy()
    expected[15:26, 14:23] -= psf
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_detail_is_missing_where_the_result_is_bright_and_fine():
    measurement = image_measurement(np.ones((60, 60)), 1.0, _psf(), 0.1)
    y, x = np.mgrid[:60, :60]

    def hump(at, height, width):
        return height * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2.0 * width**2))

    shown = 1.0 + hump((14, 15), 8.0, 1.5) + hump((14, 40), 2.0, 1.5) + hump((42, 40), 8.0, 7.0)
    found = uncertainty.detail(measurement, shown)
    assert found.mean() == pytest.approx(1.0)
    assert found[14, 15] == pytest.approx(4.0 * found[14, 40], rel=0.05)  # √(4 · 4)
    assert found[14, 15] > 1.5 * found[42, 40]  # as bright, but smooth
    assert found[:6, 55:].max() < 0.05 * found[14, 15]
    found = uncertainty.detail(measurement, shown + hump((42, 40), 2.0, 1.5))
    assert found[42, 40] > 2.0 * found[14, 40]  # almost as fine, but five times as bright
    np.testing.assert_array_equal(uncertainty.detail(measurement, np.full((60, 60), 3.0)), 0.0)


def test_missing_detail_counts_by_its_weight(monkeypatch):
    """An enhancer that answers the same whatever it is shown has no spread."""
    monkeypatch.setattr(uncertainty, "SMOOTHING_PX", 0.0)
    measurement = image_measurement(np.ones((40, 40)), 1.0, _psf(), 0.1)
    point = np.zeros((40, 40))
    point[20, 18] = 1.0
    sigma = uncertainty.estimated_uncertainty(
        measurement, point, lambda f: 0.8 * point, 2, np.random.default_rng(0)
    )
    distance = 0.2 * point
    lacking = distance.mean() * uncertainty.detail(measurement, point)
    expected = distance**2 + uncertainty.DETAIL_WEIGHT * lacking**2
    expected = uncertainty.SCALE_OF_ONE_FRAME * np.sqrt(expected)
    np.testing.assert_allclose(sigma, expected, rtol=1e-3, atol=1e-7)


def test_the_report_says_what_the_map_holds(scene):
    found = uncertainty.contents(scene[3], 4)
    assert found["repeats"] == 4
    assert found["scale"] == uncertainty.SCALE
    assert any("simulated again" in line for line in found["contains"])
    assert any("detail" in line for line in found["contains"])
    assert "a wrong PSF" in found["lacks"]


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


def test_joint_richardson_lucy_of_frames_divided_with_their_noise_is_the_divided_object(scene):
    measurement = scene[3]
    divided = replace(
        measurement, frames_e=measurement.frames_e / 4, noise=measurement.noise.divided(4.0)
    )
    *_, ours = richardson_lucy(measurement, 5)
    *_, theirs = richardson_lucy(divided, 5)
    np.testing.assert_allclose(4 * theirs, ours, rtol=1e-3, atol=1e-3)


def test_objects_are_shown_through_an_ideal_microscope(scene):
    stack, truth, result, plain = scene
    measurement = sim_measurement(stack, result, Settings(), shown_cutoff=1.5)
    psf = measurement.shown_psf
    assert psf.sum() == pytest.approx(1.0)
    assert psf.min() > -2e-4 * psf.max()
    assert measurement.shown(np.full(plain.image_shape, 7.0)) == pytest.approx(7.0, rel=1e-4)
    error = [
        float(np.std((f - reference_object(truth, stack.pixel_um))[16:-16, 16:-16]))
        for f in (measurement.shown(truth.object_e), plain.shown(truth.object_e))
    ]
    assert error[0] < 0.05 * error[1]


def test_reasons_of_the_linear_picture_stand_before_the_verdict(scene):
    found = raw_consistency(scene[3], scene[1].object_e)
    numbers = qc.numbers(found, 1.0, scene[1].object_e, None)
    verdicts = {"raw_consistency": "ok", "flux": "ok", "overall": "weak"}
    lines = qc.sentences(numbers, verdicts, ["direction 3 is weak"])
    assert lines[-2:] == ["linear picture: direction 3 is weak", "verdict: weak"]
