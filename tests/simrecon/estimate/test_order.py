import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.estimate import detect_frame_order, search_carriers
from simrecon.physics.simulate import simulate


@pytest.fixture(scope="module")
def frames():
    stack, truth = simulate(shape=(128, 128), peak_e=300.0, seed=2)
    return stack.data[0, 0, :, :, 0].astype(np.float32), truth


def test_carriers_without_an_otf(frames):
    data, truth = frames
    for found, true in zip(search_carriers(data, 0.065), truth.pattern.directions, strict=True):
        f, t = np.array(found.frequency_per_um), np.array(true.frequency_per_um)
        assert min(np.hypot(*(f - t)), np.hypot(*(f + t))) * 128 * 0.065 < 0.3
        assert found.peak_to_background > 12


@pytest.mark.parametrize("order", ["PA", "AP"])
def test_order_is_found_either_way(frames, order):
    data, _ = frames
    listed = data if order == "PA" else data.swapaxes(0, 1)
    result = detect_frame_order(np.ascontiguousarray(listed).reshape(9, 128, 128), 0.065, 3, 3)
    assert result.order == order
    assert order in result.sentence
    assert [e.distinct for e in result.table if e.order == order] == [True]
    assert len(result.to_dict()["table"]) == 2


def test_noise_decides_nothing():
    noise = np.random.default_rng(0).poisson(30.0, (9, 96, 96)).astype(np.float32)
    assert detect_frame_order(noise, 0.065, 3, 3).order is None


def test_number_of_frames_must_fit(frames):
    with pytest.raises(InputError, match="number of frames"):
        detect_frame_order(frames[0].reshape(9, 128, 128)[:8], 0.065, 3, 3)
