import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError
from simrecon.io.frame_stream import count_frames, stream_frames

FRAMES = np.random.default_rng(0).integers(0, 999, (6, 5, 7)).astype(np.uint16)


@pytest.mark.parametrize(
    "options",
    [{"ome": True}, {"ome": True, "compression": "zlib"}, {"imagej": True}, {},
     {"compression": "zlib"}],
)  # fmt: skip
def test_frames_come_in_file_order(tmp_path, options):
    for number in (1, 2, 10):
        path = tmp_path / f"f{number}.tif"
        tifffile.imwrite(path, FRAMES[:number], **options)
    found = list(stream_frames(str(tmp_path / "f*.tif")))
    expected = np.concatenate([FRAMES[:1], FRAMES[:2], FRAMES])
    np.testing.assert_array_equal(found, expected)
    assert count_frames(tmp_path) == 9


def test_pages_are_read_one_by_one(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, compression="zlib")
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)  # would load all at once
    assert len(list(stream_frames(tmp_path / "a.tif"))) == 6


def test_other_sizes_types_and_values_are_refused(tmp_path):
    for name, second in (
        ("size", FRAMES[:, :4]),
        ("type", FRAMES.astype(np.float32)),
    ):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", FRAMES)
        tifffile.imwrite(tmp_path / name / "b.tif", second)
        with pytest.raises(InputError, match="do not belong together") as info:
            list(stream_frames(tmp_path / name))
        assert "b.tif, frame 0" in str(info.value)
    values = FRAMES.astype(np.float32)
    values[3, 1, 1] = np.inf
    tifffile.imwrite(tmp_path / "inf.tif", values)
    with pytest.raises(InputError, match="infinite") as info:
        list(stream_frames(tmp_path / "inf.tif"))
    assert "frame 3" in str(info.value)


def test_colour_and_broken_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    (tmp_path / "text.tif").write_text("no picture")
    for name in ("rgb.tif", "text.tif"):
        with pytest.raises(InputError) as info:
            list(stream_frames(tmp_path / name))
        assert name in (info.value.where or "")
