"""One operator for many parts of a field: large volumes in little memory.

All tiles have one size, so that one :class:`.operator.Reconstructor` serves them: only
the phases of the pattern differ. Tiles overlap. Where a tile ends inside the field it stands on its
mirror image instead of on its neighbour; that is wrong up to one PSF inwards, so that a strip
(:data:`GUARD_UM`, of volumes :data:`VOLUME_GUARD_UM`) is left out, and over a further strip one
tile fades into the next. Volumes are never cut in z: what the OTF lets through at low lateral
frequencies ends abruptly in kz (missing cone), so that planes far apart still know of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.backend import Array, device_of, like, namespace
from simrecon.errors import InputError, UsageError
from simrecon.model.grid import AnyGrid, VolumeGrid, resized
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF
from simrecon.recon.memory import TILE_MARGIN_UM, tile_for
from simrecon.recon.operator import Reconstructor
from simrecon.recon.part import shifted
from simrecon.recon.regularization import Regularization
from simrecon.recon.transfer import mirror_margins

GUARD_UM = 1.0
"""Strip inside a cut edge of a plane that is left out."""
VOLUME_GUARD_UM = 3.0
"""The same of volumes, whose light out of focus reaches farther. On simulated volumes of 1000 e (6
to 24 planes, three beams and light sheets) tiles differ from the whole, both with the margin of
tiles, by 0.05 to 0.12 of the noise (rms; at most 1.5); with 1 µm by 0.12 to 0.20 (at most 3.4)."""


@dataclass(frozen=True)
class AxisTiles:
    """Equal overlapping parts of one axis.

    Attributes
    ----------
    length, tile : int
        Samples of the axis and of every part.
    guard : int
        Samples left out beside a cut edge; over `guard` more a part fades in.
    """

    length: int
    tile: int
    guard: int

    def __post_init__(self) -> None:
        if self.tile < self.length and self.tile <= 4 * self.guard:
            raise UsageError(
                "The tiles are too small to overlap.",
                expected=f"more than {4 * self.guard} samples",
                got=str(self.tile),
                where="--max-memory",
            )

    @property
    def starts(self) -> list[int]:
        """First sample of every part; the parts are spread evenly."""
        if self.tile >= self.length:
            return [0]
        room = self.length - self.tile
        count = int(np.ceil(room / (self.tile - 3 * self.guard))) + 1
        return [int(s) for s in np.rint(np.linspace(0, room, count))]

    def weights(self, zoom: int) -> list[np.ndarray]:
        """Share of every part in its own samples of an axis of `zoom`; together 1 everywhere."""
        size, guard = min(self.tile, self.length) * zoom, self.guard * zoom
        inside = np.arange(size) + 0.5
        raw = []
        for start in self.starts:
            weight = np.ones(size)
            if start > 0:
                weight *= _fade((inside - guard) / guard)
            if start * zoom + size < self.length * zoom:
                weight *= _fade((size - inside - guard) / guard)
            raw.append(weight)
        total = np.zeros(self.length * zoom)
        for start, weight in zip(self.starts, raw, strict=True):
            total[start * zoom : start * zoom + size] += weight
        return [
            weight / total[start * zoom : start * zoom + size]
            for start, weight in zip(self.starts, raw, strict=True)
        ]


def _fade(part: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(0.5 * np.pi * np.clip(part, 0.0, 1.0)) ** 2)


class TiledReconstructor:
    """Reconstruction of a field tile by tile, with the methods of :class:`Reconstructor`.

    Parameters
    ----------
    pattern, otf, grid
        Of the whole field.
    tile : (int, int)
        Raw lateral size of the tiles (Y, X); at most that of the field.
    **options
        What :class:`Reconstructor` takes.
    """

    def __init__(
        self,
        pattern: PatternFit,
        otf: AnyOTF,
        grid: AnyGrid,
        *,
        tile: tuple[int, int],
        **options: Any,
    ) -> None:
        lateral = tuple(min(t, n) for t, n in zip(tile, grid.shape[-2:], strict=True))
        size = (*grid.shape[:-2], *lateral)
        part = shifted(pattern, (0, 0), (size[-2], size[-1]))
        guards = [int(np.ceil(GUARD_UM / grid.pixel_um))] * 2
        if isinstance(grid, VolumeGrid):
            options.setdefault("margin_um", TILE_MARGIN_UM)
            margins = mirror_margins(grid, otf, VOLUME_GUARD_UM)
            guards = [0, *margins[1:]]
        self.operator = Reconstructor(part, otf, resized(grid, size), **options)
        self.pattern, self.otf, self.grid = pattern, otf, grid
        self.zoom = self.operator.zoom
        self.sr_grid = grid.zoomed(self.zoom)
        self.frames_shape = (*self.operator.frames_shape[:2], *grid.shape)
        self._axes = [AxisTiles(*a) for a in zip(grid.shape, size, guards, strict=True)]

    @classmethod
    def from_frames(
        cls,
        frames: Array,
        pattern: PatternFit,
        otf: AnyOTF,
        grid: AnyGrid,
        *,
        regularization_factor: float = 1.0,
        **options: Any,
    ) -> TiledReconstructor:
        """With the automatic Γ, measured on all tiles together (then frozen)."""
        tiled = cls(pattern, otf, grid, regularization=None, reference=frames, **options)
        rings = tiled.operator.power_rings()
        for start, place in tiled.tiles():
            tiled.operator.at(start).add_power(rings, frames[(..., *place)])
        regularization = Regularization(rings.fit(), regularization_factor)
        tiled.operator = tiled.operator.regularized(regularization)
        return tiled

    @property
    def regularization(self) -> Regularization | None:
        """Γ of all tiles."""
        return self.operator.regularization

    def tiles(self, zoom: int = 1) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """First raw sample of every tile, and its place in a field of lateral `zoom`."""
        factors = self._factors(zoom)
        for start in np.ndindex(*(len(a.starts) for a in self._axes)):
            first = tuple(a.starts[i] for a, i in zip(self._axes, start, strict=True))
            sizes = (min(a.tile, a.length) for a in self._axes)
            place = tuple(
                slice(f * q, (f + n) * q) for f, n, q in zip(first, sizes, factors, strict=True)
            )
            yield first, place

    def _factors(self, zoom: int) -> list[int]:
        return [1] * (len(self._axes) - 2) + [zoom, zoom]

    def reconstruct(self, frames: Array) -> Array:
        """Picture of :meth:`Reconstructor.reconstruct`."""
        return self._joined(frames, lambda operator, part: operator.reconstruct(part))

    __call__ = reconstruct

    def variance(self, variance_e2: Array) -> Array:
        """Variance of :meth:`Reconstructor.variance`.

        Where tiles fade into each other both show the same noise: their variances fade likewise.
        """
        return self._joined(variance_e2, lambda operator, part: operator.variance(part))

    def _joined(self, frames: Array, method: Callable[[Reconstructor, Array], Array]) -> Array:
        if tuple(frames.shape) != self.frames_shape:
            raise InputError(
                "Frames have the wrong shape.",
                expected=str(self.frames_shape),
                got=str(tuple(frames.shape)),
            )
        xp = namespace(frames)
        out = xp.zeros(self.sr_grid.shape, dtype=xp.float32, device=device_of(frames))
        weights = [a.weights(q) for a, q in zip(self._axes, self._factors(self.zoom), strict=True)]
        numbers = np.ndindex(*(len(a.starts) for a in self._axes))
        raw, fine = self.tiles(), self.tiles(self.zoom)
        for number, (start, place), (_, target) in zip(numbers, raw, fine, strict=True):
            image = method(self.operator.at(start), frames[(..., *place)])
            for axis, i in enumerate(number):
                shape = [1] * image.ndim
                shape[axis] = -1
                weight = weights[axis][i].reshape(shape)
                image = image * like(weight, image, xp.float32)
            out[target] += image
        return out

    def effective_psf(self, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """PSF of :meth:`Reconstructor.effective_psf`; no larger than a padded tile."""
        return self.operator.effective_psf(shape)


def reconstructor_within(
    max_memory_gb: float | None,
    frames: Array,
    pattern: PatternFit,
    otf: AnyOTF,
    grid: AnyGrid,
    *,
    regularization: Regularization | None = None,
    variance: bool = False,
    zoom: int = 2,
    **options: Any,
) -> Reconstructor | TiledReconstructor:
    """Operator for the whole field where memory allows, else in tiles.

    Parameters
    ----------
    max_memory_gb : float or None
        Limit for operator, frames and pictures of one volume; None: the whole field. Planes are
        never tiled.
    regularization : Regularization or None
        Γ; None: the automatic one, measured on `frames`.
    variance : bool
        Whether :meth:`variance` will be asked for.
    zoom, **options
        As for :meth:`Reconstructor.from_frames`.
    """
    options = {**options, "zoom": zoom}
    tile = grid.shape[-2:]
    if isinstance(grid, VolumeGrid) and max_memory_gb is not None:
        tile = tile_for(pattern, otf, grid, 1e9 * max_memory_gb, zoom=zoom, variance=variance)
    cut = tile != grid.shape[-2:]
    if regularization is not None:
        options.update(regularization=regularization, reference=frames)
        if cut:
            return TiledReconstructor(pattern, otf, grid, tile=tile, **options)
        return Reconstructor(pattern, otf, grid, **options)
    if cut:
        return TiledReconstructor.from_frames(frames, pattern, otf, grid, tile=tile, **options)
    return Reconstructor.from_frames(frames, pattern, otf, grid, **options)
