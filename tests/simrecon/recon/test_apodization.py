"""Apodization: shape of the edge and monotone decrease."""

from __future__ import annotations

import numpy as np
import pytest
from sim_examples import CUTOFF, make_pattern

from simrecon.model.grid import Grid
from simrecon.recon.apodization import apodization, support_radius_per_um
from simrecon.recon.bands import make_bands


def bands(directions: int):
    grid = Grid((32, 32), 0.065)
    return make_bands(make_pattern(grid, directions), np.ones((directions, 3)))


def test_three_directions_make_a_circle():
    angle = np.linspace(0, 2 * np.pi, 37)
    radius = support_radius_per_um(bands(3), CUTOFF, np.sin(angle), np.cos(angle))
    assert np.allclose(radius, CUTOFF + 1 / 0.21, rtol=1e-6)


def test_one_direction_gains_only_along_itself():
    carrier = bands(1)[1].carrier_per_um
    unit = carrier / np.linalg.norm(carrier)
    along = support_radius_per_um(bands(1), CUTOFF, unit[:1], unit[1:])
    across = support_radius_per_um(bands(1), CUTOFF, -unit[1:], unit[:1])
    assert along[0] == pytest.approx(CUTOFF + 1 / 0.21)
    assert across[0] == pytest.approx(CUTOFF, abs=1e-6)


@pytest.mark.parametrize("kind", ["support", "triangle"])
def test_decreases_along_every_direction(kind):
    window = apodization(kind, bands(3), CUTOFF, Grid((128, 128), 0.0325))
    assert window[0, 0] == pytest.approx(1.0)
    for line in (window[0, :64], window[:64, 0], np.diagonal(window)[:64]):
        assert np.all(np.diff(line) <= 0)
        assert line[-1] == 0.0


def test_none_is_one():
    assert np.all(apodization("none", bands(3), CUTOFF, Grid((8, 9), 0.03)) == 1)
