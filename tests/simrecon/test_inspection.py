import json
import math
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from pattern_maker import ANGLES_DEG, as_sequence, make_frames, regroup

from simrecon.errors import InputError, UsageError
from simrecon.estimate.direction_peaks import _describe
from simrecon.estimate.frequency import CarrierPeak
from simrecon.inspection import brightness, inspect
from simrecon.io import read, read_raw
from simrecon.loading import with_given
from simrecon.model.camera import Camera
from simrecon.model.frames import RawFrames
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack
from simrecon.physics.simulate import simulate
from simrecon.physics.simulate_volume import simulate_volume
from simrecon.shell_options import FileOptions

OPTICS = (Optics(1.4, 525.0),)


def raw_of(frames, order="PA", **facts) -> RawFrames:
    """(T, A, P, Z, Y, X) written to one sequence in `order`."""
    sequence = as_sequence(frames, order)
    return RawFrames(sequence, (("S", len(sequence)),), **facts)


@pytest.fixture(scope="module")
def frames2d():
    return make_frames()


@pytest.fixture(scope="module")
def frames3d():
    return make_frames(phases=5, planes=5, second=0.5, modulation=0.6, seed=4, peak=1500.0)


def angles_of(peaks):
    return [math.degrees(p.angle_rad) for p in peaks]


@pytest.mark.parametrize("order", ["PA", "AP"])
def test_file_without_notes(frames2d, order):
    found = inspect(raw_of(frames2d, order))
    assert (found.order, found.order_decided) == (order, True)
    assert found.sizes == {"T": 1, "C": 1, "A": 3, "P": 3, "Z": 1, "Y": 96, "X": 96}
    wanted = ["--pixel-um", "--emission-nm", "--na"]
    assert list(found.missing) == wanted + (["--order AP"] if order == "AP" else [])
    assert found.counts.verdict == "counts"
    assert "2-D" in found.support
    np.testing.assert_allclose(angles_of(found.peaks), ANGLES_DEG, atol=0.5)


@pytest.mark.parametrize("order", ["PZA", "PAZ"])
def test_3d_file_without_notes(frames3d, order):
    found = inspect(raw_of(frames3d, order, pixel_um=0.08))
    assert found.order == order
    assert (found.sizes["A"], found.sizes["P"], found.sizes["Z"], found.sizes["T"]) == (3, 5, 5, 1)
    assert "--angles 3 --phases 5" in found.missing
    assert f"--order {order}" in found.missing
    assert "3-D" in found.support


def test_time_series_stays_a_time_series():
    found = inspect(raw_of(make_frames(times=5, seed=2)))
    assert (found.sizes["T"], found.sizes["A"], found.sizes["P"], found.sizes["Z"]) == (5, 3, 3, 1)
    assert found.order == "PA"
    assert any("time points look the same" in note for note in found.notes)


def test_declared_time_points_leave_no_doubt():
    frames = raw_of(make_frames(times=2, phases=5, seed=2)).frames
    found = inspect(RawFrames(frames.reshape(2, 15, 96, 96), (("T", 2), ("S", 15))))
    assert (found.sizes["T"], found.sizes["A"], found.sizes["P"], found.sizes["Z"]) == (2, 3, 5, 1)
    assert not any("look the same" in note for note in found.notes)


@pytest.mark.parametrize("order", ["CPA", "PCA", "PAC", "APC"])
def test_channels_of_a_plain_sequence(order, tmp_path):
    """Two channels that show different things; their number is given, their place is found."""
    frames = np.stack([make_frames(seed=s)[0, :, :, 0] for s in (1, 2)])  # C A P Y X
    letters = order[::-1]
    sequence = frames.transpose(*("CAP".index(c) for c in letters), 3, 4).reshape(18, 96, 96)
    found = inspect(RawFrames(sequence, (("S", 18),), channels=2))
    assert (found.order, found.order_decided) == (order, True)
    assert (found.sizes["C"], found.sizes["A"], found.sizes["P"]) == (2, 3, 3)
    assert f"--order {order}" in found.missing
    tifffile.imwrite(tmp_path / "a.tif", sequence, photometric="minisblack")
    stack = read(tmp_path / "a.tif", order=order, channels=2, angles=3, phases=3,
                 pixel_um=0.065, na=1.4, emission_nm=525.0)  # fmt: skip
    np.testing.assert_array_equal(stack.data[0, :, :, :, 0], frames)


def test_channels_that_look_alike_are_not_certain():
    frames = np.concatenate([make_frames(seed=1)[0, :, :, 0].reshape(9, 96, 96)] * 2)
    found = inspect(RawFrames(frames, (("S", 18),), channels=2))
    assert not found.order_decided
    assert any("not certain" in note for note in found.notes)


def test_single_direction():
    found = inspect(raw_of(make_frames(angles_deg=(25.0,), phases=5, seed=3)))
    assert (found.sizes["A"], found.sizes["P"]) == (1, 5)
    assert "one pattern direction" in found.support
    assert "hex" not in found.support


