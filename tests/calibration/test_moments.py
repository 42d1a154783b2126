import numpy as np
import pytest
from camera_maker import SimulatedCamera

from calibration.moments import Moments, measure


def test_as_numpy_does_it_with_all_frames_at_hand():
    frames = SimulatedCamera(seed=3).stack(40.0, 60, flicker=0.1)
    found, x = measure(frames), frames.astype(float)
    assert found.count == 60
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, x.var(axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(found.frame_means, x.mean(axis=(1, 2)))
    m = x.mean(axis=(1, 2), keepdims=True)
    together = ((x - x.mean(axis=0)) * (m - m.mean())).sum(axis=0)
    np.testing.assert_allclose(found.with_frame_mean, together, rtol=1e-8, atol=1e-6)
    rows = (x.mean(axis=2) - m[..., 0]).var(axis=0) * 60
    columns = (x.mean(axis=1) - m[..., 0]).var(axis=0) * 60
    np.testing.assert_allclose(found.row_scatter, rows, rtol=1e-9)
    np.testing.assert_allclose(found.column_scatter, columns, rtol=1e-9)


def test_a_large_offset_costs_no_digits():
    noise = np.random.default_rng(0).normal(size=(40, 5, 7))
    found = measure(1e9 + noise)
    np.testing.assert_allclose(found.variance, noise.var(axis=0, ddof=1), rtol=1e-5)


def test_flicker_is_taken_out_without_bias():
    camera = SimulatedCamera(seed=1, shape=(24, 24), prnu=0.2)
    dark, flat = measure(camera.stack(0, 100)), measure(camera.stack(400.0, 400, flicker=0.1))
    truth = 2.2**2 * (400.0 * camera.response * np.mean(flat.frame_means - dark.mean.mean())
                      / (880.0 * camera.response.mean()) + 1.5**2) + 1 / 12  # fmt: skip
    ratio = flat.variance_without_flicker(dark.mean) / truth
    assert ratio.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 400) / 24)
    assert (flat.variance / truth).mean() > 3.0
    # bright pixels flicker more: no slope may be left
    assert np.corrcoef(ratio.ravel(), camera.response.ravel())[0, 1] == pytest.approx(0, abs=0.15)


def test_only_one_frame_is_held():
    alive, most = 0, 0

    class Frame(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def frames():
        nonlocal alive, most
        for _ in range(30):
            frame = np.zeros((4, 4)).view(Frame)
            alive += 1
            most = max(most, alive)
            yield frame
            del frame

    assert measure(frames()).count == 30
    assert most <= 3


@pytest.mark.parametrize(("top", "level", "clipped"), [(4095, 4095, True), (65535, 900, False)])
def test_saturation_is_seen(top, level, clipped):
    camera = SimulatedCamera(top=top, seed=2)
    found = measure(camera.stack(1900.0 if clipped else level / 2.2, 20))
    assert (found.saturated_fraction > 0.3) == clipped


def test_pile_below_the_full_scale_is_saturation():
    found = measure(SimulatedCamera(top=3000, seed=2).stack(1350.0, 20))
    assert found.saturated_fraction > 0.2
    steps = measure([np.full((2, 2), 5.0), np.full((2, 2), 6.0)])
    assert (steps.top, steps.at_top, steps.below_top) == (6.0, 4, 4)
    rising = Moments()
    for frame in np.arange(12.0).reshape(3, 2, 2):
        rising.add(frame)
    assert (rising.top, rising.at_top, rising.below_top, rising.zeros) == (11.0, 1, 1, 1)
