"""The simulator: reproducible truth, honest photon statistics, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.forward import Detector, FineField
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.simulate import fine_field, simulate

SMALL = {"shape": (48, 52), "fine": 2}


def test_stack_is_canonical_uint16_and_reproducible():
    stack, truth = simulate(**SMALL, directions=3, phases=5, seed=4)
    again, truth_again = simulate(**SMALL, directions=3, phases=5, seed=4)
    assert stack.data.shape == (1, 1, 3, 5, 1, 48, 52)
    assert stack.data.dtype == np.uint16
    np.testing.assert_array_equal(stack.data, again.data)
    np.testing.assert_array_equal(truth.fine_object, truth_again.fine_object)
    assert truth.pattern == truth_again.pattern
    assert np.any(stack.data != simulate(**SMALL, phases=5, seed=5)[0].data)


def test_noise_seed_changes_the_noise_only():
    a, truth_a = simulate(**SMALL, seed=4)
    b, truth_b = simulate(**SMALL, seed=4, noise_seed=9)
    np.testing.assert_array_equal(truth_a.expected_e, truth_b.expected_e)
    assert np.mean(a.data != b.data) > 0.5


def test_peak_and_mean_of_truth():
    _, truth = simulate(shape=(96, 96), kind="blobs", peak_e=300.0, background=20.0)
    assert np.percentile(truth.widefield_e, 99.9) == pytest.approx(320.0, rel=1e-4)
    assert truth.object_e.shape == (192, 192)
    assert truth.object_e.mean() == pytest.approx(truth.widefield_e.mean(), rel=0.01)
    # three equal steps average the pattern out
    np.testing.assert_allclose(truth.expected_e.mean(axis=1)[0], truth.widefield_e, rtol=1e-4)


def test_truth_on_the_sr_grid_is_the_mean_of_the_fine_object():
    _, truth = simulate(shape=(20, 24), fine=4, background=3.0)
    margin = (truth.fine_object.shape[0] - 80) // 2
    for i, j in ((0, 0), (17, 30), (39, 47)):
        block = truth.fine_object[
            margin + 2 * i : margin + 2 * i + 2, margin + 2 * j : margin + 2 * j + 2
        ]
        assert truth.object_e[i, j] == pytest.approx(float(block.mean()) + 3.0, rel=1e-5)


def test_counts_have_the_stated_mean_and_variance():
    camera = Camera(gain=3.0, offset=200.0, read_noise_e=4.0)
    stack, truth = simulate(
        shape=(128, 128), fine=2, kind="constant", peak_e=50.0, modulation=(0.0,), camera=camera
    )
    np.testing.assert_allclose(truth.expected_e, 50.0, rtol=1e-5)
    electrons = stack.frames_e().astype(np.float64)
    samples = electrons.size
    variance = 50.0 + 16.0 + 1.0 / 12.0 / 9.0  # photons, read noise, rounding of counts
    assert electrons.mean() == pytest.approx(50.0, abs=4 * np.sqrt(variance / samples))
    assert electrons.var() == pytest.approx(variance, rel=4 * np.sqrt(2.1 / samples))


def test_per_pixel_camera_maps_are_used():
    rng = np.random.default_rng(0)
    shape = (40, 44)
    camera = Camera(
        gain=rng.uniform(1.5, 3.0, shape),
        offset=rng.uniform(90, 300, shape),
        read_noise_e=rng.uniform(0.5, 6.0, shape),
    )
    stack, truth = simulate(
        shape=shape, fine=2, kind="constant", peak_e=2e3, directions=20, phases=5, camera=camera
    )
    residual = stack.frames_e() - truth.expected_e
    sigma = np.sqrt(truth.expected_e + camera.read_noise_e**2)
    z = residual / sigma
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert np.std(z) == pytest.approx(1.0, abs=0.02)
    per_pixel = z.mean(axis=(0, 1))
    assert np.std(per_pixel) == pytest.approx(0.1, rel=0.1)  # 100 frames, no pixel stays biased


def test_pattern_options_reach_the_truth():
    _, truth = simulate(
        **SMALL,
        kind="constant",
        directions=4,
        phases=5,
        period_um=0.25,
        first_angle_rad=0.1,
        modulation=(0.9, 0.5),
        phase_jitter_rad=0.1,
        intensity_jitter=0.03,
        bleaching=0.4,
    )
    directions = truth.pattern.directions
    assert [d.modulation[0] for d in directions] == [0.9, 0.5, 0.9, 0.5]
    for i, d in enumerate(directions):
        assert d.period_um == pytest.approx(0.25)
        assert d.angle_rad == pytest.approx(0.1 + np.pi * i / 4)
        steps = np.angle(np.exp(1j * (np.diff(d.phase_rad) - 2 * np.pi / 5)))
        assert 0.0 < np.max(np.abs(steps)) < 0.6
    lamp = np.array([d.intensity for d in directions])
    assert lamp.mean() == pytest.approx(1.0)
    assert lamp.ravel()[-1] / lamp.ravel()[0] == pytest.approx(0.6, abs=0.12)
    np.testing.assert_allclose(
        truth.expected_e.mean(axis=(2, 3)) / truth.expected_e.mean(), lamp, rtol=0.01
    )


def test_frames_carry_the_stated_pattern():
    """Modulation and phase of a flat object, read off with a written-out Fourier sum."""
    _, truth = simulate(shape=(60, 60), kind="constant", period_um=0.4, modulation=(0.8,))
    y, x = Grid((60, 60), 0.065).positions_um()
    window = np.outer(np.hanning(60), np.hanning(60))
    for d, frames in zip(truth.pattern.directions, truth.expected_e, strict=True):
        wave = np.exp(-2j * np.pi * (d.frequency_per_um[0] * y + d.frequency_per_um[1] * x))
        for phase, frame in zip(d.phase_rad, frames, strict=True):
            value = 2 * np.sum((frame / 1000.0 - 1.0) * wave * window) / window.sum()
            assert np.angle(value * np.exp(-1j * phase)) == pytest.approx(0.0, abs=2e-3)
            h = evaluate_otf(truth.otf, *(np.array(f) for f in d.frequency_per_um))
            assert abs(value) == pytest.approx(0.8 * float(h), rel=2e-3)


def test_haze_is_smooth_and_not_modulated():
    _, plain = simulate(shape=(64, 64), fine=2, peak_e=100.0)
    _, hazy = simulate(shape=(64, 64), fine=2, peak_e=100.0, haze=0.5)
    added = hazy.expected_e - plain.expected_e
    np.testing.assert_allclose(added, np.broadcast_to(hazy.haze_e, added.shape), atol=2e-3)
    assert np.percentile(hazy.haze_e, 99.9) == pytest.approx(50.0, rel=1e-3)
    assert np.max(np.abs(np.diff(hazy.haze_e, axis=0))) < 5.0


def test_saturation_is_counted_and_noted():
    stack, truth = simulate(**SMALL, peak_e=1000.0, bit_depth=10)
    assert stack.data.max() == 1023
    assert truth.saturated > 0
    assert any("clipped" in note for note in stack.notes)
    clean, truth = simulate(**SMALL, peak_e=100.0)
    assert truth.saturated == 0
    assert not any("clipped" in note for note in clean.notes)


def test_blank_data_is_camera_noise_only():
    stack, truth = simulate(**SMALL, peak_e=0.0)
    assert not truth.expected_e.any()
    assert abs(stack.frames_e().mean()) < 0.1


def test_own_object_is_used_and_scaled():
    field = fine_field((48, 52), 0.065, 2)
    own = np.random.default_rng(0).random(field.grid.shape).astype(np.float32)
    _, truth = simulate(**SMALL, fine_object=own, peak_e=200.0)
    ratio = truth.fine_object / own
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    image = Detector(FineField(Grid((48, 52), 0.065), 2, field.margin), truth.otf)(
        truth.fine_object
    )
    assert np.percentile(image, 99.9) == pytest.approx(200.0, rel=1e-4)


def test_tirf_takes_its_period_from_the_excitation():
    optics = Optics(na=1.49, emission_nm=525.0, excitation_nm=488.0, excitation_na=1.22)
    _, truth = simulate(**SMALL, optics=optics, mode="tirf")
    assert truth.pattern.directions[0].period_um == pytest.approx(0.2)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"peak_e": -1.0}, "cannot be negative"),
        ({"phases": 2}, "3 phases"),
        ({"fine": 3}, "multiple of 2"),
        ({"bleaching": 1.0}, "bleaching"),
        ({"bit_depth": 17}, "bit_depth"),
        ({"period_um": 0.0}, "period"),
        ({"mode": "3d"}, "mode"),
        ({"mode": "tirf"}, "period"),
        ({"mode": "tirf", "period_um": 0.2, "haze": 0.2}, "haze"),
        ({"camera": Camera(offset=3.0, gain=2.0, read_noise_e=2.0)}, "offset is too low"),
        ({"kind": "cats"}, "Unknown phantom"),
        ({"fine_object": np.zeros((142, 150), np.float32)}, "fine grid|dark"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        simulate(**{**SMALL, **wrong})


def test_pattern_beyond_the_cutoff_is_noted():
    options = {"shape": (48, 48), "peak_e": 50.0}
    near, _ = simulate(period_um=0.21, **options)
    beyond, _ = simulate(period_um=0.16, **options)
    assert not any("beyond the detection cut-off" in text for text in near.notes)
    assert any("beyond the detection cut-off" in text for text in beyond.notes)


def test_drift_per_frame_or_direction_moves_object_and_haze():
    steps = np.array([[0.0, 0.0], [0.13, -0.065], [-0.065, 0.065]])
    options = {"shape": (48, 52), "kind": "mixed", "haze": 1.0, "seed": 3}
    _, still = simulate(**options)
    _, moved = simulate(**options, drift_um=steps)
    _, same = simulate(**options, drift_um=np.repeat(steps[:, None], 3, axis=1))
    np.testing.assert_array_equal(moved.expected_e, same.expected_e)
    np.testing.assert_array_equal(moved.expected_e[0], still.expected_e[0])
    np.testing.assert_array_equal(moved.object_e, still.object_e)
    assert moved.pattern.directions[1].drift_um == ((0.13, -0.065),) * 3
    # whole camera pixels: the mean of a direction (equal steps: no pattern) is the shifted mean
    before, after = (t.expected_e[1].mean(axis=0)[8:-8, 8:-8] for t in (still, moved))
    rolled = np.roll(still.expected_e[1].mean(axis=0), (2, -1), (0, 1))[8:-8, 8:-8]
    assert np.abs(after - rolled).max() < 0.01 * rolled.max()
    assert np.abs(after - before).max() > 0.05 * rolled.max()
    with pytest.raises(UsageError, match="one displacement"):
        simulate(shape=(48, 48), drift_um=np.zeros((2, 2)))


def test_pattern_that_bends_and_fades_over_the_field():
    given = {"shape": (48, 60), "kind": "constant", "seed": 2, "fine": 2}
    _, plain = simulate(**given)
    stack, truth = simulate(phase_bend_rad=(0.0, 2.0), contrast_loss=(0.0, 0.5, 0.0), **given)
    first, second, third = truth.pattern.directions
    assert first.local is None
    assert third.local is None
    assert second.local is not None
    end = second.local.at(np.array([0.0, 47 * stack.pixel_um]), np.array([1.0]))[:, 0]
    assert np.allclose(end, [1.0, 0.5 * np.exp(2.0j)])
    assert np.array_equal(truth.expected_e[0], plain.expected_e[0])
    change = np.abs(truth.expected_e[1] - plain.expected_e[1]).max(axis=(0, 2))
    assert change[:12].max() < 0.02 * change.max()
    assert change[-8:].min() > 0.1 * change.max()
    with pytest.raises(UsageError, match="contrast_loss"):
        simulate(contrast_loss=(1.5,), **given)
