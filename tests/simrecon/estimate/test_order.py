"""Peaks without an OTF, and the frame orders they speak for."""

import math

import numpy as np
import pytest
import tifffile
from pattern_maker import ANGLES_DEG, as_sequence, make_frames, regroup
from real_data import real

from simrecon.errors import InputError
from simrecon.estimate import compare_orders, direction_peaks, explain
from simrecon.grouping import group_frames
from simrecon.io import read_raw
from simrecon.model.frames import RawFrames
from simrecon.physics.simulate import simulate


@pytest.fixture(scope="module")
def frames2d():
    return make_frames()


@pytest.fixture(scope="module")
def frames3d():
    return make_frames(phases=5, planes=5, second=0.5, modulation=0.6, seed=4, peak=1500.0)


@pytest.fixture(scope="module")
def simulated():
    stack, truth = simulate(shape=(128, 128), peak_e=300.0, seed=2)
    return stack.data[0, 0, :, :, 0].astype(np.float32), truth


def angles_of(peaks):
    return [math.degrees(p.angle_rad) for p in peaks]


def test_peaks_have_the_periods_and_angles_that_were_put_in(frames2d):
    peaks = direction_peaks(frames2d[0, :, :, 0], 0.065)
    np.testing.assert_allclose(angles_of(peaks), ANGLES_DEG, atol=0.5)
    np.testing.assert_allclose([p.period_px for p in peaks], 3.4, rtol=0.01)
    np.testing.assert_allclose([p.period_um for p in peaks], 3.4 * 0.065, rtol=0.01)
    assert {p.grade for p in peaks} == {"strong"}
    assert all(p.rival_px is None and p.orders_px is None for p in peaks)


def test_no_pattern_no_peak():
    peaks = direction_peaks(make_frames(modulation=0.0)[0, :, :, 0], None)
    assert {p.grade for p in peaks} == {"none"}
    assert peaks[0].period_um is None


def test_two_orders_of_a_three_beam_pattern(frames3d):
    for peak in direction_peaks(frames3d[0, :, :, 2], 0.08):
        coarse, fine = peak.orders_px
        assert fine == pytest.approx(3.4, rel=0.01)
        assert coarse == pytest.approx(6.8, rel=0.02)
        assert peak.finest_px == fine


@pytest.mark.parametrize("order", ["PA", "AP"])
def test_2d_orders_are_told_apart(frames2d, order):
    rows = compare_orders(as_sequence(frames2d, order), 3, 3, None)
    decided = explain(rows)[1]
    assert rows[0].order == order
    assert rows[0].distinct == 3
    assert rows[1].distinct < 3
    assert decided
    assert rows[1].fault == "directions are mixed within a group"


@pytest.mark.parametrize("order", ["PZA", "PAZ", "ZAP", "ZPA", "APZ", "AZP"])
def test_3d_orders_are_told_apart(frames3d, order):
    rows = compare_orders(as_sequence(frames3d, order), 3, 5, None)
    assert rows[0].order == order
    assert rows[0].explained > 0.9
    assert rows[1].explained < 0.5
    assert explain(rows)[1]
    np.testing.assert_allclose(angles_of(rows[0].peaks), ANGLES_DEG, atol=1.5)


def test_regroup_is_the_inverse_of_the_sequence(frames3d):
    for order in ("PZA", "PAZ", "ZAP"):
        back = regroup(as_sequence(frames3d, order), 3, 5, order)
        np.testing.assert_array_equal(back, frames3d[0])


@pytest.mark.parametrize(
    ("angles_deg", "phases"),
    [((0, 36, 72, -72, -36), 5), ((0, 36, 72, -72, -36), 3), ((5, 50, -85, -40), 3)],
)
@pytest.mark.parametrize("order", ["PA", "AP"])
def test_counts_are_found_with_the_order(angles_deg, phases, order):
    frames = make_frames(angles_deg=angles_deg, phases=phases, seed=3)
    sequence = as_sequence(frames, order)
    rows = group_frames(RawFrames(sequence, (("S", len(sequence)),))).rows
    assert (rows[0].order, rows[0].angles, rows[0].phases) == (order, len(angles_deg), phases)
    assert explain(rows)[1]


@pytest.mark.parametrize("order", ["PZA", "ZPA", "AZP"])
def test_planes_and_times_of_one_sequence(order):
    """Two time points of three planes: the pattern tells where a time point ends."""
    frames = make_frames(planes=3, times=2, seed=6)
    found = group_frames(RawFrames(as_sequence(frames, order), (("S", 54),)))
    best = found.rows[0]
    assert (best.order, best.planes, best.times) == (order, 3, 2)
    assert explain(found.rows)[1]
    np.testing.assert_array_equal(found.data[:, 0], frames)


