"""Deskewing: points land where they are, light is kept, planes do not interlace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from volume_examples import make_volume_pattern, volume_frames, volume_otf

from simrecon.backend import device_of, to_numpy
from simrecon.errors import InputError
from simrecon.model.grid import VolumeGrid
from simrecon.recon.deskew import Deskewing
from simrecon.recon.operator import Reconstructor, Regularization

STAGE = VolumeGrid((16, 32, 80), 0.1, 0.25, shear=(0.0, 1.13))


@pytest.fixture(scope="module")
def operator():
    return Reconstructor(
        make_volume_pattern(STAGE, 1),
        volume_otf(),
        STAGE,
        frame_variance_e2=50.0,
        regularization=Regularization(wiener_constant=0.1),
    )


def centre_um(image: np.ndarray, grid: VolumeGrid, around, origin) -> np.ndarray:
    """Centre of mass (z, y, x) within 0.8 µm of a place in space."""
    z, y, x = grid.positions_um()
    y, x = y - origin[0] * grid.pixel_um, x - origin[1] * grid.pixel_um
    near = np.ones(image.shape, bool)
    for axis, place in zip((z, y, x), around, strict=True):
        near &= np.abs(axis - place) < 0.8
    weight = np.where(near, image, 0.0).astype(float)
    return np.array([(weight * axis).sum() for axis in (z, y, x)]) / weight.sum()


@pytest.mark.parametrize("shear", [(0.0, 1.13), (-0.4, 0.0), (0.3, -0.7)])
def test_points_land_where_they_are(shear):
    """From frames of a skewed stage, reconstructed, to space."""
    grid = VolumeGrid((24, 48, 64), 0.1, 0.25, shear=shear)
    op = Reconstructor(
        make_volume_pattern(grid, 1),
        volume_otf(),
        grid,
        frame_variance_e2=50.0,
        regularization=Regularization(wiener_constant=0.1),
    )
    z = 2.93
    point = (z, 2.21 + shear[0] * z, 3.34 + shear[1] * z)
    image = op.reconstruct(volume_frames(grid, op.pattern, [(*point, 300.0)]).astype(np.float32))
    to_space = Deskewing.of(op.sr_grid)
    found = to_space.image(image)
    assert found.shape == to_space.grid.shape
    assert np.isfinite(found).sum() == image.size
    found = np.nan_to_num(found)
    assert to_space.grid.shear == (0.0, 0.0)
    place = centre_um(found, to_space.grid, point, to_space.origin_px)
    assert np.all(np.abs(place - point) < (0.02, 0.002, 0.002))
    assert found.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=2e-3)


def test_skewed_and_straight_scans_of_one_object_agree():
    """T belongs to space: the stage's way there does not show in the picture."""
    points = [(2.6, 2.3, 6.0, 300.0), (3.3, 2.6, 6.6, 200.0)]
    regularization = Regularization(wiener_constant=0.1)
    images = []
    for shear in ((0.0, 0.0), (0.0, 0.8)):
        grid = VolumeGrid((24, 48, 120), 0.1, 0.25, shear=shear)
        op = Reconstructor(
            make_volume_pattern(grid, 1),
            volume_otf(),
            grid,
            frame_variance_e2=50.0,
            regularization=regularization,
        )
        image = op.reconstruct(volume_frames(grid, op.pattern, points).astype(np.float32))
        images.append(Deskewing.of(op.sr_grid).image(image))
    straight, skewed = images
    both = (slice(2, -2), slice(None), slice(94, 180))  # the stage travels 92 px
    assert np.max(np.abs(skewed[both] - straight[both])) < 3e-3 * straight.max()


def test_planes_do_not_interlace():
    """A texture that is the same in all planes shows nothing at the beat of planes and pixels."""
    grid = VolumeGrid((40, 24, 400), 0.05, 0.25, shear=(0.0, 1.13))
    rng = np.random.default_rng(1)
    z, y, x = grid.positions_um()
    per_um = 3.1  # the texture
    texture = 50 * np.cos(2 * np.pi * per_um * (x + grid.shear[1] * z)) * np.ones_like(y)
    noise = gaussian_filter(rng.normal(0, 10, grid.shape), (0, 1.2, 1.2))
    to_space = Deskewing.of(grid)
    image = to_space.image((texture + noise).astype(np.float32)).astype(float)
    everywhere = slice(int(np.ceil(to_space.shift_px[-1, 1])) + 4, grid.shape[2] - 4)
    seen = image[:, 4:-4, everywhere]
    # the texture as every plane shows it: what changes from plane to plane
    wave = np.exp(-2j * np.pi * per_um * np.arange(seen.shape[2]) * grid.pixel_um)
    part = (seen @ (wave * np.hanning(seen.shape[2]))).mean(axis=1)
    amplitude = np.abs(np.fft.fft(part - part.mean()))
    beat = grid.shear[1] * grid.dz_um / grid.pixel_um % 1.0  # of a pixel, from plane to plane
    index = round(beat * amplitude.size) % amplitude.size
    sigma = np.sqrt(np.median(amplitude**2) / np.log(2))
    assert amplitude[index] < 3 * sigma
    assert amplitude[-index % amplitude.size] < 3 * sigma
    assert sigma < 0.01 * amplitude.size * np.abs(part.mean())


