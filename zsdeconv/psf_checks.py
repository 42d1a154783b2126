"""What every PSF array must be before anything is convolved with it."""

from __future__ import annotations

import numpy as np

from simrecon.errors import InputError, UsageError

CENTRE_PX = 0.75
"""Distance of a PSF's centre of light from the middle of its grid that is refused: results would
be shifted by it. Half a pixel is the rounding of a grid of even size."""
_CORE = 0.3


def unit_psf(psf: np.ndarray, ndim: int) -> np.ndarray:
    """A kernel with `ndim` axes and sum 1; float64.

    Raises
    ------
    UsageError
        Other axes, or no positive sum.
    InputError
        Not finite.
    """
    values = np.asarray(psf, dtype=np.float64)
    if values.ndim != ndim:
        raise UsageError(
            "The PSF has other dimensions than the picture.", expected=f"{ndim} axes",
            got=f"shape {values.shape}", where="psf",
        )  # fmt: skip
    if not np.isfinite(values).all():
        raise InputError("The PSF contains NaN or infinite values.", where="psf")
    total = float(values.sum())
    if not total > 0:
        raise UsageError("The PSF must have a positive sum.", got=f"{total:g}", where="psf")
    return values / total


def centred_psf(psf: np.ndarray, ndim: int) -> np.ndarray:
    """A PSF as :func:`unit_psf` whose centre of light is on n//2 along every axis.

    Raises
    ------
    UsageError, InputError
        See :func:`unit_psf`; InputError also where it is further off than `CENTRE_PX`.
    """
    values = unit_psf(psf, ndim)
    core = np.where(values >= _CORE * values.max(), values, 0.0)
    offsets = []
    for axis, n in enumerate(values.shape):
        line = core.sum(axis=tuple(a for a in range(ndim) if a != axis))
        offsets.append(float(line @ (np.arange(n) - n // 2) / core.sum()))
    if np.hypot.reduce(offsets) > CENTRE_PX:
        raise InputError(
            "The PSF is not centred: every picture would be shifted.",
            expected=f"its centre of light on pixel {tuple(n // 2 for n in values.shape)}",
            got=f"({', '.join(f'{o:+.1f}' for o in offsets)}) pixels from there",
            where="psf",
            hint="PSF files (--psf) are centred by themselves",
        )
    return values
