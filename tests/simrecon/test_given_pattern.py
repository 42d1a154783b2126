"""Drift and local deviation of a given pattern are used as the settings say, and the notes too."""

from dataclasses import replace

import numpy as np
import pytest

from simrecon.config import EstimateSettings
from simrecon.estimate.drift import DRIFT_NOTE
from simrecon.estimate.local_pattern import LOCAL_NOTE
from simrecon.given_pattern import as_given
from simrecon.model.local_field import LocalField
from simrecon.model.pattern import DirectionPattern, PatternFit

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
