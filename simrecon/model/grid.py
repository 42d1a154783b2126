"""Where samples lie: the raw grid and the super-resolution grid over the same field.

Conventions (the one place that states them)
--------------------------------------------
* Arrays are C-ordered; the last two axes are Y (down) and X (right). Row 0 is the top.
* The origin of space is the centre of raw pixel (0, 0); lengths are µm, frequencies cycles/µm.
* A super-resolution (SR) grid of zoom q covers the same field edge to edge: q × q SR pixels
  fill one raw pixel, so SR pixel i has its centre at ``((i + 1/2)/q - 1/2) * pixel_um``.
* ``F{f}(k) = Σ f(r) exp(-2πi k·r)``: forward transforms carry the minus sign.
* Intensities are photo-electrons per *raw* pixel area on every grid.
* Volumes have a third axis Z before Y and X; plane 0 is z = 0 and zoom leaves the planes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.errors import UsageError


@dataclass(frozen=True)
class Grid:
    """A lateral sampling grid.

    Attributes
    ----------
    shape : (int, int)
        Number of pixels (Y, X), any size, odd and prime included.
    pixel_um : float
        Pixel pitch in µm (square pixels).
    offset_um : float
        Position of pixel 0 on both axes in µm (0 for the raw grid).
    """

    shape: tuple[int, int]
    pixel_um: float
    offset_um: float = 0.0

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise UsageError("A grid needs two positive sizes.", got=str(self.shape))
        if not self.pixel_um > 0:
            raise UsageError(
                "The pixel size must be positive.", expected="µm > 0", got=str(self.pixel_um)
            )

    def zoomed(self, zoom: int) -> Grid:
        """The SR grid of integer `zoom` over the same field."""
        if zoom < 1:
            raise UsageError("zoom must be a positive integer.", got=str(zoom))
        pitch = self.pixel_um / zoom
        return Grid(
            (self.shape[0] * zoom, self.shape[1] * zoom),
            pitch,
            self.offset_um + (0.5 / zoom - 0.5) * self.pixel_um,
        )

    def positions_um(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel-centre coordinates: y of shape (Y, 1) and x of shape (1, X), float64, µm."""
        y = self.offset_um + self.pixel_um * np.arange(self.shape[0], dtype=np.float64)
        x = self.offset_um + self.pixel_um * np.arange(self.shape[1], dtype=np.float64)
        return y[:, None], x[None, :]

    def frequencies_per_um(self) -> tuple[np.ndarray, np.ndarray]:
        """DFT frequencies in FFT order: ky of shape (Y, 1), kx of shape (1, X), cycles/µm."""
        ky = np.fft.fftfreq(self.shape[0], self.pixel_um)
        kx = np.fft.fftfreq(self.shape[1], self.pixel_um)
        return ky[:, None], kx[None, :]

    @property
    def extent_um(self) -> tuple[float, float]:
        """Edge-to-edge size (Y, X) in µm."""
        return self.shape[0] * self.pixel_um, self.shape[1] * self.pixel_um


@dataclass(frozen=True)
class VolumeGrid:
    """Planes of a lateral grid, sampled along the detection axis; they may be skewed.

    A stage that moves at an angle to the detection axis displaces the field from plane to plane:
    voxel (i, j, l) lies at ``z = i dz`` and at ``y, x = lateral position + shear · z``. Indices,
    carriers and transforms belong to the array; only optics need to know of the shear. An array
    frequency (kz, ky, kx) of a skewed grid is the frequency (kz − shear·(ky, kx), ky, kx) in space.

    Attributes
    ----------
    shape : (int, int, int)
        Number of voxels (Z, Y, X), any size.
    pixel_um : float
        Lateral pitch in µm (square pixels).
    dz_um : float
        Distance of the planes along the detection axis, µm.
    offset_um : float
        Position of pixel 0 on both lateral axes in µm (0 for the raw grid).
    shear : (float, float)
        Lateral displacement (y, x) of the field per µm of z; 0 for objective scanning.
    """

    shape: tuple[int, int, int]
    pixel_um: float
    dz_um: float
    offset_um: float = 0.0
    shear: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise UsageError("A volume grid needs three positive sizes.", got=str(self.shape))
        if not self.dz_um > 0:
            raise UsageError(
                "The distance of the planes must be positive.",
                expected="µm > 0",
                got=str(self.dz_um),
                where="--dz-um",
            )
        self.lateral  # noqa: B018 - checks the pixel size

    @property
    def lateral(self) -> Grid:
        """The grid of one plane."""
        return Grid((self.shape[1], self.shape[2]), self.pixel_um, self.offset_um)

    def zoomed(self, zoom: int) -> VolumeGrid:
        """The SR grid of integer lateral `zoom` over the same field; the planes stay."""
        plane = self.lateral.zoomed(zoom)
        return replace(
            self,
            shape=(self.shape[0], *plane.shape),
            pixel_um=plane.pixel_um,
            offset_um=plane.offset_um,
        )

    def positions_um(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Array coordinates z (Z, 1, 1), y (1, Y, 1), x (1, 1, X), µm; without the shear."""
        z = self.dz_um * np.arange(self.shape[0], dtype=np.float64)
        y, x = self.lateral.positions_um()
        return z[:, None, None], y[None], x[None]

    def frequencies_per_um(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """DFT frequencies of the array in FFT order: kz (Z, 1, 1), ky (1, Y, 1), kx (1, 1, X)."""
        kz = np.fft.fftfreq(self.shape[0], self.dz_um)
        ky, kx = self.lateral.frequencies_per_um()
        return kz[:, None, None], ky[None], kx[None]

    def axial_in_space(self, kz: np.ndarray, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Axial frequency in space of array frequencies; broadcast, cycles/µm.

        Of all that the planes of a skewed grid cannot tell apart (multiples of 1/dz) the one next
        to 0: a shear carries low axial frequencies past the ends of the DFT's range.
        """
        sy, sx = self.shear
        if sy == sx == 0:
            return np.asarray(kz)
        axial = kz - sy * ky - sx * kx
        return np.asarray(axial - np.round(axial * self.dz_um) / self.dz_um)


AnyGrid = Grid | VolumeGrid


def resized(grid: AnyGrid, shape: tuple[int, ...]) -> AnyGrid:
    """A grid of the same sampling with another number of samples."""
    if isinstance(grid, VolumeGrid):
        planes, ny, nx = shape
        return replace(grid, shape=(planes, ny, nx))
    ny, nx = shape
    return replace(grid, shape=(ny, nx))


def plane_of(grid: AnyGrid) -> Grid:
    """The lateral grid: of a volume that of one plane."""
    return grid.lateral if isinstance(grid, VolumeGrid) else grid
