"""Which bead of one channel is which of another, when the map between them is not known.

Coarse: for flips, quarter turns, rotations and magnifications on a grid, all differences between
beads of the two channels are counted in bins; the true map piles one difference per common bead
into one bin. Fine: mutually nearest beads, an affine map through them, a smaller radius, in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

from calibration.registration.fit import LEAST_BEADS, AffineFit, fit_affine, robust_radius
from calibration.registration.spots import Beads
from simrecon.errors import QualityError
from simrecon.model.affine import Affine2D

ANGLES_RAD = np.deg2rad(np.arange(-10.0, 10.5, 1.0))
MAGNIFICATIONS = (0.97, 0.985, 1.0, 1.015, 1.03)
UPRIGHT_RAD = np.deg2rad(2.0)
LARGEST_SHIFT = 0.5
"""Share of the field."""
BIN = 0.012
"""Side of a bin over that of the field: half a step of angle and magnification moves the border of
the field by 0.6 % and 0.5 % of its half side or less; three bins are counted together."""
CHANCE = 1e-4
"""Probability of such a pile from beads that have nothing to do with each other."""
_FLIPS = tuple(
    np.array(m, float)
    for m in (
        ((1, 0), (0, 1)), ((1, 0), (0, -1)), ((-1, 0), (0, 1)), ((-1, 0), (0, -1)),
        ((0, 1), (1, 0)), ((0, 1), (-1, 0)), ((0, -1), (1, 0)), ((0, -1), (-1, 0)),
    )
)  # fmt: skip
_ROUNDS = 20


@dataclass(frozen=True)
class Matched:
    """Common beads of two channels and the map between them.

    Attributes
    ----------
    fit : AffineFit
    field : ndarray, shape (N,)
        Field (picture) that each bead is in.
    index : ndarray, shape (N, 2)
        Its number among the field's beads in the moving and the target channel.
    outliers : int
        Pairs that were left out.
    """

    fit: AffineFit
    field: np.ndarray
    index: np.ndarray
    outliers: int


def match(
    moving: Sequence[Beads],
    target: Sequence[Beads],
    extent_um: tuple[float, float],
    where: str = "",
) -> Matched:
    """Match the beads of two channels, field by field, by one affine map.

    Parameters
    ----------
    moving, target
        Beads of the two channels in the same fields.
    extent_um
        Size (y, x) of the pictures.

    Raises
    ------
    QualityError
        Too few common beads, or no map that more than chance speaks for.
    """
    start, votes = _coarse(moving, target, extent_um, where)
    radius = 1.5 * BIN * max(extent_um)
    current = start
    pairs = _pairs(moving, target, current, radius)
    for _ in range(_ROUNDS):
        if len(pairs[0]) < LEAST_BEADS:
            break
        fit = _fitted(moving, target, *pairs)
        current, radius = fit.affine, min(radius, robust_radius(fit))
        again = _pairs(moving, target, current, radius)
        settled = np.array_equal(again[1], pairs[1]) and np.array_equal(again[0], pairs[0])
        pairs = again
        if settled:
            break
    count = len(pairs[0])
    if count < LEAST_BEADS:
        raise QualityError(
            "Too few common beads for a registration.",
            expected=f"at least {LEAST_BEADS}, spread over the field (12 for a good one)",
            got=f"{count} of {sum(len(b.sd_um) for b in moving)} and "
            f"{sum(len(b.sd_um) for b in target)} beads (best pile {votes})",
            where=where, hint="more beads, or several fields: simcal registration A.tif B.tif …",
        )  # fmt: skip
    near = len(_pairs(moving, target, current, 3.0 * radius)[0])
    return Matched(_fitted(moving, target, *pairs), *pairs, max(near - count, 0))


def _fitted(
    moving: Sequence[Beads], target: Sequence[Beads], field: np.ndarray, index: np.ndarray
) -> AffineFit:
    def chosen(beads: Sequence[Beads], side: int, name: str) -> np.ndarray:
        picked = [getattr(beads[f], name)[i] for f, i in zip(field, index[:, side], strict=True)]
        return np.array(picked)

    sd = np.hypot(chosen(moving, 0, "sd_um"), chosen(target, 1, "sd_um"))
    return fit_affine(chosen(moving, 0, "position_um"), chosen(target, 1, "position_um"), sd)


def _pairs(
    moving: Sequence[Beads], target: Sequence[Beads], affine: Affine2D, radius_um: float
) -> tuple[np.ndarray, np.ndarray]:
    """Beads that are each other's nearest within a radius: fields (N,) and indices (N, 2)."""
    fields, index = [], []
    for number, (one, other) in enumerate(zip(moving, target, strict=True)):
        if not len(one.sd_um) or not len(other.sd_um):
            continue
        mapped = affine(one.position_um)
        away, nearest = cKDTree(other.position_um).query(mapped)
        back = cKDTree(mapped).query(other.position_um)[1]
        for i, (distance, j) in enumerate(zip(away, nearest, strict=True)):
            if distance <= radius_um and back[j] == i:
                fields.append(number)
                index.append((i, j))
    return np.array(fields, int), np.array(index, int).reshape(-1, 2)


