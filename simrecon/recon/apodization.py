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
    moment = _carrier_moment(bands)
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
    :func:`support_radius_per_um`: the autocorrelation of a disc (its transform is nearly
    non-negative, so it does not ring). ``triangle`` falls linearly to that edge; ``none`` is 1. In
    volumes it is the autocorrelation of a ball, stretched to the ellipsoid that has the same
    lateral half axes, and the largest axial cut-off of the orders for the third.

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
    if kz is None:
        v = np.hypot(ky, kx) / support_radius_per_um(bands, cutoff, ky, kx)
    else:
        v = _ellipsoid(bands, otf, kz[inside], ky, kx)
    v = np.minimum(v, 1.0)
    window = np.zeros(shape)
    if kind == "triangle":
        window[inside] = 1.0 - v
    elif kz is None:
        window[inside] = 2.0 / np.pi * (np.arccos(v) - v * np.sqrt(1.0 - v * v))
    else:
        window[inside] = (1.0 - v) ** 2 * (1.0 + 0.5 * v)
    return window


def _carrier_moment(bands: Sequence[Band]) -> np.ndarray:
    """``Σ q qᵀ`` of the highest orders, its largest eigenvalue scaled to their mean |q|²."""
    top = max(band.order for band in bands)
    carriers = np.array([band.carrier_per_um for band in bands if band.order == top])
    moment: np.ndarray = carriers.T @ carriers
    largest = float(np.linalg.eigvalsh(moment)[-1])
    if largest > 0:
        moment = moment * (np.mean(np.sum(carriers**2, axis=1)) / largest)
    return moment


def _ellipsoid(
    bands: Sequence[Band], otf: AnyOTF, kz: np.ndarray, ky: np.ndarray, kx: np.ndarray
) -> np.ndarray:
    """``|k|`` over the half axes of a volume's support."""
    assert not isinstance(otf, RadialOTF | GridOTF)
    square = (kz / max(otf.axial_cutoff_per_um[band.order] for band in bands)) ** 2
    values, axes = np.linalg.eigh(_carrier_moment(bands))
    for value, (uy, ux) in zip(values, axes.T, strict=True):
        square = (
            square + ((uy * ky + ux * kx) / (otf.cutoff_per_um + np.sqrt(max(value, 0.0)))) ** 2
        )
    return np.asarray(np.sqrt(square))
