"""What a volume's failed fit says about how the frames were read; files that leave planes open."""

import numpy as np
import pytest
import tifffile
from pattern_maker import as_sequence, make_frames, regroup

from simrecon.config import build_settings
from simrecon.errors import InputError
from simrecon.loading import load_stack
from simrecon.model.optics import Optics
from simrecon.model.psf import RadialVolumeOTF
from simrecon.model.stack import SimStack
from simrecon.volume_doubts import doubts

OPTICS = Optics(1.4, 525.0)


def settings(mode="3d", **more):
    return build_settings(("test", {"mode": mode, **more}))


@pytest.fixture(scope="module")
def frames():
    """Three directions × five phases × five planes, three beams."""
    return make_frames(phases=5, planes=5, second=0.5, modulation=0.6, seed=4, peak=1500.0)


@pytest.fixture(scope="module")
def one_direction():
    return make_frames(
        angles_deg=(25.0,), phases=5, planes=6, second=0.5, modulation=0.6, seed=5, peak=1500.0
    )


def stack(sequence, angles, phases, order):
    data = regroup(sequence, angles, phases, order)[None, None]
    return SimStack(data, 0.08, (OPTICS,), order=order, dz_um=0.2)


@pytest.mark.parametrize("read", ["PAZ", "ZPA"])
def test_another_order_that_the_frames_show_is_named(frames, read):
    (said,) = doubts(stack(as_sequence(frames, "PZA"), 3, 5, read), settings(), None)
    assert f"follow each other as PZA, not {read}" in said
    assert "give --order PZA" in said


def test_frames_of_another_mode_are_named(one_direction):
    sequence = as_sequence(one_direction, "PZA")
    (said,) = doubts(stack(sequence, 3, 5, "PZA"), settings(), None)
    assert "the frames by themselves are 1 × 5 per plane, not 3 × 5" in said
    assert "usual with --mode lls" in said
    (said,) = doubts(stack(sequence, 1, 5, "PZA"), settings(), None)
    assert "1 × 5 frames per plane" in said
    assert "and 272 nm" in said
    assert "usual with --mode lls" in said


def test_planes_of_two_beam_frames_are_named():
    planes = make_frames(planes=5, seed=7, peak=1500.0)
    (said,) = doubts(stack(as_sequence(planes, "PAZ"), 3, 5, "PAZ"), settings(), None)
    assert "are 3 × 3 per plane, not 3 × 5" in said
    assert "usual with --mode 2d or tirf" in said


def test_the_otf_is_suspected_where_frames_are_read_right(frames):
    right = stack(as_sequence(frames, "PZA"), 3, 5, "PZA")
    assert doubts(right, settings(), None) == []
    table = np.ones((3, 4, 4), complex)
    otf = RadialVolumeOTF(table, 1.0, 1.0, 3.0, (1.0, 1.0, 1.0), source="other.otf")
    (said,) = doubts(right, settings(), otf)
    assert "read right (order PZA" in said
    assert "other.otf" in said


def test_frames_without_a_pattern_accuse_nobody():
    rng = np.random.default_rng(0)
    noise = rng.poisson(100.0, (45, 64, 64)).astype(np.uint16)
    assert doubts(stack(noise, 3, 5, "PZA"), settings(), None) == []


def test_what_was_told_about_a_sheet_is_doubted(one_direction):
    read = stack(as_sequence(one_direction, "PZA"), 1, 5, "PZA")
    told = settings("lls", sheet_offset_um=0.3, sheet_orders=1)
    offset, orders = doubts(read, told, None)
    assert "0.3 µm from the focal plane, as told" in offset
    assert "--sheet-orders 1" in orders


def written(folder, frames, axes):
    path = folder / "raw.tif"
    tifffile.imwrite(path, frames, imagej=True, metadata={"axes": axes})
    return [str(path)]


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
def test_repeats_that_the_file_does_not_name_are_the_planes_of_a_volume(
    axes, one_direction, tmp_path
):
    files = written(tmp_path, as_sequence(one_direction, "PZA"), axes)
    told = settings("lls", pixel_um=0.08, na=1.4, emission_nm=[525.0], dz_um=0.2)
    read = load_stack(files, told)
    assert read.data.shape[:5] == (1, 1, 1, 5, 6)
    assert any("planes, not time points" in note for note in read.notes)


def test_a_missing_frame_is_counted_in_the_frames_of_the_mode(frames, tmp_path):
    files = written(tmp_path, as_sequence(frames, "PZA")[:-1], "TYX")
    told = settings(pixel_um=0.08, na=1.4, emission_nm=[525.0], dz_um=0.2)
    with pytest.raises(InputError, match="One frame is missing") as refused:
        load_stack(files, told)
    assert "3 directions × 5 phases = 15 frames" in str(refused.value)
    assert "raw.tif" in str(refused.value)