def _coarse(
    moving: Sequence[Beads], target: Sequence[Beads], extent_um: tuple[float, float], where: str
) -> tuple[Affine2D, int]:
    """The map of the grid that piles most differences into a bin.

    Pictures that are nearly upright are tried first: among fewer maps fewer beads convince.
    """
    pairs = sum(len(a.sd_um) * len(b.sd_um) for a, b in zip(moving, target, strict=True))
    size = BIN * max(extent_um)
    chance = pairs * (3 * size) ** 2 / float(np.prod(extent_um))
    upright = [(_FLIPS[0], a, m) for a in ANGLES_RAD if abs(a) <= UPRIGHT_RAD
               for m in MAGNIFICATIONS]  # fmt: skip
    most = needed = 0
    for maps in (upright, list(product(_FLIPS, ANGLES_RAD, MAGNIFICATIONS))):
        best, most, bins = _most(moving, target, extent_um, maps)
        tries = len(maps) * bins
        if float(poisson.sf(most - 1, chance)) * tries <= CHANCE:
            return best, most
        needed = int(poisson.isf(CHANCE / tries, chance)) + 1
    raise QualityError(
        "The beads of the two channels do not match.",
        expected=f"a map that at least {max(needed, LEAST_BEADS)} beads have in common "
        f"(turned by up to {np.degrees(ANGLES_RAD.max()):.0f}° from a flip or quarter turn, "
        f"magnified by {MAGNIFICATIONS[0]:g} to {MAGNIFICATIONS[-1]:g}, shifted by up to "
        f"{100 * LARGEST_SHIFT:.0f} % of the field)",
        got=f"{most} at best, which chance can give", where=where,
        hint="are these the same beads? More of them, or several fields",
    )  # fmt: skip


def _most(
    moving: Sequence[Beads],
    target: Sequence[Beads],
    extent_um: tuple[float, float],
    maps: Sequence[tuple[np.ndarray, float, float]],
) -> tuple[Affine2D, int, int]:
    """The best of some maps (flip, angle, magnification), its pile, and the number of bins."""
    centre = 0.5 * np.array(extent_um)
    size = BIN * max(extent_um)
    reach = int(np.ceil(LARGEST_SHIFT * max(extent_um) / size)) + 1
    best, most, plain = Affine2D(), -1, np.inf
    for flip, angle, scale in maps:
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = scale * turn @ flip
        count, shift = _pile(moving, target, matrix, centre, size, reach)
        away = abs(angle) + abs(scale - 1.0)
        if count > most or (count == most and away < plain):
            best, most = Affine2D.of(matrix, centre + shift - matrix @ centre), count
            plain = away
    return best, most, (2 * reach + 1) ** 2


def _pile(
    moving: Sequence[Beads], target: Sequence[Beads], matrix: np.ndarray, centre: np.ndarray,
    size: float, reach: int,
) -> tuple[int, np.ndarray]:  # fmt: skip
    """Largest number of differences within three bins, and their mean, µm."""
    parts = []
    for one, other in zip(moving, target, strict=True):
        mapped = (one.position_um - centre) @ matrix.T + centre
        parts.append((other.position_um[:, None] - mapped[None]).reshape(-1, 2))
    every = np.concatenate(parts)
    bins = np.round(every / size).astype(int) + reach
    inside = ((bins >= 1) & (bins < 2 * reach)).all(axis=1)
    side = 2 * reach + 1
    table = np.bincount(bins[inside] @ (side, 1), minlength=side * side).reshape(side, side)
    wide = np.zeros_like(table)
    for dy, dx in product((-1, 0, 1), repeat=2):
        wide[1:-1, 1:-1] += table[1 + dy : side - 1 + dy, 1 + dx : side - 1 + dx]
    place = np.unravel_index(int(np.argmax(wide)), wide.shape)
    near = (np.abs(bins - place) <= 1).all(axis=1)
    shift = np.median(every[near], axis=0) if near.any() else np.zeros(2)
    return int(wide[place]), shift
