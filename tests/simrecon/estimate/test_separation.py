"""Leaks between separated bands, and what the fit gains from them."""

import numpy as np
import pytest
from fit_errors import errors

from simrecon.estimate import estimate_pattern, estimator
from simrecon.estimate.conditioning import conditioned
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.separation import leaks_of, noiseless_form
from simrecon.estimate.task import FitTask
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.simulate import simulate
from simrecon.recon.preprocess import raw_variance

CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
PIXEL = 0.065


def acquired(kind, seed, peak_e, size):
    return simulate(
        shape=(size, size),
        pixel_um=PIXEL,
        optics=Optics(na=1.4, emission_nm=520.0),
        kind=kind,
        peak_e=peak_e,
        phase_jitter_rad=np.deg2rad(6.0),
        intensity_jitter=0.03,
        camera=CAMERA,
        seed=seed,
        fine=2,
    )


def prepared(kind, seed):
    """Fit task and true states, phases at the centre of the field."""
    stack, truth = acquired(kind, seed, peak_e=300.0, size=128)
    frames = stack.frames_e()
    task, _ = FitTask.of(frames, PIXEL, truth.otf, raw_variance(frames, CAMERA))
    centre = np.array(task.window.centre_um)
    states = []
    for d in truth.pattern.directions:
        frequency = np.array(d.frequency_per_um)
        phase = np.array(d.phase_rad) + 2 * np.pi * frequency @ centre
        states.append(DirectionState(frequency, phase, np.array(d.intensity), d.modulation[0]))
    return task, states


@pytest.fixture(scope="module")
def examples():
    """States at the truth and their leaks, several objects."""
    found = []
    for seed, kind in enumerate(["filaments", "rings", "blobs"] * 3):
        task, states = prepared(kind, seed)
        found.append((states, leaks_of(task.images, states, task.noise)))
    return found


def test_leaks_of_the_true_pattern_scatter_as_they_say(examples):
    """27 directions: mean squared β and γ over their claimed variance, expected 1 ± 0.2 each."""
    squared = np.array(
        [
            np.abs(one.values(state.parameters)) ** 2
            for states, leaks in examples
            for state, one in zip(states, leaks, strict=True)
        ]
    )
    assert np.all(np.abs(squared.mean(axis=0) - 1.0) < 0.6), squared.mean(axis=0)


def test_intensities_move_beta_and_steps_move_gamma(examples):
    states, leaks = examples[0]
    slopes = np.abs(leaks[0].slopes(states[0].parameters))
    phi, g = slopes[:3], slopes[3:6]
    assert g[:, 0].min() > 5 * phi[:, 0].max()
    assert phi[:, 1].min() > 3.0
    assert slopes[6].max() < 0.1 * g[:, 0].max()


def test_noise_leaves_nothing_in_the_forms():
    rng = np.random.default_rng(0)
    noise, weight = np.array([1.0, 4.0, 9.0]), rng.uniform(0.5, 1.5, 40_000).astype(np.float32)
    parts = rng.normal(size=(2, 3, weight.size)) * np.sqrt(noise / 2)[:, None]
    form = noiseless_form((parts[0] + 1j * parts[1]).astype(np.complex64), weight, noise)
    assert np.abs(form).max() < 0.03 * weight.sum() * noise.max()


class Measured:
    """Leaks that are exactly linear."""

    def __init__(self, slopes, offset):
        self.linear, self.offset = slopes, offset

    def values(self, parameters):
        return parameters @ self.linear + self.offset

    def slopes(self, parameters):
        return self.linear


def linear_case(rng, offset_sd=1.0):
    """One direction, its covariance, and leaks whose errors have `offset_sd`."""
    state = DirectionState(np.array([3.0, 3.5]), np.array([0.1, 2.2, 4.1]), np.ones(3), 0.7)
    root = 0.02 * rng.normal(size=(9, 9))
    slopes = 20 * (rng.normal(size=(7, 2)) + 1j * rng.normal(size=(7, 2)))
    noise = offset_sd * np.sqrt(0.5) * (rng.normal(size=2) + 1j * rng.normal(size=2))
    return state, root @ root.T, Measured(slopes, noise - state.parameters @ slopes)


def test_conditioning_is_the_gaussian_posterior():
    state, matrix, leaks = linear_case(np.random.default_rng(3))
    (after,), better = conditioned([state], matrix, [leaks])
    a = np.zeros((4, 9))
    a[:, :7] = np.sqrt(2) * np.concatenate([leaks.linear.real.T, leaks.linear.imag.T])
    t = leaks.values(state.parameters)
    posterior = np.linalg.inv(np.linalg.inv(matrix) + a.T @ a)
    move = -posterior @ a.T @ (np.sqrt(2) * np.concatenate([t.real, t.imag]))
    assert better == pytest.approx(posterior, rel=1e-6, abs=1e-12)
    assert after.phase_rad - state.phase_rad == pytest.approx(move[:3])
    assert after.intensity - state.intensity == pytest.approx(move[3:6])
    assert np.log(after.modulation / state.modulation) == pytest.approx(move[6])
    assert after.frequency_per_um - state.frequency_per_um == pytest.approx(move[7:])


def test_a_leak_that_cannot_be_one_hardly_counts():
    """A periodic sample shares light between its bands: 70 sd beyond what the fit allows."""
    state, matrix, leaks = linear_case(np.random.default_rng(3))
    usual, sd = (np.sqrt(np.diag(m)) for m in (conditioned([state], matrix, [leaks])[1], matrix))
    leaks.offset = leaks.offset + 70 * (1 + np.abs(leaks.linear).sum(axis=0) * sd[:7].max())
    (after,), better = conditioned([state], matrix, [leaks])
    assert np.all(np.sqrt(np.diag(better)) > 0.99 * sd)
    assert np.any(usual < 0.8 * sd)
    assert np.abs(after.phase_rad - state.phase_rad).max() < 0.2 * sd[:3].max()


def test_a_direction_that_is_hardly_known_stays():
    state, matrix, leaks = linear_case(np.random.default_rng(3))
    matrix[0, 0] += 0.2
    (after,), better = conditioned([state], matrix, [leaks])
    assert np.array_equal(after.parameters, state.parameters)
    assert better == pytest.approx(matrix)


def test_steps_and_intensities_of_smooth_objects_are_known_better(monkeypatch):
    """Blobs at 200 e, two sets; errors with and without what the bands must not share."""
    wrong = {True: [], False: []}
    for seed in (2, 3):
        stack, truth = acquired("blobs", seed, peak_e=200.0, size=320)
        frames = stack.frames_e()
        for on in wrong:
            with monkeypatch.context() as patch:
                if not on:
                    patch.setattr(estimator, "conditioned", lambda s, m, leaks: (s, m))
                fit = estimate_pattern(
                    frames,
                    PIXEL,
                    truth.otf,
                    variance_e2=raw_variance(frames, CAMERA),
                    fixed_frequencies_per_um=[d.frequency_per_um for d in truth.pattern.directions],
                    local="off",
                )
            found = errors(fit, truth)
            steps = found["phi"] - found["phi"].mean(axis=1, keepdims=True)
            wrong[on].append([np.mean(steps**2), np.mean(found["g"] ** 2)])
    ratio = np.sqrt(np.mean(wrong[True], axis=0) / np.mean(wrong[False], axis=0))
    assert np.all(ratio < 0.8)
