"""Does the PSF change over the field of view? Planes through the beads, and an F test of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

SIGNIFICANT = 0.01
LEAST_BEADS = 6


@dataclass(frozen=True)
class Trend:
    """A quantity over the field.

    Attributes
    ----------
    mean, scatter : float
        Mean over the beads and standard deviation between them.
    slope_per_100um : (float, float)
        Change along (y, x) per 100 µm, with `slope_sd_per_100um`.
    p_value : float
        Probability of so good a plane from scatter alone (F test, 2 and n − 3 degrees).
    significant : bool
        p below `SIGNIFICANT` divided by the number of quantities tested.
    """

    mean: float
    scatter: float
    slope_per_100um: tuple[float, float]
    slope_sd_per_100um: tuple[float, float]
    p_value: float
    significant: bool


def field_trends(
    positions_um: np.ndarray, quantities: Mapping[str, np.ndarray]
) -> dict[str, Trend]:
    """Plane through each quantity over the beads' positions.

    Parameters
    ----------
    positions_um : ndarray, shape (N, 2)
        (y, x) of the beads.
    quantities
        Name → (N,) values; beads with NaN are left out.

    Returns
    -------
    dict
        Empty entries are left out: fewer than `LEAST_BEADS` beads tell nothing.
    """
    found: dict[str, Trend] = {}
    for name, values in quantities.items():
        good = np.isfinite(values)
        if np.count_nonzero(good) < LEAST_BEADS:
            continue
        found[name] = _trend(positions_um[good], np.asarray(values)[good], len(quantities))
    return found


def _trend(positions_um: np.ndarray, values: np.ndarray, tests: int) -> Trend:
    n = values.size
    centred = positions_um - positions_um.mean(axis=0)
    design = np.column_stack([np.ones(n), centred])
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    rest = float(np.sum((values - design @ solution) ** 2))
    total = float(np.sum((values - values.mean()) ** 2))
    free = n - 3
    noise = rest / free
    sd = np.sqrt(np.diag(np.linalg.pinv(design.T @ design)) * noise)
    ratio = (total - rest) / 2.0 / noise if noise > 0 else float("inf")
    p_value = float(f_distribution.sf(ratio, 2, free))
    slopes, slope_sd = 100.0 * solution[1:], 100.0 * sd[1:]
    return Trend(
        float(values.mean()), float(values.std(ddof=1)), (float(slopes[0]), float(slopes[1])),
        (float(slope_sd[0]), float(slope_sd[1])), p_value, bool(p_value < SIGNIFICANT / tests),
    )  # fmt: skip
