"""Filters of all bands: from the object to the bands (analysis), and back (Wiener synthesis)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.backend import Array, namespace, to_numpy
from simrecon.model.grid import AnyGrid, VolumeGrid
from simrecon.model.psf import AnyOTF
from simrecon.recon.apodization import Apodization, apodization
from simrecon.recon.attenuation import Attenuation, CentreWeight
from simrecon.recon.bands import Band
from simrecon.recon.regularization import Regularization
from simrecon.recon.support import SupportBlock
from simrecon.recon.transfer import band_transfer
from simrecon.threads import on_all_cores

ToDevice = Callable[[np.ndarray], Array]
Plane = tuple[tuple[int, ...], np.ndarray | None, np.ndarray, np.ndarray]


def half_planes(grid: AnyGrid) -> Iterator[Plane]:
    """Frequencies in space of a half spectrum, one plane of a volume after the other.

    Yields
    ------
    index : tuple
        The plane in the half spectrum; empty where that is a plane itself.
    kz : ndarray (Y, X//2 + 1) or None
        Axial frequencies; None in two dimensions.
    ky, kx : ndarray (Y, 1) and (1, X//2 + 1)
    """
    ky, kx = (np.ravel(k) for k in grid.frequencies_per_um()[-2:])
    ky, kx = ky[:, None], kx[None, : kx.size // 2 + 1]
    if not isinstance(grid, VolumeGrid):
        yield (), None, ky, kx
        return
    for plane, kz in enumerate(np.ravel(grid.frequencies_per_um()[0])):
        axial = grid.axial_in_space(kz, ky, kx)
        yield (plane,), np.broadcast_to(axial, (ky.size, kx.size)), ky, kx


def modulus(kz: np.ndarray | None, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    """``|k|`` of one plane of :func:`half_planes`."""
    return np.asarray(np.hypot(ky, kx) if kz is None else np.sqrt(ky**2 + kx**2 + kz**2))


def frequency_step(grid: AnyGrid) -> float:
    """Smallest distance of the frequencies of any axis, cycles/µm."""
    axes = [np.ravel(k) for k in grid.frequencies_per_um()]
    return min(float(np.abs(k[1])) for k in axes if k.size > 1)


class Analysis:
    """Transfers of object to bands on a padded SR grid.

    Parameters
    ----------
    bands, otf
        All bands n ≥ 0, and what they were seen through.
    grid : Grid or VolumeGrid
        Padded SR grid.
    raw : tuple of int
        Padded raw size.
    offset_um : float
        Lateral position of SR pixel 0 from raw pixel 0.
    zoom : int
    to_complex : callable
        Host array to a complex64 one of the operator's library and device.

    Attributes
    ----------
    blocks : list of SupportBlock
        Where each band's transfer is not zero.
    transfers : list of Array, complex64
        ``a_n H_n(k + n p)``, from SR pixel centres to raw pixel centres, over zoom².
    precision : ndarray, float64
        ``Σ |a H|²/N`` over all bands, conjugates included; half spectrum, host, 1/e².
    """

    def __init__(
        self,
        bands: Sequence[Band],
        otf: AnyOTF,
        grid: AnyGrid,
        raw: tuple[int, ...],
        *,
        offset_um: float,
        zoom: int,
        to_complex: ToDevice,
    ) -> None:
        self.bands, self.otf, self.grid, self.raw, self.zoom = bands, otf, grid, raw, zoom
        self.whole = SupportBlock.whole(grid.shape, raw)
        self.precision = np.zeros(self.whole.half_shape)
        self.blocks: list[SupportBlock] = []
        self.transfers: list[Array] = []
        waves = [np.exp(-2j * np.pi * offset_um * np.ravel(k)) for k in grid.frequencies_per_um()]

        def made(band: Band) -> tuple[SupportBlock, np.ndarray, np.ndarray]:
            block, transfer = band_transfer(band, otf, grid, raw)
            rows, columns = (block.indices(axis) for axis in range(len(raw) - 2, len(raw)))
            ramp = waves[-2][rows, None] * waves[-1][None, columns] / zoom**2
            return block, np.abs(transfer) ** 2 / band.noise_e2, transfer * ramp

        # Volumes band by band: together they would take too much memory.
        spread = map if isinstance(grid, VolumeGrid) else on_all_cores
        for band, (block, precision, transfer) in zip(bands, spread(made, bands), strict=True):
            block.add_even(self.precision, precision, band.order > 0)
            self.blocks.append(block)
            self.transfers.append(to_complex(transfer))

    def weighted_precision(self, centre: CentreWeight) -> np.ndarray:
        """:attr:`precision` with the weights of an attenuation."""
        if centre.excess == 0:
            return self.precision
        total = np.zeros_like(self.precision)
        for band, block, transfer in zip(self.bands, self.blocks, self.transfers, strict=True):
            weight = centre.of_band(band, self.grid, block) * (self.zoom**4 / band.noise_e2)
            block.add_even(total, weight * np.abs(to_numpy(transfer)) ** 2, band.order > 0)
        return total


@dataclass(frozen=True)
class Synthesis:
    """Wiener filters.

    Attributes
    ----------
    filters : list of Array, complex64
        G of every band on its block; of orders above 0 it stands for the conjugate band too.
    effective_otf : ndarray, float64
        T with ``E[Ŝ] = T ⊛ S``; half spectrum, host.
    unmodulated : float
        What is left of uniform light that is not modulated.
    """

    filters: list[Array]
    effective_otf: np.ndarray
    unmodulated: float


def wiener(
    analysis: Analysis,
    regularization: Regularization,
    kind: Apodization,
    attenuation: Attenuation | CentreWeight | None,
    to_real: ToDevice,
) -> Synthesis:
    """Filters for a regularisation, an apodization and an attenuation.

    Parameters
    ----------
    to_real : callable
        Host array to a float32 one of the operator's library and device.
    """
    bands, grid = analysis.bands, analysis.grid
    centre = CentreWeight.of(attenuation, bands, analysis.otf)
    precision = analysis.weighted_precision(centre)
    inverse = np.zeros_like(precision)
    largest, floor = float(analysis.precision.max()), 1e-12 * float(precision.max())
    for index, kz, ky, kx in half_planes(grid):
        gamma = regularization.gamma(modulus(kz, ky, kx), largest)
        if not any(index):
            gamma[0, 0] = 0.0  # the mean is kept exactly
        window = apodization(kind, bands, analysis.otf, kz, ky, kx)
        np.divide(
            window,
            precision[index] + gamma,
            out=inverse[index],
            where=precision[index] > floor,
        )
    shared = to_real(analysis.zoom**4 * inverse)
    xp = namespace(shared)
    filters = []
    for band, block, transfer in zip(bands, analysis.blocks, analysis.transfers, strict=True):
        weight = block.taken(shared) * (band.multiplicity / band.noise_e2)
        if centre.excess > 0:
            weight = weight * to_real(centre.of_band(band, grid, block))
        filters.append(xp.conj(transfer) * weight)
    unmodulated = centre.unmodulated_response(bands, float(inverse[(0,) * inverse.ndim]))
    inverse *= precision
    return Synthesis(filters, inverse, unmodulated)
