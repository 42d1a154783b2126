"""Pictures brought onto another channel: places, light, noise, edges; and the maps themselves."""

import numpy as np
import pytest

from simrecon.model.affine import Affine2D
from simrecon.model.grid import Grid
from simrecon.registration import covered, register, register_variance

RAW = Grid((64, 71), 0.08)
SR = RAW.zoomed(2)
TURN = np.deg2rad(1.5)
MAP = Affine2D.of(
    1.01 * np.array([[np.cos(TURN), np.sin(TURN)], [-np.sin(TURN), np.cos(TURN)]]), [0.13, -0.21]
)
BAND_PER_UM = 9.0
"""Twice the cut-off of a good objective; Nyquist of the SR grid is 12.5."""


def waves(seed: int, count: int = 40):
    """A band-limited picture as a function of (y, x): a sum of waves."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, count), BAND_PER_UM * np.sqrt(rng.random(count))
    fy, fx, phase = radius * np.sin(angle), radius * np.cos(angle), rng.uniform(0, 7, count)

    def picture(y, x):
        along = 2 * np.pi * (np.multiply.outer(y, fy) + np.multiply.outer(x, fx)) + phase
        return 5.0 + np.cos(along).sum(axis=-1) / np.sqrt(count)

    return picture


def on(grid: Grid, picture, points=None) -> np.ndarray:
    y, x = np.broadcast_arrays(*grid.positions_um())
    if points is not None:
        y, x = np.moveaxis(points(np.stack([y, x], axis=-1)), -1, 0)
    return picture(y, x)


@pytest.mark.parametrize("grid", [RAW.zoomed(2), RAW.zoomed(3)])
def test_content_lands_where_the_map_says(grid):
    picture = waves(1)
    found = register(on(grid, picture), grid, MAP)
    expected = on(grid, picture, MAP.inverse()) / MAP.determinant
    inner = (slice(12, -12), slice(12, -12))
    assert np.isfinite(found[inner]).all()
    error = (found - expected)[inner]
    assert np.sqrt(np.mean(error**2)) < (0.02 if grid.pixel_um > 0.03 else 0.002)


def test_the_direction_of_the_map_is_from_the_picture_to_the_target():
    y, x = SR.positions_um()
    spot = np.exp(-((y - 2.0) ** 2 + (x - 3.0) ** 2) / (2 * 0.1**2))
    found = np.nan_to_num(register(spot, SR, Affine2D(shift_um=(0.5, -0.25))))
    total = found.sum()
    assert (found * y).sum() / total == pytest.approx(2.5, abs=1e-3)
    assert (found * x).sum() / total == pytest.approx(2.75, abs=1e-3)


def test_light_is_kept():
    y, x = SR.positions_um()
    spot = np.exp(-((y - 2.5) ** 2 + (x - 2.8) ** 2) / (2 * 0.1**2))
    found = register(spot, SR, MAP)
    assert np.nansum(found) == pytest.approx(spot.sum(), rel=1e-4)


def test_pixels_out_of_reach_are_nan_and_counted():
    found = register(np.ones(SR.shape), SR, Affine2D(shift_um=(0.8, 0.0)))
    assert np.isnan(found[:20]).all()
    assert np.isfinite(found[20:]).all()
    assert covered(SR, Affine2D(shift_um=(0.8, 0.0))) == pytest.approx(1 - 20 / 128)
    assert np.isfinite(register(np.ones(SR.shape), SR, Affine2D())).all()


def test_leading_axes_are_planes():
    stack = np.stack([on(SR, waves(n)) for n in (1, 2)])[:, None]
    found = register(stack, SR, MAP)
    np.testing.assert_array_equal(found[1, 0], register(stack[1, 0], SR, MAP))


def test_variance_is_that_of_the_noise():
    """Band-limited noise, as a reconstruction has, of a variance that changes over the field."""
    rng = np.random.default_rng(3)
    ky, kx = SR.frequencies_per_um()
    keep = np.hypot(ky, kx) < 0.7 * BAND_PER_UM
    y, x = SR.positions_um()
    gain = 1.0 + 0.5 * np.sin(2 * np.pi * y / 5.0) * np.cos(2 * np.pi * x / 5.0)
    draws = []
    for _ in range(300):
        white = np.fft.ifft2(np.fft.fft2(rng.normal(size=SR.shape)) * keep).real
        draws.append(gain * white)
    before = np.var(draws, axis=0)
    after = np.var([register(d, SR, MAP) for d in draws], axis=0)
    told = register_variance(before, SR, MAP)
    ratio = (after / told)[12:-12, 12:-12]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)


def test_maps_compose_and_invert():
    points = np.random.default_rng(0).uniform(0, 5, (10, 2))
    other = Affine2D.of(np.array([[0.0, 1.0], [-1.0, 0.1]]), [3.0, 1.0])
    np.testing.assert_allclose(other.after(MAP)(points), other(MAP(points)))
    np.testing.assert_allclose(MAP.inverse()(MAP(points)), points)
    assert MAP.magnification == pytest.approx(1.01)
    assert MAP.rotation_rad == pytest.approx(TURN)
    mirror = MAP.after(Affine2D(((1.0, 0.0), (0.0, -1.0))))
    assert mirror.determinant < 0
    assert mirror.rotation_rad == pytest.approx(TURN)
    with pytest.raises(ValueError, match="inverse"):
        Affine2D(((1.0, 0.0), (2.0, 0.0)))
