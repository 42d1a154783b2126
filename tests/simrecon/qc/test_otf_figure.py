"""Drawings of OTFs show what the OTF is."""

import numpy as np
import pytest

from simrecon.model.optics import Optics
from simrecon.model.psf import GridOTF
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.theory_volume import axial_shift_per_um, theoretical_volume_otf
from simrecon.qc.otf_figure import axial_light, draw_planar_otf, draw_volume_otf

OPTICS = Optics(1.2, 520, 1.33, excitation_nm=488, excitation_na=1.0)


@pytest.fixture(scope="module")
def otf():
    return theoretical_volume_otf(OPTICS, extent_um=4.0)


def test_axial_light_of_three_beams(otf):
    z, profiles = axial_light(otf)
    turn = np.cos(2 * np.pi * axial_shift_per_um(OPTICS) * z)
    np.testing.assert_allclose(profiles[1], profiles[0] * turn, atol=0.01)
    np.testing.assert_allclose(profiles[2], profiles[0], atol=1e-6)
    assert profiles[0, 100] == pytest.approx(1.0)


def test_volume_drawing_has_a_picture_per_order_and_direction(otf):
    figure = draw_volume_otf([otf, otf])
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert len(panels) == 2 * (3 + 1)
    shown = panels[0].images[0].get_array()
    row, column = np.unravel_index(np.argmax(shown), shown.shape)
    assert (row, column) == (shown.shape[0] // 2, 0)  # H_0 is largest at the origin
    assert len(panels[3].lines) == 3
    assert "three beams" in figure.get_suptitle()


def test_planar_drawing_shows_two_directions_of_a_measured_psf():
    assert len(draw_planar_otf(theoretical_otf(OPTICS)).axes[0].lines) == 1
    y, x = np.mgrid[-16:16, -16:16]
    psf = np.exp(-(y**2) / 18 - x**2 / 8)
    lines = draw_planar_otf(GridOTF(psf / psf.sum(), 0.08, 4.6)).axes[0].lines
    wide, narrow = (line.get_ydata()[100] for line in lines)
    assert wide > 1.3 * narrow
