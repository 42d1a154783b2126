"""Raw SIM frames of a volume (3D-SIM, lattice light-sheet SIM) as a measurement.

Pairs are made as for planes: the raw frames are re-corrupted, and the lift is the frozen operator
of the volume, so that frames and noise draws go through exactly the same linear map.
"""

from __future__ import annotations

import numpy as np
import torch

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.model.grid import VolumeGrid
from simrecon.model.psf import DirectionalVolumeOTF, of_direction
from simrecon.model.stack import SimStack
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.preparation import prepare_channel
from simrecon.recon.operator import DEFAULT_MARGIN_UM, Reconstructor
from simrecon.recon.tiling import TiledReconstructor
from simrecon.recon.transfer import mirror_margins
from simrecon.result import Result
from simrecon.volume_frames import volume_acquisition, volume_grid
from simrecon.volumes import volume_psf
from zsdeconv.measurement import Measurement
from zsdeconv.pairs_sim import frozen_operator, measured_frames, regularized
from zsdeconv.pairs_volume import MARGIN_PLANES, MIN_PLANES, gaussian_psf
from zsdeconv.sim_forward_volume import VolumeSimForward

_WIDTH_BY_CUTOFF = 1.03
"""Full width at half maximum of a diffraction image times its cut-off: 0.514 λ/NA · 2 NA/λ."""


def check_volume(stack: SimStack, settings: Settings) -> None:
    """Refuse volumes that are not enhanced, before anything is computed.

    Raises
    ------
    UsageError
        For a stage scan, tiles, or too few planes.
    """
    grid = volume_grid(stack, settings)
    if grid.shape[0] < MIN_PLANES:
        raise UsageError(
            "The stack has too few planes for a network of volumes.",
            expected=f"at least {MIN_PLANES} planes",
            got=f"{grid.shape[0]}",
            hint="'simrecon reconstruct' makes the volume with its variance",
        )
    if grid.shear != (0.0, 0.0):
        raise UsageError(
            "Stage scans are not enhanced in this version: their array is skewed.",
            expected="--scan objective",
            got="--scan stage",
            where="--scan",
            hint="'simrecon reconstruct' makes the deskewed volume with its variance",
        )
    if settings.reconstruction.max_memory_gb is not None:
        raise UsageError(
            "The enhancement of a volume needs the operator in one piece.",
            expected="no --max-memory",
            got=f"{settings.reconstruction.max_memory_gb:g} GB",
            where="--max-memory",
            hint="cut the field, or leave the limit away (the plan says what is needed)",
        )


def sim_volume_measurement(
    stack: SimStack,
    result: Result,
    settings: Settings,
    *,
    input_regularization: float = 1.0,
    shown_cutoff: float = 0.0,
    device: torch.device | str = "cpu",
    time: int = 0,
    channel: int = 0,
) -> Measurement:
    """One volume of a reconstructed stack as a measurement.

    Parameters
    ----------
    stack, result, settings, input_regularization, device, time, channel
        See :func:`zsdeconv.pairs_sim.sim_measurement`.
    shown_cutoff
        Objects are shown through a Gaussian as wide as the diffraction image of a microscope with
        so many times the cut-offs of the linear volume along z, y and x; 0: as they are.

    Raises
    ------
    QualityError, UsageError
        See :func:`zsdeconv.pairs_sim.sim_measurement` and :func:`check_volume`.
    """
    check_volume(stack, settings)
    grid = volume_grid(stack, settings)
    shape = (stack.directions, stack.phases, *grid.shape)
    operator = frozen_operator(result, shape, time, channel)
    assert not isinstance(operator, TiledReconstructor)
    psf = result.effective_psf[channel]
    if input_regularization != 1.0:
        operator = regularized(operator, input_regularization)
        psf = volume_psf(operator, psf.shape[-1])
    prepared = prepare_channel(stack, channel, settings, None)
    data = volume_acquisition(stack, prepared, time)
    cutoffs = cutoffs_px(operator)
    widths = [_WIDTH_BY_CUTOFF / (shown_cutoff * c) for c in cutoffs] if shown_cutoff else None
    deep, *lateral = mirror_margins(grid, operator.otf, DEFAULT_MARGIN_UM)
    return Measurement(
        **measured_frames(data, operator),
        forward=sim_volume_forward(operator, device),
        effective_psf=np.asarray(psf, dtype=np.float64),
        image_cutoff_px=cutoffs,
        shown_psf=None if widths is None else gaussian_psf(widths),
        dz_um=grid.dz_um,
        margins=(min(deep, MARGIN_PLANES), *lateral),
    )


def sim_volume_forward(
    operator: Reconstructor, device: torch.device | str = "cpu"
) -> VolumeSimForward:
    """The operator's forward model, differentiable and on patches."""
    otf, grid = operator.otf, operator.grid
    assert isinstance(grid, VolumeGrid)

    def transfer(
        direction: int, order: int, kz: np.ndarray, ky: np.ndarray, kx: np.ndarray
    ) -> np.ndarray:
        return evaluate_volume_otf(of_direction(otf, direction), order, kz, ky, kx)

    one_otf = not isinstance(otf, DirectionalVolumeOTF)
    return VolumeSimForward(operator.pattern, transfer, one_otf, grid, operator.zoom, device)


def cutoffs_px(operator: Reconstructor) -> tuple[float, ...]:
    """Cut-offs of the linear volume along z, y and x, cycles per voxel: of the OTF of an order and
    what its carrier adds.
    """
    otf, grid = operator.otf, operator.sr_grid
    assert isinstance(grid, VolumeGrid)
    carriers = np.array([b.carrier_per_um for b in operator.bands])
    lateral = otf.cutoff_per_um + np.abs(carriers).max(axis=0)
    axial = max(otf.axial_cutoff_per_um)
    return (
        min(0.5, axial * grid.dz_um),
        *(min(0.5, float(k) * grid.pixel_um) for k in lateral),
    )
