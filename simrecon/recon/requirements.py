"""What an operator can be built from."""

from __future__ import annotations

from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.model.grid import AnyGrid, VolumeGrid
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF, DirectionalVolumeOTF, GridOTF, RadialOTF


def check_parts(pattern: PatternFit, otf: AnyOTF, grid: AnyGrid) -> int:
    """Refuse what does not belong together.

    Returns
    -------
    int
        Number of phases, the same for all directions.
    """
    if not np.isclose(pattern.pixel_um, grid.pixel_um, rtol=1e-6):
        raise InputError(
            "The pattern was fitted at another pixel size.",
            expected=f"{grid.pixel_um} µm",
            got=f"{pattern.pixel_um} µm",
            hint="fit the pattern on these data, or correct --pixel-um",
        )
    phases = {len(d.phase_rad) for d in pattern.directions}
    if len(phases) != 1:
        raise InputError("All directions need the same number of phases.", got=str(phases))
    if isinstance(otf, DirectionalVolumeOTF) and len(otf.directions) != len(pattern.directions):
        raise InputError(
            "There must be one OTF for all directions of the pattern, or one for each.",
            expected=f"1 or {len(pattern.directions)}",
            got=str(len(otf.directions)),
            where="--otf",
        )
    _check_otf(grid, otf, max(len(d.modulation) for d in pattern.directions))
    return phases.pop()


def _check_otf(grid: AnyGrid, otf: AnyOTF, orders: int) -> None:
    """Refuse an OTF that does not fit the grid, or that knows fewer orders than the pattern has.

    Parameters
    ----------
    orders : int
        Highest order of the pattern.
    """
    flat = isinstance(otf, RadialOTF | GridOTF)
    if flat == isinstance(grid, VolumeGrid):
        raise InputError(
            "OTF and frames have different numbers of axes.",
            expected="an OTF of the volume, with all its orders" if flat else "an OTF of a plane",
            got=f"{type(otf).__name__} for frames of {grid.shape}",
            where="--otf",
        )
    if not isinstance(otf, RadialOTF | GridOTF) and otf.orders <= orders:
        raise InputError(
            "The OTF does not know all orders of the pattern.",
            expected=f"orders 0 to {orders}",
            got=f"orders 0 to {otf.orders - 1} in {otf.source or 'the OTF'}",
            where="--otf",
        )


def frame_variances(frame_variance_e2: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Mean noise variance of every frame, float64 (A, P), e²; positive or refused."""
    variance = np.broadcast_to(np.asarray(frame_variance_e2, dtype=np.float64), shape)
    if not (np.all(np.isfinite(variance)) and np.all(variance > 0)):
        raise InputError(
            "Every frame needs a positive noise variance.",
            expected="e² > 0",
            got=f"minimum {variance.min()}",
            hint="give the camera's gain and read noise (--gain, --read-noise-e)",
        )
    return variance
