"""Frequency of the pattern from the phases that beads have at their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

FALSE_ALARM = 1e-3
"""Chance that phases without any order show a frequency as clear as the one that is taken."""
LEAST_BEADS = 6
"""Three numbers are fitted: fewer beads agree with some frequency or other."""
RIVAL = 4.0
"""Another frequency whose phases scatter less than twice as much makes both doubtful."""
_STEPS_PER_LENGTH = 4.0
_BLOCK = 20_000
_CANDIDATES = 8
_EXACT = 1e-6


@dataclass(frozen=True)
class Carrier:
    """A frequency that explains the beads' phases.

    Attributes
    ----------
    frequency_per_um : (float, float)
        (fy, fx) of the fundamental, cycles/µm.
    sd_per_um : (float, float)
    phase_rad : ndarray, shape (stacks,)
        Phase at the origin, per recording.
    scatter_rad : float
        Rms of the beads' phases about it.
    """

    frequency_per_um: tuple[float, float]
    sd_per_um: tuple[float, float]
    phase_rad: np.ndarray
    scatter_rad: float

    @property
    def size_per_um(self) -> float:
        """|p|, cycles/µm."""
        return float(np.hypot(*self.frequency_per_um))

    def phases(self, place_um: np.ndarray, stack: np.ndarray) -> np.ndarray:
        """Phases of beads at (y, x), shape (N, 2), of the recordings `stack`; rad."""
        turn = 2.0 * np.pi * place_um @ np.asarray(self.frequency_per_um)
        return np.asarray(turn + self.phase_rad[stack])


def chance_of(agreement: float, count: int) -> float:
    """Chance that the mean of `count` unit vectors of random phases is that long.

    The smaller of Rayleigh's ``exp(−N R²)``, for little agreement, and of the share of all phases
    that lie within the ball ``Σ θ² < 2 N (1 − R)`` about a common one, for much.
    """
    rayleigh = -count * agreement**2
    squared = 2.0 * count * max(1.0 - agreement, 1e-9)
    dims = count - 1
    ball = 0.5 * dims * np.log(np.pi * squared) - gammaln(0.5 * dims + 1.0)
    ball += 0.5 * np.log(count) - dims * np.log(2.0 * np.pi)
    return float(np.exp(min(rayleigh, ball, 0.0)))


def find_carrier(
    phase_rad: np.ndarray,
    place_um: np.ndarray,
    stack: np.ndarray,
    ring_per_um: tuple[float, float],
) -> Carrier | None:
    """The frequency p with ``phase = 2π p·r + common phase``; None when none is clear.

    Parameters
    ----------
    phase_rad : ndarray, shape (N,)
    place_um : ndarray, shape (N, 2)
        (y, x).
    stack : ndarray, shape (N,), int
        Recordings have their own common phases.
    ring_per_um
        Smallest and largest |p| that is looked for.
    """
    count = len(phase_rad)
    if count < LEAST_BEADS:
        return None
    place = place_um - place_um.mean(axis=0)
    length = max(float(np.ptp(place[:, 0])), float(np.ptp(place[:, 1])), 1e-3)
    step = 1.0 / (_STEPS_PER_LENGTH * length)
    low, high = ring_per_um
    axis = np.arange(-np.ceil(high / step), np.ceil(high / step) + 1) * step
    fy, fx = (g.ravel() for g in np.meshgrid(axis, axis, indexing="ij"))
    inside = (np.hypot(fy, fx) >= low) & (np.hypot(fy, fx) <= high)
    found = np.stack([fy[inside], fx[inside]], axis=1)
    groups = [stack == s for s in np.unique(stack)]
    signal = np.exp(1j * phase_rad)

    def agreement(p: np.ndarray) -> np.ndarray:
        turned = signal * np.exp(-2j * np.pi * (p @ place.T))
        sums = [np.abs(turned[:, g].sum(axis=1)) for g in groups]
        return np.asarray(np.sum(sums, axis=0) / count)

    values = np.concatenate([agreement(found[i : i + _BLOCK])
                             for i in range(0, len(found), _BLOCK)])  # fmt: skip
    starts = _separate_tops(found, values, 2.0 * step)
    corners = 0.3 * step * np.array([[0, 0], [1, 0], [0, 1]])
    tries = [
        minimize(lambda p: -agreement(p[None])[0], start, method="Nelder-Mead",
                 options={"initial_simplex": start + corners, "xatol": 1e-5, "fatol": 1e-9})
        for start in starts
    ]  # fmt: skip
    tries.sort(key=lambda one: float(one.fun))
    best = tries[0]
    others = [t for t in tries[1:] if np.hypot(*(t.x - best.x)) > step]
    if others and 1.0 + others[0].fun < RIVAL * (1.0 + best.fun) + _EXACT:
        return None
    p, clear = best.x, float(-best.fun)
    area = float(np.ptp(place[:, 0]) * np.ptp(place[:, 1]))
    trials = np.pi * (high**2 - low**2) * max(area, 1.0 / high**2)
    if trials * chance_of(clear, count) > FALSE_ALARM:
        return None
    rest = signal * np.exp(-2j * np.pi * (place @ p))
    common = np.array([np.angle(rest[g].sum()) for g in groups])
    back = common - 2.0 * np.pi * float(place_um.mean(axis=0) @ p)
    left = np.concatenate([np.angle(rest[g] * np.exp(-1j * c))
                           for g, c in zip(groups, common, strict=True)])  # fmt: skip
    freedom = max(1, count - 2 - len(groups))
    scatter = float(np.sqrt(np.sum(left**2) / freedom))
    sd = scatter / (2.0 * np.pi * np.sqrt(np.maximum(np.sum(place**2, axis=0), 1e-12)))
    return Carrier((float(p[0]), float(p[1])), (float(sd[0]), float(sd[1])),
                   np.angle(np.exp(1j * back)), scatter)  # fmt: skip


def _separate_tops(places: np.ndarray, values: np.ndarray, apart: float) -> list[np.ndarray]:
    """The highest places that are not neighbours: beads on a lattice have near repeats."""
    tops: list[np.ndarray] = []
    for place in places[np.argsort(-values)]:
        if all(np.hypot(*(place - other)) > apart for other in tops):
            tops.append(place)
        if len(tops) == _CANDIDATES:
            break
    return tops
