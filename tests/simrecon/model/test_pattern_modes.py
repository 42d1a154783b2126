"""Simultaneous directions in the pattern schema."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mode_examples import MODES, mode_pattern

from simrecon.errors import InputError
from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit

GRID = Grid((32, 30), 0.065)


@pytest.mark.parametrize("mode", MODES)
def test_patterns_survive_their_file(mode):
    pattern = mode_pattern(mode, GRID)
    data = pattern.to_dict()
    assert ("simultaneous" in data) == (mode == "hex")
    assert PatternFit.from_dict(data) == replace(
        pattern, directions=PatternFit.from_dict(data).directions
    )
    assert PatternFit.from_dict(data).to_dict() == data


def test_sets_of_frames():
    assert mode_pattern("hex", GRID).frame_sets == ((0, 1, 2),)
    assert mode_pattern("slice3", GRID).frame_sets == ((0,), (1,), (2,))
    assert [mode_pattern("hex", GRID).frame_set(d) for d in range(3)] == [0, 0, 0]
    assert [mode_pattern("slice3", GRID).frame_set(d) for d in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["directions"][1].update(modulation=[0.5, 0.2]), "one order each"),
        (lambda d: d["directions"][2].update(intensity=[1.1] * 7), "must be the same"),
        (lambda d: d["directions"][0].update(phase_rad=[0.0] * 5), "share their frames"),
        (lambda d: d.update(directions=d["directions"][:1]), "two directions or more"),
        (lambda d: d.update(simultaneous="yes"), "true or false"),
    ],
)
def test_impossible_simultaneous_patterns_are_refused(change, told):
    data = mode_pattern("hex", GRID).to_dict()
    change(data)
    with pytest.raises(InputError) as caught:
        PatternFit.from_dict(data)
    assert told in caught.value.got
