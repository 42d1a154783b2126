"""The smooth deviation of a carrier: interpolation, moving, files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sim_examples import make_pattern

from simrecon.errors import InputError
from simrecon.model.grid import Grid
from simrecon.model.local_field import LocalField
from simrecon.model.pattern import PatternFit
from simrecon.recon.part import shifted

EXTENT = (5.0, 8.0)


def wave(y, x):
    return (1 + 0.3 * np.sin(0.7 * y)) * np.exp(1j * (0.9 * np.cos(0.5 * x) + 0.4 * y))


FIELD = LocalField.sampled(wave, EXTENT, 17)


def with_field(local: LocalField) -> PatternFit:
    pattern = make_pattern(Grid((40, 50), 0.1))
    first, *others = pattern.directions
    return replace(pattern, directions=(replace(first, local=local), *others))


def test_interpolates_between_the_nodes_and_is_constant_beyond():
    y, x = np.linspace(0, 5, 41), np.linspace(0, 8, 57)
    assert np.allclose(FIELD.at(y, x), wave(y[:, None], x), atol=1e-3)
    assert np.allclose(FIELD.at(y[:, None], x[None]), FIELD.at(y, x))
    corner = FIELD.at(np.array([-3.0]), np.array([11.0]))[0, 0]
    assert corner == pytest.approx(wave(0.0, 8.0), abs=1e-6)


def test_higher_orders_turn_faster_with_the_same_contrast():
    y, x = np.linspace(0, 5, 9), np.linspace(0, 8, 9)
    first, second = FIELD.at(y, x), FIELD.at(y, x, order=2)
    assert np.allclose(second, first**2 / np.abs(first))


def test_two_nodes_are_linear():
    field = LocalField.of(np.array([0.0, 2.0]), np.array([0.0, 1.0]), np.array([[1, 1], [3, 3]]))
    assert field.at(np.array([1.0]), np.array([0.5]))[0, 0] == pytest.approx(2.0)
    assert field.mean(np.abs) == pytest.approx(2.0)


def test_a_part_of_the_field_counts_from_its_own_corner():
    pattern = with_field(FIELD)
    part = shifted(pattern, (7, 11), (20, 20)).directions[0]
    y, x = 0.1 * np.arange(20), 0.1 * np.arange(20)
    assert part.local is not None
    assert np.allclose(part.local.at(y, x), FIELD.at(y + 0.7, x + 1.1))


def test_files_keep_it_and_files_without_it_are_unchanged():
    field = LocalField.of(
        np.array([0.0, 1.0, 5.0]),
        np.array([0.0, 8.0]),
        np.array([[1.0, 2j], [0.5, 1.5], [0.2j, 1]]),
        sd=np.full((3, 2), 0.1),
        tiles_used=12,
        tiles_rejected=3,
    )
    pattern = with_field(field)
    text = json.dumps(pattern.to_dict())
    assert PatternFit.from_dict(json.loads(text)) == pattern
    assert "local" in json.loads(text)["directions"][0]
    assert "local" not in json.loads(text)["directions"][1]
    assert PatternFit.from_dict(pattern.to_dict()).directions[1].local is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_um": [0.0, 0.0]}, "ascending"),
        ({"contrast": [[1.0], [1.0]]}, "rows of 2"),
        ({"contrast": [[1.0, -1.0], [1.0, 1.0]]}, "negative"),
        ({"phase_rad": [[0.0, float("nan")], [0.0, 0.0]]}, "not finite"),
        ({"sd": [[0.0, 0.0]]}, "2 rows"),
        ({"colour": 1}, "unknown"),
        ({"x_um": None}, "NoneType"),
    ],
)
def test_malformed_fields_are_refused(change, message):
    data = with_field(LocalField.sampled(wave, EXTENT, 2)).to_dict()
    data["directions"][0]["local"].update(change)
    with pytest.raises(InputError, match=message):
        PatternFit.from_dict(data)
