"""Apodization to the direction-dependent support; every choice decreases monotonically."""

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
    """Smooth outer edge of the support along the direction of each (ky, kx).

    Along the unit vector u the edge is ``cutoff + sqrt(uᵀ C u)`` with C proportional to the
    carriers' second moment ``Σ q qᵀ`` and scaled so that its largest eigenvalue is the mean
    |q|² of the highest orders: a circle of radius cutoff + |q| for three evenly spread
    directions, cutoff + |q| along and cutoff across a single one. The scalloped outline of the
    discs themselves would imprint a star on the PSF; where the circle leaves the discs the
    data term falls to zero by itself.

    Returns
    -------
    ndarray
        Broadcast shape of ky and kx, cycles/µm, at least `cutoff_per_um`.
    """
    top = max(band.order for band in bands)
    carriers = np.array([band.carrier_per_um for band in bands if band.order == top])
    moment = carriers.T @ carriers
    largest = float(np.linalg.eigvalsh(moment)[-1])
    if largest > 0:
        moment = moment * (np.mean(np.sum(carriers**2, axis=1)) / largest)
    square = moment[0, 0] * ky**2 + 2 * moment[0, 1] * ky * kx + moment[1, 1] * kx**2
    k = np.hypot(ky, kx)
    swing = np.divide(np.sqrt(np.maximum(square, 0.0)), k, out=np.zeros_like(k), where=k > 0)
    return np.asarray(cutoff_per_um + swing)


def apodization(
    kind: Apodization, bands: Sequence[Band], cutoff_per_um: float, grid: Grid
) -> np.ndarray:
    """Window A(k) on the DFT frequencies of `grid` (FFT order), float64 in [0, 1].

    ``support`` has the shape of an ideal incoherent OTF stretched to the edge of
    :func:`support_radius_per_um` (its transform is nearly non-negative, so it does not ring);
    ``triangle`` falls linearly to that edge; ``none`` is 1.
    """
    if kind == "none":
        return np.ones(grid.shape)
    ky, kx = grid.frequencies_per_um()
    edge = cutoff_per_um + max(float(np.hypot(*band.carrier_per_um)) for band in bands)
    rows, columns = np.flatnonzero(np.abs(ky) < edge), np.flatnonzero(np.abs(kx) < edge)
    ky, kx = ky[rows], kx[:, columns]
    v = np.hypot(ky, kx) / support_radius_per_um(bands, cutoff_per_um, ky, kx)
    v = np.minimum(v, 1.0)
    triangle = kind == "triangle"
    inside = 1.0 - v if triangle else 2.0 / np.pi * (np.arccos(v) - v * np.sqrt(1.0 - v * v))
    window = np.zeros(grid.shape)
    window[np.ix_(rows, columns)] = inside
    return window
