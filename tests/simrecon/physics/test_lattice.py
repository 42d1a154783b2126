"""Lattice sheets against the intensity of their beams added up one by one."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.physics.lattice import Lattice

NA_MAX, NA_MIN, WAVE_UM = 0.46, 0.36, 0.488
MEAN = 0.5 * (NA_MAX + NA_MIN) / WAVE_UM

#: direction (rad from the kx axis) and amplitude of every beam
BEAMS = {
    "square": [(a, 1.0) for a in np.radians([0, 90, 180, 270])],
    "hexagonal": [(a, 1.0) for a in np.radians([30, 90, 150, 210, 270, 330])],
    "harmonic-balanced": [
        (a, 0.5 if i in (1, 4) else 1.0)
        for i, a in enumerate(np.radians([30, 90, 150, 210, 270, 330]))
    ],
}


def lattice(kind):
    return Lattice(kind, NA_MAX, NA_MIN, 1e3 * WAVE_UM)


def intensity(kind, x, z):
    """|Σ over pupil points|²: every beam a stripe along kz through its place in the annulus."""
    field = 0
    for angle, amplitude in BEAMS[kind]:
        kx, kz = MEAN * np.cos(angle), MEAN * np.sin(angle)
        points = np.linspace(-1.0, 1.0, 4001)
        ring = np.hypot(kx, points) * WAVE_UM
        stripe = points[(ring >= NA_MIN) & (ring <= NA_MAX)]
        if abs(kz) > 1e-6:  # the stripe of its own side
            stripe = stripe[np.sign(stripe) == np.sign(kz)]
        axial = np.exp(2j * np.pi * z[:, None] * stripe).mean(axis=1)
        field = field + amplitude * axial[:, None] * np.exp(2j * np.pi * kx * x)
    return np.abs(field) ** 2


@pytest.mark.parametrize("kind", list(BEAMS))
def test_orders_add_up_to_the_intensity_of_the_beams(kind):
    light = lattice(kind)
    x, z = np.linspace(0.0, 2.3, 37), np.linspace(-4.0, 4.0, 41)
    profiles = light.profiles(reach_um=5.0, step_um=0.01).at(z)
    turn = 2 * np.pi * light.fundamental_per_um * x
    waves = [np.ones_like(x), *(c * np.cos((m + 1) * turn) for m, c in enumerate(light.contrast))]
    total = sum(g[:, None] * w for g, w in zip(profiles, waves, strict=True))
    expected = intensity(kind, x, z)
    expected /= intensity(
        kind, np.linspace(0, 1, 100, endpoint=False) / light.fundamental_per_um, np.zeros(1)
    ).mean()
    np.testing.assert_allclose(total, expected, atol=0.01 * expected.max())
    assert total.min() > -1e-3


def test_contrasts_of_discrete_beams():
    """Counting pairs of equal beams: (2·1·2·2)/6 and 2/6; 16/12 and 8/12; 8/9 both."""
    assert lattice("square").contrast == pytest.approx((8 / 6, 2 / 6))
    assert lattice("hexagonal").contrast == pytest.approx((16 / 12, 8 / 12))
    assert lattice("harmonic-balanced").contrast == pytest.approx((8 / 9, 8 / 9))


def test_period_of_the_square_lattice():
    assert 1 / lattice("square").fundamental_per_um == pytest.approx(0.488 / 0.41)


def test_nothing_beyond_the_axial_reach():
    for kind in BEAMS:
        light = lattice(kind)
        profiles = light.profiles(reach_um=40.0, step_um=0.1)
        spectrum = np.abs(np.fft.rfft(profiles.values * np.hanning(profiles.z_um.size), axis=1))
        k = np.fft.rfftfreq(profiles.z_um.size, 0.1)
        beyond = k > light.axial_reach_per_um + 0.1
        assert spectrum[:, beyond].max() < 1e-3 * spectrum.max()
        near = (k > 0.7 * light.axial_reach_per_um) & ~beyond
        assert spectrum[0, near].max() > 1e-2 * spectrum[0].max()


def test_a_sheet_out_of_focus_moves_all_profiles():
    light = lattice("square")
    moved = light.profiles(offset_um=0.4)
    at = np.array([0.4, 0.9])
    np.testing.assert_allclose(moved.at(at), light.profiles().at(at - 0.4), atol=1e-3)
    assert "0.4 µm" in moved.source


@pytest.mark.parametrize(
    "arguments",
    [
        ("round", 0.5, 0.4, 488),
        ("square", 0.4, 0.5, 488),
        ("square", 1.4, 0.5, 488),
        ("square", 0.5, 0.4, 0.488),
    ],
)
def test_impossible_lattices_are_refused(arguments):
    with pytest.raises(UsageError):
        Lattice(*arguments)
