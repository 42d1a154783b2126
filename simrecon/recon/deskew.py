"""Deskewing after the reconstruction: planes of a skewed grid brought to their places in space.

Plane i of a skewed grid (:class:`~simrecon.model.grid.VolumeGrid`) lies ``shear · z_i`` from where
its array has it. A picture is band-limited within its planes and no plane has to be interpolated
from others, so that a displacement of every plane is exact: whole pixels by its place in a larger
field, the rest by a phase ramp on the mirror-extended plane (one Fourier shear). Raw frames are
never moved: their noise stays independent, and their pattern with the camera. Where no plane has
been a picture and its variance are NaN: nothing is known there, and 0 would look like a measurement
without error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simrecon.backend import Array, device_of, irfftn, like, namespace, rfftn
from simrecon.errors import InputError
from simrecon.model.grid import VolumeGrid
from simrecon.recon.padding import MirrorPadding

BORDER_PX = 16
"""Mirror margin of a displaced plane: beyond it the ripple of a shifted edge is lost."""

Move = Callable[[Array, tuple[float, float]], Array]


@dataclass(frozen=True)
class Deskewing:
    """Where the planes of a skewed grid go.

    Attributes
    ----------
    grid : VolumeGrid
        The grid in space: no shear, and large enough for all planes.
    origin_px : (int, int)
        Pixel (y, x) of `grid` at which pixel (0, 0) of the array lies where z is 0.
    shift_px : ndarray, shape (Z, 2)
        Displacement (y, x) of every plane from its place in the array.
    shape : (int, int, int)
        Of the array.
    empty : float
        Value where no plane has been: NaN, of PSFs 0.
    """

    grid: VolumeGrid
    origin_px: tuple[int, int]
    shift_px: np.ndarray
    shape: tuple[int, int, int]
    empty: float = float("nan")

    @classmethod
    def of(cls, grid: VolumeGrid, zoom: int = 1) -> Deskewing:
        """For pictures on `grid`, or on it zoomed: these cover the same field edge to edge."""
        shift = grid.dz_um * np.arange(grid.shape[0])[:, None] * np.asarray(grid.shear)
        shift = shift / grid.pixel_um
        before, after = np.ceil(-shift.min(axis=0)), np.ceil(shift.max(axis=0))
        return cls._within(grid.zoomed(zoom), zoom * shift, zoom * before, zoom * after)

    @classmethod
    def of_psf(cls, grid: VolumeGrid) -> Deskewing:
        """For PSFs sampled as `grid`, whose shape is theirs; the centre stays voxel N//2."""
        height = grid.dz_um * (np.arange(grid.shape[0]) - grid.shape[0] // 2)
        shift = height[:, None] * np.asarray(grid.shear) / grid.pixel_um
        farthest = np.abs(np.rint(shift)).max(axis=0)
        return cls._within(grid, shift, farthest, farthest, 0.0)

    @classmethod
    def _within(
        cls,
        grid: VolumeGrid,
        shift: np.ndarray,
        before: np.ndarray,
        after: np.ndarray,
        empty: float = float("nan"),
    ) -> Deskewing:
        ny, nx = (int(n) for n in np.asarray(grid.shape[1:]) + before + after)
        straight = VolumeGrid((grid.shape[0], ny, nx), grid.pixel_um, grid.dz_um, grid.offset_um)
        return cls(straight, (int(before[0]), int(before[1])), shift, grid.shape, empty)

    @property
    def origin_um(self) -> tuple[float, float]:
        """Centre of pixel (0, 0) of `grid`, (y, x) from raw pixel (0, 0) of plane 0, µm."""
        y, x = (self.grid.offset_um - n * self.grid.pixel_um for n in self.origin_px)
        return y, x

    def place(self, plane: int) -> tuple[slice, slice]:
        """Where a plane comes to lie, to the whole pixel."""
        first = np.rint(self.shift_px[plane]) + np.asarray(self.origin_px)
        y, x = (slice(int(n), int(n) + m) for n, m in zip(first, self.shape[1:], strict=True))
        return y, x

    def image(self, image: Array) -> Array:
        """A picture or PSF (Z, Y, X) in space, float32; `empty` where no plane has been.

        Its sum is kept but for light within a pixel of the border.
        """
        return self._placed(image, _fourier_shifted)

    def variance(self, variance_e2: Array) -> Array:
        """The variance map of such a picture, e², float32; `empty` where no plane has been.

        Noise of a picture is band-limited like the picture, so that a displacement by part of a
        pixel does not average it: the map is displaced as well. Linear interpolation, because a map
        has twice the bandwidth of its picture, and must not become negative.
        """
        return self._placed(variance_e2, _linearly_shifted)

    def _placed(self, planes: Array, move: Move) -> Array:
        xp = namespace(planes)
        if tuple(planes.shape) != self.shape:
            raise InputError(
                "This is no picture on the grid that was to be deskewed.",
                expected=str(self.shape),
                got=str(tuple(planes.shape)),
            )
        out = xp.full(self.grid.shape, self.empty, dtype=xp.float32, device=device_of(planes))
        for i, shift in enumerate(self.shift_px):
            plane = xp.astype(planes[i, ...], xp.float32, copy=False)
            part = tuple(float(n) for n in shift - np.rint(shift))
            moved = plane if part == (0.0, 0.0) else move(plane, (part[0], part[1]))
            out[(i, *self.place(i))] = moved
        return out


def _fourier_shifted(plane: Array, part: tuple[float, float]) -> Array:
    """A plane displaced by a part of a pixel (y, x)."""
    xp = namespace(plane)
    padding = MirrorPadding.around(plane.shape, BORDER_PX)
    spectrum = rfftn(padding.extend(plane), 2)
    ky = np.fft.fftfreq(padding.padded[0])[:, None]
    kx = np.fft.rfftfreq(padding.padded[1])[None, :]
    for k, shift in ((ky, part[0]), (kx, part[1])):
        spectrum = spectrum * like(np.exp(-2j * np.pi * k * shift), spectrum, xp.complex64)
    return padding.crop(irfftn(spectrum, padding.padded))


def _linearly_shifted(plane: Array, part: tuple[float, float]) -> Array:
    """The same by linear interpolation between neighbours."""
    padding = MirrorPadding(plane.shape, (1, 1), tuple(n + 2 for n in plane.shape))
    xp = namespace(plane)
    for axis, shift in enumerate(part):
        if shift != 0.0:
            extended = padding.extend(plane)
            neighbour = xp.roll(extended, 1 if shift > 0 else -1, axis=axis)
            plane = padding.crop((1.0 - abs(shift)) * extended + abs(shift) * neighbour)
    return plane
