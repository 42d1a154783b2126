import numpy as np
import pytest

from simrecon.checks import check_frames, counts_evidence, saturation
from simrecon.errors import InputError

RNG = np.random.default_rng(11)
COUNTS = RNG.poisson(300, (9, 100, 100)).astype(np.uint16) + 100


def stack(frames):
    """(n, Y, X) as (1, 1, 3, 3, 1, Y, X)."""
    return frames.reshape(1, 1, 3, 3, 1, *frames.shape[-2:])


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_poisson_counts_are_counts_whatever_the_type(dtype):
    evidence = counts_evidence(COUNTS.astype(dtype))
    assert evidence.verdict == "counts"
    assert evidence.step == 1.0
    assert evidence.minimum == COUNTS.min()


def test_stretched_counts_are_a_comb():
    low, high = COUNTS.min(), COUNTS.max()
    stretched = ((COUNTS - low) / (high - low) * 65535).astype(np.uint16)
    evidence = counts_evidence(stretched)
    assert evidence.verdict == "not camera counts"
    assert "comb" in evidence.reason
    assert evidence.levels == np.unique(COUNTS).size


def test_shifted_bits_are_named_with_their_factor():
    evidence = counts_evidence((COUNTS * 16).astype(np.uint16))
    assert evidence.verdict == "unclear"
    assert "multiples of 16" in evidence.reason


@pytest.mark.parametrize(("scale", "tiny"), [(1e-5, True), (0.3333, False)])
def test_rasters_of_real_numbers(scale, tiny):
    evidence = counts_evidence(COUNTS.astype(np.float32) * np.float32(scale))
    assert evidence.verdict == "not camera counts"
    assert "not integers" in evidence.reason
    assert ("tiny" in evidence.reason) == tiny


def test_eight_bit():
    assert counts_evidence((COUNTS // 4).astype(np.uint8)).verdict == "not camera counts"


def test_few_pixels_with_many_levels_are_unclear():
    assert counts_evidence(RNG.integers(0, 60000, (9, 30, 30))).verdict == "unclear"


def test_big_stacks_are_sampled_not_read():
    reads = []

    class Lazy:
        shape = (5000, 64, 64)
        dtype = np.dtype(np.uint16)

        def __getitem__(self, index):
            reads.append(index)
            return COUNTS[0, :64, :64]

    assert counts_evidence(Lazy()).verdict == "counts"
    assert len(reads) < 600
    assert max(reads)[0] == 4999


def test_good_frames_pass_without_notes():
    assert check_frames(stack(COUNTS)) == ()


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_])
def test_other_numbers_are_refused(dtype):
    with pytest.raises(InputError, match="real numbers"):
        check_frames(stack(COUNTS.astype(dtype)))


def test_saturation_counts_pixels_at_full_scale_only():
    frames = np.minimum(COUNTS, 4000)
    assert saturation(stack(frames))[0] == 0.0
    frames[3, :10, :] = 4095
    fraction, level = saturation(stack(frames))
    assert level == 4095
    assert fraction == pytest.approx(1000 / frames.size)
    assert any("saturated (at 4095)" in note for note in check_frames(stack(frames)))


def test_a_single_brightest_pixel_at_full_scale_is_not_noted():
    frames = COUNTS.copy()
    frames[0, 0, 0] = 65535
    assert check_frames(stack(frames)) == ()


def test_clipping_below_the_full_scale_is_saturation():
    frames = np.random.default_rng(0).poisson(1000.0, (1, 1, 3, 3, 1, 64, 64)).astype(np.uint16)
    assert saturation(frames)[0] == 0.0
    fraction, level = saturation(np.minimum(frames, 1050))
    assert level == 1050
    assert fraction == pytest.approx(np.mean(frames >= 1050))
    assert saturation(frames.astype(np.float32) / 7)[0] == 0.0


def test_sparse_levels_of_bright_frames_are_no_saturation():
    frames = np.random.default_rng(0).integers(100, 40000, (1, 1, 3, 3, 1, 64, 64))
    assert saturation(frames.astype(np.uint16))[0] == 0.0
