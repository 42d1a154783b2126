import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError, UsageError
from simrecon.io import read_provenance, read_raw, write_image

IMAGE = np.random.default_rng(5).normal(0, 50, (2, 3, 4, 9, 7)).astype(np.float32)
PROVENANCE = {
    "command": 'simrecon reconstruct "a & <b>.tif"',
    "µ": [1.5, None],
    "settings": {"x": 1},
}


@pytest.mark.parametrize("name", ["out.ome.tif", "out.tif"])
def test_values_scale_and_provenance_come_back(tmp_path, name):
    path = tmp_path / name
    write_image(path, IMAGE, pixel_um=0.0325, dz_um=0.125, provenance=PROVENANCE)
    back = tifffile.imread(path)
    expected = IMAGE if "ome" in name else IMAGE.transpose(0, 2, 1, 3, 4)
    np.testing.assert_array_equal(back, expected)
    assert back.dtype == np.float32
    assert read_provenance(path) == PROVENANCE
    assert list(tmp_path.iterdir()) == [path]


def test_ome_metadata(tmp_path):
    path = tmp_path / "out.ome.tif"
    write_image(
        path, IMAGE, pixel_um=0.0325, dz_um=0.125, provenance=PROVENANCE,
        channel_names=["a", "b", "c"],
    )  # fmt: skip
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert file.series[0].axes == "TCZYX"
        root = ET.fromstring(file.ome_metadata)
    ns = {"o": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
    pixels = root.find("o:Image/o:Pixels", ns)
    assert [float(pixels.get(f"PhysicalSize{a}")) for a in "XYZ"] == [0.0325, 0.0325, 0.125]
    assert {pixels.get(f"PhysicalSize{a}Unit") for a in "XYZ"} == {"µm"}
    assert [c.get("Name") for c in pixels.findall("o:Channel", ns)] == ["a", "b", "c"]
    entry = root.find("o:StructuredAnnotations/o:MapAnnotation", ns)
    assert entry.get("Namespace") == "simrecon/provenance/1"
    assert json.loads(entry.find("o:Value/o:M", ns).text) == PROVENANCE


def test_imagej_metadata(tmp_path):
    path = tmp_path / "out.tif"
    write_image(path, IMAGE, pixel_um=0.0325, dz_um=0.125, provenance={})
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "TZCYX"
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["spacing"] == 0.125
        numerator, denominator = file.pages.first.tags["XResolution"].value
        assert numerator / denominator == pytest.approx(1 / 0.0325, rel=1e-5)


@pytest.mark.parametrize("name", ["out.ome.tif", "out.tif"])
@pytest.mark.parametrize("dtype", [np.float64, np.uint16, np.bool_])
def test_one_plane_of_any_real_type(tmp_path, name, dtype):
    plane = (IMAGE[0, 0, 0] > 0).astype(dtype)
    write_image(tmp_path / name, plane, pixel_um=0.1, provenance={})
    back = tifffile.imread(tmp_path / name)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, plane)


def test_nan_and_negative_values_survive(tmp_path):
    plane = np.array([[np.nan, -1e9], [1e-30, 0]], np.float32)
    write_image(tmp_path / "a.ome.tif", plane, pixel_um=0.1, provenance={})
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tif"), plane)


@pytest.mark.parametrize("name", ["out.png", "out.ome.zarr", "out"])
def test_unknown_suffix(tmp_path, name):
    with pytest.raises(UsageError, match="output format"):
        write_image(tmp_path / name, IMAGE, pixel_um=0.1, provenance={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("array", [IMAGE[0], np.zeros((4, 4), complex)])
def test_other_arrays_are_refused(tmp_path, array):
    with pytest.raises(UsageError, match="not a picture"):
        write_image(tmp_path / "a.ome.tif", array, pixel_um=0.1, provenance={})


def test_wrong_number_of_channel_names(tmp_path):
    with pytest.raises(UsageError, match="one name"):
        write_image(tmp_path / "a.ome.tif", IMAGE, pixel_um=0.1, provenance={}, channel_names=["a"])


def test_unwritable_output(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_image(tmp_path / "none" / "a.ome.tif", IMAGE, pixel_um=0.1, provenance={})


def test_pictures_of_others_have_no_provenance(tmp_path):
    for name, kwargs in (("a.tif", {}), ("b.ome.tif", {}), ("c.tif", {"imagej": True})):
        tifffile.imwrite(tmp_path / name, IMAGE[0, 0, 0], **kwargs)
        assert read_provenance(tmp_path / name) is None
    tifffile.imwrite(
        tmp_path / "d.tif", IMAGE[0, 0, 0], imagej=True, metadata={"Info": "free text"}
    )
    assert read_provenance(tmp_path / "d.tif") is None


def test_provenance_of_something_else(tmp_path):
    (tmp_path / "a.tif").write_text("no")
    with pytest.raises(InputError):
        read_provenance(tmp_path / "a.tif")


def test_wavelengths_of_channels_are_read_back(tmp_path):
    path = tmp_path / "two.ome.tif"
    write_image(path, np.zeros((1, 2, 1, 8, 8)), pixel_um=0.1, provenance={},
                channel_names=["a", "b"], emission_nm=[525.0, 605.0])  # fmt: skip
    assert read_raw(path).emission_nm == (525.0, 605.0)
