"""What a band sees of the object, ``a_n H_n(k + n p)``, on the frequencies where it is not zero."""

from __future__ import annotations

import numpy as np

from simrecon.model.grid import AnyGrid, VolumeGrid
from simrecon.model.psf import AnyOTF, GridOTF, RadialOTF, of_direction
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.recon.bands import Band
from simrecon.recon.support import SupportBlock

AXIAL_MARGIN_PERIODS = 2.0
"""Mirror margin above and below a volume, in periods of the smallest axial cut-off of an order: two
to three axial widths of the PSF."""


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
    if not isinstance(otf, RadialOTF | GridOTF):
        otf = of_direction(otf, band.direction)
    frequencies = [np.ravel(k) for k in grid.frequencies_per_um()]
    qy, qx = band.carrier_per_um
    rows = _open_range(frequencies[-2] + qy, otf.cutoff_per_um)
    columns = _open_range(frequencies[-1] + qx, otf.cutoff_per_um)
    ranges = [rows, columns]
    if isinstance(grid, VolumeGrid) and not isinstance(otf, RadialOTF | GridOTF):
        axial = (-(grid.shape[0] // 2), grid.shape[0])  # a shear spreads it over all planes
        if grid.shear == (0.0, 0.0):
            axial = _open_range(frequencies[0], otf.axial_cutoff_per_um[band.order])
        ranges = [axial, *ranges]
    start, shape = zip(*ranges, strict=True)
    block = SupportBlock(start, shape, grid.shape, raw)
    *kz, ky, kx = (k[block.indices(axis)] for axis, k in enumerate(frequencies))
    ky, kx = ky[:, None], kx[None, :]
    if isinstance(otf, RadialOTF | GridOTF):
        values = evaluate_otf(otf, ky + qy, kx + qx)
    else:
        assert isinstance(grid, VolumeGrid)
        axial_k = grid.axial_in_space(kz[0][:, None, None], ky, kx)
        values = evaluate_volume_otf(otf, band.order, axial_k, ky + qy, kx + qx)
    return block, np.asarray(band.amplitude * values)


def _open_range(k_per_um: np.ndarray, cutoff_per_um: float) -> tuple[int, int]:
    """First index, counted from −n/2, and number of the frequencies with ``|k|`` below a limit."""
    inside = np.flatnonzero(np.abs(np.fft.fftshift(k_per_um)) < cutoff_per_um)
    if inside.size == 0:
        return 0, 0
    return int(inside[0]) - k_per_um.size // 2, int(inside[-1] - inside[0]) + 1


def mirror_margins(grid: AnyGrid, otf: AnyOTF, margin_um: float) -> tuple[int, ...]:
    """Mirror margins of a raw grid in samples."""
    lateral = margin_um
    if not isinstance(grid, VolumeGrid) or isinstance(otf, RadialOTF | GridOTF):
        return (int(np.ceil(lateral / grid.pixel_um)),) * 2
    axial = AXIAL_MARGIN_PERIODS / min(otf.axial_cutoff_per_um)
    # the PSF is skewed in a skewed array
    sides = [int(np.ceil((lateral + abs(s) * axial) / grid.pixel_um)) for s in grid.shear]
    return (int(np.ceil(axial / grid.dz_um)), *sides)
