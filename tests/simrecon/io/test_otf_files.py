import base64

import numpy as np
import pytest
import tifffile
from mrc_maker import make_mrc

from simrecon.errors import InputError, MetadataError
from simrecon.io import read_otf
from simrecon.io.otf_files import data_cutoff, repair_origin
from simrecon.model.optics import Optics
from simrecon.model.psf import GridOTF, RadialOTF

OPTICS = Optics(1.4, 525.0)
STEP = 0.0312
K = STEP * np.arange(257)


def ideal(k, cutoff=OPTICS.cutoff_per_um):
    """2/π (acos v − v sqrt(1 − v²)), Goodman 7-41."""
    v = np.clip(k / cutoff, 0, 1)
    return 2 / np.pi * (np.arccos(v) - v * np.sqrt(1 - v**2))


def radial_mrc(path, values, endian="<"):
    samples = np.asarray(values, complex)[None, None]
    return make_mrc(path, samples, mode=4, endian=endian, spacing=(STEP, STEP, 0.05))


@pytest.mark.parametrize("endian", ["<", ">"])
def test_radial_otf(tmp_path, endian):
    otf = read_otf(radial_mrc(tmp_path / "a.mrc", 0.5 * ideal(K), endian), OPTICS)
    assert isinstance(otf, RadialOTF)
    np.testing.assert_allclose(otf.k_per_um, K, rtol=1e-5)
    assert otf.cutoff_per_um == OPTICS.cutoff_per_um
    assert otf.values[0] == 1.0
    inside = ideal(K) > 0.002
    np.testing.assert_allclose(otf.values[inside], ideal(K)[inside], atol=1e-6)
    assert otf.pixel_um is None


def test_noise_beyond_the_cutoff_is_cut(tmp_path):
    noise = np.random.default_rng(2).normal(0, 1e-3, K.size)
    noise[0] = 0
    path = radial_mrc(tmp_path / "a.mrc", ideal(K) + noise)
    for optics in (OPTICS, None):
        otf = read_otf(path, optics)
        assert np.all(otf.values[otf.cutoff_per_um <= K] == 0)
        assert 0.85 * OPTICS.cutoff_per_um < otf.cutoff_per_um <= OPTICS.cutoff_per_um
        assert np.count_nonzero(otf.values) > 140


def test_spoiled_origin_is_extrapolated(tmp_path):
    values = ideal(K)
    values[0] *= 1.25
    otf = read_otf(radial_mrc(tmp_path / "a.mrc", values), OPTICS)
    np.testing.assert_allclose(otf.values[1:140], ideal(K)[1:140], rtol=2e-3)
    assert "origin extrapolated" in otf.source


def test_three_orders_give_the_plane_in_focus(tmp_path):
    kz = np.fft.fftfreq(21)
    lines = [np.exp(-((kz * 40 / (1 + 5 * k)) ** 2)) for k in K]
    order0 = np.array([line / line.sum() * h for line, h in zip(lines, ideal(K), strict=True)])
    samples = np.stack([order0, 0.3 * order0, 0.1j * order0])
    path = make_mrc(tmp_path / "a.mrc", samples, mode=4, endian=">", spacing=(0.06, STEP, 0.0))
    otf = read_otf(path, OPTICS)
    inside = ideal(K) > 0.002
    np.testing.assert_allclose(otf.values[inside], ideal(K)[inside], atol=1e-5)
    assert "order 0 of 3, summed over kz" in otf.source


@pytest.mark.parametrize(
    ("optics", "number"), [(Optics(0.8, 525.0), "3.05"), (Optics(1.4, 900.0), "3.11")]
)
def test_otf_of_other_optics_is_refused_with_both_numbers(tmp_path, optics, number):
    wide = ideal(K, 6.4)
    with pytest.raises(InputError, match="does not belong to these optics") as info:
        read_otf(radial_mrc(tmp_path / "a.mrc", wide), optics)
    assert number in (info.value.expected or "")
    assert float((info.value.got or "").split()[0]) == pytest.approx(6.35, abs=0.15)


@pytest.mark.parametrize("values", [np.zeros(257), np.full(257, np.nan), -ideal(K)])
def test_unusable_values(tmp_path, values):
    with pytest.raises(InputError, match="not usable"):
        read_otf(radial_mrc(tmp_path / "a.mrc", values))


def test_real_mrc_is_no_otf(tmp_path):
    with pytest.raises(InputError, match="no OTF"):
        read_otf(make_mrc(tmp_path / "a.mrc", np.ones((1, 9, 9)), mode=2))


