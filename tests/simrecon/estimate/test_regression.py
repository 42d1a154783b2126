"""The equation that fixes the modulation: its sums over blocks and its derivative."""

import numpy as np
import pytest

from simrecon.estimate.blocks import Blocks
from simrecon.estimate.joint import demodulate, freeze
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.overlap import Prediction
from simrecon.estimate.regression import modulation_rows
from simrecon.estimate.task import FitTask
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.simulate import simulate
from simrecon.recon.preprocess import raw_variance


def frozen_fit(peak_e):
    """Quadratic form, its states a little off the truth, and images of three directions."""
    camera = Camera(gain=2.0, offset=100.0, read_noise_e=1.5, source="simulated")
    stack, truth = simulate(
        shape=(96, 96), optics=Optics(na=1.4, emission_nm=520.0), peak_e=peak_e, camera=camera,
        intensity_jitter=0.03, phase_jitter_rad=0.1, seed=5,
    )  # fmt: skip
    frames = stack.frames_e()
    variance = raw_variance(frames, camera)
    task, _ = FitTask.of(frames, stack.pixel_um, truth.otf, variance)
    centre = np.array(task.window.centre_um)
    states = [
        DirectionState(
            np.array(d.frequency_per_um),
            np.array(d.phase_rad) + 2 * np.pi * np.dot(d.frequency_per_um, centre) + 0.02,
            np.array(d.intensity),
            1.03 * d.modulation[0],
        )
        for d in truth.pattern.directions
    ]
    rows = demodulate(task.images, variance, states)
    return freeze(task.images, rows, states, True), states, task.images


def equation(gram, direction, coefficients):
    """ψ written out, noise left in, with the weights of `gram`."""
    group, model = gram.groups[0], gram.model
    found = Prediction.of(gram, direction)
    bands = np.array(
        [
            coefficients[gram.band_of_row == b] @ gram.rows[gram.band_of_row == b]
            for b in range(gram.bands.shape[0])
        ]
    )
    own = [3 * direction + 1, 3 * direction + 2]
    others = [b for b in range(len(bands)) if b not in own]
    matched = np.sum((np.conj(group.gains) * bands * group.inverse)[others], axis=0)
    predicted = group.gains[own] * matched / found.density
    assert model.phases == 3
    return float(np.sum(found.weight * np.real(np.conj(predicted) * (bands[own] - predicted))))


def test_its_derivative_is_that_of_the_equation():
    gram, states, images = frozen_fit(1e4)  # so bright that noise adds nearly nothing to it
    jac = gram.model.jacobian_of_states(states)
    blocks = Blocks.on(images)
    even = np.full(blocks.sums_raw(np.ones((96, 96))).size, 0.01)
    _, slopes = modulation_rows(gram, states, jac, images, blocks, even)
    c = gram.model.of_states(states)
    for d in range(3):
        numeric = [
            -(equation(gram, d, c + 1e-4 * j) - equation(gram, d, c - 1e-4 * j)) / 2e-4 for j in jac
        ]
        scale = np.abs(numeric[9 * d + 6])
        assert scale > 0
        assert slopes[d] == pytest.approx(np.array(numeric), abs=2e-3 * scale)


def test_noise_does_not_add_to_its_derivative():
    """ψ is quadratic in the bands: along a common brightness its derivative is 2ψ, noise apart."""
    gram, states, images = frozen_fit(40.0)
    jac, blocks = gram.model.jacobian_of_states(states), Blocks.on(images)
    share = blocks.sums_raw(np.ones((96, 96)))
    scores, slopes = modulation_rows(gram, states, jac, images, blocks, share / share.sum())
    brighter = np.concatenate([np.r_[np.zeros(3), s.intensity, np.zeros(3)] for s in states])
    for d in range(3):
        found = Prediction.of(gram, d)
        noise = float(np.sum(found.weight * found.doubt))
        assert slopes[d] @ brighter == pytest.approx(-2 * scores[d].sum(), abs=0.4 * noise)


def test_its_blocks_add_up_to_the_regression():
    gram, states, images = frozen_fit(300.0)
    jac, blocks = gram.model.jacobian_of_states(states), Blocks.on(images)
    share = blocks.sums_raw(np.ones((96, 96)))
    scores, _ = modulation_rows(gram, states, jac, images, blocks, share / share.sum())
    for d in range(3):
        found = Prediction.of(gram, d)
        doubt = float(np.sum(found.weight * found.doubt))
        whole = equation(gram, d, gram.model.of_states(states)) + doubt
        assert scores[d].sum() == pytest.approx(-whole, abs=1e-3 * doubt)
