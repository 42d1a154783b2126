"""Apodization to the direction-dependent support; every choice decreases monotonically."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from simrecon.model.psf import AnyOTF, GridOTF, RadialOTF
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
    kind: Apodization,
    bands: Sequence[Band],
    otf: AnyOTF,
    kz: np.ndarray | None,
    ky: np.ndarray,
    kx: np.ndarray,
) -> np.ndarray:
    """Window A(k) on one plane of frequencies, float64 in [0, 1].

    ``support`` has the shape of an ideal incoherent transfer stretched to the edge of
    :func:`support_radius_per_um`: the autocorrelation of a disc, in volumes of a ball (its
    transform is nearly non-negative, so it does not ring). ``triangle`` falls linearly to that
    edge; ``none`` is 1. In volumes the edge is an ellipsoid over that outline whose third half
    axis is the largest axial cut-off of the orders.

    Parameters
    ----------
    kz : ndarray (Y, X) or None
        Axial frequencies in space; None in two dimensions.
    ky, kx : ndarray (Y, 1) and (1, X)
        Lateral frequencies, cycles/µm.
    """
    shape = (ky.shape[0], kx.shape[1])
    if kind == "none":
        return np.ones(shape)
    cutoff = otf.cutoff_per_um
    edge = cutoff + max(float(np.hypot(*band.carrier_per_um)) for band in bands)
    rows, columns = np.flatnonzero(np.abs(ky) < edge), np.flatnonzero(np.abs(kx) < edge)
    inside = np.ix_(rows, columns)
    ky, kx = ky[rows], kx[:, columns]
    v = np.hypot(ky, kx) / support_radius_per_um(bands, cutoff, ky, kx)
    if kz is not None:
        v = np.hypot(v, kz[inside] / _axial_edge(bands, otf))
    v = np.minimum(v, 1.0)
    window = np.zeros(shape)
    if kind == "triangle":
        window[inside] = 1.0 - v
    elif kz is None:
        window[inside] = 2.0 / np.pi * (np.arccos(v) - v * np.sqrt(1.0 - v * v))
    else:
        window[inside] = (1.0 - v) ** 2 * (1.0 + 0.5 * v)
    return window


def _axial_edge(bands: Sequence[Band], otf: AnyOTF) -> float:
    assert not isinstance(otf, RadialOTF | GridOTF)
    return max(otf.axial_cutoff_per_um[band.order] for band in bands)
