"""The honeycomb test finds planted stripes of known size and stays quiet otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import InputError, UsageError
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.simulate import simulate
from simrecon.qc.peaks import residual_peaks

GRID = Grid((211, 256), 0.05)


def _pattern(*frequencies, orders=1):
    directions = tuple(
        DirectionPattern(
            f, phase_rad=(0.0, 2.1, 4.2), modulation=(0.5,) * orders, intensity=(1.0,) * 3
        )
        for f in frequencies
    )
    return PatternFit(0.05, GRID.shape, directions)


def _stripes(frequency, amplitude):
    y, x = GRID.positions_um()
    return amplitude * np.cos(2 * np.pi * (frequency[0] * y + frequency[1] * x) + 0.7)


def test_white_noise_alone_is_quiet():
    rng = np.random.default_rng(0)
    pattern = _pattern((1.0, 4.31), (4.2, -1.37), (3.0, 3.0))
    heights = [
        peak.height_sigmas
        for _ in range(30)
        for peak in residual_peaks(rng.normal(size=GRID.shape), GRID, pattern)
    ]
    assert len(heights) == 30 * 6
    assert max(heights) < 6.0
    assert 0.5 < np.median(heights) < 3.0


def test_a_planted_stripe_is_found_at_its_direction_and_order_only():
    pattern = _pattern((1.0, 4.313), (4.217, -1.371))
    image = np.random.default_rng(1).normal(size=GRID.shape) + _stripes((4.217, -1.371), 0.08)
    found = [(p.direction, p.order) for p in residual_peaks(image, GRID, pattern) if p.suspicious]
    assert found == [(1, 1)]
    doubled = np.random.default_rng(1).normal(size=GRID.shape) + _stripes((2.0, 8.626), 0.08)
    found = [(p.direction, p.order) for p in residual_peaks(doubled, GRID, pattern) if p.suspicious]
    assert found == [(0, 2)]


def test_height_is_the_stripe_over_the_noise():
    """Stripe of amplitude a: peak a/2·Σw; noise: Rayleigh, median 1.177·sqrt(Σw²/2)."""
    frequency, a = (1.0, 4.313), 0.5
    image = np.random.default_rng(2).normal(size=GRID.shape) + _stripes(frequency, a)
    peak = residual_peaks(image, GRID, _pattern(frequency))[0]
    samples = GRID.shape[0] * GRID.shape[1]
    sum_w, sum_w2 = samples / 4, samples * (3 / 8) ** 2
    expected = (a / 2 * sum_w) / (1.1774 * np.sqrt(sum_w2 / 2))
    assert peak.ratio == pytest.approx(expected, rel=0.12)
    assert peak.frequency_per_um == frequency


def test_parallel_lines_are_not_taken_for_a_pattern():
    y, x = GRID.positions_um()
    across = x + 0.2 * y
    lines = sum(np.exp(-((across - c) ** 2) / 0.0008) for c in (2.0, 2.13, 5.3, 5.52, 9.0))
    image = lines + np.random.default_rng(3).normal(0, 0.01, GRID.shape)
    peak = residual_peaks(image, GRID, _pattern((0.2 * 4.4, 4.4)))[0]
    assert peak.height_sigmas > 6.0
    assert not peak.suspicious


def test_carriers_beyond_nyquist_are_left_out():
    peaks = residual_peaks(
        np.random.default_rng(0).normal(size=GRID.shape), 0.05, _pattern((0.0, 6.0))
    )
    assert [p.order for p in peaks] == [1]


def test_widefield_is_quiet_and_a_mean_of_single_phases_is_not():
    stack, truth = simulate(
        shape=(256, 256), kind="filaments", peak_e=2000, period_um=0.3, modulation=(0.9,)
    )
    frames = stack.frames_e()
    right = frames.mean(axis=(0, 1))
    wrong = frames[:, :1].mean(axis=(0, 1))
    quiet = residual_peaks(right, 0.065, truth.pattern)
    loud = residual_peaks(wrong, 0.065, truth.pattern)
    assert not any(p.suspicious for p in quiet)
    assert all(p.suspicious for p in loud if p.order == 1)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="one plane"):
        residual_peaks(np.zeros((3, 64, 64)), GRID, _pattern((1.0, 1.0)))
    with pytest.raises(UsageError, match="pixel size"):
        residual_peaks(np.random.default_rng(0).random((64, 64)), -1.0, _pattern((1.0, 1.0)))
