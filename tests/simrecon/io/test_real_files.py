"""The readers and the inspection on real files (skipped where they are not at hand)."""

import math

import numpy as np
import pytest
import tifffile
from real_data import real

from simrecon.errors import InputError, MetadataError
from simrecon.inspection import inspect
from simrecon.io import (
    read,
    read_otf,
    read_raw,
    write_fairsim_otf,
    write_otf_tiff,
    write_priism_otf,
)
from simrecon.io.mrc_dv import read_header, read_samples
from simrecon.model.optics import Optics
from simrecon.model.pattern import line_distance_rad
from simrecon.physics.otf import check_otf

pytestmark = pytest.mark.data


def angles_deg(found):
    return [math.degrees(p.angle_rad) for p in found.peaks]


def test_tirf_sim_pages():
    raw = read_raw(real("tirfsim-mt/1_X*.tif"))
    assert raw.frames.shape == (9, 256, 256)
    assert raw.pixel_um is None
    found = inspect(raw)
    assert (found.order, found.order_decided) == ("PA", True)
    np.testing.assert_allclose(angles_deg(found), [-88.8, -28.9, 31.9], atol=1.0)
    np.testing.assert_allclose([p.period_px for p in found.peaks], 2.68, atol=0.08)
    assert set(found.missing) == {"--pixel-um", "--emission-nm", "--na"}


def test_tirf_sim_with_a_page_missing():
    pages = sorted(real("tirfsim-mt/1_X1.tif").parent.glob("1_X*.tif"))
    with pytest.raises(InputError, match="One frame is missing"):
        read(pages[:8], pixel_um=0.08667, na=1.49, emission_nm=660)


def test_multi_sim():
    path = real("rdlsim-mt/MT.mrc")
    with pytest.raises(MetadataError, match="detection NA"):
        read(path)
    stack = read(path, na=1.3)
    assert stack.data.shape == (1, 1, 3, 3, 1, 256, 256)
    assert stack.pixel_um == 0.0626
    assert stack.optics[0].excitation_nm == 488.0
    assert stack.optics[0].excitation_na == 1.35
    assert not stack.flipped_y
    found = inspect(stack)
    assert found.counts.verdict == "not camera counts"
    assert found.counts.levels == 341
    assert [p.grade for p in found.peaks] == ["none", "none", "strong"]
    assert line_distance_rad(found.peaks[2].angle_rad, 0.4344) < math.radians(1)
    assert found.presets[0].preset.name == "multisim-tirf-488"


def test_omx_in_both_formats_is_the_same_picture():
    steps = {"angles": 3, "phases": 5, "order": "PZA"}
    dv = read(real("cudasirecon-3dsim/raw.dv"), **steps)
    tif = read(real("cudasirecon-3dsim/raw.tif"), **steps, na=1.42, emission_nm=528)
    assert dv.data.shape == (1, 1, 3, 5, 9, 64, 64)
    np.testing.assert_array_equal(np.asarray(dv.data), np.asarray(tif.data))
    assert (dv.flipped_y, tif.flipped_y) == (True, False)
    assert dv.pixel_um == tif.pixel_um == 0.08
    assert dv.dz_um == 0.125
    assert dv.optics[0].na == 1.42


def test_omx_without_notes():
    found = inspect(read_raw(real("cudasirecon-3dsim/raw.dv")))
    assert (found.order, found.order_decided) == ("PZA", True)
    assert (found.sizes["A"], found.sizes["P"], found.sizes["Z"]) == (3, 5, 9)
    nominal = (0.8043, 1.8555, -0.2388)
    for peak, angle in zip(found.peaks, nominal, strict=True):
        assert line_distance_rad(peak.angle_rad, angle) < math.radians(1)
        assert peak.orders_px[1] * 0.08 == pytest.approx(0.2035, abs=0.002)
    assert found.presets[0].preset.name == "omx-3d-488"
    assert "tiny" in found.counts.reason


def test_omx_needs_its_order():
    with pytest.raises(InputError, match="acquisition order is not known"):
        read(real("cudasirecon-3dsim/raw.dv"))


def test_real_counts_in_float():
    found = inspect(read_raw(real("bsim/example_3_mitochondria_cristae/raw_images.tif")))
    assert found.counts.verdict == "counts"
    np.testing.assert_allclose(angles_deg(found), [-59.6, 58.0, 1.4], atol=0.6)
    periods = [p.period_px for p in found.peaks]
    np.testing.assert_allclose(periods, [4.901, 4.935, 4.704], rtol=0.01)


