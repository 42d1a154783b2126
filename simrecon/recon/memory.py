"""Memory of the operator on volumes, said before it is built, and tiles that keep to a limit."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.grid import VolumeGrid, resized
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyOTF, AnyVolumeOTF, GridOTF, RadialOTF
from simrecon.recon.operator import DEFAULT_MARGIN_UM
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.propagate import KEPT_BYTES, TRIMMED_SHARE
from simrecon.recon.transfer import mirror_margins

SMALLEST_TILE_UM = 15.0
"""Edge below which tiles would be little more than their overlap."""
TILE_MARGIN_UM = 5.0
"""Mirror margin of tiles. With that of whole volumes, 1.6 µm, light of a tile's other side comes
round to its outer border (up to 8 σ: `tests/simrecon/recon/test_tiling.py`)."""
KERNEL_REACH_UM = 3.2
"""Typical lateral reach of the kernels that the variance is made with."""


@dataclass(frozen=True)
class VolumeMemory:
    """Bytes that the operator of a volume (or of one tile) takes beside its frames.

    Attributes
    ----------
    kept : float
        The operator itself.
    working : float
        Further, while it is built and applied.
    """

    kept: float
    working: float

    @property
    def peak(self) -> float:
        """Both together."""
        return self.kept + self.working


def operator_memory(
    pattern: PatternFit,
    otf: AnyVolumeOTF,
    grid: VolumeGrid,
    *,
    zoom: int = 2,
    variance: bool = False,
    margin_um: float = DEFAULT_MARGIN_UM,
) -> VolumeMemory:
    """Predicted memory of building and applying a Reconstructor, with or without variance.

    Counted from the arrays that live at the same time; ``benchmarks/bench_volume.py --memory``
    sets it beside the measured peak.
    """
    padding = MirrorPadding.around(grid.shape, mirror_margins(grid, otf, margin_um))
    raw, fine = prod(padding.padded), prod(padding.zoomed(zoom).padded)
    half = fine / 2.0
    orders = [len(d.modulation) for d in pattern.directions]
    blocks = sum(_block(otf, grid, padding, m) for n in orders for m in range(n + 1))
    kept = 16.0 * half + 16.0 * blocks  # precision, effective OTF; transfers, filters
    working = max(16.0 * half, 8.0 * half + 24.0 * raw)  # last transform; one band's transform
    if variance:
        bands = max(orders) + 1
        moments = _moment_bytes(otf, grid, padding, zoom, orders)
        if moments <= KEPT_BYTES:
            kept += moments
        reach = 2.0 * KERNEL_REACH_UM * zoom / grid.pixel_um
        planes, *sides = padding.zoomed(zoom).padded
        kernel = 8.0 * planes * prod(min(reach, n) for n in sides)
        product = 8.0 * _block(otf, grid, padding, bands - 1, 2)
        working = max(working, 8.0 * half + (bands + 2) * kernel + product + 24.0 * raw)
    return VolumeMemory(kept, working)


def _block(
    otf: AnyVolumeOTF, grid: VolumeGrid, padding: MirrorPadding, order: int, twice: int = 1
) -> float:
    """Samples of the box round an order's filter, or with `twice` = 2 round a kernel product."""
    planes, ny, nx = padding.padded
    lateral = [2.0 * twice * otf.cutoff_per_um * n * grid.pixel_um for n in (ny, nx)]
    axial = 2.0 * twice * otf.axial_cutoff_per_um[order] * planes * grid.dz_um
    if grid.shear != (0.0, 0.0):
        axial = planes
    return float(min(axial, planes) * np.prod(lateral))


def _moment_bytes(
    otf: AnyVolumeOTF, grid: VolumeGrid, padding: MirrorPadding, zoom: int, orders: list[int]
) -> float:
    """Memory of the filters of the variance."""
    total = 0.0
    for n in orders:
        waves = 2 * n + 1
        sizes = [_block(otf, grid, padding, m, 2) for m in range(n + 1)]
        total += (
            8.0 * TRIMMED_SHARE * waves * min(float(np.mean(sizes)), zoom**2 * prod(padding.padded))
        )
    return total


def frames_memory(pattern: PatternFit, grid: VolumeGrid, *, zoom: int, variance: bool) -> float:
    """Bytes of all frames and pictures of a volume, float32, and of its variances."""
    frames = sum(len(d.phase_rad) for d in pattern.directions) * prod(grid.shape)
    return 4.0 * (frames + prod(grid.zoomed(zoom).shape)) * (2 if variance else 1)


def tile_for(
    pattern: PatternFit,
    otf: AnyOTF,
    grid: VolumeGrid,
    max_bytes: float,
    *,
    zoom: int = 2,
    variance: bool = False,
) -> tuple[int, int]:
    """Largest raw tile (Y, X) that keeps within a limit; the whole field where that fits.

    Raises
    ------
    UsageError
        When even small tiles, or frames and pictures alone, take more.
    """
    assert not isinstance(otf, RadialOTF | GridOTF)
    held = frames_memory(pattern, grid, zoom=zoom, variance=variance)
    tile = [grid.shape[1], grid.shape[2]]
    while True:
        part = resized(grid, (grid.shape[0], *tile))
        assert isinstance(part, VolumeGrid)
        margin = DEFAULT_MARGIN_UM if part.shape == grid.shape else TILE_MARGIN_UM
        needed = operator_memory(
            pattern, otf, part, zoom=zoom, variance=variance, margin_um=margin
        ).peak
        if held + needed <= max_bytes:
            return tile[0], tile[1]
        longer = int(tile[1] >= tile[0])
        tile[longer] = int(np.ceil(0.75 * tile[longer]))
        if tile[longer] * grid.pixel_um < SMALLEST_TILE_UM:
            raise UsageError(
                "The reconstruction needs more memory than allowed, even in tiles.",
                expected=f"at most {max_bytes / 1e9:g} GB",
                got=f"{held / 1e9:.2f} GB of frames and pictures, {needed / 1e9:.2f} GB for a tile",
                where="--max-memory",
                hint="crop the field, leave out planes, or allow more memory",
            )