def test_what_more_phases_can_be_is_said():
    found = inspect(raw_of(make_frames(phases=5, seed=3)))
    assert "--mode slice3" in found.support


@pytest.mark.parametrize(
    ("mode", "angles_deg", "phases", "said"),
    [
        ("slice3", (25.0, 85.0, 145.0), 5, "3 × 5 frames can be its"),
        ("hex", (25.0, 85.0, 145.0), 3, "cannot be those of mode hex"),
        ("3d", (25.0, 85.0, 145.0), 5, "takes stacks of planes"),
    ],
)
def test_a_mode_that_is_expected_is_compared_with_the_frames(mode, angles_deg, phases, said):
    raw = raw_of(make_frames(angles_deg=angles_deg, phases=phases, seed=3))
    assert said in inspect(raw, mode=mode).support


def test_unknown_mode_is_refused():
    with pytest.raises(UsageError, match="Unknown mode"):
        inspect(raw_of(make_frames(seed=3)), mode="4d")


def test_five_directions():
    angles = (0.0, 36.0, 72.0, -72.0, -36.0)
    found = inspect(raw_of(make_frames(angles_deg=angles, phases=5, seed=3, times=3)))
    assert (found.sizes["T"], found.sizes["A"], found.sizes["P"]) == (3, 5, 5)


def test_frames_that_fit_no_acquisition(frames2d):
    sequence = raw_of(frames2d).frames[:8]
    with pytest.raises(InputError, match="One frame is missing"):
        inspect(RawFrames(sequence, (("S", 8),)))


def test_stack_read_in_the_wrong_order_is_noticed(frames2d):
    sequence = raw_of(frames2d, "AP").frames
    data = regroup(sequence, 3, 3, "PA")[None, None]
    found = inspect(SimStack(data, 0.065, OPTICS, order="PA"))
    assert found.order == "AP"
    assert any("--order AP" in note for note in found.notes)


def test_stack_read_in_the_right_order_is_confirmed(frames2d):
    data = frames2d[:, None]
    found = inspect(SimStack(data, 0.065, OPTICS, order="PA"))
    assert found.order_decided
    assert not any("--order" in note for note in found.notes)
    assert found.missing == ()
    assert found.pixel_um == 0.065


def test_stretched_data_are_called_so(frames2d):
    low, high = frames2d.min(), frames2d.max()
    stretched = ((frames2d.astype(float) - low) / (high - low) * 65535).astype(np.uint16)
    found = inspect(raw_of(stretched))
    assert found.counts.verdict == "not camera counts"
    assert "not camera counts" in found.to_text()


def test_saturation_is_reported(frames2d):
    clipped = np.minimum(frames2d, 255)
    found = inspect(raw_of(clipped))
    assert found.saturated_fraction > 1e-3
    assert any("saturated" in note for note in found.notes)


@pytest.mark.parametrize(
    ("factor", "grade"), [(1.0, "ok"), (0.7, "ok"), (0.5, "caution"), (0.3, "bad")]
)
def test_brightness_grades(factor, grade):
    frames = np.full((3, 3, 4, 4), 1100.0)
    frames[2] = 100 + 1000 * factor
    frames[0, 1] = 100 + 990
    found = brightness(frames, 100.0)
    assert found.grade == grade
    assert found.variation_percent == pytest.approx(100 * (1 - min(factor, 0.99)))
    assert found.within_percent == pytest.approx(1.0)


def test_camera_offset_enters_the_brightness(frames2d):
    dim = frames2d.copy()
    dim[:, 2] = 100 + (dim[:, 2].astype(float) - 100) / 3
    with_offset = inspect(raw_of(dim, camera=Camera(1.0, 100.0, 1.0))).brightness
    without = inspect(raw_of(dim)).brightness
    assert with_offset.grade == "bad"
    assert without.variation_percent < with_offset.variation_percent


def test_preset_of_the_instrument(frames2d):
    found = inspect(raw_of(
        frames2d, pixel_um=0.0626, excitation_nm=(488.0,), excitation_na=1.35
    ))  # fmt: skip
    assert found.presets[0].preset.name == "multisim-tirf-488"
    assert found.finest_period_um == pytest.approx(0.1807, abs=1e-4)


def test_report_for_machines_and_people(frames2d):
    found = inspect(raw_of(frames2d, pixel_um=0.065, flipped_y=True))
    data = json.loads(json.dumps(found.to_dict()))
    assert data["schema"] == "simrecon/inspection/1"
    assert data["order"] == "PA"
    assert len(data["peaks"]) == 3
    assert data["peaks"][1]["angle_deg"] == pytest.approx(70.0, abs=0.5)
    text = found.to_text()
    for words in ("9 frames of 96 × 96", "3 directions × 3 phases", "0.065 µm", "turned round",
                  "direction 2: period 22", "to give      --emission-nm --na"):  # fmt: skip
        assert words in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_from_file_with_and_without_options(frames2d, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, raw_of(frames2d, "AP").frames, photometric="minisblack")
    found = inspect(read_raw(path))
    assert (found.order, found.pixel_um) == ("AP", None)
    assert found.source == str(path)
    given = {"pixel_um": 0.065, "na": 1.4, "emission_nm": 525.0}
    loosely = inspect(read_raw(path, **given, offset=100.0, sample_index=1.4))
    assert loosely.missing == ("--order AP",)
    strictly = inspect(read(path, **given))
    assert strictly.order == "AP"
    assert any("--order AP" in note for note in strictly.notes)


