"""Directions that are the expected ones, seen otherwise."""

import math

import numpy as np
import pytest
from pattern_maker import ANGLES_DEG, as_sequence, make_frames

from simrecon.handedness import handedness
from simrecon.inspection import inspect
from simrecon.model.frames import RawFrames

EXPECTED = tuple(math.radians(a) for a in (10.0, 70.0, -50.0))


@pytest.mark.parametrize(
    ("found_deg", "readings"),
    [
        ((10, 70, 130), (("", ""),)),
        ((-10, -70, 50), (("mirrored (rows stored the other way round: y flipped)", ""),)),
        ((-50, 70, 10), (("", "reversed"),)),
        ((70, -50, 10), (("", "shifted"),)),
        ((100, 160, 40), (("turned by 90° (camera mounted sideways)", ""),)),
    ],
)
def test_views_and_sequences_are_named(found_deg, readings):
    found = handedness([math.radians(a) for a in found_deg], EXPECTED)
    assert found.readings == readings
    assert (found.sentence == "") == (readings == (("", ""),))
    apart = [math.remainder(a - math.radians(b), math.pi)
             for a, b in zip(found.expected_rad, found_deg, strict=True)]  # fmt: skip
    np.testing.assert_allclose(apart, 0, atol=1e-9)


def test_directions_symmetric_about_an_axis_are_ambiguous():
    even = [0.0, math.pi / 3, -math.pi / 3]
    found = handedness([0.0, -math.pi / 3, math.pi / 3], even)
    assert len(found.readings) == 2
    assert "cannot tell" in found.sentence
    assert "y flipped" in found.sentence
    assert "reversed" in found.sentence


def test_unknown_and_foreign_directions():
    assert handedness([0.3, 1.0, 2.4], EXPECTED) is None
    assert handedness([math.nan] * 3, EXPECTED) is None
    assert handedness([0.1], EXPECTED) is None
    seen = handedness([math.nan, math.radians(-70.0), math.nan], EXPECTED)
    assert "y flipped" in seen.sentence


def test_file_stored_upside_down_is_said_so_and_left_alone():
    frames = make_frames()[..., ::-1, :]
    sequence = as_sequence(frames)
    found = inspect(RawFrames(sequence, (("S", 9),)), [math.radians(a) for a in ANGLES_DEG])
    assert "y flipped" in found.handedness
    assert "y flipped" in found.to_text()
    assert found.to_dict()["handedness"] == found.handedness
    assert found.order == "PA"
    upright = inspect(RawFrames(as_sequence(make_frames()), (("S", 9),)), EXPECTED)
    assert upright.handedness == ""