def test_missing_step(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", ideal(K)[None, None], mode=4, spacing=(0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="frequency step"):
        read_otf(path)


def test_unsupported_shape(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", np.ones((9, 16, 16)), mode=4)
    with pytest.raises(InputError, match="shape"):
        read_otf(path)


def test_fairsim_xml(tmp_path):
    pairs = np.zeros(129, ">c8")
    pairs[:] = ideal(0.05 * np.arange(129))
    text = base64.b64encode(pairs.tobytes()).decode()
    path = tmp_path / "otf.xml"
    path.write_text(
        f"<fairsim><otf2d><NA> 1.4 </NA><data><band-1>BASE64:AAAA:END64</band-1>"
        f"<band-0 type='data'> BASE64:{text}:END64 </band-0><cycles> 5.0e-02 </cycles>"
        "</data></otf2d></fairsim>"
    )
    otf = read_otf(path, OPTICS)
    assert np.interp(2.0, otf.k_per_um, otf.values) == pytest.approx(ideal(2.0), abs=1e-3)


@pytest.mark.parametrize("text", ["<a/>", "<fairsim><otf2d><NA> 1.4 </NA></otf2d></fairsim>", "no"])
def test_other_xml(tmp_path, text):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError, match="no fairSIM OTF"):
        read_otf(path)


def gaussian_psf(shape, pixel_um, centre, sigma_um=0.09):
    y, x = (np.arange(n) - c for n, c in zip(shape, centre, strict=True))
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) * pixel_um**2 / (2 * sigma_um**2))


def test_psf_stack(tmp_path):
    planes = [
        gaussian_psf((41, 44), 0.065, (19.3, 23.8), s) * 0.01 / s**2 for s in (0.2, 0.09, 0.2)
    ]
    stack = 100 + 1000 * np.array(planes)
    path = tmp_path / "psf.ome.tif"
    tifffile.imwrite(
        path, stack.astype(np.uint16), metadata={"axes": "ZYX", "PhysicalSizeX": 0.065},
        photometric="minisblack",
    )  # fmt: skip
    otf = read_otf(path, OPTICS)
    assert isinstance(otf, GridOTF)
    assert otf.pixel_um == 0.065
    assert otf.psf.sum() == pytest.approx(1.0)
    assert np.unravel_index(np.argmax(otf.psf), otf.psf.shape) == (20, 22)
    assert "plane 1 of 3" in otf.source
    assert otf.cutoff_per_um == OPTICS.cutoff_per_um


def test_psf_without_scale_or_optics(tmp_path):
    path = tmp_path / "psf.tif"
    tifffile.imwrite(path, gaussian_psf((33, 33), 0.065, (16, 16)).astype(np.float32))
    with pytest.raises(MetadataError, match="pixel size"):
        read_otf(path, OPTICS)
    with pytest.raises(MetadataError, match="NA and emission"):
        read_otf(path, pixel_um=0.065)
    assert isinstance(read_otf(path, OPTICS, pixel_um=0.065), GridOTF)


@pytest.mark.parametrize("factor", [0.5, 2.2])
def test_psf_with_a_wrong_pixel_size_is_refused(tmp_path, factor):
    path = tmp_path / "psf.tif"
    tifffile.imwrite(path, gaussian_psf((65, 65), 0.065, (32, 32)).astype(np.float32))
    with pytest.raises(InputError, match="does not belong"):
        read_otf(path, OPTICS, pixel_um=0.065 * factor)


def test_otf_table_as_tiff_is_refused(tmp_path):
    path = tmp_path / "otf.tif"
    tifffile.imwrite(path, np.outer(ideal(K), np.linspace(1, 0, 40)).astype(np.float32))
    with pytest.raises(InputError, match="without frequency scale"):
        read_otf(path, OPTICS)


@pytest.mark.parametrize("name", ["none.mrc", "otf.npy"])
def test_no_such_file_or_kind(tmp_path, name):
    (tmp_path / "otf.npy").write_bytes(b"x")
    with pytest.raises(InputError):
        read_otf(tmp_path / name)


def test_repair_leaves_good_tables_alone():
    values, repaired = repair_origin(ideal(K))
    assert not repaired
    np.testing.assert_array_equal(values, ideal(K))


def test_data_cutoff_of_a_clean_table():
    assert K[data_cutoff(ideal(K))] == pytest.approx(OPTICS.cutoff_per_um, rel=0.03)


def test_data_cutoff_of_a_table_that_ends_before_the_cutoff():
    short = ideal(K)[:150]
    assert data_cutoff(short) == 149


def test_data_cutoff_does_not_follow_noise():
    noise = np.random.default_rng(4).normal(0, 5e-3, K.size)
    cutoff = K[data_cutoff(ideal(K) + noise)]
    assert ideal(cutoff) == pytest.approx(0.015, abs=0.012)