@pytest.mark.parametrize("size", [7, 16, 31, 53])
def test_small_and_prime_sizes_do_not_fail(size):
    found = inspect(raw_of(make_frames(size=size, seed=1)))
    assert len(found.peaks) == 3
    assert found.to_text()
    json.dumps(found.to_dict(), allow_nan=False)


def test_frames_too_small_for_a_search_have_no_pattern():
    found = inspect(raw_of(make_frames(size=4, seed=1)))
    assert {p.grade for p in found.peaks} == {"none"}
    assert found.to_dict()["peaks"][0]["period_px"] is None
    json.dumps(found.to_dict(), allow_nan=False)
    assert "no pattern found" in found.to_text()


def test_nine_times_the_same_frame_has_no_pattern(frames2d):
    same = np.repeat(raw_of(frames2d).frames[:1], 9, axis=0)
    found = inspect(RawFrames(same, (("S", 9),)))
    assert {p.grade for p in found.peaks} == {"none"}
    assert not found.order_decided


def test_two_phases_are_too_few(frames2d):
    with pytest.raises(InputError, match="three phases"):
        inspect(raw_of(frames2d[:, :, :2], angles=3, phases=2))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_frames_fit_no_order(seed):
    """They carry a clear pattern, and no order explains it."""
    stack, _ = simulate(shape=(128, 128), peak_e=1000.0, kind="rings", seed=1)
    frames = np.asarray(stack.data)[0, 0, :, :, 0].reshape(9, 128, 128)
    mixed = frames[np.random.default_rng(seed).permutation(9)]
    found = inspect(RawFrames(mixed, (("S", 9),)))
    assert not found.order_decided
    assert "no order fits" in found.to_text()
    assert "can be reconstructed" not in found.to_text()
    assert "--order" in found.missing
    kept = inspect(RawFrames(frames, (("S", 9),)))
    assert kept.order_decided
    assert "can be reconstructed" in kept.to_text()


def test_nan_is_refused_before_anything_is_computed(frames2d):
    """With warnings as errors: none may leak."""
    frames = raw_of(frames2d).frames.astype(np.float32)
    frames[4, 5, 5] = np.nan
    with pytest.raises(InputError, match="NaN") as caught:
        inspect(RawFrames(frames, (("S", 9),)))
    assert caught.value.where == "frame 5 of 9"
    with pytest.raises(InputError, match="NaN") as caught:
        inspect(SimStack(regroup(frames, 3, 3, "PA")[None, None], 0.065, OPTICS, order="PA"))
    assert "direction 2, phase 2" in caught.value.where


def test_unknown_order_is_refused():
    raw = RawFrames(None, ())
    assert with_given(raw, FileOptions(order="ap").settings()).order == "AP"
    with pytest.raises(UsageError, match="Unknown frame order"):
        with_given(raw, FileOptions(order="PPQ").settings())


def test_second_peak_is_told_only_when_comparably_high():
    peaks = [CarrierPeak((0.0, 0.3), np.zeros(3), height) for height in (20.0, 11.0)]
    assert _describe(1, peaks, None, 3).rival_px is None
    assert _describe(1, [peaks[0], replace(peaks[1], peak_to_background=13.0)], None, 3).rival_px


def test_a_light_sheet_is_a_volume_of_one_direction():
    """Its phases are not time points, though the file calls them that."""
    stack, _ = simulate_volume(
        mode="lls", scan="stage", shape=(12, 96, 96), dz_um=0.18, peak_e=500.0, seed=3
    )
    frames = np.asarray(stack.data)[0, 0, 0]
    raw = RawFrames(
        frames=frames, axes=(("T", 5), ("Z", 12)), pixel_um=stack.pixel_um, dz_um=0.18,
        angles=1, phases=5, planes=12, order="ZPA",
    )  # fmt: skip
    found = inspect(raw)
    assert (found.order, found.sizes["P"], found.sizes["Z"], found.sizes["T"]) == ("ZPA", 5, 12, 1)
    assert "--mode lls" in found.support
    assert found.handedness == ""
    (peak,) = found.peaks
    periods = (peak.period_um, *(n * stack.pixel_um for n in peak.orders_px or ()))
    true = 1.1902
    assert any(abs(p - f * true) < 0.02 * true for p in periods for f in (1.0, 0.5))
