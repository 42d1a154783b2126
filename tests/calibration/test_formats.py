"""What the commands measure is the same from every format that `simrecon` reads."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from mrc_maker import make_mrc

from calibration.otf.read import read_recordings
from calibration.psf.read import read_beads
from calibration.registration.read import read_channels
from simrecon.io.frame_stream import stream_frames

FORMATS = ("little.dv", "big.mrc", "plain.tif", "imagej.tif", "big.btf", "pages")
FRAMES = np.random.default_rng(0).integers(90, 4000, (9, 24, 28), dtype=np.uint16)
OPTICS = {"pixel_um": 0.065, "na": 1.4, "emission_nm": 525.0}


def written(folder: Path, name: str, frames: np.ndarray, *, channels: bool = False) -> str:
    path = folder / name
    if name in ("little.dv", "big.mrc"):
        make_mrc(path, frames, mode=6, endian="<" if name == "little.dv" else ">",
                 waves=len(frames) if channels else 1)  # fmt: skip
    elif name == "imagej.tif":
        shape = (1, 1, len(frames)) if channels else (1, len(frames), 1)
        axes = {"axes": "TZCYX"}
        tifffile.imwrite(path, frames.reshape(*shape, *frames.shape[1:]), imagej=True,
                         metadata=axes)  # fmt: skip
    elif name == "pages":
        path.mkdir()
        for i, frame in enumerate(frames):
            tifffile.imwrite(path / f"p{i + 1}.tif", frame)
    else:
        tifffile.imwrite(path, frames, bigtiff=name.endswith(".btf"))
    return str(path)


@pytest.mark.parametrize("name", FORMATS)
def test_frames_of_a_camera_beads_and_sim_beads(name, tmp_path):
    source = written(tmp_path, name, FRAMES)
    dark = np.stack(list(stream_frames([source])))
    (stack,) = read_beads([source]).stacks
    (frames,) = read_recordings([source], mode="2d", given=OPTICS, bead_um=0.1).frames
    expected = FRAMES[:, ::-1] if name.endswith(".dv") else FRAMES  # its first row is the lowest
    assert np.array_equal(dark, expected)
    assert np.array_equal(stack, expected)
    assert np.array_equal(frames.reshape(9, 24, 28), expected)


@pytest.mark.parametrize("name", ["little.dv", "big.mrc", "imagej.tif"])
def test_channels_of_one_file(name, tmp_path):
    fields = read_channels([written(tmp_path, name, FRAMES[:2], channels=True)]).fields
    assert fields[0].shape == (2, 24, 28)


def test_channels_of_two_files(tmp_path):
    sources = [written(tmp_path, f"{i}.tif", FRAMES[i : i + 1]) for i in range(2)]
    assert read_channels(sources).fields[0].shape == (2, 24, 28)
