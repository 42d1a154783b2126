"""Phantoms: reproducible, non-negative, at the places and sizes they claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, label

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.physics.phantoms import LINE_DISTANCES_UM, _splat, make_phantom

FINE = Grid((400, 480), 0.0165, offset_um=-0.3)


@pytest.mark.parametrize("kind", ["filaments", "rings", "blobs", "beads", "mixed", "lines"])
def test_phantoms_are_reproducible_non_negative_and_different_by_seed(kind):
    a, again, b = (make_phantom(kind, FINE, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(a, again)
    assert a.dtype == np.float32
    assert a.shape == FINE.shape
    assert a.min() >= 0
    assert 0 < (a > 0.05 * a.max()).mean() < 0.6
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < (0.99 if kind == "lines" else 0.5)


def test_constant_is_one():
    np.testing.assert_array_equal(make_phantom("constant", FINE, np.random.default_rng(0)), 1.0)


def test_unknown_phantom_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="filaments"):
        make_phantom("cats", FINE, np.random.default_rng(0))


@pytest.mark.parametrize("y_um, x_um", [(3.0, 3.0), (2.9953, 3.0071), (1.2345, 5.4321)])
def test_a_point_keeps_its_mass_and_sub_pixel_place(y_um, x_um):
    image = _splat(FINE, np.array([y_um]), np.array([x_um]), np.array([0.25]), 0.04)
    assert image.sum() * FINE.pixel_um**2 == pytest.approx(0.25, rel=1e-4)
    cy, cx = (FINE.offset_um + FINE.pixel_um * c for c in center_of_mass(image))
    assert (cy, cx) == pytest.approx((y_um, x_um), abs=1e-4)


def test_line_pairs_are_as_far_apart_as_stated():
    grid = Grid((480, 2000), 0.005)
    image = make_phantom("lines", grid, np.random.default_rng(1))
    profile = image[grid.shape[0] // 2].astype(np.float64)
    slot = grid.shape[1] / (len(LINE_DISTANCES_UM) + 1)
    pixels = np.arange(80)
    for i, distance in enumerate(LINE_DISTANCES_UM):
        centre = round((i + 1) * slot)
        left, right = profile[centre - 80 : centre], profile[centre : centre + 80]
        apart = 80 + np.sum(right * pixels) / right.sum() - np.sum(left * pixels) / left.sum()
        # a row crosses lines that are turned by up to 0.3 rad: 1/cos(0.3) = 1.047
        assert distance - 0.005 < apart * grid.pixel_um < 1.047 * distance + 0.005


def test_rings_are_hollow_and_of_the_stated_size():
    image = make_phantom("rings", Grid((1600, 1600), 0.008), np.random.default_rng(2))
    holes, count = label(image < 0.05)
    areas = np.bincount(holes.ravel())[1:] * 0.008**2
    inner = areas[areas < 0.4]  # the largest region is the outside
    assert count > 20
    assert np.sqrt(inner.max() / np.pi) < 0.31
    assert np.median(np.sqrt(inner / np.pi)) > 0.06
