from dataclasses import replace

import numpy as np
import pytest

from simrecon.estimate.nominal import nominal_direction
from simrecon.physics.simulate import simulate
from simrecon.recon.preprocess import raw_variance


@pytest.fixture(scope="module")
def data():
    return simulate(shape=(128, 128), kind="filaments", peak_e=1000.0, seed=3)


@pytest.mark.parametrize("d", [0, 1, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_equal_steps_are_recovered_in_either_sense(data, d, reverse):
    stack, truth = data
    frames = stack.frames_e()
    variance = raw_variance(frames, stack.camera)
    true = truth.pattern.directions[d]
    order = slice(None, None, -1) if reverse else slice(None)
    guess = replace(true, phase_rad=(), modulation=(), verdict="failed")
    found = nominal_direction(
        frames[d, order], variance[d, order], stack.pixel_um, truth.otf, guess, frames.mean()
    )
    error = np.angle(np.exp(1j * (np.array(found.phase_rad) - np.array(true.phase_rad)[order])))
    assert np.abs(error).max() < 0.12
    assert found.modulation[0] == pytest.approx(true.modulation[0], abs=0.08)
    assert found.intensity == pytest.approx(np.array(true.intensity)[order], abs=0.03)
    assert found.verdict == "failed"
    assert found.frequency_per_um == true.frequency_per_um


def test_no_pattern_gives_little_modulation_with_an_error_that_says_so(data):
    stack, truth = data
    frames = stack.frames_e()
    variance = raw_variance(frames, stack.camera)
    wrong = replace(truth.pattern.directions[0], frequency_per_um=(1.7, 3.9))
    found = nominal_direction(frames[0], variance[0], stack.pixel_um, truth.otf, wrong, 5.0)
    assert found.modulation[0] < 0.2
    assert len(found.phase_rad) == len(found.phase_sd_rad) == 3
