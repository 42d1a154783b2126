"""Drift and local deviation of a given pattern are used as the settings say, and the notes too."""

import re
from dataclasses import replace

import numpy as np
import pytest

from simrecon.config import EstimateSettings, build_settings
from simrecon.errors import QualityError, UsageError
from simrecon.estimate.drift import DRIFT_NOTE
from simrecon.estimate.local_pattern import LOCAL_NOTE
from simrecon.given_pattern import as_given, preset_pattern
from simrecon.model.camera import Camera
from simrecon.model.local_field import LocalField
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import simulate
from simrecon.pipeline import estimate_pattern, reconstruct

MOVED = f"{DRIFT_NOTE}: up to 13 nm (0.20 px) from its mean place; corrected frame by frame"
LOCAL = f"direction 1: the pattern varies over the field: {LOCAL_NOTE}, from 9 tiles"
OTHER = "direction 1: weak"


@pytest.fixture
def pattern():
    nodes = np.array([0.0, 1.0, 2.0, 3.0])
    direction = DirectionPattern(
        (3.0, 4.0),
        (0.0, 2.0, 4.0),
        (0.8,),
        (1.0, 1.0, 1.0),
        drift_um=((0.0, 0.0), (0.013, 0.0), (0.0, 0.005)),
        local=LocalField.of(nodes, nodes, np.ones((4, 4), complex)),
    )
    return PatternFit(0.065, (64, 64), (direction,), notes=(MOVED, LOCAL, OTHER))


def test_drift_and_local_of_the_file_are_used_and_said(pattern):
    used = as_given(pattern, EstimateSettings())
    assert used.directions == pattern.directions
    assert used.notes[:3] == tuple(f"from the pattern file: {n}" for n in pattern.notes)
    assert "drift of the given pattern is used: up to 13 nm (0.20 px)" in used.notes[3]


def test_drift_off_leaves_the_drift_out(pattern):
    used = as_given(pattern, EstimateSettings(drift="off"))
    assert not used.drifting
    assert used.directions[0].phase_rad == pattern.directions[0].phase_rad
    assert not any(DRIFT_NOTE in note for note in used.notes)
    assert any("drift is off: that of the given pattern is not used" in n for n in used.notes)
    assert any(OTHER in note for note in used.notes)


def test_local_off_leaves_the_local_pattern_out(pattern):
    used = as_given(pattern, EstimateSettings(local="off"))
    assert used.directions[0].local is None
    assert used.drifting
    assert not any(LOCAL_NOTE in note for note in used.notes)
    assert any("local is off" in note for note in used.notes)


def test_notes_on_what_the_file_no_longer_holds_are_not_repeated(pattern):
    bare = replace(pattern.directions[0], drift_um=(), local=None)
    used = as_given(replace(pattern, directions=(bare,)), EstimateSettings())
    assert used.notes == (f"from the pattern file: {OTHER}",)


MULTI_SIM = "multisim-tirf-488"


@pytest.fixture
def stack():
    optics = Optics(na=1.49, emission_nm=525.0)
    return SimStack(np.zeros((1, 1, 3, 3, 1, 32, 32), np.uint16), 0.0626, (optics,), Camera())


def failed_fit(*angles: float | None) -> PatternFit:
    """A fit whose directions failed where no angle is given."""
    return PatternFit(
        0.0626,
        (32, 32),
        tuple(
            DirectionPattern((5.5 * np.sin(a or 0.0), 5.5 * np.cos(a or 0.0)), (), (), (),
                             verdict="failed" if a is None else "weak")
            for a in angles
        ),
        verdict="failed",
    )  # fmt: skip


def preset_of(stack, fit, **keys):
    return preset_pattern(stack, build_settings(("test", keys)), 0, fit)


def test_preset_takes_the_published_directions_that_the_data_agree_with(stack):
    """An angle is a line: 0.43 and 0.43 + π are the same."""
    found = preset_of(stack, failed_fit(None, None, 0.43 + np.pi), preset=MULTI_SIM)
    lines = [d.angle_rad % np.pi for d in found.directions]
    assert lines == pytest.approx([np.pi - 1.66, np.pi - 0.6128, 0.4344], abs=0.003)
    assert [d.period_um for d in found.directions] == pytest.approx([0.1807] * 3, abs=1e-4)
    assert not found.complete


def test_numbers_of_the_settings_come_before_those_of_the_preset(stack):
    keys = {"preset": MULTI_SIM, "period_um": 0.2, "angles_rad": [0.1, 1.1, 2.2]}
    found = preset_of(stack, failed_fit(None, None, None), **keys)
    assert [d.angle_rad for d in found.directions] == pytest.approx([0.1, 1.1, 2.2])
    assert [d.period_um for d in found.directions] == pytest.approx([0.2] * 3)


@pytest.mark.parametrize(
    "angles, text",
    [((None, None, None), "do not settle these"), ((None, None, 0.9), "No directions published")],
)
def test_directions_that_a_preset_cannot_settle_are_not_guessed(stack, angles, text):
    with pytest.raises(UsageError, match=text) as caught:
        preset_of(stack, failed_fit(*angles), preset=MULTI_SIM)
    assert "0.4344" in str(caught.value)


def test_preset_without_published_pattern_or_unknown_is_refused(stack):
    with pytest.raises(UsageError, match="needs the nominal pattern"):
        preset_of(stack, failed_fit(None, None, None), preset="nsim-2d")
    with pytest.raises(UsageError, match="Unknown preset"):
        preset_of(stack, failed_fit(None, None, None), preset="nonsense")


@pytest.fixture(scope="module")
def recording():
    return simulate(shape=(96, 96), peak_e=800.0, seed=5)


def told(truth, change) -> PatternFit:
    """Frequencies only, as somebody gives them."""
    directions = tuple(
        DirectionPattern(change(*d.frequency_per_um), (), (), ()) for d in truth.pattern.directions
    )
    return PatternFit(truth.pattern.pixel_um, truth.pattern.shape, directions)


@pytest.mark.parametrize(
    "change",
    [lambda fy, fx: (2 * fy / 3, 2 * fx / 3), lambda fy, fx: (1.06 * fy, 1.06 * fx),
     lambda fy, fx: (-fy, fx)],
    ids=["period x1.5", "period -6 %", "mirrored"],
)  # fmt: skip
def test_a_given_pattern_that_the_data_contradict_stops_with_what_they_show(change, recording):
    stack, truth = recording
    with pytest.raises(QualityError) as error:
        reconstruct(stack, pattern=told(truth, change))
    found = re.findall(r"the data show a period of ([\d.]+) nm at", str(error.value))
    assert len(found) >= 2, error.value
    shown = 1e3 * truth.pattern.directions[0].period_um
    assert [float(period) for period in found] == pytest.approx([shown] * len(found), rel=0.01)


def test_a_given_pattern_that_the_data_cannot_judge_is_used_with_doubt(recording):
    stack, truth = recording
    dark = replace(stack, data=100 + np.random.default_rng(1).poisson(60, stack.data.shape))
    fit = estimate_pattern(dark, pattern=told(truth, lambda fy, fx: (fy, fx)))
    assert fit.verdict == "weak"
    assert any("do not confirm the given frequency" in note for note in fit.notes)
