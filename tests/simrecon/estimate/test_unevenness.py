"""Bleaching, flicker and uneven light: corrected, kept, graded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simrecon.config import build_settings
from simrecon.estimate.unevenness import Unevenness
from simrecon.model.pattern import PatternFit
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from simrecon.preparation import acquisition, prepare_channel
from simrecon.qc.gates import Gates, gate_intensity
from simrecon.qc.metrics import equalised_psnr

SHAPE = (160, 150)


def uneven_stack():
    """Beams of the directions off centre to different sides: ±25 % across the field."""
    stack, truth = simulate(shape=SHAPE, kind="mixed", peak_e=1000.0, background=3.0, seed=2)
    y, x = np.linspace(-1, 1, SHAPE[0])[:, None], np.linspace(-1, 1, SHAPE[1])[None, :]
    light = np.stack([np.exp(0.25 * (a * y + b * x)) for a, b in ((1, 0), (-0.5, 1), (-0.5, -1))])
    offset = float(np.asarray(stack.camera.offset))
    counts = offset + (stack.data[0, 0, :, :, 0] - offset) * light[:, None]
    return replace(stack, data=counts.astype(np.uint16)[None, None, :, :, None]), truth, light


def test_factors_are_found_and_undo_the_light():
    stack, _, light = uneven_stack()
    found = Unevenness.measure(stack.frames_e()).factors(SHAPE)
    relative = light / light.mean(axis=0)  # what all have in common cannot be seen
    error = found / relative
    error /= error.mean(axis=(1, 2), keepdims=True)
    assert np.abs(error - 1).max() < 0.06
    assert np.std(error) < 0.25 * np.std(relative)


def test_equalised_picture_is_better_and_its_factors_are_kept():
    stack, truth, light = uneven_stack()
    common = np.kron(light.mean(axis=0), np.ones((2, 2)))
    score, qc = {}, {}
    for equalise in (False, True):
        settings = build_settings(("test", {"reconstruction.equalise": equalise}))
        result = reconstruct(stack, settings, otf=truth.otf)
        reference = truth.object_e * common
        score[equalise] = equalised_psnr(result.image[0, 0, 0], reference, margin_px=20)
        qc[equalise] = result.qc
    assert score[True] > score[False]
    assert qc[False]["camera"][0]["unevenness"] is None
    kept = qc[True]["camera"][0]["unevenness"]
    assert kept["rms"] == pytest.approx(np.std(light / light.mean(axis=0)), rel=0.3)
    assert np.shape(kept["legendre_log"]) == (3, 4, 4)
    assert any("directions equalised" in note for note in qc[True]["notes"])


def test_variance_of_equalised_frames_is_that_of_the_light_that_was_there():
    """Shot noise of the uneven light, divided like the frames: within 5 % in every corner.

    Forgotten factors would be wrong by up to e^±0.25 there.
    """
    stack, truth, light = uneven_stack()
    settings = build_settings(("test", {"reconstruction.equalise": True}))
    channel = prepare_channel(stack, 0, settings, truth.otf)
    data = acquisition(stack, channel, 0, 0)
    factors = channel.light_factors(SHAPE)
    lit = gaussian_filter(truth.expected_e.mean(axis=1), (0, 1.5, 1.5)) * light
    expected = (lit + channel.noise.read_variance_e2)[:, None] / factors**2
    blocks = (data.variance_e2 / expected)[:, :, :160, :150].reshape(3, 3, 4, 40, 3, 50)
    np.testing.assert_allclose(blocks.mean(axis=(1, 3, 5)), 1.0, atol=0.05)
    again = data.noise.variance(lit[:, None] / factors)
    np.testing.assert_allclose(again, expected, rtol=1e-5)


def test_bleaching_and_flicker_cost_nothing():
    """40 % bleached over the frames and 3 % flicker: within 0.2 dB of the true parameters."""
    stack, truth = simulate(
        shape=SHAPE, kind="filaments", peak_e=1000.0, background=3.0,
        bleaching=0.4, intensity_jitter=0.03, seed=3,
    )  # fmt: skip
    ours = reconstruct(stack, otf=truth.otf)
    known = reconstruct(stack, otf=truth.otf, pattern=truth.pattern)
    wrong = replace(
        truth.pattern,
        directions=tuple(replace(d, intensity=(1.0,) * 3) for d in truth.pattern.directions),
    )
    even = reconstruct(stack, otf=truth.otf, pattern=wrong)
    score = [
        equalised_psnr(r.image[0, 0, 0], truth.object_e, margin_px=20) for r in (ours, known, even)
    ]
    assert abs(score[0] - score[1]) < 0.2
    assert score[2] < score[1] - 0.5  # the test can see wrong factors
    found = [g for d in ours.pattern.directions for g in d.intensity]
    true = [g for d in truth.pattern.directions for g in d.intensity]
    np.testing.assert_allclose(found, true, atol=0.01)
    assert ours.qc["acquisitions"][0]["intensity_variation"] == pytest.approx(
        1 - min(true) / max(true), abs=0.02
    )
    assert len(ours.qc["patterns"][0][0][0]["intensity"]) == 3
    assert ours.provenance["patterns"][0][0]["directions"][0]["intensity"] == found[:3]


@pytest.mark.parametrize(("lost", "verdict"), [(0.35, "ok"), (0.5, "weak"), (0.65, "failed")])
def test_intensity_gate(lost, verdict):
    _, truth = simulate(shape=(32, 32), bleaching=lost)
    gates = Gates()
    pattern: PatternFit = truth.pattern
    gate_intensity(gates, pattern, "here")
    assert gates.verdicts["intensity"] == verdict
    assert (verdict == "ok") == (not gates.reasons)
