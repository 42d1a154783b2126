"""Apodization: shape of the edge and monotone decrease."""

from __future__ import annotations

import numpy as np
import pytest
from sim_examples import CUTOFF, ideal_otf, make_pattern
from volume_examples import AXIAL, SHIFT, make_volume_pattern, volume_otf

from simrecon.model.grid import Grid, VolumeGrid
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


def window(kind, grid: Grid) -> np.ndarray:
    return apodization(kind, bands(3), ideal_otf(), None, *grid.frequencies_per_um())


@pytest.mark.parametrize("kind", ["support", "triangle"])
def test_decreases_along_every_direction(kind):
    values = window(kind, Grid((128, 128), 0.0325))
    assert values[0, 0] == pytest.approx(1.0)
    for line in (values[0, :64], values[:64, 0], np.diagonal(values)[:64]):
        assert np.all(np.diff(line) <= 0)
        assert line[-1] == 0.0


def test_none_is_one():
    assert np.all(window("none", Grid((8, 9), 0.03)) == 1)


def volume_window(kind, grid: VolumeGrid) -> np.ndarray:
    pattern = make_volume_pattern(grid, 1)
    several = make_bands(pattern, np.ones((1, 5)))
    _, ky, kx = grid.frequencies_per_um()
    planes = (np.full(grid.shape[1:], k) for k in np.ravel(grid.frequencies_per_um()[0]))
    return np.stack([apodization(kind, several, volume_otf(), k, ky[0], kx[0]) for k in planes])


@pytest.mark.parametrize("kind", ["support", "triangle"])
def test_of_a_volume_ends_at_the_axial_cutoff_and_decreases(kind):
    grid = VolumeGrid((40, 64, 64), 0.05, 0.2)
    values = volume_window(kind, grid)
    assert values[0, 0, 0] == pytest.approx(1.0)
    lines = (values[:20, 0, 0], values[:20, 3, 3], values[0, :32, 0], values[5, 0, :32])
    for line in lines:
        assert np.all(np.diff(line) <= 0)
    kz = np.fft.fftfreq(40, 0.2)[:20]
    assert np.all((values[:20, 0, 0] > 0) == (kz < AXIAL + SHIFT))


def test_of_a_volume_does_not_ring():
    """The transform of the window is nowhere far below zero."""
    psf = np.fft.ifftn(volume_window("support", VolumeGrid((40, 64, 64), 0.05, 0.2))).real
    assert psf.min() > -2e-3 * psf.max()