def test_psf_is_that_of_the_deskewed_picture(operator):
    grid = operator.sr_grid
    psf = operator.effective_psf((15, 60, 160))
    to_space = Deskewing.of_psf(VolumeGrid(psf.shape, grid.pixel_um, grid.dz_um, shear=grid.shear))
    straight = to_space.image(psf)
    assert np.unravel_index(straight.argmax(), straight.shape) == tuple(
        n // 2 for n in straight.shape
    )
    assert straight.sum(dtype=float) == pytest.approx(psf.sum(dtype=float), rel=1e-3)
    # in the array the axis leans against the shear, in space it is upright
    i, _, j = (np.arange(n) - n // 2 for n in straight.shape)
    power = (straight.astype(float) ** 2).sum(axis=1)
    assert abs((power * i[:, None] * j[None, :]).sum()) < 0.05 * (power * i[:, None] ** 2).sum()


def test_variance_matches_monte_carlo(operator):
    rng = np.random.default_rng(3)
    variance = np.full(operator.frames_shape, 30.0, np.float32)
    variance[..., 20:30] = 200.0
    to_space = Deskewing.of(operator.sr_grid)
    predicted = to_space.variance(operator.variance(variance))
    assert np.nanmin(predicted) >= 0
    square = np.zeros(to_space.grid.shape)
    draws, sigma = 40, np.sqrt(variance)
    for _ in range(draws):
        noise = rng.normal(size=operator.frames_shape).astype(np.float32) * sigma
        square += to_space.image(operator.reconstruct(noise)).astype(float) ** 2
    first = int(np.ceil(to_space.shift_px[-1, 1])) + 2
    inner = (slice(None), slice(10, -10), slice(first, operator.sr_grid.shape[2] - 8))
    ratio = predicted[inner] / (square[inner] / draws)
    assert abs(1 / np.mean(1 / ratio) - 1) < 0.02


def test_libraries_agree_and_shapes_are_checked(to_library, operator):
    image = np.random.default_rng(0).normal(size=(16, 64, 160)).astype(np.float32)
    to_space = Deskewing.of(operator.sr_grid)
    for method in (to_space.image, to_space.variance):
        there = to_numpy(method(to_library(image)))
        assert np.allclose(there, method(image), atol=1e-5, equal_nan=True)
    with pytest.raises(InputError, match="to be deskewed"):
        to_space.image(image[:, 1:])


def test_raw_and_fine_pictures_share_their_field():
    """Edge to edge, whatever the shear is: a fine plane lies within half a raw pixel of the raw."""
    grid = VolumeGrid((16, 32, 80), 0.1, 0.25, shear=(-0.31, 1.13))
    raw, fine = Deskewing.of(grid), Deskewing.of(grid, 2)
    assert fine.grid.shape == (16, *(2 * n for n in raw.grid.shape[1:]))
    edges = [np.array(d.origin_um) - 0.5 * d.grid.pixel_um for d in (raw, fine)]
    np.testing.assert_allclose(*edges, atol=1e-12)
    for plane in range(16):
        for r, f in zip(raw.place(plane), fine.place(plane), strict=True):
            assert abs(f.start - 2 * r.start) <= 1
            assert f.start >= 0
            assert f.stop <= 2 * max(raw.grid.shape)


def test_a_stage_scan_on_a_device(to_library, operator):
    """Frames on a device give picture and variance there, in space, as on the host."""
    frames = np.random.default_rng(0).normal(50, 5, operator.frames_shape).astype(np.float32)
    moved = to_library(frames)
    other = Reconstructor(
        operator.pattern, volume_otf(), STAGE, frame_variance_e2=50.0, reference=moved,
        regularization=operator.regularization,
    )  # fmt: skip
    to_space = Deskewing.of(STAGE, 2)
    for change, name in ((to_space.image, "reconstruct"), (to_space.variance, "variance")):
        there = change(getattr(other, name)(moved))
        assert device_of(there) == device_of(moved)
        here = change(getattr(operator, name)(frames))
        assert np.allclose(to_numpy(there), here, atol=1e-4 * np.nanmax(here), equal_nan=True)
