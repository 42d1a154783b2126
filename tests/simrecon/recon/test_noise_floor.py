import numpy as np
import pytest

from simrecon.model.camera import Camera
from simrecon.physics.simulate import simulate
from simrecon.recon.noise_floor import estimate_gain, noise_variance_beyond_cutoff

CUTOFF = 2 * 1.49 / 0.525


def test_white_noise_variance_is_found():
    noise = np.random.default_rng(0).normal(5.0, 3.0, (3, 128, 127)).astype(np.float32)
    assert noise_variance_beyond_cutoff(noise, 0.065, CUTOFF) == pytest.approx(9.0, rel=0.05)


def test_gain_of_simulated_frames_is_found_whatever_the_object():
    for kind in ("filaments", "constant"):
        stack, _ = simulate(shape=(128, 128), kind=kind, peak_e=300.0, seed=2, background=20.0)
        counts = np.asarray(stack.data[0, 0, :, :, 0])
        camera = Camera(offset=100.0, source="assumed")
        found = estimate_gain(counts, camera, stack.pixel_um, CUTOFF)
        assert found is not None
        # the camera has a gain of 2; its read noise of 1.5 e is absorbed (some %)
        assert 2.0 < found.gain < 2.2
        assert found.offset == 100.0
        assert "estimated" in found.source


def test_stretching_scales_the_gain():
    stack, _ = simulate(shape=(96, 96), peak_e=100.0, seed=1, camera=Camera(1.0, 100.0, 0.0))
    counts = np.asarray(stack.data[0, 0, :, :, 0], dtype=np.float32) - 100.0
    plain = estimate_gain(counts, Camera(), stack.pixel_um, CUTOFF)
    stretched = estimate_gain(190.0 * counts, Camera(), stack.pixel_um, CUTOFF)
    assert plain is not None
    assert stretched is not None
    assert stretched.gain == pytest.approx(190.0 * plain.gain, rel=1e-5)


def test_coarse_sampling_and_darkness_give_no_gain():
    frames = np.random.default_rng(0).poisson(10.0, (2, 64, 64)).astype(np.float32)
    assert estimate_gain(frames, Camera(), 0.2, CUTOFF) is None
    assert estimate_gain(frames, Camera(offset=20.0), 0.065, CUTOFF) is None


def test_noise_free_frames_are_scaled_to_a_bright_mean():
    stack, truth = simulate(shape=(64, 64), kind="constant", peak_e=10.0)
    found = estimate_gain(1e-5 * truth.expected_e, Camera(), stack.pixel_um, CUTOFF)
    assert found is not None
    mean = float(found.electrons(1e-5 * truth.expected_e).mean())
    assert mean == pytest.approx(1e5, rel=1e-3)
