"""Phase steps that are told: one phase per direction is left, and it is found better."""

from dataclasses import replace

import numpy as np
import pytest
from instrument import instrument, recording

from simrecon.errors import InputError, UsageError
from simrecon.estimate.prior import KnownSteps
from simrecon.given_pattern import STEP_SD_RAD, known_steps
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.simulate import simulate
from simrecon.pipeline import estimate_pattern

SIZE = 128


def told(pattern: PatternFit, sd_rad: float = 0.01, steps: bool = True) -> PatternFit:
    """Frequencies, and steps with another common phase than the true one."""
    directions = []
    for d in pattern.directions:
        known = {"phase_step_rad": tuple(p + 1.0 for p in d.phase_rad),
                 "phase_step_sd_rad": (sd_rad,) * len(d.phase_rad)}  # fmt: skip
        directions.append(
            DirectionPattern(d.frequency_per_um, (), (), (), **(known if steps else {}))
        )
    return replace(pattern, directions=tuple(directions))


def phase_errors(fit: PatternFit, true: PatternFit) -> np.ndarray:
    away = [
        np.subtract(d.phase_rad, t.phase_rad)
        for d, t in zip(fit.directions, true.directions, strict=True)
    ]
    return np.angle(np.exp(1j * np.array(away)))


@pytest.fixture(scope="module")
def dim():
    stack, _, true = recording("rings", SIZE, 40.0, 5)
    return stack, true


def test_known_steps_leave_one_phase_per_direction(dim):
    stack, true = dim
    free = estimate_pattern(stack, pattern=told(true, steps=False))
    fit = estimate_pattern(stack, pattern=told(true, 1e-3))
    error, wide = phase_errors(fit, true), phase_errors(free, true)
    assert np.abs(error - error.mean(axis=1, keepdims=True)).max() < 0.01
    assert np.sqrt(np.mean(error**2)) < 0.8 * np.sqrt(np.mean(wide**2))
    sd = np.array([d.phase_sd_rad for d in fit.directions])
    assert sd.mean() < 0.7 * np.mean([d.phase_sd_rad for d in free.directions])
    assert 0.2 < np.sqrt(np.mean((error / sd) ** 2)) < 2.0
    assert any("frequencies and phase steps taken" in n for n in fit.notes)


def test_bright_frames_overrule_steps_that_repeat_badly():
    stack, _, true = recording("filaments", SIZE, 2000.0, 5)
    wrong = told(true, sd_rad=0.3)
    shifted = [
        replace(d, phase_step_rad=(d.phase_step_rad[0] + 0.3, *d.phase_step_rad[1:]))
        for d in wrong.directions
    ]
    fit = estimate_pattern(stack, pattern=replace(wrong, directions=tuple(shifted)))
    assert np.degrees(np.abs(phase_errors(fit, true)).max()) < 2.0


def test_the_common_phase_is_free_and_the_rest_is_not():
    steps = KnownSteps(np.array([0.0, 2.0, 4.1]), np.array([0.1, 0.2, 0.1]))
    np.testing.assert_allclose(steps.precision @ np.ones(3), 0.0, atol=1e-9)
    away = np.array([0.1, 0.0, -0.1])
    assert away @ steps.precision @ away == pytest.approx(2.0)
    near = steps.about(np.array([1.0, 3.0, 5.1 - 2 * np.pi]))
    np.testing.assert_allclose(near, [1.0, 3.0, 5.1 - 2 * np.pi], atol=1e-9)


def test_steps_of_frames_at_rest_contain_the_drift():
    d = instrument()[0]
    given = told(PatternFit(0.065, (8, 8), (d,)))
    moving = PatternFit(0.065, (8, 8), (replace(d, drift_um=((0.0, 0.0), (0.1, 0.0), (0.0, 0.1))),))
    still, moved = known_steps(given)[0], known_steps(given, moving)[0]
    fy, fx = d.frequency_per_um
    np.testing.assert_allclose(
        moved.phase_rad - still.phase_rad, 2 * np.pi * np.array([0.0, 0.1 * fy, 0.1 * fx])
    )
    bare = replace(given.directions[0], phase_step_sd_rad=())
    found = known_steps(replace(given, directions=(bare,)))[0]
    assert set(found.sd_rad) == {STEP_SD_RAD}
    assert known_steps(told(given, steps=False)) is None


def test_drift_and_known_steps_together():
    way = 0.065 * np.linspace(-1.0, 1.0, 9).reshape(3, 3, 1) * np.array([0.6, 0.8])
    stack, truth = simulate(shape=(SIZE, SIZE), peak_e=1500.0, drift_um=way, seed=4)
    fit = estimate_pattern(stack, pattern=told(truth.pattern, 1e-3))
    assert fit.drifting
    error = phase_errors(fit, truth.pattern)
    assert np.degrees(np.abs(error - error.mean(axis=1, keepdims=True)).max()) < 3.0


def test_a_direction_that_the_data_do_not_show_has_the_given_steps():
    stack, _, true = recording("blobs", SIZE, 3.0, 2)
    fit = estimate_pattern(stack, pattern=told(true))
    lost = [n for n, d in enumerate(fit.directions) if d.verdict == "failed"]
    assert lost
    assert fit.verdict == "weak"
    assert any("the given phase steps are assumed" in n for n in fit.notes)
    for n in lost:
        away = phase_errors(fit, true)[n]
        assert np.abs(np.angle(np.exp(1j * (away - away[0])))).max() < 1e-6


def test_a_doubtful_given_pattern_makes_the_result_doubtful(dim):
    stack, true = dim
    assert estimate_pattern(stack, pattern=told(true)).verdict == "ok"
    fit = estimate_pattern(stack, pattern=replace(told(true), verdict="weak", notes=("old",)))
    assert fit.verdict == "weak"
    assert "from the pattern file: old" in fit.notes


def test_patterns_of_other_numbers_of_channels_are_refused(dim):
    stack, true = dim
    with pytest.raises(UsageError, match="one pattern, or one per channel"):
        estimate_pattern(stack, pattern=[told(true)] * 2)


@pytest.mark.parametrize(
    ("change", "text"),
    [({"phase_step_rad": (0.0, 1.0)}, "number of phase steps"),
     ({"phase_step_rad": (0.0, 1.0, 2.0), "phase_rad": (0.0, 1.0, 2.0)}, "exclude"),
     ({"phase_step_rad": (0.0, 1.0, 2.0), "phase_step_sd_rad": (0.1, 0.0, 0.1)}, "positive")],
)  # fmt: skip
def test_steps_that_cannot_be_are_refused(dim, change, text):
    stack, true = dim
    data = replace(true, directions=told(true).directions).to_dict()
    for d in data["directions"]:
        d.pop("phase_step_sd_rad")
        d |= {"modulation": [0.5] if "phase_rad" in change else [], **change}

    def attempt() -> PatternFit:
        return estimate_pattern(stack, pattern=PatternFit.from_dict(data))

    with pytest.raises(InputError, match=r"incomplete or malformed|does not fit") as caught:
        attempt()
    assert text in str(caught.value)
