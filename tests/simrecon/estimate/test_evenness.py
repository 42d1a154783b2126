"""The weight that makes noise even, what the window makes of it, and what the fit gains."""

import numpy as np
import pytest
from fit_errors import errors
from scipy.ndimage import gaussian_filter

from simrecon.estimate import estimate_pattern, task
from simrecon.estimate.evenness import LEAST_E2, noise_weight
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.task import FitTask
from simrecon.estimate.tiles import measure_tiles
from simrecon.estimate.window import FieldWindow
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.exposure import expose
from simrecon.physics.simulate import simulate
from simrecon.recon.preprocess import raw_variance

PIXEL, CUTOFF = 0.065, 5.4
OPTICS = Optics(na=1.4, emission_nm=520.0)
CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
LEAST = LEAST_E2 * (CUTOFF * PIXEL) ** 2


def uneven(kind="filaments", seed=3, size=192):
    """A sample whose brightness varies by e both ways over some 3 µm."""
    even = simulate(shape=(size, size), pixel_um=PIXEL, optics=OPTICS, kind=kind, seed=seed)[1]
    rng = np.random.default_rng(seed)
    sigma = 3.0 / even.fine_grid.pixel_um
    field = gaussian_filter(rng.standard_normal(even.fine_object.shape), sigma, mode="wrap")
    bright = (even.fine_object * np.exp(field / field.std())).astype(np.float32)
    return simulate(
        shape=(size, size), pixel_um=PIXEL, optics=OPTICS, fine_object=bright, camera=CAMERA,
        peak_e=1000.0, phase_jitter_rad=0.1, seed=seed,
    )[1]  # fmt: skip


def test_even_noise_needs_no_weight():
    weight = noise_weight(np.full((3, 3, 40, 50), 7.0, np.float32), PIXEL, CUTOFF)
    np.testing.assert_allclose(weight, 1.0, rtol=1e-5)


def test_slow_changes_are_evened_and_fine_structure_is_left():
    y = np.arange(200)[:, None] * PIXEL
    slow = 300.0 * (1.2 + np.cos(2 * np.pi * y / 13.0)) * np.ones((1, 120))
    weight = noise_weight(np.broadcast_to(slow, (1, 3, 200, 120)), PIXEL, CUTOFF)
    assert np.mean(weight.astype(float) ** 2) == pytest.approx(1.0, rel=1e-5)
    evened = weight[40:160] ** 2 * (slow[40:160] + LEAST)
    assert evened.std() / evened.mean() < 0.2 < 0.5 < slow.std() / slow.mean()
    fine = slow.mean() * (1 + np.cos(2 * np.pi * y / 0.4)) * np.ones((1, 120))
    weight = noise_weight(np.broadcast_to(fine, (1, 3, 200, 120)), PIXEL, CUTOFF)
    assert np.ptp(weight) < 0.02


def test_light_below_the_read_noise_is_not_raised():
    dim = np.full((1, 3, 100, 100), 0.01 * LEAST, np.float32)
    dim[..., :50] *= 10.0
    assert np.ptp(noise_weight(dim, PIXEL, CUTOFF)) < 0.05


def test_the_gradients_are_those_of_window_and_weight_together():
    window = FieldWindow.on((60, 80), PIXEL, 0.2)
    y, x = window.y_um[:, None], window.x_um[None]
    weight = (1.0 + 0.3 * np.sin(1.5 * y + x)).astype(np.float32)
    both = FieldWindow(window.wy, window.wx, window.y_um, window.x_um, window.padded, weight=weight)
    plain, tapers = window.tapers, both.tapers
    np.testing.assert_array_equal(tapers[0], plain[0])
    for n, along in ((1, 1.5), (2, 1.0)):
        expected = plain[n] * weight + plain[0] * 0.3 * along * np.cos(1.5 * y + x)
        inner = np.s_[2:-2, 2:-2]
        np.testing.assert_allclose((tapers[n] * weight)[inner], expected[inner], atol=0.01)


def test_an_uneven_sample_is_known_better_with_it(monkeypatch):
    truth = uneven()
    squares = {"weighted": [], "plain": []}
    for draw in range(6):
        counts, _ = expose(truth.expected_e, CAMERA, np.random.default_rng([8, draw]))
        frames = CAMERA.electrons(counts)
        for name in squares:
            with monkeypatch.context() as patch:
                if name == "plain":
                    ones = np.ones(frames.shape[-2:], np.float32)
                    patch.setattr(task, "noise_weight", lambda *_, ones=ones: ones)
                variance = raw_variance(frames, CAMERA)
                fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
            e = errors(fit, truth)
            squares[name].append([np.mean(e["f"] ** 2), np.mean(e["phi"] ** 2)])
    gain = np.mean(squares["weighted"], axis=0) / np.mean(squares["plain"], axis=0)
    assert (gain < 0.85).all(), gain


def test_frames_and_their_noise_get_the_same_weight():
    truth = uneven(size=96)
    frames = truth.expected_e.astype(np.float32)
    frames += np.random.default_rng(1).normal(0, np.sqrt(frames)).astype(np.float32)
    made, notes = FitTask.of(frames, PIXEL, truth.otf, frames.mean(axis=(0, 1)), even=True)
    weight = made.window.weight
    np.testing.assert_allclose(made.variance_e2[0, 0], frames.mean(axis=(0, 1)) * weight**2)
    spectra = made.window.transform(frames * weight)
    np.testing.assert_allclose(made.spectra, spectra, atol=1e-5 * np.abs(spectra).max())
    assert notes == []


def test_nothing_is_weighted_unless_asked_for_with_a_given_variance():
    truth = uneven(size=96)
    frames = truth.expected_e.astype(np.float32)
    frames += np.random.default_rng(1).normal(0, 3, frames.shape).astype(np.float32)
    for even, variance in ((True, None), (False, frames)):
        made, _ = FitTask.of(frames, PIXEL, truth.otf, variance, even=even)
        assert made.window.weight is None


def test_the_light_of_tiles_is_that_of_the_sample():
    truth = uneven()
    counts, _ = expose(truth.expected_e, CAMERA, np.random.default_rng(4))
    frames = CAMERA.electrons(counts).astype(np.float32)
    variance = raw_variance(frames, CAMERA)
    lights = {}
    for even in (False, True):
        made, _ = FitTask.of(frames, PIXEL, truth.otf, variance, even=even)
        d, (cy, cx) = truth.pattern.directions[0], made.window.centre_um
        shift = 2 * np.pi * (d.frequency_per_um[0] * cy + d.frequency_per_um[1] * cx)
        state = DirectionState(
            np.array(d.frequency_per_um), np.array(d.phase_rad) + shift,
            np.array(d.intensity), d.modulation[0],
        )  # fmt: skip
        light = measure_tiles(made.images, 0, state, made.variance_e2[0]).light
        lights[even] = light / light.sum()
    assert np.abs(lights[True] - lights[False]).sum() < 0.1


def test_the_structures_coverage_is_that_of_the_frames():
    truth = uneven()
    frames = truth.expected_e.astype(np.float32)
    found = [FitTask.of(frames, PIXEL, truth.otf, frames, even=e)[0].coverage for e in (0, 1)]
    assert found[0] == pytest.approx(found[1], abs=1e-4)
