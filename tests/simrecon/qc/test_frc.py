"""Ring correlation: known signal-to-noise, size independence, answers without a crossing."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import InputError, UsageError
from simrecon.physics.simulate import simulate
from simrecon.qc.frc import frc


def _pair(shape, seed=0, pixel_um=0.1, anisotropic=False):
    """Two images whose FRC is S/(S + N) with S = exp(-k²/2s²)... crossing known."""
    rng = np.random.default_rng(seed)
    ky = np.fft.fftfreq(shape[0], pixel_um)[:, None]
    kx = np.fft.fftfreq(shape[1], pixel_um)[None, :]
    k2 = ky**2 + ((2 * kx) ** 2 if anisotropic else kx**2)
    amplitude = np.sqrt(np.exp(-k2 / 0.9))  # power S = exp(-k²/0.9), noise power 0.05
    signal = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) * amplitude).real
    return [signal + rng.normal(0, np.sqrt(0.05), shape) for _ in range(2)]


# FRC = S/(S + N) = 1/7 where S = N/6
CROSSING = np.sqrt(-0.9 * np.log(0.05 / 6))


@pytest.mark.parametrize("shape", [(256, 256), (257, 257), (255, 300), (301, 211)])
def test_crossing_lies_where_signal_and_noise_put_it(shape):
    a, b = _pair(shape)
    result = frc(a, b, 0.1)
    assert result.crossing_per_um == pytest.approx(CROSSING, rel=0.06)
    assert result.resolution_um == pytest.approx(1 / result.crossing_per_um)
    middle = np.argmin(np.abs(result.frequency_per_um - 1.0))
    signal = np.exp(-1 / 0.9)
    assert result.correlation[middle] == pytest.approx(signal / (signal + 0.05), abs=0.05)


@pytest.mark.parametrize("threshold", ["1/7", "half-bit", 0.3])
def test_256_and_257_pixels_agree_within_five_percent(threshold):
    answers = []
    for n in (256, 257):
        halves = [
            simulate(shape=(n, n), kind="filaments", peak_e=150, noise_seed=s, fine=2)[0]
            for s in (1, 2)
        ]
        a, b = (h.frames_e().mean(axis=(0, 1)) for h in halves)
        answers.append(frc(a, b, 0.065, threshold=threshold).resolution_um)
    assert answers[0] == pytest.approx(answers[1], rel=0.05)
    assert 0.17 < answers[0] < 0.3


def test_identical_images_never_cross_and_that_is_an_answer():
    a, _ = _pair((128, 128))
    result = frc(a, a.copy(), 0.1)
    assert result.resolution_um is None
    assert result.crossing_per_um is None
    np.testing.assert_allclose(result.correlation, 1.0, atol=1e-9)
    assert "stays above" in result.note


def test_unrelated_images_cross_at_once():
    rng = np.random.default_rng(3)
    result = frc(rng.normal(size=(128, 128)), rng.normal(size=(128, 128)), 0.1)
    assert result.crossing_per_um < 0.4
    assert np.mean(np.abs(result.correlation[20:])) < 0.06


def test_direction_sees_anisotropy():
    a, b = _pair((256, 256), anisotropic=True)
    along_x = frc(a, b, 0.1, direction_rad=0.0).crossing_per_um
    along_y = frc(a, b, 0.1, direction_rad=np.pi / 2).crossing_per_um
    assert along_y == pytest.approx(CROSSING, rel=0.1)
    assert along_x == pytest.approx(CROSSING / 2, rel=0.15)


def test_bad_input_is_refused():
    a, b = _pair((64, 64))
    with pytest.raises(InputError, match="differ in size"):
        frc(a, b[:, :-1], 0.1)
    with pytest.raises(UsageError, match="threshold"):
        frc(a, b, 0.1, threshold=1.5)
    with pytest.raises(InputError, match="NaN"):
        frc(a, np.full_like(b, np.nan), 0.1)
