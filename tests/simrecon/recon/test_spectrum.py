"""The signal-power fit recovers a known power law, and says zero where there is no signal."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.recon.spectrum import SignalPower, fit_signal_power


def observed(truth: SignalPower | None, seed: int):
    rng = np.random.default_rng(seed)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.0325), np.fft.fftfreq(256, 0.0325)))
    precision = 0.1 * np.clip(1 - k / 10, 0, None) ** 2
    mean = precision + (0 if truth is None else precision**2 * truth(k))
    return mean * rng.exponential(size=k.shape), precision, k


@pytest.mark.parametrize("truth", [SignalPower(3e4, 0.5, 0.9), SignalPower(1e6, 0.3, 1.6)])
def test_recovers_the_spectrum_where_it_stands_above_noise(truth):
    power, precision, k = observed(truth, 0)
    fit = fit_signal_power(power, precision, k)
    test = np.linspace(0.3, 6, 20)
    visible = truth(test) * 0.1 * (1 - test / 10) ** 2 > 0.3
    assert visible.sum() > 5
    assert np.allclose(np.log(fit(test))[visible], np.log(truth(test))[visible], atol=0.15)


def test_pure_noise_has_no_signal():
    power, precision, k = observed(None, 1)
    fit = fit_signal_power(power, precision, k)
    assert np.max(fit(k[k > 0.3]) * precision.max()) < 0.1
