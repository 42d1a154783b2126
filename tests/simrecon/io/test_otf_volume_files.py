"""Three-dimensional OTF files: written word by word here, and the real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from mrc_maker import make_mrc
from real_data import real

from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io.otf_volume_files import read_volume_otf
from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.physics.measured_volume import lit_as_sheet
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.pupil import pupil_otf
from simrecon.physics.theory_volume import axial_shift_per_um, theoretical_volume_otf

OPTICS = Optics(
    na=1.3, emission_nm=525, immersion_index=1.515, excitation_nm=488, excitation_na=1.1
)
OMX = Optics(na=1.42, emission_nm=528, excitation_nm=488, excitation_na=1.2)
PIXEL_UM, DZ_UM, RADII, HEIGHTS = 0.08, 0.125, 65, 48
CONTRAST = (1.0, 0.4, 0.25)
AXIAL_PHASE_RAD = 0.7


@pytest.fixture(scope="module")
def table():
    """(orders, kr, kz) of 48 planes, with contrasts and an axial phase of order 1."""
    kr = np.arange(RADII) / (2 * PIXEL_UM * (RADII - 1))
    z = DZ_UM * np.fft.fftfreq(HEIGHTS, 1 / HEIGHTS)
    through_focus = pupil_otf(OPTICS, kr, z_um=z)
    turn = np.cos(2 * np.pi * axial_shift_per_um(OPTICS) * z + AXIAL_PHASE_RAD)
    light = [
        c * g for c, g in zip(CONTRAST, (np.ones(HEIGHTS), turn, np.ones(HEIGHTS)), strict=True)
    ]
    return np.stack([np.fft.fft(through_focus * g[:, None], axis=0).T / HEIGHTS for g in light])


def mrc(tmp_path, table, endian="<", name="otf.mrc", **kwargs):
    spacing = (1 / (DZ_UM * HEIGHTS), 1 / (2 * PIXEL_UM * (RADII - 1)), 0.0)
    return make_mrc(tmp_path / name, table, mode=4, endian=endian, spacing=spacing, **kwargs)


def interleaved(tmp_path, table):
    pairs = np.stack([table.real, table.imag], axis=-1).reshape(*table.shape[:2], -1)
    tifffile.imwrite(tmp_path / "otf.tif", pairs.astype(np.float32), photometric="minisblack")
    return tmp_path / "otf.tif"


def check_values(otf, table):
    """The nodes of the table within the cut-offs; kz of the file is in FFT order."""
    kr = np.arange(1, 50)[None] / (2 * PIXEL_UM * (RADII - 1))
    kz = np.fft.fftfreq(HEIGHTS, DZ_UM)
    for m, contrast in enumerate(CONTRAST):
        near = np.abs(kz) < otf.axial_cutoff_per_um[m] - 0.01
        got = evaluate_volume_otf(otf, m, kz[near, None], np.zeros((1, 1)), kr)
        expected = table[m, 1:50, near] / contrast
        np.testing.assert_allclose(got, expected, rtol=0.01, atol=4e-3)
        beyond = table[m, 1:50, ~near] / contrast
        assert np.abs(beyond).max(initial=0.0) < 0.02


@pytest.mark.parametrize("endian", ["<", ">"])
def test_priism_of_either_byte_order(tmp_path, table, endian):
    (otf,) = read_volume_otf(mrc(tmp_path, table, endian), OPTICS)
    check_values(otf, table)
    assert otf.cutoff_per_um == pytest.approx(OPTICS.cutoff_per_um)


def test_tiff_takes_its_scale_from_the_bead_stack(tmp_path, table):
    path = interleaved(tmp_path, table)
    (otf,) = read_volume_otf(path, OPTICS, pixel_um=PIXEL_UM, dz_um=DZ_UM)
    check_values(otf, table)
    with pytest.raises(MetadataError, match="no frequency scale"):
        read_volume_otf(path, OPTICS, pixel_um=PIXEL_UM)


def test_tiff_with_another_scale_is_refused(tmp_path, table):
    path = interleaved(tmp_path, table)
    for pixel_um, dz_um, what in ((0.16, DZ_UM, "lateral"), (PIXEL_UM, 0.3, "axial")):
        with pytest.raises(InputError, match=what):
            read_volume_otf(path, OPTICS, pixel_um=pixel_um, dz_um=dz_um)


def test_row_copied_over_a_spoiled_origin(tmp_path, table):
    """Bead programs copy row 1 to row 0 but for the origin, on which the background falls."""
    spoiled = table.copy()
    spoiled[:, 0, 1:] = spoiled[:, 1, 1:]
    spoiled[0, 0, 0] = 1.3
    (otf,) = read_volume_otf(mrc(tmp_path, spoiled / 1.3), OPTICS)
    assert "origin repaired" in otf.source
    check_values(otf, table)
    assert "origin" not in read_volume_otf(mrc(tmp_path, table), OPTICS)[0].source
    beside = evaluate_volume_otf(otf, 0, np.array([1 / 6.0]), np.zeros(1), np.zeros(1))
    assert abs(beside[0]) < 1e-6


def test_one_set_of_orders_for_each_direction(tmp_path, table):
    three = np.concatenate([table] * 3)
    path = mrc(tmp_path, three)
    assert len(read_volume_otf(path, OPTICS, orders=3)) == 3
    assert len(read_volume_otf(path, OPTICS)) == 3
    with pytest.raises(InputError, match="sets of orders"):
        read_volume_otf(mrc(tmp_path, np.concatenate([three, table[:1]])), OPTICS)
    path = mrc(tmp_path, three)
    with pytest.raises(InputError, match="sets of orders"):
        read_volume_otf(path, OPTICS, orders=4)
    with pytest.raises(UsageError, match="order 0"):
        read_volume_otf(path, OPTICS, orders=0)


def test_wavelength_of_the_header(tmp_path, table):
    path = mrc(tmp_path, table, wave=525)
    with pytest.raises(InputError, match="another wavelength") as caught:
        read_volume_otf(path, replace(OPTICS, emission_nm=600))
    assert "600 nm" in caught.value.expected
    assert "525 nm" in caught.value.got


@pytest.mark.parametrize("kind", ["psf", "otf"])
def test_arrays_of_each_direction(tmp_path, kind):
    grid = VolumeGrid((24, 32, 30), PIXEL_UM, DZ_UM)
    theory = theoretical_volume_otf(OPTICS, extent_um=2.8)
    k = grid.frequencies_per_um()
    otf = np.stack([c * evaluate_volume_otf(theory, m, *k) for m, c in enumerate(CONTRAST)])
    psf = np.fft.fftshift(np.fft.ifftn(otf, axes=(1, 2, 3)), axes=(1, 2, 3))
    stored = {"psf": np.stack([psf, psf]), "otf": otf}[kind]
    path = tmp_path / "otf.npz"
    np.savez(path, **{kind: stored}, pixel_um=PIXEL_UM, dz_um=DZ_UM)
    found = read_volume_otf(path, OPTICS)
    assert len(found) == (2 if kind == "psf" else 1)
    for m in range(3):
        got = evaluate_volume_otf(found[-1], m, *k)
        np.testing.assert_allclose(got, otf[m] / CONTRAST[m], atol=0.02)
    with pytest.raises(MetadataError, match="needs the optics"):
        read_volume_otf(path)


@pytest.mark.parametrize(
    "content, what",
    [({"psf": np.ones((2, 4, 4))}, "holds no OTF"), ({}, "holds no OTF")],
)
def test_unusable_arrays(tmp_path, content, what):
    np.savez(tmp_path / "otf.npz", **content)
    with pytest.raises(InputError, match=what):
        read_volume_otf(tmp_path / "otf.npz", OPTICS)
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match="cannot be read"):
        read_volume_otf(tmp_path / "bad.npz", OPTICS)


def test_unusable_files(tmp_path, table):
    with pytest.raises(InputError, match="does not exist"):
        read_volume_otf(tmp_path / "none.mrc")
    (tmp_path / "otf.txt").write_text("no")
    with pytest.raises(InputError, match="Unknown kind"):
        read_volume_otf(tmp_path / "otf.txt")
    dark = table.copy()
    dark[0, 0, 0] = 0
    with pytest.raises(InputError, match="not usable"):
        read_volume_otf(mrc(tmp_path, dark))
    tifffile.imwrite(tmp_path / "image.tif", np.arange(64, dtype=np.uint16).reshape(8, 8))
    with pytest.raises(InputError, match="no OTF table"):
        read_volume_otf(tmp_path / "image.tif", pixel_um=0.1, dz_um=0.1)
    frames = make_mrc(tmp_path / "raw.mrc", np.ones((3, 8, 8)), mode=2)
    with pytest.raises(InputError, match="no 3-D OTF"):
        read_volume_otf(frames)


@pytest.mark.data
def test_real_three_order_files():
    """The side lobes of order 1 lie at kz1; of orders 0 and 2 the kz line at low kr is central."""
    (omx,) = read_volume_otf(real("cudasirecon-3dsim/otf.dv"), OMX)
    (noisy,) = read_volume_otf(real("cudasirecon-3dsim/otf.tif"), OMX, pixel_um=0.08, dz_um=0.125)
    path = real("zsdeconvnet/otf/3D-488-OTF-1.17NA-ang2-0.160step-20-25-3.mrc")
    water = Optics(1.3, 525, 1.333, excitation_nm=488, excitation_na=1.17)
    (big_endian,) = read_volume_otf(path, water)
    for otf, kz1 in ((omx, 1.21), (noisy, 1.11), (big_endian, 1.42)):
        assert otf.orders == 3
        row = np.abs(otf.values[:, 1])
        assert abs(abs(otf.kz_per_um[np.argmax(row[1])]) - kz1) < 0.1
        assert abs(otf.kz_per_um[np.argmax(row[0])]) < 0.01
        assert abs(otf.kz_per_um[np.argmax(row[2])]) < 0.13
        assert not lit_as_sheet(otf)


@pytest.mark.data
def test_real_light_sheet_files_hold_one_order():
    for name, emission in (("488", 525), ("642", 680)):
        optics = Optics(1.1, emission, 1.33, excitation_nm=float(name), excitation_na=0.55)
        (otf,) = read_volume_otf(
            real(f"llspy-otf/{name}_otf.tif"), optics, pixel_um=0.104, dz_um=0.1
        )
        assert otf.orders == 1
        assert lit_as_sheet(otf)
