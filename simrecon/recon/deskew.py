"""Deskewing after the reconstruction: planes of a skewed grid brought to their places in space.

Plane i of a skewed grid (:class:`~simrecon.model.grid.VolumeGrid`) lies ``shear · z_i`` from where
its array has it. A picture is band-limited within its planes and no plane has to be interpolated
from others, so that a displacement of every plane is exact: whole pixels by its place in a larger
field, the rest by a phase ramp on the mirror-extended plane (one Fourier shear). Raw frames are
never moved: their noise stays independent, and their pattern with the camera.
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
    """

    grid: VolumeGrid
    origin_px: tuple[int, int]
    shift_px: np.ndarray

    @classmethod
    def of(cls, grid: VolumeGrid) -> Deskewing:
        """For pictures on `grid`, a raw grid or a zoomed one."""
        shift = grid.dz_um * np.arange(grid.shape[0])[:, None] * np.asarray(grid.shear)
        shift = shift / grid.pixel_um
        whole = np.rint(shift)
        return cls._within(grid, shift, -whole.min(axis=0), whole.max(axis=0))

    @classmethod
    def of_psf(cls, grid: VolumeGrid) -> Deskewing:
        """For PSFs sampled as `grid`, whose shape is theirs; the centre stays voxel N//2."""
        height = grid.dz_um * (np.arange(grid.shape[0]) - grid.shape[0] // 2)
        shift = height[:, None] * np.asarray(grid.shear) / grid.pixel_um
        farthest = np.abs(np.rint(shift)).max(axis=0)
        return cls._within(grid, shift, farthest, farthest)

    @classmethod
    def _within(
        cls, grid: VolumeGrid, shift: np.ndarray, before: np.ndarray, after: np.ndarray
    ) -> Deskewing:
        ny, nx = (int(n) for n in np.asarray(grid.shape[1:]) + before + after)
        straight = VolumeGrid((grid.shape[0], ny, nx), grid.pixel_um, grid.dz_um, grid.offset_um)
        return cls(straight, (int(before[0]), int(before[1])), shift)

    def image(self, image: Array) -> Array:
        """A picture or PSF (Z, Y, X) in space, float32; 0 where no plane has been.

        Its sum is kept but for light within a pixel of the border.
        """
        return self._placed(image, _fourier_shifted)

    def variance(self, variance_e2: Array) -> Array:
        """The variance map of such a picture, e², float32; 0 where no plane has been.

        Noise of a picture is band-limited like the picture, so that a displacement by part of a
        pixel does not average it: the map is displaced as well. Linear interpolation, because a map
        has twice the bandwidth of its picture, and must not become negative.
        """
        return self._placed(variance_e2, _linearly_shifted)

    def _placed(self, planes: Array, move: Move) -> Array:
        xp = namespace(planes)
        whole = np.rint(self.shift_px)
        planes_shape = (whole.shape[0], *np.asarray(self.grid.shape[1:]) - np.ptp(whole, axis=0))
        if tuple(planes.shape) != tuple(int(n) for n in planes_shape):
            raise InputError(
                "This is no picture on the grid that was to be deskewed.",
                expected=str(tuple(int(n) for n in planes_shape)),
                got=str(tuple(planes.shape)),
            )
        out = xp.zeros(self.grid.shape, dtype=xp.float32, device=device_of(planes))
        _, ny, nx = planes.shape
        for i, (place, shift) in enumerate(zip(whole, self.shift_px, strict=True)):
            plane = xp.astype(planes[i, ...], xp.float32, copy=False)
            y, x = (int(n) for n in place + np.asarray(self.origin_px))
            part = (float(shift[0] - place[0]), float(shift[1] - place[1]))
            out[i, y : y + ny, x : x + nx] = plane if part == (0.0, 0.0) else move(plane, part)
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
