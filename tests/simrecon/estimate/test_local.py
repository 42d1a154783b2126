"""Patterns that vary over the field: tiles, smooth fields, and what the estimator makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.estimate import estimate_pattern
from simrecon.estimate.local import smooth_field
from simrecon.estimate.local_pattern import GAIN, LEAST_RMS, _told
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.tiles import Tiles
from simrecon.estimate.window import FieldWindow
from simrecon.physics.simulate import simulate
from simrecon.recon.preprocess import raw_variance

PIXEL = 0.065
WINDOW = FieldWindow.on((256, 240), PIXEL, 0.08)


def hats(nodes, span):
    """Weights of every tile along one axis, sum 1."""
    weights = np.maximum(1 - np.abs(span - nodes[:, None]) / (nodes[1] - nodes[0]), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def make_tiles(c, sd=0.05, dark=(), outliers=(), seed=0) -> Tiles:
    rng = np.random.default_rng(seed)
    y = np.linspace(WINDOW.y_um[0], WINDOW.y_um[-1], 10)
    x = np.linspace(WINDOW.x_um[0], WINDOW.x_um[-1], 9)
    wy, wx = (hats(nodes, span) for nodes, span in ((y, WINDOW.y_um), (x, WINDOW.x_um)))
    field = np.broadcast_to(c(WINDOW.y_um[:, None], WINDOW.x_um[None, :]), (256, 240))
    values = (wy @ field @ wx.T).astype(complex)
    noise = rng.normal(size=(2, 10, 9)) * sd / np.sqrt(2)
    values = values + noise[0] + 1j * noise[1]
    variance = np.full((10, 9), sd**2)
    light = np.ones((10, 9))
    for index in dark:
        values[index], variance[index], light[index] = 0.0, np.inf, 0.0
    for index in outliers:
        values[index] += 1.5
    centroids = np.meshgrid(wy @ WINDOW.y_um, wx @ WINDOW.x_um, indexing="ij")
    place = np.stack(centroids, axis=-1).reshape(-1, 2)
    return Tiles(y, x, values, np.diag(variance.ravel()), light, place)


def bend(y, x):
    return (1 - 0.4 * np.tanh(0.3 * y)) * np.exp(1j * (0.8 * np.sin(0.2 * y) + 0.3 * np.cos(x / 4)))


def test_smooth_field_is_recovered_with_its_errors():
    tiles = make_tiles(bend)
    truth = bend(tiles.y_um[:, None], tiles.x_um[None, :])
    field = smooth_field(tiles)
    assert field is not None
    assert field.gain > 3 * GAIN
    assert field.rms > 5 * LEAST_RMS
    error = np.abs(field.values - truth)
    assert np.sqrt(np.mean(error**2)) < 0.7 * 0.05  # better than single tiles
    assert 0.5 < np.sqrt(np.mean(error**2 / field.sd**2)) < 1.6
    assert (field.used, field.rejected) == (90, 0)


def test_outliers_are_left_out_and_dark_tiles_are_filled():
    tiles = make_tiles(bend, dark=[(4, 4), (4, 5), (0, 0)], outliers=[(2, 7), (8, 3)])
    truth = bend(tiles.y_um[:, None], tiles.x_um[None, :])
    field = smooth_field(tiles)
    assert field is not None
    assert (field.used, field.rejected) == (87, 2)
    assert np.abs(field.values - truth)[[2, 8, 4, 4], [7, 3, 4, 5]].max() < 0.15
    assert field.sd[0, 0] > 1.5 * field.sd[5, 2]


def test_constant_fields_are_hardly_ever_taken_for_others():
    alarms = 0
    for seed in range(60):
        field = smooth_field(make_tiles(lambda y, x: 1.02 + 0.0 * (x + y), sd=0.1, seed=seed))
        assert field is not None
        alarms += field.gain > GAIN
    assert alarms <= 1


def test_too_few_or_too_contradictory_tiles_give_nothing():
    few = [(i, j) for i in range(10) for j in range(9) if i > 0 or j > 4]
    assert smooth_field(make_tiles(bend, dark=few)) is None


def test_an_even_run_of_the_phase_is_a_frequency():
    step = np.array([0.6, -0.9]) / WINDOW.padded.extent_um
    state = DirectionState(np.array([4.0, 2.5]), np.array([0.0, 2.0, 4.1]), np.ones(3), 0.5)

    def ramp(y, x):
        return 1.4 * np.exp(1j * (0.7 + 2 * np.pi * (step[0] * y + step[1] * x)))

    tiles = make_tiles(ramp, sd=1e-3)
    field = smooth_field(tiles)
    assert field is not None
    told = _told(tiles, field, state, WINDOW, fit_frequency=True, clear=True)
    length = np.array(WINDOW.padded.extent_um)
    moved = (told.state.frequency_per_um - state.frequency_per_um - step) * length
    assert np.abs(moved).max() < 0.01
    assert told.state.modulation == pytest.approx(0.7, rel=1e-2)
    assert told.state.phase_rad - state.phase_rad == pytest.approx([0.7] * 3, abs=0.01)
    assert np.abs(told.local.values - 1.0).max() < 0.08  # corners
    assert np.abs(told.local.values - 1.0)[1:-1, 1:-1].max() < 0.02
    kept = _told(tiles, field, state, WINDOW, fit_frequency=False, clear=True)
    assert np.array_equal(kept.state.frequency_per_um, state.frequency_per_um)
    assert np.ptp(kept.local.phase_rad) > 2.0
    for one in (told, kept):  # the same carrier in other words
        carrier = one.state.modulation * one.local.values * np.exp(1j * one.state.phase_rad[0])
        run = (one.state.frequency_per_um - state.frequency_per_um)[:, None]
        y, x = tiles.y_um[:, None], tiles.x_um[None, :]
        carrier = carrier * np.exp(2j * np.pi * (run[0] * y + run[1] * x))
        assert np.abs(carrier - 0.5 * field.values).max() < 1e-6


def acquired(**options):
    stack, truth = simulate(
        shape=(200, 208),
        kind="mixed",
        peak_e=600.0,
        phase_jitter_rad=0.1,
        intensity_jitter=0.03,
        seed=7,
        **options,
    )
    frames = stack.camera.electrons(stack.data[0, 0, :, :, 0])
    return frames, raw_variance(frames, stack.camera), truth


def carrier(direction, pixel_um, shape, frame=0):
    """m c(r) exp(i(2π p·r + φ)) on the raw grid."""
    y, x = (np.arange(n) * pixel_um for n in shape)
    fy, fx = direction.frequency_per_um
    c = 1.0 if direction.local is None else direction.local.at(y, x)
    turn = 2 * np.pi * (fy * y[:, None] + fx * x[None, :]) + direction.phase_rad[frame]
    return direction.modulation[0] * c * np.exp(1j * turn)


def error(found, truth):
    """Rms distance of two carriers over the rms of the true one, whichever way p points."""
    ours, theirs = (carrier(d, PIXEL, (200, 208)) for d in (found, truth))
    scale = np.sqrt(np.mean(np.abs(theirs) ** 2))
    return min(np.sqrt(np.mean(np.abs(ours - t) ** 2)) / scale for t in (theirs, theirs.conj()))


def test_a_bent_and_fading_pattern_is_followed():
    frames, variance, truth = acquired(phase_bend_rad=(2.6, 0.0, 0.0), contrast_loss=(0.7, 0, 0))
    plain = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance, local="off")
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    assert [d.local is None for d in plain.directions] == [True] * 3
    assert [d.local is None for d in fit.directions] == [False, True, True]
    true = truth.pattern.directions
    assert error(plain.directions[0], true[0]) > 0.35
    assert error(fit.directions[0], true[0]) < 0.1
    for n in (1, 2):
        assert error(fit.directions[n], true[n]) < 0.04
    assert fit.verdict == "ok"
    assert any("varies over the field" in note for note in fit.notes)
    steps = [np.diff(d[0].phase_rad) for d in (fit.directions, true)]
    turns = np.angle(np.exp(1j * np.subtract(*steps)))
    assert np.abs(turns).max() < 0.02


def test_an_even_pattern_stays_global_unless_told_otherwise():
    frames, variance, truth = acquired()
    off, auto, on = (
        estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance, local=choice)
        for choice in ("off", "auto", "on")
    )
    assert auto == off
    assert all(d.local is not None for d in on.directions)
    assert any("does not vary clearly over the field" in note for note in on.notes)
    assert not any("the pattern varies" in note for note in on.notes)
    assert (
        max(error(*pair) for pair in zip(on.directions, truth.pattern.directions, strict=True))
        < 0.08
    )
