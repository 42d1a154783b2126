"""The windowed field of a stack, and the lateral frequencies on which its bands are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from simrecon.backend import usable_cores
from simrecon.estimate.window import FieldWindow
from simrecon.model.grid import VolumeGrid
from simrecon.model.psf import AnyVolumeOTF

TAPER = 0.08
"""Flank of the lateral window, fraction of the field, at least"""
TAPER_PX = 12.0
"""so many pixels."""


@dataclass(frozen=True)
class VolumeField:
    """Lateral window and transform of all planes, and the samples of one half plane.

    Attributes
    ----------
    grid : VolumeGrid
        Of the frames; one plane where they were summed along z.
    window : FieldWindow
    projected : bool
        Whether the planes were summed: then only kz = 0 is left.
    ky, kx : ndarray (K,)
        Lateral frequencies inside the detection cut-off, cycles/µm.
    index, mirrored : ndarray (K,), intp
        Place of k and of −k in the raveled transform of a plane.
    """

    grid: VolumeGrid
    window: FieldWindow
    projected: bool
    ky: np.ndarray
    kx: np.ndarray
    index: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def on(cls, grid: VolumeGrid, otf: AnyVolumeOTF, *, projected: bool = False) -> VolumeField:
        """Field of frames on `grid`, or of their sums over all planes."""
        taper = min(max(TAPER, TAPER_PX / min(grid.shape[1:])), 0.25)
        window = FieldWindow.on((grid.shape[1], grid.shape[2]), grid.pixel_um, taper)
        ky, kx = window.padded.frequencies_per_um()
        upper = (kx > 0) | ((kx == 0) & (ky > 0))
        # the Nyquist lines are their own mirror images
        whole = (np.abs(ky) < 0.499 / grid.pixel_um) & (np.abs(kx) < 0.499 / grid.pixel_um)
        y, x = np.nonzero((np.hypot(ky, kx) < otf.cutoff_per_um) & upper & whole)
        shape = window.padded.shape
        return cls(
            grid,
            window,
            projected,
            ky[y, 0],
            kx[0, x],
            np.ravel_multi_index((y, x), shape),
            np.ravel_multi_index((-y % shape[0], -x % shape[1]), shape),
        )

    def at(self, samples: np.ndarray) -> VolumeField:
        """The same field with some of its lateral frequencies only."""
        names = ("ky", "kx", "index", "mirrored")
        return replace(self, **{name: getattr(self, name)[samples] for name in names})

    def some(self, most: int) -> VolumeField:
        """The same with at most so many lateral frequencies, spread over the band."""
        if self.index.size <= most:
            return self
        return self.at(np.random.default_rng(0).permutation(self.index.size)[:most])

    def moved(self, ky_per_um: float, kx_per_um: float) -> VolumeField:
        """The same with its lateral frequencies moved."""
        return replace(self, ky=self.ky + ky_per_um, kx=self.kx + kx_per_um)

    @property
    def planes(self) -> int:
        """Planes Z of the data."""
        return 1 if self.projected else self.grid.shape[0]

    @property
    def taper(self) -> np.ndarray:
        """The lateral window, (Y, X) float32."""
        return np.asarray(self.window.wy[:, None] * self.window.wx[None, :], dtype=np.float32)

    def carrier(self, frequency_per_um: np.ndarray) -> np.ndarray:
        """``exp(-2πi p·r)``, (Y, X) complex64, r from the centre of the field."""
        along_y = np.exp(-2j * np.pi * frequency_per_um[0] * self.window.y_um)
        along_x = np.exp(-2j * np.pi * frequency_per_um[1] * self.window.x_um)
        return np.asarray(along_y[:, None] * along_x[None], dtype=np.complex64)

    def samples(self, volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lateral transform of a windowed volume (Z, Y, X) at k and −k, two (Z, K) complex64."""
        spectrum = scipy.fft.fft2(
            volume, s=self.window.padded.shape, axes=(-2, -1), workers=usable_cores()
        )
        flat = np.asarray(spectrum, dtype=np.complex64).reshape(len(volume), -1)
        return np.asarray(flat[:, self.index]), np.asarray(flat[:, self.mirrored])

    def images(self, values: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        """Planes whose spectra are `values` (Z, K) at k and `mirrored` at −k; (Z, Y, X)."""
        ny, nx = self.window.padded.shape
        spectrum = np.zeros((len(values), ny * nx), dtype=np.complex64)
        spectrum[:, self.index] = values
        spectrum[:, self.mirrored] = mirrored
        planes = scipy.fft.ifft2(spectrum.reshape(-1, ny, nx), workers=usable_cores())
        return np.asarray(planes[:, : self.window.wy.size, : self.window.wx.size])
