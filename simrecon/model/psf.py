"""Detection OTFs as values: a radial table, or a measured PSF on a grid.

Both say what ``H(ky, kx)`` is in physical units; :mod:`simrecon.physics.otf` evaluates them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import UsageError


@dataclass(frozen=True)
class RadialOTF:
    """A rotationally symmetric two-dimensional OTF.

    Attributes
    ----------
    k_per_um : ndarray, shape (n,)
        Increasing radial frequencies from 0, cycles/µm.
    values : ndarray, shape (n,)
        Real OTF values, ``values[0] == 1``; zero from `cutoff_per_um` on.
    cutoff_per_um : float
        Radius beyond which the OTF is exactly zero.
    pixel_um : float or None
        When not None, the camera's pixel pitch whose square-pixel sinc multiplies the table.
    source : str
        How it was made, for provenance.
    """

    k_per_um: np.ndarray
    values: np.ndarray
    cutoff_per_um: float
    pixel_um: float | None = None
    source: str = ""


@dataclass(frozen=True)
class GridOTF:
    """An OTF given by a point-spread function on a grid (measured, possibly asymmetric).

    Attributes
    ----------
    psf : ndarray, shape (Y, X)
        Point-spread function, sum 1, centred on pixel (Y//2, X//2). It contains whatever
        pixel integration its camera did.
    pixel_um : float
        Pitch of `psf` in µm.
    cutoff_per_um : float
        Radius beyond which the OTF is set to zero, cycles/µm.
    source : str
        How it was made, for provenance.
    """

    psf: np.ndarray
    pixel_um: float
    cutoff_per_um: float
    source: str = ""


DetectionOTF = RadialOTF | GridOTF


def centred_crop(psf: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The middle of a PSF (Y, X): pixel N//2 stays pixel N//2.

    Raises
    ------
    UsageError
        When `shape` is larger than the PSF.
    """
    y0, x0 = (n // 2 - m // 2 for n, m in zip(psf.shape, shape, strict=True))
    if y0 < 0 or x0 < 0:
        raise UsageError(
            "The PSF crop is larger than the field.",
            expected=f"at most {psf.shape}",
            got=str(shape),
        )
    return psf[y0 : y0 + shape[0], x0 : x0 + shape[1]]
