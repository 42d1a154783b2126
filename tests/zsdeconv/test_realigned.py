"""Pixel-realigned pairs: what a part shows does not know the noise that it is judged by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simrecon.errors import UsageError
from zsdeconv import ZsSettings, image_measurement, train
from zsdeconv.pairs_realigned import QUARTERS, hidden_pixels, realigned
from zsdeconv.training import prepare, require_pairs

SMALL = {"pairs": "realigned", "width": 8, "patch": 64, "batch": 2, "iterations": 30}


def test_the_quarters_share_nothing_and_leave_nothing_out() -> None:
    masks = [hidden_pixels((9, 8), part) for part in range(len(QUARTERS))]
    np.testing.assert_array_equal(np.sum(masks, axis=0), 1)
    opposite = [np.roll(m, (1, 1), (0, 1))[2:, 2:] for m in masks]
    for part in range(4):
        np.testing.assert_array_equal(opposite[part], masks[(part + 2) % 4][2:, 2:])


def test_realignment_keeps_places() -> None:
    """A slope stays one inside; shown pixels stay what they are; hidden ones are not looked at."""
    y, x = np.mgrid[:11, :12].astype(np.float32)
    slope = (3.0 * y - 2.0 * x + 5.0)[None]
    for part in range(4):
        hidden = hidden_pixels((11, 12), part)
        spoilt = np.where(hidden, np.nan, slope).astype(np.float32)
        made = realigned(spoilt, part)
        np.testing.assert_allclose(made[:, 1:-1, 1:-1], slope[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(made[0][~hidden], slope[0][~hidden])
        assert np.isfinite(made).all()


def test_noise_of_input_and_target_is_independent(scene) -> None:
    """The identity: E[(L x̂_n) (L x̃_n)] = 0 over draws, and the targets' mean is L of the noise."""
    measurement = scene[3]
    rng = np.random.default_rng(3)
    inputs, targets = [], []
    for _ in range(24):
        noise = measurement.draw_noise(rng)
        part = int(rng.integers(4))
        hidden = hidden_pixels(noise.shape[1:], part)
        inputs.append(measurement.lift(realigned(noise, part)))
        targets.append(measurement.lift(np.where(hidden, np.float32(4), 0) * noise))
    inputs, targets = np.array(inputs), np.array(targets)
    power = np.sqrt(np.mean(inputs**2) * np.mean(targets**2))
    own = measurement.lift(noise)
    products = (inputs * targets).mean(axis=(1, 2)) / power
    assert abs(products.mean()) < 3.0 * products.std() / np.sqrt(len(products)) + 0.01
    assert np.mean(own * inputs[-1]) / np.sqrt(np.mean(own**2) * np.mean(inputs[-1] ** 2)) > 0.5
    whole = sum(
        measurement.lift(np.where(hidden_pixels(noise.shape[1:], k), 4, 0).astype("f4") * noise)
        for k in range(4)
    )
    np.testing.assert_allclose(whole / 4, own, atol=1e-3 * np.abs(own).max())


def test_inputs_and_starts_do_not_know_what_they_are_judged_by(scene) -> None:
    measurement = scene[3]
    hidden = hidden_pixels(measurement.frames_e.shape[1:], 1)
    changed = np.where(hidden, 3.0 * measurement.frames_e + 7.0, measurement.frames_e)
    sampler = prepare(measurement, ZsSettings(**SMALL), torch.device("cpu")).sampler
    after = sampler.inputs(measurement, changed.astype(np.float32))
    for index, before in enumerate((sampler.parts.images, sampler.parts.starts)):
        np.testing.assert_allclose(before[1], after[1][index], rtol=1e-3, atol=0.01)
        assert float((before[0] - after[0][index]).abs().max()) > 1.0
    judged = sampler.bank.padding.crop_frames(sampler.parts.weights.numpy()) > 0
    for part in range(4):
        expected = np.broadcast_to(hidden_pixels(judged.shape[2:], part), judged.shape[1:])
        np.testing.assert_array_equal(judged[part], expected)
    batch = sampler.pairs()
    assert batch.origins[0] == batch.origins[1]
    assert not ((batch.weights[0] > 0) & (batch.weights[1] > 0)).any()


def test_training_on_quarters_learns_in_units_of_noise(scene, monkeypatch) -> None:
    monkeypatch.setattr(train, "_WARMUP_STEPS", 5)
    settings = ZsSettings(**{**SMALL, "patch": 112, "width": 12, "iterations": 20})
    run = prepare(scene[3], settings, torch.device("cpu"))
    start = train.step(run)[0]
    assert 0.7 < start < 2.0  # the classical start
    with torch.no_grad():  # away from it
        run.network.deconvolve.tail.bias.add_(0.2)
    data = [train.step(run)[0] for _ in range(20)]
    assert np.mean(data[-4:]) < 0.3 * np.mean(data[:3])


def test_quarters_of_several_acquisitions_are_refused(scene) -> None:
    with pytest.raises(UsageError, match="one acquisition"):
        require_pairs(ZsSettings(pairs="realigned"), scene[3], [scene[3]])


def test_other_data_have_no_quarters(scene) -> None:
    plain = image_measurement(np.ones((64, 64)), 1.0, np.ones((3, 3)), 0.1)
    with pytest.raises(UsageError, match="raw SIM frames of one plane"):
        prepare(plain, ZsSettings(**SMALL), torch.device("cpu"))
    with pytest.raises(UsageError, match="draws of the noise"):
        prepare(scene[3], ZsSettings(**SMALL, loss="whitened"), torch.device("cpu"))
