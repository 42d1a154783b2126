"""Volume OTFs: against the planar theory, geometry of rays, other libraries and plain DFTs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.model.psf import AxialProfiles, GridVolumeOTF
from simrecon.physics.otf import evaluate_otf, theoretical_otf
from simrecon.physics.otf_volume import evaluate_volume_otf, mirrored_in_z
from simrecon.physics.pupil import pupil_otf
from simrecon.physics.theory_volume import axial_shift_per_um, theoretical_volume_otf

OPTICS = Optics(
    na=1.3, emission_nm=520, immersion_index=1.518, excitation_nm=488, excitation_na=1.1
)
EXTENT_UM = 5.0
KZ1 = 1.518 / 0.488 - np.sqrt((1.518 / 0.488) ** 2 - (1.1 / 0.488) ** 2)


@pytest.fixture(scope="module")
def otf():
    return theoretical_volume_otf(OPTICS, extent_um=EXTENT_UM)


def at(otf, order, kz, kr):
    return evaluate_volume_otf(otf, order, np.asarray(kz), np.zeros(()), np.asarray(kr))


def through_focus(otf, order, kr, z_um):
    """∫ H(kr, kz) exp(2πi kz z) dkz by a sum over a period of 12.8 µm, relative to kr = z = 0."""
    kz = np.arange(-64, 64) / 12.8
    waves = np.exp(2j * np.pi * kz * np.asarray(z_um)[:, None])
    return waves @ at(otf, order, kz, kr) / np.sum(at(otf, 0, kz, 0.0))


def test_integral_over_kz_is_the_planar_otf(otf):
    kr = np.linspace(0.0, 4.9, 23)
    planar = evaluate_otf(theoretical_otf(OPTICS), np.zeros(1), kr)
    total = [through_focus(otf, 0, k, [0.0])[0] for k in kr]
    np.testing.assert_allclose(total, planar, atol=1.5e-3)


def test_psf_through_focus_within_the_flat_part_of_the_taper(otf):
    z = np.array([-1.2, -0.5, 0.0, 0.3, 0.9])
    for kr in (0.25, 1.0, 2.2, 3.7):
        expected = pupil_otf(OPTICS, np.array([kr]), z_um=z)[:, 0]
        np.testing.assert_allclose(through_focus(otf, 0, kr, z), expected, atol=1.5e-3)


def test_missing_cone_and_axial_edge_of_order_0(otf):
    """Ray geometry: kz of pairs k apart ends at a(k) = f(R − k) − f(R), f(q) = sqrt(w² − q²)."""
    wave, radius = 1.518 / 0.52, 1.3 / 0.52
    leak = 2.0 / EXTENT_UM
    for kr in (0.5, 1.0, 2.0):
        edge = np.sqrt(wave**2 - (radius - kr) ** 2) - np.sqrt(wave**2 - radius**2)
        inside = abs(at(otf, 0, edge - leak, kr))
        outside = abs(at(otf, 0, edge + leak, kr))
        assert outside < 1.5e-3
        assert inside > 20 * outside
    assert abs(at(otf, 0, 4.0 / EXTENT_UM, 0.0)) < 1.5e-3


def test_axial_shift_of_order_1(otf):
    assert axial_shift_per_um(OPTICS) == pytest.approx(KZ1)
    kz, kr = np.linspace(-1.5, 1.5, 41)[:, None], np.linspace(0.3, 4.0, 9)[None]
    shifted = 0.5 * (at(otf, 0, kz - KZ1, kr) + at(otf, 0, kz + KZ1, kr))
    np.testing.assert_allclose(at(otf, 1, kz, kr), shifted, atol=5e-4)
    np.testing.assert_array_equal(at(otf, 2, kz, kr), at(otf, 0, kz, kr))


def test_exactly_zero_outside_the_cut_offs(otf):
    kr = otf.cutoff_per_um
    for order, kz in enumerate(otf.axial_cutoff_per_um):
        outside = at(otf, order, [kz, -kz, 0.0, kz + 1.0], [1.0, 1.0, kr, kr + 1.0])
        assert not outside.any()
        assert at(otf, order, 0.5 * kz, 1.0) != 0


@pytest.mark.parametrize("kind", ["table", "grid"])
def test_open_skewed_and_single_points_agree(otf, kind):
    if kind == "grid":
        psf = np.random.default_rng(1).random((3, 6, 9, 8))
        otf = GridVolumeOTF(psf / psf[0].sum(), 0.3, 0.1, 4.0, (1.5, 1.4, 1.6))
    straight = VolumeGrid((7, 16, 13), 0.07, 0.2)
    skewed = replace(straight, shear=(0.0, 1.3))
    kz, ky, kx = straight.frequencies_per_um()
    on_open = evaluate_volume_otf(otf, 1, kz, ky, kx)
    points = [np.broadcast_to(k, straight.shape).ravel() for k in (kz, ky, kx)]
    single = evaluate_volume_otf(otf, 1, *points).reshape(straight.shape)
    np.testing.assert_allclose(on_open, single, atol=1e-12)
    in_space = skewed.axial_in_space(kz, ky, kx)
    on_skewed = evaluate_volume_otf(otf, 1, in_space, ky, kx)
    points[0] = in_space.ravel()
    single = evaluate_volume_otf(otf, 1, *points).reshape(straight.shape)
    np.testing.assert_allclose(on_skewed, single, atol=1e-12)
    assert np.abs(on_skewed - on_open).max() > 0.01


def test_measured_psf_is_its_dft():
    psf = np.random.default_rng(0).random((2, 4, 6, 8))
    otf = GridVolumeOTF(psf, 0.3, 0.1, 99.0, (99.0, 99.0))
    k = VolumeGrid((4, 6, 8), 0.1, 0.3).frequencies_per_um()
    expected = np.fft.fftn(np.fft.ifftshift(psf[1]))
    np.testing.assert_allclose(evaluate_volume_otf(otf, 1, *k), expected, atol=1e-10)


def test_camera_pixel_multiplies_its_sinc(otf):
    with_pixel = replace(otf, pixel_um=0.1)
    k = (np.array([0.4]), np.array([1.5]), np.array([2.0]))
    ratio = evaluate_volume_otf(with_pixel, 0, *k) / evaluate_volume_otf(otf, 0, *k)
    np.testing.assert_allclose(ratio, np.sinc(0.15) * np.sinc(0.2))


def test_focus_in_another_medium_keeps_its_side():
    """The plane at z sees an emitter at 0 from the distance −z beyond its focus."""
    optics = replace(OPTICS, sample_index=1.40, depth_um=4.0)
    otf = theoretical_volume_otf(optics, illumination="two-beam", extent_um=EXTENT_UM)
    z = np.array([-0.8, -0.4, 0.4, 0.8])
    expected = pupil_otf(optics, np.array([1.5]), z_um=-z)[:, 0]
    np.testing.assert_allclose(through_focus(otf, 0, 1.5, z), expected, atol=2e-3)
    assert abs(expected[0] - expected[-1]) > 0.02


def test_sheet_profiles_multiply_the_psf():
    z = np.linspace(-4.0, 4.0, 161)
    sheet = AxialProfiles(z, np.exp(-0.5 * np.stack([z / 0.6, z / 0.4]) ** 2)).moved(0.3)
    # the sheet lies 0.3 µm deeper than the focal plane: seen best from the plane at −0.3 µm
    otf = theoretical_volume_otf(OPTICS, illumination=sheet, extent_um=EXTENT_UM)
    assert at(otf, 0, 0.0, 0.0) == pytest.approx(1.0)
    at_z = np.array([0.6, 0.0, -0.3, -0.9])
    found = through_focus(otf, 1, 1.0, at_z)
    plain = pupil_otf(OPTICS, np.array([1.0]), z_um=at_z)[:, 0]
    centre = np.exp(-0.5 * (0.3 / 0.6) ** 2)  # through_focus is relative to order 0 at z = 0
    expected = plain * np.exp(-0.5 * ((at_z + 0.3) / 0.4) ** 2) / centre
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_negative_orders_are_the_transforms_of_the_conjugate_psf():
    rng = np.random.default_rng(2)
    psf = rng.random((2, 5, 6, 7)) + 1j * rng.random((2, 5, 6, 7))
    k = VolumeGrid((5, 6, 7), 0.1, 0.3).frequencies_per_um()
    otf = GridVolumeOTF(psf, 0.3, 0.1, 99.0, (99.0, 99.0))
    conjugate = replace(otf, psf=psf.conj())
    expected = evaluate_volume_otf(conjugate, 1, *k)
    np.testing.assert_allclose(evaluate_volume_otf(otf, -1, *k), expected, atol=1e-12)


def test_planes_counted_the_other_way():
    rng = np.random.default_rng(3)
    for planes in (4, 5):
        otf = GridVolumeOTF(rng.random((2, planes, 6, 7)), 0.3, 0.1, 99.0, (99.0, 99.0))
        # no Nyquist frequency along z, which is its own mirror image
        k = VolumeGrid((3, 6, 7), 0.1, 0.37).frequencies_per_um()
        mirrored = evaluate_volume_otf(mirrored_in_z(otf), 1, *k)
        expected = evaluate_volume_otf(otf, 1, -k[0], *k[1:])
        if planes % 2:
            np.testing.assert_allclose(mirrored, expected, atol=1e-12)
        again = mirrored_in_z(mirrored_in_z(otf))
        np.testing.assert_array_equal(again.psf, otf.psf)


def test_radial_table_mirrored_in_z():
    optics = replace(OPTICS, sample_index=1.40, depth_um=4.0)
    otf = theoretical_volume_otf(optics, illumination="two-beam", extent_um=2.0)
    kz = np.linspace(-1.0, 1.0, 7)
    mirrored = at(mirrored_in_z(otf), 1, kz, 1.0)
    np.testing.assert_allclose(mirrored, at(otf, 1, -kz, 1.0), atol=1e-7)
    assert np.abs(mirrored - at(otf, 1, kz, 1.0)).max() > 0.01


def test_missing_order_is_refused(otf):
    for order in (-3, 3):
        with pytest.raises(UsageError, match="does not hold this order"):
            at(otf, order, 0.0, 0.0)


def test_three_beams_need_the_excitation():
    with pytest.raises(UsageError, match="excitation's wavelength and NA"):
        theoretical_volume_otf(replace(OPTICS, excitation_na=None))


@pytest.mark.parametrize("correction, model", [("none", "scalar"), ("total", "vectorial")])
def test_three_dimensional_otf_agrees_with_pyotf(correction, model):
    """Their PSF stack, tapered as ours, transformed: the whole (kz, kx) plane."""
    library = pytest.importorskip("pyotf.otf")
    planes, size, pixel_um, dz_um = 48, 151, 0.08, 0.125
    extent_um = planes * dz_um
    theirs = library.HanserPSF(
        wl=520, na=1.3, ni=1.518, res=1e3 * pixel_um, size=size, zres=1e3 * dz_um, zsize=planes,
        vec_corr=correction, condition="sine",
    )  # fmt: skip
    z = np.asarray(theirs.zrange) * 1e-3
    ramp = np.clip((np.abs(z) - 0.25 * extent_um) / (0.25 * extent_um), 0.0, 1.0)
    stack = theirs.PSFi / theirs.PSFi.sum(axis=(1, 2), keepdims=True)
    stack *= (0.5 + 0.5 * np.cos(np.pi * ramp))[:, None, None]
    expected = np.fft.fft(np.fft.fft(np.fft.ifftshift(stack.sum(axis=1)), axis=0), axis=1)
    kx, kz = np.fft.fftfreq(size, pixel_um), np.fft.fftfreq(planes, dz_um)
    ours = theoretical_volume_otf(OPTICS, illumination="two-beam", model=model, extent_um=extent_um)
    near = np.abs(kx) < 4.5
    found = evaluate_volume_otf(ours, 0, kz[:, None], np.zeros((1, 1)), kx[None, near])
    np.testing.assert_allclose(found, expected[:, near] / expected[0, 0].real, atol=6e-3)
