"""One big tile per plane: recognised, cut, and read in the right order."""

import numpy as np
import pytest
import tifffile
from pattern_maker import make_frames

from simrecon.inspection import inspect
from simrecon.io import read, read_raw
from simrecon.mosaic import cut, find_mosaic

GIVEN = {"pixel_um": 0.065, "na": 1.4, "emission_nm": 525.0}


def mosaic_of(frames: np.ndarray) -> np.ndarray:
    """(A, P, Y, X) as one picture: angles down, phases across."""
    return np.block([[frames[a, p] for p in range(frames.shape[1])] for a in range(len(frames))])


@pytest.mark.parametrize("phases", [3, 5])
def test_mosaic_is_read_like_the_frames_it_was_made_of(tmp_path, phases):
    frames = make_frames(phases=phases, planes=2, seed=3, second=0.0)[0]
    planes = np.stack([mosaic_of(frames[:, :, z]) for z in range(2)])
    path = tmp_path / "nsim.tif"
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "ZYX"})
    stack = read(path, **GIVEN)
    np.testing.assert_array_equal(stack.data[0, 0], frames)
    assert any(f"mosaic of 3 rows × {phases} columns" in note for note in stack.notes)
    found = inspect(read_raw(path))
    assert (found.sizes["A"], found.sizes["P"], found.sizes["Z"]) == (3, phases, 2)
    assert found.order_decided
    assert any("mosaic" in note for note in found.notes)


def test_mosaic_with_directions_across_is_noticed(tmp_path):
    frames = make_frames(seed=3)[0, :, :, 0]
    path = tmp_path / "turned.tif"
    tifffile.imwrite(path, mosaic_of(frames.swapaxes(0, 1)))
    found = inspect(read_raw(path))
    assert found.order == "AP"
    assert any("--order AP" in note for note in found.notes)
    assert "--order AP" in found.missing
    stack = read(path, order="AP", **GIVEN)
    np.testing.assert_array_equal(stack.data[0, 0, :, :, 0], frames)


def test_ordinary_frames_are_no_mosaic():
    for seed in range(4):
        assert find_mosaic(make_frames(size=288, seed=seed)[0, 0, 0, 0].astype(np.float32)) is None


def test_dim_mosaic_is_recognised():
    frames = make_frames(seed=5, peak=20.0, phases=5)[0, :, :, 0]
    assert find_mosaic(mosaic_of(frames).astype(np.float32)) == (3, 5)


def test_tiles_come_row_by_row():
    assert cut(np.arange(24).reshape(1, 4, 6), 2, 3)[0, 4].tolist() == [[14, 15], [20, 21]]
