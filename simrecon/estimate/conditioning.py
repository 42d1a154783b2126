"""The joint fit's result, improved by what separated bands must not share.

The overlap of bands says much about frequency, global phase and modulation, and little about the
steps and intensities of a smooth object. With Σ the (measured) covariance of the fit and
``t = (β, γ)/sd`` linear in the parameters near it, the best combination is the one of a Kalman
filter: ``θ − K t``, ``K = Σ Aᵀ (A Σ Aᵀ + 1)⁻¹``, with A the slopes of t; Σ becomes ``(1 − K A) Σ``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.separation import Leaks

UNLIKELY = 6.0
"""A squared leak this many times its expectation (probability 0.0025) is the object's own: bands
of periodic samples do share something. It counts by the inverse square of the excess."""

LINEAR = 0.3
"""Directions with a standard deviation, or a move, above this (rad, relative intensity, ln m) stay
as they are: so far from the optimum the slopes say little."""


def conditioned(
    states: Sequence[DirectionState], matrix: np.ndarray, leaks: Sequence[Leaks]
) -> tuple[list[DirectionState], np.ndarray]:
    """States and covariance (D·(2P + 3) squared) with the leaks as measurements."""
    phases = states[0].phase_rad.size
    count = 2 * phases + 3
    deviation = np.sqrt(np.maximum(np.diag(matrix), 0.0)).reshape(len(states), count)
    known = deviation[:, : 2 * phases + 1].max(axis=1) < LINEAR
    values, slopes = _measurements(states, leaks, known)
    spread = slopes @ matrix @ slopes.T
    doubt = _doubt(values, spread)
    gain = np.linalg.solve(spread + np.diag(doubt), slopes @ matrix).T
    moves = (-gain @ values).reshape(len(states), count)
    near = known & (np.abs(moves[:, : 2 * phases + 1]).max(axis=1) < LINEAR)
    gain[~np.repeat(near, count)] = 0.0
    moves[~near] = 0.0
    result = [
        replace(
            s,
            phase_rad=s.phase_rad + move[:phases],
            intensity=s.intensity + move[phases : 2 * phases],
            modulation=float(s.modulation * np.exp(move[2 * phases])),
            frequency_per_um=s.frequency_per_um + move[2 * phases + 1 :],
        )
        for s, move in zip(states, moves, strict=True)
    ]
    # Joseph's form stays positive whatever the gain.
    left = np.eye(matrix.shape[0]) - gain @ slopes
    better: np.ndarray = left @ matrix @ left.T + (gain * doubt) @ gain.T
    return result, better


def _measurements(
    states: Sequence[DirectionState], leaks: Sequence[Leaks], known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts of β and γ with variance one, (4D,), and their slopes (4D, n).

    Zero where a direction is not `known` well enough.
    """
    phases = states[0].phase_rad.size
    count = 2 * phases + 3
    values = np.zeros(4 * len(states))
    slopes = np.zeros((values.size, count * len(states)))
    for d, (state, one) in enumerate(zip(states, leaks, strict=True)):
        if known[d]:
            rows, first = slice(4 * d, 4 * d + 4), d * count
            # Each part has half of the complex number's variance.
            values[rows] = np.sqrt(2) * one.values(state.parameters).view(float)
            along = np.ascontiguousarray(one.slopes(state.parameters)).view(float)
            slopes[rows, first : first + 2 * phases + 1] = np.sqrt(2) * along.T
    return values, slopes


def _doubt(values: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Variance of every measurement: 1, or more for a leak that is too large to be one."""
    squared = (values**2).reshape(-1, 2).sum(axis=1)
    expected = 2.0 + np.diag(spread).reshape(-1, 2).sum(axis=1)
    excess = np.maximum(squared / (UNLIKELY * expected), 1.0)
    return np.repeat(excess**2 * expected / 2.0 - (expected - 2.0) / 2.0, 2)