@pytest.mark.parametrize(
    ("name", "na", "wave"),
    [("TIRF488_cam1_0_z30", 1.3, 525), ("TIRF560_cam2_0_z21", 1.3, 610),
     ("TIRF647_cam2_0_z21", 1.3, 660)],
)  # fmt: skip
def test_multi_sim_otfs(name, na, wave):
    optics = Optics(na, wave)
    otf = read_otf(real(f"rdlsim-mt/otf/{name}_OTF2d.mrc"), optics)
    assert otf.values[0] == 1.0
    assert otf.cutoff_per_um == optics.cutoff_per_um
    assert check_otf(otf, optics) == []


@pytest.mark.parametrize(
    ("name", "na", "wave"),
    [("zsdeconvnet/otf/3D-488*.mrc", 1.35, 525), ("cudasirecon-3dsim/otf.dv", 1.42, 528)],
)
def test_three_order_otfs(name, na, wave):
    path = real(name)
    otf = read_otf(next(path.parent.glob(path.name)), Optics(na, wave))
    assert "order 0 of 3" in otf.source
    assert np.all(np.diff(otf.values[:60]) <= 5e-3)
    assert 0.4 < np.interp(0.25 * otf.cutoff_per_um, otf.k_per_um, otf.values) < 0.8


def test_otf_tables_without_scale():
    for name in ("llspy-otf/488_otf.tif", "cudasirecon-3dsim/otf.tif"):
        with pytest.raises(InputError, match="without frequency scale"):
            read_otf(real(name))


def test_fairsim_otf():
    otf = read_otf(real("fairsim-params/parameters/OTF-files/OMX-OTF-528nm-2d.xml"))
    assert otf.k_per_um[1] == pytest.approx(0.048828)
    assert 4.5 < otf.cutoff_per_um < 5.31
    with pytest.raises(InputError, match="no fairSIM OTF"):
        read_otf(real("fairsim-params/parameters/TIRF_Tubulin.xml"))


@pytest.mark.parametrize(
    "name", ["cudasirecon-3dsim/otf.dv", "zsdeconvnet/otf/3D-488*.mrc", "zsdeconvnet/otf/C2*.mrc"]
)
def test_priism_otfs_are_written_as_they_were_read(name, tmp_path):
    path = real(name)
    path = next(path.parent.glob(path.name))
    header = read_header(path)
    table = np.asarray(read_samples(path, header))
    kz, kr, _ = header.spacing
    write_priism_otf(tmp_path / "o.mrc", table, kr, kz, emission_nm=525.0)
    again = read_header(tmp_path / "o.mrc")
    assert again.spacing == pytest.approx(header.spacing)
    assert np.array_equal(read_samples(tmp_path / "o.mrc", again), table)


@pytest.mark.parametrize("name", ["llspy-otf/488_otf.tif", "cudasirecon-3dsim/otf.tif"])
def test_makeotf_tiffs_are_written_as_they_were_read(name, tmp_path):
    pairs = tifffile.imread(real(name))
    pairs = pairs.reshape(-1, *pairs.shape[-2:])
    write_otf_tiff(tmp_path / "o.tif", pairs[..., 0::2] + 1j * pairs[..., 1::2])
    assert np.array_equal(tifffile.imread(tmp_path / "o.tif").reshape(pairs.shape), pairs)


def test_fairsim_otfs_are_written_as_they_were_read(tmp_path):
    path = real("fairsim-params/parameters/OTF-files/OMX-OTF-528nm-2d.xml")
    otf = read_otf(path)
    table = otf.values[None, :, None].astype(complex)
    step = float(otf.k_per_um[1])
    write_fairsim_otf(tmp_path / "o.xml", table, step, na=1.4, emission_nm=528.0)
    again = read_otf(tmp_path / "o.xml")
    assert again.k_per_um[1] == pytest.approx(step)
    assert np.abs(again.values - otf.values).max() < 1e-6


def test_measured_psf():
    optics = Optics(0.85, 520, 1.0)
    path = real("cryosim-psf/psf_wl520nm_z300nm_x130nm_na0.85_n1.0.tif")
    with pytest.raises(MetadataError, match="pixel size"):
        read_otf(path, optics)
    assert check_otf(read_otf(path, optics, pixel_um=0.13), optics) == []
    with pytest.raises(InputError, match="does not belong"):
        read_otf(path, optics, pixel_um=0.054)
