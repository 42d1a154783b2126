"""What a band sees of the object, ``a_n H_n(k + n p)``, on the frequencies where it is not zero."""

from __future__ import annotations

import numpy as np

from simrecon.errors import InputError
from simrecon.model.grid import AnyGrid, VolumeGrid
from simrecon.model.psf import AnyOTF, GridOTF, GridVolumeOTF, RadialOTF
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.recon.bands import Band
from simrecon.recon.support import SupportBlock


def check_geometry(grid: AnyGrid, otf: AnyOTF, orders: int) -> None:
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


def band_transfer(
    band: Band, otf: AnyOTF, grid: AnyGrid, raw: tuple[int, ...]
) -> tuple[SupportBlock, np.ndarray]:
    """``a_n H_n(k + n p)`` on the padded SR `grid`, without its zeros.

    Parameters
    ----------
    raw : tuple of int
        Padded raw size.

    Returns
    -------
    block : SupportBlock
        Which frequencies.
    values : ndarray, shape `block.shape`
        float64 for a radial OTF of a plane, otherwise complex128.
    """
    frequencies = [np.ravel(k) for k in grid.frequencies_per_um()]
    lateral = [
        _open_range(k + q, otf.cutoff_per_um)
        for k, q in zip(frequencies[-2:], band.carrier_per_um, strict=True)
    ]
    if not isinstance(grid, VolumeGrid):
        block = _block(lateral, grid.shape, raw)
        ky, kx = (k[block.indices(axis)] for axis, k in enumerate(frequencies))
        ky, kx = ky + band.carrier_per_um[0], kx + band.carrier_per_um[1]
        return block, np.asarray(band.amplitude * evaluate_otf(otf, ky[:, None], kx[None, :]))
    axial = (-(grid.shape[0] // 2), grid.shape[0])
    if grid.shear == (0.0, 0.0):
        axial = _open_range(frequencies[0], otf.axial_cutoff_per_um[band.order])
    block = _block([axial, *lateral], grid.shape, raw)
    kz, ky, kx = (k[block.indices(axis)] for axis, k in enumerate(frequencies))
    kz, ky, kx = kz[:, None, None], ky[:, None], kx[None, :]
    qy, qx = band.carrier_per_um
    axial_in_space = grid.axial_in_space(kz, ky, kx)
    values = evaluate_volume_otf(otf, band.order, axial_in_space, ky + qy, kx + qx)
    return block, np.asarray(band.amplitude * values)


def _open_range(k_per_um: np.ndarray, cutoff_per_um: float) -> tuple[int, int]:
    """First index, counted from −n/2, and number of the frequencies with ``|k|`` below a cut-off."""
    inside = np.flatnonzero(np.abs(np.fft.fftshift(k_per_um)) < cutoff_per_um)
    if inside.size == 0:
        return 0, 0
    return int(inside[0]) - k_per_um.size // 2, int(inside[-1] - inside[0]) + 1


def _block(
    ranges: list[tuple[int, int]], fine: tuple[int, ...], raw: tuple[int, ...]
) -> SupportBlock:
    start, shape = zip(*ranges, strict=True)
    return SupportBlock(start, shape, fine, raw)
