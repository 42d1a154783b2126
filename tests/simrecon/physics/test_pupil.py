"""The pupil against two independent libraries and against textbook Fresnel coefficients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.pupil import _best_focus, _rays, pupil_otf, pupil_psf

OIL = Optics(na=1.4, emission_nm=525.0)


def _azimuthal_mean(image: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.rint(k / k[0, 1]).astype(int).ravel()
    count = np.bincount(index)
    return (
        np.bincount(index, k.ravel()) / count,
        np.bincount(index, image.ravel()) / count,
    )


@pytest.mark.parametrize("na", [1.4, 1.2])
@pytest.mark.parametrize("correction, model", [("none", "scalar"), ("total", "vectorial")])
@pytest.mark.parametrize("z_um", [0.0, 0.4])
def test_otf_agrees_with_pyotf(na, correction, model, z_um):
    pyotf = pytest.importorskip("pyotf.otf")
    size, pixel_um = 385, 0.05
    theirs = pyotf.HanserPSF(
        wl=525,
        na=na,
        ni=1.515,
        res=pixel_um * 1e3,
        size=size,
        zrange=[z_um * 1e3],
        vec_corr=correction,
        condition="sine",
    ).PSFi[0]
    otf = np.fft.fft2(np.fft.ifftshift(theirs)).real
    frequency = np.fft.fftfreq(size, pixel_um)
    k, mean = _azimuthal_mean(otf / otf[0, 0], np.hypot(frequency[:, None], frequency[None, :]))
    ours = pupil_otf(Optics(na=na, emission_nm=525.0), k[:110], model=model, z_um=(z_um,))[0]
    assert np.max(np.abs(ours - mean[:110])) < 3e-3  # their pupil edge follows the pixels


def test_planes_lie_where_pyotf_puts_them_for_an_even_number():
    pyotf = pytest.importorskip("pyotf.otf")
    theirs = pyotf.HanserPSF(
        wl=525, na=1.4, ni=1.515, res=60, size=129, zres=200, zsize=4, vec_corr="total"
    )
    z_um = np.asarray(theirs.zrange) * 1e-3
    ours = pupil_psf(OIL, Grid((129, 129), 0.06), z_um=z_um)
    stack = theirs.PSFi / theirs.PSFi.sum(axis=(1, 2), keepdims=True)
    assert z_um[2] == 0.0
    np.testing.assert_allclose(ours, stack, atol=0.02 * stack.max())


def test_scalar_psf_agrees_with_the_psf_package_at_low_aperture():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("psf")
        obs = library.PSF(
            library.EMISSION | library.ISOTROPIC,
            shape=(2, 33),
            dims=(0.5, 1.65),
            ex_wavelen=488.0,
            em_wavelen=520.0,
            num_aperture=0.3,
            refr_index=1.0,
            pinhole_radius=None,
        )
        theirs = np.asarray(obs.data)[0]
    optics = Optics(na=0.3, emission_nm=520.0, immersion_index=1.0)
    pitch = 1.65 / 33
    ours = pupil_psf(optics, Grid((513, 513), pitch), model="scalar")[0, 256, 256 : 256 + 33]
    np.testing.assert_allclose(ours / ours[0], theirs / theirs[0], atol=0.02)


@pytest.mark.parametrize("shape", [(64, 65), (65, 64), (31, 32)])
def test_psf_is_centred_normalised_and_band_limited(shape):
    psf = pupil_psf(OIL, Grid(shape, 0.06), z_um=(-0.3, 0.0, 0.3))
    assert psf.dtype == np.float32
    np.testing.assert_allclose(psf.sum(axis=(1, 2)), 1.0, atol=1e-5)
    assert np.unravel_index(psf[1].argmax(), shape) == (shape[0] // 2, shape[1] // 2)
    np.testing.assert_allclose(psf[0], psf[2], atol=1e-7)
    otf = np.abs(np.fft.fft2(psf[1].astype(np.float64)))
    k = np.hypot(
        *(
            np.fft.fftfreq(n, 0.06).reshape(s)
            for n, s in zip(shape, ((-1, 1), (1, -1)), strict=True)
        )
    )
    assert np.max(otf[k >= OIL.cutoff_per_um]) < 1e-6
    assert np.min(otf[k < 0.5 * OIL.cutoff_per_um]) > 0.2


def test_coarse_grid_samples_the_psf_without_filtering_it():
    fine = pupil_psf(OIL, Grid((192, 192), 0.05))[0]
    coarse = pupil_psf(OIL, Grid((64, 64), 0.15))[0]
    np.testing.assert_allclose(coarse / coarse.max(), fine[::3, ::3] / fine.max(), atol=1e-5)


def test_amplitudes_are_the_fresnel_coefficients():
    n_s, n_i, wavelength = 1.33, 1.515, 0.525
    optics = Optics(na=1.4, emission_nm=525.0, sample_index=n_s)
    theta_s = np.linspace(0.01, 1.4, 9)
    rays = _rays(optics, n_s * np.sin(theta_s) / wavelength, scalar=False)
    theta_i = np.arcsin(n_s * np.sin(theta_s) / n_i)
    cs, ci = np.cos(theta_s), np.cos(theta_i)
    t_s = 2 * n_s * cs / (n_s * cs + n_i * ci)
    t_p = 2 * n_s * cs / (n_i * cs + n_s * ci)
    far_field = (n_i * ci) / (n_s * cs) / np.sqrt(ci)
    np.testing.assert_allclose(rays.s, far_field * t_s, rtol=1e-9)
    np.testing.assert_allclose(rays.p, far_field * t_p, rtol=1e-9)


@pytest.mark.parametrize(
    "na, n_s, depth_um", [(1.49, 1.33, 0.0), (1.3, 1.33, 0.0), (1.2, 1.36, 2.0)]
)
def test_mismatched_otf_equals_an_fft_over_six_dipole_pupils(na, n_s, depth_um):
    """The textbook route: sampled pupils of 3 dipole axes x 2 polarisations, FFT, sum, FFT back."""
    n_i, wavelength, size, pitch = 1.515, 0.525, 512, 0.04
    f = np.fft.fftfreq(size, pitch)
    fy, fx = f[:, None], f[None, :]
    k = np.hypot(fy, fx)
    inside = k < na / wavelength
    kz_i = np.sqrt(np.where(inside, (n_i / wavelength) ** 2 - k**2, 1.0))
    kz_s = np.sqrt((n_s / wavelength) ** 2 - k**2 + 0j)
    cos, sin = kz_s * wavelength / n_s, k * wavelength / n_s
    with np.errstate(invalid="ignore"):
        c, s = np.where(k > 0, fx / k, 1.0), np.where(k > 0, fy / k, 0.0)
    t_s = 2 * kz_s / (kz_s + kz_i)
    t_p = 2 * n_s * n_i * kz_s / (n_i**2 * kz_s + n_s**2 * kz_i)
    common = inside * kz_i / kz_s / np.sqrt(kz_i * wavelength / n_i)
    slope, _ = _best_focus(
        Optics(na=na, emission_nm=525.0, sample_index=n_s, depth_um=depth_um), wavelength, n_i, n_s
    )
    common = common * np.exp(2j * np.pi * (depth_um * kz_s - slope * kz_i))
    p_dipole, s_dipole = (cos * c, cos * s, -sin + 0j), (-s, c, 0.0)
    psf = np.zeros((size, size))
    for axis in range(3):
        along_x = common * (t_p * p_dipole[axis] * c - t_s * s_dipole[axis] * s)
        along_y = common * (t_p * p_dipole[axis] * s + t_s * s_dipole[axis] * c)
        psf += np.abs(np.fft.fft2(along_x)) ** 2 + np.abs(np.fft.fft2(along_y)) ** 2
    otf = np.fft.fft2(psf).real
    radius, mean = _azimuthal_mean(otf / otf[0, 0], k)
    optics = Optics(na=na, emission_nm=525.0, sample_index=n_s, depth_um=depth_um)
    ours = pupil_otf(optics, radius[:110])[0]
    assert np.max(np.abs(ours - mean[:110])) < 4e-3


def test_matched_sample_changes_nothing_at_any_depth():
    k = np.linspace(0, 5, 20)
    same = Optics(na=1.4, emission_nm=525.0, sample_index=1.515, depth_um=4.0)
    np.testing.assert_allclose(pupil_otf(same, k), pupil_otf(OIL, k), atol=1e-5)


def test_spherical_aberration_grows_with_depth_and_best_focus_is_near_zero():
    k = np.linspace(0, 4, 30)
    sums = []
    for depth in (0.0, 3.0, 10.0):
        deep = Optics(na=1.2, emission_nm=525.0, sample_index=1.36, depth_um=depth)
        sums.append(pupil_otf(deep, k, z_um=(-0.4, 0.0, 0.4)).sum(axis=1))
    assert sums[0][1] > sums[1][1] > sums[2][1]
    for planes in sums:
        assert planes[1] > planes[0]
        assert planes[1] > planes[2]


def test_unknown_model_is_refused():
    with pytest.raises(UsageError, match="scalar or vectorial"):
        pupil_psf(OIL, Grid((16, 16), 0.06), model="born")
