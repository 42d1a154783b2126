"""Drift: found where it is, zero where it is not, with errors that can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.config import Settings, build_settings
from simrecon.estimate.drift import measure_drift
from simrecon.estimate.smoothing import smooth_over_time
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import Truth, simulate
from simrecon.pipeline import estimate_pattern, reconstruct
from simrecon.preparation import acquisition, prepare_channel

PIXEL = 0.065


def moved(drift_um: np.ndarray | None, **options) -> tuple[SimStack, Truth]:
    options = {"shape": (160, 150), "kind": "filaments", "peak_e": 300.0, "seed": 1, **options}
    return simulate(background=5.0, drift_um=drift_um, **options)


def between_directions() -> np.ndarray:
    drift = PIXEL * np.array([[1.0, -0.5], [-0.7, 0.9], [-0.3, -0.4]])
    return np.repeat(drift[:, None], 3, axis=1)


def along_a_line() -> np.ndarray:
    way = PIXEL * np.linspace(-1.0, 1.0, 9).reshape(3, 3, 1)
    return way * np.array([0.6, -0.8])


@pytest.mark.parametrize("drift", [between_directions(), along_a_line()])
def test_drift_is_found_and_the_pattern_with_it(drift):
    stack, truth = moved(drift)
    fit = estimate_pattern(stack, truth.otf)
    found = np.array([d.drift_um for d in fit.directions])
    sd = np.array([d.drift_sd_um for d in fit.directions])
    error = found - drift
    assert np.sqrt(np.mean(error**2)) < 0.035 * PIXEL
    assert 0.4 < np.sqrt(np.mean((error / sd) ** 2)) < 2.2
    assert np.abs(found.mean(axis=(0, 1))).max() < 1e-9
    assert any("the sample moved" in n for n in fit.notes)
    for ours, true in zip(fit.directions, truth.pattern.directions, strict=True):
        sign = np.sign(np.dot(ours.frequency_per_um, true.frequency_per_um))
        away = sign * np.array(ours.frequency_per_um) - true.frequency_per_um
        middle = np.array([80, 75]) * PIXEL  # phases are compared at the centre of the field
        phase = sign * np.array(ours.phase_rad) - true.phase_rad + 2 * np.pi * away @ middle
        assert np.hypot(*away) * 160 * PIXEL < 0.02
        # a drift error of 0.03 px turns the pattern on the sample by 3°
        assert np.abs(np.angle(np.exp(1j * phase))).max() < np.radians(5)


@pytest.mark.parametrize(("kind", "peak_e", "seed"), [("mixed", 300.0, 2), ("rings", 60.0, 3)])
def test_a_still_sample_stays_at_zero(kind, peak_e, seed):
    stack, truth = moved(None, kind=kind, peak_e=peak_e, seed=seed)
    fit = estimate_pattern(stack, truth.otf)
    assert fit.verdict != "failed"
    assert not fit.drifting
    assert "drift_um" not in fit.to_dict()["directions"][0]


def test_drift_can_be_left_alone():
    stack, truth = moved(between_directions())
    settings = build_settings(("test", {"estimate.drift": "off"}))
    assert not estimate_pattern(stack, truth.otf, settings).drifting
    assert Settings().estimate.drift == "auto"


def test_dim_frames_are_smoothed_over_time():
    """The posterior follows precise measurements and averages poor ones along a slow way."""
    rng = np.random.default_rng(0)
    way = np.linspace(-1, 1, 9)[:, None] * np.array([[0.05, -0.03]])
    sd = 0.02
    measured = way + rng.normal(0, sd, way.shape)
    dim = smooth_over_time(measured, np.full(way.shape, sd**2))
    bright = smooth_over_time(measured, np.full(way.shape, 1e-8))
    assert np.sqrt(np.mean((dim.position_um - way) ** 2)) < 0.75 * sd
    np.testing.assert_allclose(bright.position_um, measured - measured.mean(0), atol=1e-5)
    assert np.all(dim.sd_um < sd)
    assert dim.evidence > 10
    still = [
        smooth_over_time(rng.normal(0, sd, (9, 2)), np.full((9, 2), sd**2)) for _ in range(200)
    ]
    evidence = np.sort([s.evidence for s in still])
    assert evidence[-3] < 10
    assert np.median(np.abs(still[0].position_um)) < sd


def test_motion_that_is_not_rigid_is_told():
    """Left and right half drift apart between directions."""
    shift = between_directions()
    left, truth = moved(shift)
    right, _ = moved(-shift)
    data = left.data.copy()
    data[..., 75:] = right.data[..., 75:]
    channel = prepare_channel(left, 0, Settings(), truth.otf)
    rigid = acquisition(left, channel, 0, 0)
    torn = acquisition(SimStack(**{**vars(left), "data": data}), channel, 0, 0)
    found = [
        measure_drift(one.frames_e, one.variance_e2, truth.pattern, truth.otf)
        for one in (rigid, torn)
    ]
    assert found[0].non_rigid_um == 0.0
    assert found[1].non_rigid_um > 0.2 * PIXEL


def test_the_picture_gets_what_the_drift_took():
    stack, truth = moved(between_directions())
    window = np.hanning(320)[:, None] * np.hanning(300)[None, :]
    errors = {}
    for drift in ("auto", "off"):
        settings = build_settings(("test", {"estimate.drift": drift}))
        result = reconstruct(stack, settings, otf=truth.otf)
        picture = result.image[0, 0, 0]
        true = reconstruct(stack, otf=truth.otf, pattern=truth.pattern).image[0, 0, 0]
        errors[drift] = np.linalg.norm((picture - true) * window) / np.linalg.norm(true * window)
    assert errors["auto"] < 0.06
    assert errors["off"] > 3 * errors["auto"]