def test_steps_of_the_phases_are_measured(frames2d):
    row = compare_orders(as_sequence(frames2d), 3, 3, None)[0]
    np.testing.assert_allclose(np.degrees(row.marks.phase_steps_rad()), 120, atol=12)
    backwards = compare_orders(as_sequence(frames2d[:, :, ::-1]), 3, 3, None)[0]
    np.testing.assert_allclose(np.degrees(backwards.marks.phase_steps_rad()), -120, atol=12)


def test_file_that_calls_phases_time_points():
    """Angles under Z and phases under T, as an ImageJ import of a Zeiss file gives them."""
    angles = (0.0, 36.0, 72.0, -72.0, -36.0)
    frames = make_frames(angles_deg=angles, phases=5, planes=5, seed=3)[0]
    sequence = as_sequence(frames[None], "ZAP")
    raw = RawFrames(sequence.reshape(5, 25, 96, 96), (("T", 5), ("Z", 25)))
    found = group_frames(raw)
    assert found.rows[0].order == "ZAP"
    assert any("time points" in note for note in found.notes)
    np.testing.assert_array_equal(found.data[0, 0], frames)


def test_two_orders_that_fit_alike_are_called_ambiguous():
    frames = make_frames(phases=3, seed=2)
    sequence = as_sequence(frames)
    alike = np.concatenate([sequence[:3]] * 3)  # one direction three times
    rows = compare_orders(alike, 3, 3, None)
    assert not explain(rows)[1]


def test_nothing_is_decided_without_a_pattern():
    rows = compare_orders(as_sequence(make_frames(modulation=0.0)), 3, 3, None)
    sentence, decided = explain(rows)
    assert not decided
    assert "no order" in sentence


def test_carriers_are_found_within_a_third_of_a_sample(simulated):
    data, truth = simulated
    for found, true in zip(direction_peaks(data, 0.065), truth.pattern.directions, strict=True):
        f = np.array([math.sin(found.angle_rad), math.cos(found.angle_rad)]) / found.period_um
        t = np.array(true.frequency_per_um)
        assert min(np.hypot(*(f - t)), np.hypot(*(f + t))) * 128 * 0.065 < 0.3
        assert found.grade == "strong"


@pytest.mark.parametrize("order", ["PA", "AP"])
def test_order_of_jittered_dim_frames(order):
    stack, _ = simulate(
        shape=(128, 128), peak_e=60.0, seed=2, phase_jitter_rad=0.2, intensity_jitter=0.05
    )
    data = stack.data[0, 0, :, :, 0].astype(np.float32)
    listed = data if order == "PA" else data.swapaxes(0, 1)
    rows = compare_orders(listed.reshape(9, 128, 128), 3, 3, None)
    assert rows[0].order == order
    assert explain(rows)[1]
    assert rows[0].to_dict()["distinct_directions"] == 3


def test_number_of_frames_must_fit(simulated):
    with pytest.raises(InputError, match="number of frames"):
        compare_orders(simulated[0].reshape(9, 128, 128)[:8], 3, 3, None)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["raw.dv", "raw.tif"])
def test_order_of_a_real_stack_of_planes(name):
    """cudasirecon's sample: PZA, angles of its configuration (mirrored: rows turned round)."""
    rows = group_frames(read_raw(real(f"cudasirecon-3dsim/{name}"))).rows
    best = rows[0]
    assert (best.order, best.angles, best.phases, best.planes) == ("PZA", 3, 5, 9)
    assert explain(rows)[1]
    expected = [math.degrees(a) for a in (0.8043, 1.8555 - math.pi, -0.2388)]
    assert angles_of(best.peaks) == pytest.approx(expected, abs=0.6)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", ["PA", "AP"])
def test_real_frames_in_either_order(order):
    """Mitochondria of the bsim set (file order PA) and their swapped copy."""
    path = real("bsim/example_3_mitochondria_cristae/raw_images.tif")
    data = tifffile.imread(path).astype(np.float32).reshape(3, 3, 120, 120)
    listed = data if order == "PA" else data.swapaxes(0, 1)
    rows = compare_orders(listed.reshape(9, 120, 120), 3, 3, None)
    sentence, decided = explain(rows)
    assert rows[0].order == order
    assert decided, sentence
    assert sorted(angles_of(rows[0].peaks)) == pytest.approx([-59.6, 1.4, 58.0], abs=0.6)


@pytest.mark.data
@pytest.mark.parametrize("order", ["PA", "AP"])
def test_real_tirf_frames_in_either_order(order):
    folder = real("tirfsim-mt")
    data = np.stack([tifffile.imread(folder / f"1_X{i}.tif") for i in range(1, 10)])
    data = data.reshape(3, 3, 256, 256).astype(np.float32)
    listed = data if order == "PA" else data.swapaxes(0, 1)
    rows = compare_orders(listed.reshape(9, 256, 256), 3, 3, None)
    assert rows[0].order == order
    assert rows[0].distinct > rows[1].distinct
