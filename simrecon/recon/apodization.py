"""Apodization to the real, direction-dependent support; all choices decrease monotonically."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from simrecon.model.grid import Grid
from simrecon.recon.bands import Band

Apodization = Literal["support", "triangle", "none"]


def support_radius_per_um(
    bands: Sequence[Band], cutoff_per_um: float, ky: np.ndarray, kx: np.ndarray
) -> np.ndarray:
    """Outer edge of the union of band supports along the direction of each (ky, kx).

    Band n is a disc of radius `cutoff_per_um` around -n·p, and its conjugate one around +n·p;
    along a unit vector u the far edge of a disc with centre c is
    ``c·u + sqrt(cutoff² - |c|² + (c·u)²)`` when the ray meets it.

    Returns
    -------
    ndarray
        Broadcast shape of ky and kx, cycles/µm, at least `cutoff_per_um`.
    """
    k = np.hypot(ky, kx)
    safe = np.where(k > 0, k, 1.0)
    uy, ux = ky / safe, kx / safe
    radius = np.full(k.shape, cutoff_per_um)
    for band in bands:
        along = np.abs(band.carrier_per_um[0] * uy + band.carrier_per_um[1] * ux)
        square = cutoff_per_um**2 - float(band.carrier_per_um @ band.carrier_per_um) + along**2
        radius = np.where(
            square > 0, np.maximum(radius, along + np.sqrt(np.maximum(square, 0))), radius
        )
    return radius


def apodization(
    kind: Apodization, bands: Sequence[Band], cutoff_per_um: float, grid: Grid
) -> np.ndarray:
    """Window A(k) on the DFT frequencies of `grid` (FFT order), float64 in [0, 1].

    ``support`` has the shape of an ideal incoherent OTF stretched to the support's edge along
    each direction (its transform is nearly non-negative, so it does not ring); ``triangle``
    falls linearly to that edge; ``none`` is 1.
    """
    ky, kx = grid.frequencies_per_um()
    if kind == "none":
        return np.ones(grid.shape)
    v = np.hypot(ky, kx) / support_radius_per_um(bands, cutoff_per_um, ky, kx)
    v = np.minimum(v, 1.0)
    if kind == "triangle":
        return np.asarray(1.0 - v)
    return np.asarray(2.0 / np.pi * (np.arccos(v) - v * np.sqrt(1.0 - v * v)))
