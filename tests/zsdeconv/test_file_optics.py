"""Optics follow the channel; what was given replaces what the file says."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.config import Settings
from simrecon.model.frames import RawFrames
from zsdeconv.file_optics import file_optics


def raw(**facts) -> RawFrames:
    frames = np.zeros((2, 8, 8))
    return RawFrames(frames, (("C", 2),), pixel_um=0.1, na=1.4, **facts)


def test_each_channel_has_its_own_wavelength() -> None:
    two = raw(emission_nm=(525.0, 610.0), excitation_nm=(488.0, 561.0))
    found = [file_optics(Settings(), two, c) for c in (0, 1)]
    assert [f.emission_nm for f in found] == [525.0, 610.0]
    assert found[1].optics().excitation_nm == 561.0


def test_one_wavelength_is_that_of_all_and_a_missing_one_is_not_guessed() -> None:
    assert file_optics(Settings(), raw(emission_nm=(525.0,)), 1).emission_nm == 525.0
    three = file_optics(Settings(), raw(emission_nm=(525.0, 610.0)), 2)
    assert three.emission_nm is None
    assert three.optics() is None


def test_given_values_come_first() -> None:
    given = Settings.model_validate({"optics": {"na": 1.2, "emission_nm": [600.0]}})
    found = file_optics(given, raw(emission_nm=(525.0, 610.0), index=1.33), 0)
    assert (found.na, found.emission_nm, found.index) == (1.2, 600.0, 1.33)
    assert found.optics().immersion_index == pytest.approx(1.33)
