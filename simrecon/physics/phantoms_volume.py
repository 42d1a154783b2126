"""Three-dimensional objects that look like cells, drawn at sub-voxel positions.

As in :mod:`simrecon.physics.phantoms`, structures are clouds of points, here splatted trilinearly
and smoothed to the width of the label: nothing depends on where they fall between voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from simrecon.errors import UsageError

VolumeKind = Literal["mixed", "filaments", "shells", "tubes", "beads", "constant"]

LABEL_SIGMA_UM = 0.02
_POINT_SPACING_UM = 0.025


@dataclass(frozen=True)
class Box:
    """Voxels of a fine volume.

    Attributes
    ----------
    shape : (int, int, int)
        Z, Y, X.
    origin_um : (float, float, float)
        Position of voxel (0, 0, 0), µm.
    pitch_um : (float, float, float)
        Voxel sizes, µm.
    """

    shape: tuple[int, int, int]
    origin_um: tuple[float, float, float]
    pitch_um: tuple[float, float, float]

    @property
    def extent_um(self) -> np.ndarray:
        """Sizes along z, y, x, µm."""
        return np.multiply(self.shape, self.pitch_um)

    def places(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Uniformly random points inside, (count, 3), µm."""
        edge = np.asarray(self.origin_um) - 0.5 * np.asarray(self.pitch_um)
        return np.asarray(edge + rng.random((count, 3)) * self.extent_um)


def make_volume_phantom(kind: VolumeKind, box: Box, rng: np.random.Generator) -> np.ndarray:
    """Draw a phantom.

    Parameters
    ----------
    kind
        ``filaments``: microtubules with crossings; ``shells``: vesicles of 0.2-0.6 µm radius;
        ``tubes``: hollow tubules of 0.12-0.25 µm radius; ``beads``: 100 nm, sparse; ``mixed``: all
        of these; ``constant``: 1.
    box
        Where to draw; structures run over its edges.
    rng
        The same generator state gives the same object.

    Returns
    -------
    ndarray, box.shape, float32
        Non-negative density.
    """
    if kind not in _DRAW:
        raise UsageError(
            "Unknown 3-D phantom.", expected=", ".join(get_args(VolumeKind)), got=str(kind)
        )
    if kind == "constant":
        return np.ones(box.shape, dtype=np.float32)
    volume = np.zeros(box.shape, dtype=np.float32)
    for points, weights in _DRAW[kind](box, rng):
        _splat(volume, box, points, weights)
    sigma = [LABEL_SIGMA_UM / p for p in box.pitch_um]
    return np.asarray(gaussian_filter(volume, sigma, mode="constant", truncate=3.0))


def _splat(volume: np.ndarray, box: Box, points_um: np.ndarray, weight: np.ndarray) -> None:
    """Add points (n, 3) of a total weight each, in units of density × µm³."""
    pitch = np.asarray(box.pitch_um)
    place = (points_um - np.asarray(box.origin_um)) / pitch
    keep = np.all((place > 0) & (place < np.asarray(box.shape) - 1), axis=1)
    place = place[keep]
    density = (np.broadcast_to(weight, keep.shape)[keep] / np.prod(pitch)).astype(np.float32)
    low = np.floor(place).astype(np.intp)
    part = (place - low).astype(np.float32)
    flat = volume.reshape(-1)
    for corner in np.ndindex(2, 2, 2):
        share = np.where(np.asarray(corner), part, 1.0 - part).prod(axis=1)
        index = np.ravel_multi_index(tuple((low + corner).T), box.shape)
        np.add.at(flat, index, density * share)


Cloud = tuple[np.ndarray, np.ndarray]


