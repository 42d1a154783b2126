"""Samples of the object's spectrum that enter the fit: one half plane inside the cut-off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.band_field import BandField


@dataclass(frozen=True)
class HalfPlane:
    """Samples of the object's spectrum that enter the fit, one half plane.

    Attributes
    ----------
    index, mirrored : ndarray (K,), intp
        Flat positions of k and −k in the DFT of the coarse grid.
    raw_index : ndarray (K,), intp
        Flat positions of k in a half spectrum (KY, KX//2 + 1) of the raw grid.
    ky, kx : ndarray (K,)
        Frequencies, cycles/µm.
    ring : ndarray (K,), intp
        Radius in samples of 1/(shorter side).
    """

    index: np.ndarray
    mirrored: np.ndarray
    raw_index: np.ndarray
    ky: np.ndarray
    kx: np.ndarray
    ring: np.ndarray

    @classmethod
    def within(cls, field: BandField, radius_per_um: float, exclude: int = 2) -> HalfPlane:
        """Samples with ``exclude`` < |k| (in DFT samples) and |k| ≤ `radius_per_um`."""
        (my, mx), padded = field.shape, field.window.padded
        extent = padded.extent_um
        iy = np.fft.fftfreq(my, 1.0 / my).round().astype(np.intp)[:, None]
        ix = np.arange(mx // 2 + 1)[None, :]
        keep = (ix > 0) | (iy > 0)
        keep = keep & (np.hypot(iy / extent[0], ix / extent[1]) <= radius_per_um)
        keep &= (np.hypot(iy, ix) > exclude) & (np.abs(iy) < my / 2) & (ix < mx / 2)
        row, column = np.nonzero(keep)
        sy, sx = iy[row, 0], ix[0, column]
        ky, kx = sy / extent[0], sx / extent[1]
        return cls(
            index=(sy % my) * mx + sx,
            mirrored=(-sy % my) * mx + (-sx % mx),
            raw_index=(sy % padded.shape[0]) * (padded.shape[1] // 2 + 1) + sx,
            ky=ky,
            kx=kx,
            ring=np.round(np.hypot(ky, kx) * min(extent)).astype(np.intp),
        )
