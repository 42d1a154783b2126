import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError
from simrecon.io import read_raw
from simrecon.io.tiff import natural_key, ome_facts, read_tiff, unit_um

FRAMES = np.arange(9 * 6 * 5, dtype=np.uint16).reshape(9, 6, 5)
OME = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="1.49"/></Instrument>
<Image ID="Image:0"><ObjectiveSettings ID="Objective:0" RefractiveIndex="1.518"/>
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="5" SizeY="6" SizeZ="1" SizeC="2"
 SizeT="9" PhysicalSizeX="65" PhysicalSizeXUnit="nm" PhysicalSizeZ="0.125">
<Channel ID="Channel:0:0" EmissionWavelength="525" ExcitationWavelength="488"/>
<Channel ID="Channel:0:1" EmissionWavelength="0.61" EmissionWavelengthUnit="µm"
 ExcitationWavelength="561"/></Pixels></Image></OME>"""


def test_ome_metadata_in_their_own_units():
    facts = ome_facts(OME)
    assert facts["pixel_um"] == 0.065
    assert facts["dz_um"] == 0.125
    assert facts["emission_nm"] == (525.0, 610.0)
    assert facts["excitation_nm"] == (488.0, 561.0)
    assert facts["na"] == 1.49
    assert facts["index"] == 1.518


def test_incomplete_channels_give_no_wavelengths():
    facts = ome_facts(OME.replace('EmissionWavelength="525"', ""))
    assert "emission_nm" not in facts
    assert facts["excitation_nm"] == (488.0, 561.0)


def test_broken_ome_xml_is_noted_not_fatal():
    assert "not well-formed" in ome_facts("<OME")["notes"][0]


def test_ome_tiff(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, FRAMES.reshape(9, 1, 6, 5), metadata={"axes": "TCYX", "PhysicalSizeX": 0.065,
        "PhysicalSizeY": 0.065, "Channel": {"EmissionWavelength": [525.0]}},
    )  # fmt: skip
    raw = read_tiff(path)
    assert raw.pixel_um == 0.065
    assert raw.emission_nm == (525.0,)
    assert raw.metadata["format"] == "ome-tiff"
    assert raw.count == 9
    np.testing.assert_array_equal(np.asarray(raw.frames).reshape(FRAMES.shape), FRAMES)
    assert isinstance(raw.frames, np.memmap)


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m", "nm"])
def test_imagej_scale(tmp_path, unit):
    path, factor = tmp_path / "a.tif", 1000.0 if unit == "nm" else 1.0
    tifffile.imwrite(
        path, FRAMES, imagej=True, resolution=(1 / (0.08 * factor), 1 / (0.08 * factor)),
        metadata={"axes": "ZYX", "unit": unit, "spacing": 0.125 * factor},
    )  # fmt: skip
    raw = read_tiff(path)
    assert raw.pixel_um == pytest.approx(0.08, rel=1e-5)
    assert raw.dz_um == pytest.approx(0.125)
    assert raw.axes == (("Z", 9),)
    np.testing.assert_array_equal(raw.frames, FRAMES)


@pytest.mark.parametrize(("unit", "number"), [("um", 1.0), ("inch", 72.0), ("mm", 1.0)])
def test_default_imagej_scales_do_not_count(tmp_path, unit, number):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, FRAMES, imagej=True, resolution=(number, number), metadata={"unit": unit}
    )
    raw = read_tiff(path)
    assert raw.pixel_um is None
    assert any("not a calibration" in note for note in raw.notes)


@pytest.mark.parametrize("unit", ["pixel", ""])
def test_imagej_pixels_are_no_length(tmp_path, unit):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES, imagej=True, resolution=(15.4, 15.4), metadata={"unit": unit})
    assert read_tiff(path).pixel_um is None


@pytest.mark.parametrize(
    ("unit", "resolution", "pixel"),
    [("CENTIMETER", 1e4 / 0.065, 0.065), ("INCH", 25400 / 0.1, 0.1), ("INCH", 72, None),
     ("INCH", 96, None), ("NONE", 15.4, None)],
)  # fmt: skip
def test_resolution_tags(tmp_path, unit, resolution, pixel):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, FRAMES, resolution=(resolution, resolution), resolutionunit=unit, metadata=None,
        photometric="minisblack",
    )  # fmt: skip
    raw = read_tiff(path)
    assert raw.pixel_um == (None if pixel is None else pytest.approx(pixel, rel=1e-5))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_byte_orders_and_compression(tmp_path, byteorder, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, FRAMES, byteorder=byteorder, compression=compression, photometric="minisblack"
    )
    np.testing.assert_array_equal(read_tiff(path).frames, FRAMES)


def test_colour_pictures_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((6, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="colour"):
        read_tiff(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_truncated_tiff(tmp_path, keep, compression):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(1).integers(0, 4096, (9, 64, 64)).astype(np.uint16)
    tifffile.imwrite(path, noise, photometric="minisblack", compression=compression, metadata=None)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError) as info:
        read_tiff(path)
    assert info.value.exit_code == 3


def test_truncated_page_names_the_bytes(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES[0], metadata=None)
    content = path.read_bytes()
    assert content.endswith(FRAMES[0].tobytes())
    path.write_bytes(content[:-20])
    with pytest.raises(InputError, match="truncated") as info:
        read_tiff(path)
    assert info.value.expected == f"{len(content)} bytes"
    assert info.value.got == f"{len(content) - 20} bytes"


@pytest.mark.parametrize("content", [b"", b"II*\x00", b"II*\x00\xff\xff\xff\x7f", b"nonsense" * 99])
def test_files_that_are_no_tiff(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(InputError) as info:
        read_tiff(path)
    assert info.value.where == str(path)


def test_single_pages_in_natural_order(tmp_path):
    for i in range(1, 13):
        tifffile.imwrite(tmp_path / f"1_X{i}.tif", np.full((6, 5), i, np.uint16))
    lists = [
        [tmp_path / f"1_X{i}.tif" for i in (10, 11, 12, *range(1, 10))],
        str(tmp_path / "1_X*.tif"),
        tmp_path,
    ]
    for paths in lists:
        raw = read_raw(paths)
        assert raw.axes == (("S", 12),)
        assert np.asarray(raw.frames)[:, 0, 0].tolist() == list(range(1, 13))


def test_stacks_become_time_points(tmp_path):
    for i in range(3):
        tifffile.imwrite(tmp_path / f"t{i}.tif", FRAMES + i, photometric="minisblack")
    raw = read_raw(str(tmp_path / "t*.tif"))
    assert raw.axes == (("T", 3), ("S", 9))
    np.testing.assert_array_equal(raw.frames[2], FRAMES + 2)


def test_files_of_different_size_do_not_belong_together(tmp_path):
    tifffile.imwrite(tmp_path / "a1.tif", np.zeros((6, 5), np.uint16))
    tifffile.imwrite(tmp_path / "a2.tif", np.zeros((6, 6), np.uint16))
    with pytest.raises(InputError, match="belong together") as info:
        read_raw(tmp_path)
    assert info.value.where == str(tmp_path / "a2.tif")


@pytest.mark.parametrize("name", ["none.tif", "none*.tif", "empty"])
def test_nothing_to_read(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        read_raw(tmp_path / name)


def test_unknown_format(tmp_path):
    path = tmp_path / "a.nd2"
    path.write_bytes(b"\xda\xce\xbe\x0a" * 100)
    with pytest.raises(InputError, match="Unknown file format"):
        read_raw(path)


def test_natural_key():
    assert sorted(["b10", "b9", "a2", "B1"], key=natural_key) == ["a2", "B1", "b9", "b10"]


def test_units():
    assert unit_um("µm") == 1.0
    assert unit_um("pixel") is None