def _curve(
    start: np.ndarray,
    rng: np.random.Generator,
    length_um: float,
    persistence_um: float,
    flat: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Worm-like curve through `start`: points (n, 3) and tangents; z steps shrink by `flat`."""
    steps = max(2, round(length_um / _POINT_SPACING_UM))
    bends = rng.normal(0.0, np.sqrt(_POINT_SPACING_UM / persistence_um), (steps, 3))
    tangent = rng.normal(size=3) * (flat, 1.0, 1.0)
    headings = tangent / np.linalg.norm(tangent) + np.cumsum(bends * (flat, 1.0, 1.0), axis=0)
    headings /= np.linalg.norm(headings, axis=1, keepdims=True)
    path = np.cumsum(headings * _POINT_SPACING_UM, axis=0)
    return start + path - path[steps // 2], headings


def _filaments(box: Box, rng: np.random.Generator, per_um2: float = 0.25) -> list[Cloud]:
    _, height, width = box.extent_um
    clouds = []
    for start in box.places(rng, max(2, round(per_um2 * height * width))):
        points, _ = _curve(start, rng, 1.2 * max(height, width), 12.0, 0.15)
        patches = rng.gamma(9.0, 1.0 / 9.0, len(points) // 4 + 2)
        label = np.interp(np.arange(len(points)) / 4.0, np.arange(patches.size), patches)
        clouds.append((points, 0.006 * _POINT_SPACING_UM * rng.gamma(12.0, 1.0 / 12.0) * label))
    return clouds


def _shells(box: Box, rng: np.random.Generator, per_um3: float = 0.05) -> list[Cloud]:
    clouds = []
    for centre in box.places(rng, max(2, round(per_um3 * float(np.prod(box.extent_um))))):
        radius = rng.uniform(0.2, 0.6)
        count = int(4.0 * np.pi * radius**2 / _POINT_SPACING_UM**2)
        index = np.arange(count) + 0.5  # spiral points, equal areas
        height, turn = 1.0 - 2.0 * index / count, np.pi * (1.0 + np.sqrt(5.0)) * index
        ring = np.sqrt(1.0 - height**2)
        unit = np.stack([height, ring * np.sin(turn), ring * np.cos(turn)], axis=1)
        area = 4.0 * np.pi * radius**2 / count
        weight = np.full(count, 0.025 * area * rng.gamma(25.0, 0.04))
        clouds.append((centre + radius * unit * rng.uniform(0.85, 1.0, 3), weight))
    return clouds


def _tubes(box: Box, rng: np.random.Generator, per_um2: float = 0.05) -> list[Cloud]:
    _, height, width = box.extent_um
    clouds = []
    for start in box.places(rng, max(1, round(per_um2 * height * width))):
        radius = rng.uniform(0.12, 0.25)
        axis, along = _curve(start, rng, rng.uniform(1.5, 5.0), 3.0, 0.4)
        side = np.cross(along, (1.0, 0.0, 0.0))
        side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
        other = np.cross(along, side)
        around = max(8, round(2.0 * np.pi * radius / _POINT_SPACING_UM))
        turn = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)[:, None, None]
        points = axis + radius * (np.cos(turn) * side + np.sin(turn) * other)
        area = 2.0 * np.pi * radius * _POINT_SPACING_UM / around
        weight = np.full(points.size // 3, 0.025 * area * rng.gamma(25.0, 0.04))
        clouds.append((points.reshape(-1, 3), weight))
    return clouds


def _beads(box: Box, rng: np.random.Generator, per_um3: float = 0.05) -> list[Cloud]:
    ball = rng.uniform(-0.05, 0.05, (600, 3))
    ball = ball[np.linalg.norm(ball, axis=1) < 0.05]
    volume = 4.0 / 3.0 * np.pi * 0.05**3
    clouds = []
    for centre in box.places(rng, max(2, round(per_um3 * float(np.prod(box.extent_um))))):
        weight = rng.normal(1.0, 0.1) * volume / len(ball)
        clouds.append((centre + ball, np.full(len(ball), max(weight, 0.0))))
    return clouds


def _mixed(box: Box, rng: np.random.Generator) -> list[Cloud]:
    return [
        *_filaments(box, rng, 0.15),
        *_shells(box, rng, 0.02),
        *_tubes(box, rng, 0.025),
        *_beads(box, rng, 0.02),
    ]


_DRAW: dict[str, Callable[[Box, np.random.Generator], list[Cloud]]] = {
    "mixed": _mixed,
    "filaments": _filaments,
    "shells": _shells,
    "tubes": _tubes,
    "beads": _beads,
    "constant": lambda box, rng: [],
}
