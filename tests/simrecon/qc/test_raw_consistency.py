"""Frames against patterns: the right one passes, each wrong one is told."""

from dataclasses import replace

import numpy as np
import pytest

from simrecon.model.pattern import PatternFit
from simrecon.physics.simulate import simulate
from simrecon.qc.raw_consistency import (
    DirectionConsistency,
    RawConsistency,
    judge,
)
from simrecon.recon.operator import Reconstructor
from simrecon.recon.part import brightest, shifted
from simrecon.recon.preprocess import raw_variance


def simulated(peak_e: float, kind: str, seed: int):
    stack, truth = simulate(shape=(200, 190), kind=kind, peak_e=peak_e, background=3.0, seed=seed)
    frames = stack.frames_e()
    return stack, truth, frames, raw_variance(frames, stack.camera, 1.5)


@pytest.fixture(scope="module", params=[(100.0, "rings", 7), (1000.0, "blobs", 4)])
def scene(request):
    return simulated(*request.param)


def changed(pattern: PatternFit, **change) -> PatternFit:
    """Every direction with `change`: functions of the old value."""
    directions = [
        replace(d, **{key: function(getattr(d, key)) for key, function in change.items()})
        for d in pattern.directions
    ]
    return replace(pattern, directions=tuple(directions))


def verdict(scene, pattern):
    stack, truth, frames, variance = scene
    noise = variance.mean(axis=(2, 3))
    operator = Reconstructor.from_frames(
        frames, pattern, truth.otf, stack.grid, frame_variance_e2=noise
    )
    assert operator.regularization is not None
    options = (pattern, truth.otf, stack.grid, operator.regularization)
    found = RawConsistency(*options, frames, variance)(frames, variance)
    return judge(found, pattern, to_confirm=True), found


def test_true_pattern_agrees(scene):
    (result, text), found = verdict(scene, scene[1].pattern)
    assert (result, text) == ("ok", "")
    assert all(d.distance < 0.25 and 0.6 < d.chi2 < 1.1 for d in found)


@pytest.mark.parametrize(
    "change",
    [
        {"phase_rad": lambda p: tuple(v + 1.0 for v in p)},
        {"phase_rad": lambda p: tuple(v - 2.0 for v in p)},
        {"frequency_per_um": lambda f: (1.03 * f[0], 1.03 * f[1])},
        {"modulation": lambda m: (5.0,)},
        {"modulation": lambda m: (2.0,)},
        {"modulation": lambda m: (-0.5,)},
    ],
    ids=["phase+1", "phase-2", "frequency", "modulation 5", "modulation 2", "negative"],
)
def test_wrong_patterns_fail(scene, change):
    (result, text), _ = verdict(scene, changed(scene[1].pattern, **change))
    assert result == "failed"
    assert "direction" in text


def test_one_wrong_frame_is_not_ok():
    scene = simulated(1000.0, "filaments", 3)
    wrong = changed(scene[1].pattern, phase_rad=lambda p: (p[0] + 1.0, *p[1:]))
    assert verdict(scene, wrong)[0][0] != "ok"


def test_light_that_is_not_modulated_confirms_nothing():
    stack, truth, frames, variance = simulated(30.0, "filaments", 0)
    flat = np.broadcast_to(frames.mean(axis=(0, 1)), frames.shape)
    flat = np.random.default_rng(0).normal(flat, np.sqrt(variance)).astype(np.float32)
    (result, text), _ = verdict((stack, truth, flat, variance), truth.pattern)
    assert result != "ok"
    assert text


def test_part_of_the_field_keeps_the_pattern():
    stack, truth, _, _ = simulated(30.0, "blobs", 0)
    pattern = truth.pattern
    part = shifted(pattern, (7, 20), (50, 60))
    for whole, piece in zip(pattern.directions, part.directions, strict=True):
        fy, fx = whole.frequency_per_um
        there = 2 * np.pi * (fy * 7 + fx * 20) * stack.pixel_um + whole.phase_rad[1]
        assert np.cos(piece.phase_rad[1] - there) == pytest.approx(1.0)


def test_brightest_part_holds_the_light():
    image = np.zeros((300, 41))
    image[250:290, 5] = 1.0
    rows, columns = brightest(image, 64)
    assert image[rows, columns].sum() == image.sum()
    assert rows.stop - rows.start == 64
    assert (columns.start, columns.stop) == (0, 41)


def test_chi2_alone_is_at_most_weak():
    good = DirectionConsistency(0.8, 3.0, 1.02 + 0.01j, 0.01)
    assert good.verdict == "ok"
    assert replace(good, chi2=2.5).verdict == "weak"
    assert replace(good, agreement=0.1 + 0j).verdict == "failed"
    assert replace(good, agreement=1.5 + 0j).verdict == "weak"
    assert replace(good, agreement=None, agreement_sd=None).verdict == "weak"
