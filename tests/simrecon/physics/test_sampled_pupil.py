"""Sampled, aberrated pupils against the exact quadrature, finite differences and plain physics."""

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D, sphere_otf
from simrecon.physics.pupil import pupil_psf
from simrecon.physics.zernike import noll_to_nm, zernike

OIL = Optics(na=1.4, emission_nm=525.0)
DRY = Optics(na=0.6, emission_nm=520.0, immersion_index=1.0)
DEEP = Optics(na=1.2, emission_nm=525.0, sample_index=1.36, depth_um=2.0)


def test_noll_order():
    pairs = [noll_to_nm(j) for j in range(1, 12)]
    assert pairs == [(0, 0), (1, 1), (1, -1), (2, 0), (2, -2), (2, 2), (3, -1), (3, 1),
                     (3, -3), (3, 3), (4, 0)]  # fmt: skip
    assert noll_to_nm(22) == (6, 0)
    with pytest.raises(UsageError, match="begins at 1"):
        noll_to_nm(0)


def test_polynomials_are_orthonormal():
    rho = np.sqrt((np.arange(400) + 0.5) / 400)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, 64, endpoint=False)[None, :]
    values = np.stack([zernike(j, rho, azimuth).ravel() for j in range(1, 23)])
    np.testing.assert_allclose(values @ values.T / values.shape[1], np.eye(22), atol=2e-3)


@pytest.mark.parametrize("optics", [OIL, DEEP])
def test_unaberrated_psf_equals_the_quadrature(optics):
    z_um = (-0.5, 0.0, 0.5)
    exact = pupil_psf(optics, Grid((193, 193), 0.06), z_um=z_um)[:, 80:113, 80:113]
    ours = Camera3D((33, 33), 0.06, z_um, pixel_integration=False).image(optics)
    np.testing.assert_allclose(ours, exact, atol=3e-3 * exact.max())


def test_pixel_and_sphere_equal_their_convolutions():
    """A pixel is the mean of a finer grid, a bead the mean of points in the sphere."""
    z_um, pixel = (-0.2, 0.3), 0.1
    point = Camera3D((9, 9), pixel, z_um, pixel_integration=False)
    steps = (np.arange(7) - 3) / 7 * pixel
    mean = np.mean([point.image(OIL, position_um=(0, y, x)) for y in steps for x in steps], axis=0)
    got = Camera3D((9, 9), pixel, z_um).image(OIL)
    np.testing.assert_allclose(got, mean, atol=6e-3 * mean.max())
    lattice = (np.arange(9) - 4) / 9 * 0.2
    places = [(a, b, c) for a in lattice for b in lattice for c in lattice
              if a * a + b * b + c * c < 0.01]  # fmt: skip
    coarse = Camera3D((7, 7), pixel, (0.1,), pixel_integration=False)
    mean = np.mean([coarse.image(OIL, position_um=p) for p in places], axis=0)
    got = Camera3D((7, 7), pixel, (0.1,), pixel_integration=False, bead_um=0.2).image(OIL)
    np.testing.assert_allclose(got, mean, atol=0.02 * mean.max())


def test_sphere_otf_is_the_transform_of_a_ball():
    h = np.linspace(-0.5, 0.5, 20001)
    section = 6.0 * (0.25 - h**2)  # area of a ball of diameter 1 at height h, integral 1
    for k in (0.0, 1e-4, 0.4, 1.0, 1.6):
        direct = np.trapezoid(section * np.cos(2 * np.pi * k * h), h)
        assert sphere_otf(np.array(k), 1.0) == pytest.approx(direct, abs=1e-6)


@pytest.mark.parametrize("optics", [OIL, DRY])
def test_slopes_equal_differences(optics):
    camera = Camera3D((11, 12), 0.1, (-0.4, 0.3), bead_um=0.1)
    terms = (6, 7, 11)
    base = {"position_um": (0.05, 0.02, -0.03), "aberrations_nm": {6: 20.0, 7: -15.0, 11: 10.0},
            "apodisation": 0.2, "blur_um2": 0.001}  # fmt: skip
    image, slopes = camera.image_and_slopes(optics, terms, **base)
    np.testing.assert_allclose(image, camera.image(optics, **base), rtol=1e-12, atol=1e-15)
    changes = []
    for axis in range(3):
        moved = [list(base["position_um"]) for _ in range(2)]
        moved[0][axis] += 1e-4
        moved[1][axis] -= 1e-4
        changes.append((1e-4, [{**base, "position_um": tuple(m)} for m in moved]))
    changes.append((1e-4, [{**base, "apodisation": 0.2 + s} for s in (1e-4, -1e-4)]))
    changes.append((1e-5, [{**base, "blur_um2": 0.001 + s} for s in (1e-5, -1e-5)]))
    for j in terms:
        parts = [{**base["aberrations_nm"]} for _ in range(2)]
        parts[0][j] += 0.01
        parts[1][j] -= 0.01
        changes.append((0.01, [{**base, "aberrations_nm": p} for p in parts]))
    for slope, (step, (up, down)) in zip(slopes, changes, strict=True):
        expected = (camera.image(optics, **up) - camera.image(optics, **down)) / (2 * step)
        np.testing.assert_allclose(slope, expected, atol=2e-4 * np.abs(expected).max())


def test_aberrations_do_what_their_names_say():
    camera = Camera3D((31, 31), 0.08, (-0.4, 0.0, 0.4), pixel_integration=False)
    y, x = np.mgrid[:31, :31] - 15.0

    def moments(image):
        image = image * (np.hypot(y, x) < 9)
        image = image / image.sum()
        cy, cx = (image * y).sum(), (image * x).sum()
        return cy, cx, (image * (y - cy) ** 2).sum(), (image * (x - cx) ** 2).sum()

    bent = [moments(p) for p in camera.image(OIL, aberrations_nm={6: 40.0})]
    assert bent[0][2] < 0.8 * bent[0][3] or bent[0][2] > 1.2 * bent[0][3]
    assert (bent[0][2] - bent[0][3]) * (bent[2][2] - bent[2][3]) < 0  # turns over through focus
    coma = moments(camera.image(OIL, aberrations_nm={8: 40.0})[1])
    assert abs(coma[1]) > 0.3
    assert abs(coma[0]) < 0.01
    flat, sphere = (camera.image(OIL, aberrations_nm=a)[:, 15, 15] for a in ({}, {11: 40.0}))
    assert flat[0] == pytest.approx(flat[2], rel=1e-9)
    assert abs(np.log(sphere[0] / sphere[2])) > 0.1


def test_every_plane_has_the_same_flux():
    planes = Camera3D((61, 61), 0.1, (0.0, 0.6)).image(OIL, apodisation=0.5).sum(axis=(1, 2))
    np.testing.assert_allclose(planes, 1.0, atol=0.04)
