"""Three-dimensional OTFs evaluated anywhere in frequency space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.psf import (
    AnyVolumeOTF,
    DirectionalVolumeOTF,
    GridVolumeOTF,
    RadialVolumeOTF,
    VolumeOTF,
)


def evaluate_volume_otf(
    otf: VolumeOTF,
    order: int,
    kz_per_um: np.ndarray,
    ky_per_um: np.ndarray,
    kx_per_um: np.ndarray,
) -> np.ndarray:
    """Value of one order's OTF at frequencies in space.

    Parameters
    ----------
    otf
        Radial table (bilinear between its points) or measured PSFs (exact DFT).
    order
        …, −1, 0, 1, …; ``H_−m(k) = conj H_m(−k)``, which is H_m itself for a radial table of
        light with a real axial profile.
    kz_per_um, ky_per_um, kx_per_um : ndarray
        Frequencies in cycles/µm, broadcast against each other. Fast where ky and kx do not
        depend on the first of three axes, and faster where kz depends on nothing else
        (the open grid of an array that is not skewed).

    Returns
    -------
    ndarray, broadcast shape, complex128
        Exactly 0 where the lateral radius or the size of kz reaches the cut-off of that order.

    Raises
    ------
    UsageError
        When the OTF does not hold that order.
    """
    if order < 0:
        mirrored = (-np.asarray(k) for k in (kz_per_um, ky_per_um, kx_per_um))
        return np.asarray(np.conj(evaluate_volume_otf(otf, -order, *mirrored)))
    if order >= otf.orders:
        raise UsageError(
            "The OTF does not hold this order of the pattern.",
            expected=f"at most order {otf.orders - 1}",
            got=str(order),
            where=otf.source or "--otf",
        )
    kz, ky, kx = (np.asarray(k, dtype=np.float64) for k in (kz_per_um, ky_per_um, kx_per_um))
    shape = np.broadcast_shapes(kz.shape, ky.shape, kx.shape)
    lateral = np.broadcast_shapes(ky.shape, kx.shape)
    if len(shape) == 3 and (len(lateral) < 3 or lateral[0] == 1):
        ky, kx = (np.broadcast_to(k, (1, *shape[1:]))[0] for k in (ky, kx))
        kz = kz.reshape((1,) * (3 - kz.ndim) + kz.shape)
        return _planes(otf, order, kz, ky, kx, shape)
    ky, kx = (np.broadcast_to(k, shape).ravel() for k in (ky, kx))
    kz = np.broadcast_to(kz, shape).reshape(1, -1)
    return np.asarray(_planes(otf, order, kz, ky, kx, (1, ky.size))[0].reshape(shape))


def first_orders(otf: AnyVolumeOTF, orders: int) -> AnyVolumeOTF:
    """An OTF without its orders from `orders` on (0 included: 2 keeps orders 0 and 1)."""
    if orders >= otf.orders:
        return otf
    if isinstance(otf, DirectionalVolumeOTF):
        return DirectionalVolumeOTF(tuple(_first_orders(one, orders) for one in otf.directions))
    return _first_orders(otf, orders)


def _first_orders(otf: VolumeOTF, orders: int) -> VolumeOTF:
    axial = otf.axial_cutoff_per_um[:orders]
    if isinstance(otf, RadialVolumeOTF):
        return replace(otf, values=otf.values[:orders], axial_cutoff_per_um=axial)
    return replace(otf, psf=otf.psf[:orders], axial_cutoff_per_um=axial)


def mirrored_in_z(otf: AnyVolumeOTF) -> AnyVolumeOTF:
    """The OTF of a microscope that counts its planes in the other direction."""
    if isinstance(otf, DirectionalVolumeOTF):
        return DirectionalVolumeOTF(tuple(_mirrored(one) for one in otf.directions))
    return _mirrored(otf)


def _mirrored(otf: VolumeOTF) -> VolumeOTF:
    if isinstance(otf, RadialVolumeOTF):
        return replace(otf, kz_per_um=-otf.kz_per_um[::-1], values=otf.values[:, :, ::-1])
    planes = otf.psf.shape[1]
    order = (2 * (planes // 2) - np.arange(planes)) % planes
    return replace(otf, psf=otf.psf[:, order])


def _planes(
    otf: VolumeOTF,
    order: int,
    kz: np.ndarray,
    ky: np.ndarray,
    kx: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Plane by plane: `ky`, `kx` have the shape of a plane, `kz` one plane or number for each."""
    out = np.zeros(shape, dtype=np.complex128)
    inside = np.nonzero(np.hypot(ky, kx) < otf.cutoff_per_um)
    sampler: _RadialSampler | _GridSampler
    if isinstance(otf, RadialVolumeOTF):
        sampler = _RadialSampler(otf, order, ky[inside], kx[inside])
    else:
        sampler = _GridSampler(otf, order, ky, kx, inside)
    limit = otf.axial_cutoff_per_um[order]
    for i in range(shape[0]):
        axial = kz[i if kz.shape[0] > 1 else 0]
        if axial.size == 1:
            if abs(float(axial.ravel()[0])) < limit:
                out[i][inside] = sampler.at_height(float(axial.ravel()[0]))
        else:
            heights = np.broadcast_to(axial, ky.shape)[inside]
            out[i][inside] = np.where(np.abs(heights) < limit, sampler.at(heights), 0.0)
    return out


class _RadialSampler:
    """Bilinear interpolation in the table; the place in radius is looked up once."""

    def __init__(self, otf: RadialVolumeOTF, order: int, ky: np.ndarray, kx: np.ndarray) -> None:
        radius = np.hypot(ky, kx)
        self._table = otf.values[order]
        self._kz = otf.kz_per_um
        self._row, self._part = _between(otf.kr_per_um, radius)
        self._scale = np.where(radius <= otf.kr_per_um[-1], 1.0, 0.0)
        if otf.pixel_um is not None:
            self._scale *= np.sinc(ky * otf.pixel_um) * np.sinc(kx * otf.pixel_um)

    def at_height(self, kz: float) -> np.ndarray:
        """All lateral frequencies at one kz."""
        if not self._kz[0] <= kz <= self._kz[-1]:
            return np.zeros(self._row.shape, dtype=np.complex128)
        column, part = _between(self._kz, np.asarray([kz]))
        c, t = int(column[0]), float(part[0])
        profile = (1.0 - t) * self._table[:, c] + t * self._table[:, c + 1]
        low, high = profile[self._row], profile[self._row + 1]
        return np.asarray((low + self._part * (high - low)) * self._scale)

    def at(self, kz: np.ndarray) -> np.ndarray:
        """Each lateral frequency at its own kz."""
        column, part = _between(self._kz, kz)
        table, place = self._table.ravel(), self._row * self._kz.size + column
        rows = []
        for first in (place, place + self._kz.size):
            low, high = table[first], table[first + 1]
            rows.append(low + part * (high - low))
        within = (kz >= self._kz[0]) & (kz <= self._kz[-1])
        value = rows[0] + self._part * (rows[1] - rows[0])
        return np.asarray(np.where(within, value * self._scale, 0.0))


def _between(nodes: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the node below and the part of the way to the next one, clipped to the table."""
    step = (nodes[-1] - nodes[0]) / (nodes.size - 1)
    if np.allclose(np.diff(nodes), step, rtol=1e-9):
        place = np.clip((at - nodes[0]) / step, 0.0, nodes.size - 1)
        index = np.minimum(place.astype(np.intp), nodes.size - 2)
        return index, place - index
    index = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, nodes.size - 2)
    part = (at - nodes[index]) / (nodes[index + 1] - nodes[index])
    return index, np.clip(part, 0.0, 1.0)


class _GridSampler:
    """DFT of the PSF: laterally once, axially for each kz."""

    def __init__(
        self,
        otf: GridVolumeOTF,
        order: int,
        ky: np.ndarray,
        kx: np.ndarray,
        inside: tuple[np.ndarray, ...],
    ) -> None:
        psf = otf.psf[order]
        self._dz = otf.dz_um
        self._centre = psf.shape[0] // 2
        self._lateral = _lateral_dft(psf, otf.pixel_um, ky, kx, inside)

    def at_height(self, kz: float) -> np.ndarray:
        """All lateral frequencies at one kz."""
        z = (np.arange(self._lateral.shape[0]) - self._centre) * self._dz
        return np.asarray(np.exp(-2j * np.pi * kz * z) @ self._lateral)

    def at(self, kz: np.ndarray) -> np.ndarray:
        """Each lateral frequency at its own kz, by Horner's rule over the planes of the PSF."""
        step = np.exp(-2j * np.pi * kz * self._dz)
        total = np.zeros(kz.shape, dtype=np.complex128)
        for plane in self._lateral[::-1]:
            total = total * step + plane
        return np.asarray(total * np.exp(2j * np.pi * kz * self._dz * self._centre))


def _lateral_dft(
    psf: np.ndarray,
    pixel_um: float,
    ky: np.ndarray,
    kx: np.ndarray,
    inside: tuple[np.ndarray, ...],
) -> np.ndarray:
    """Transform of every plane at the points inside the support, shape (planes, points)."""

    def waves(k: np.ndarray, n: int) -> np.ndarray:
        r = (np.arange(n) - n // 2) * pixel_um
        return np.asarray(np.exp(-2j * np.pi * k[:, None] * r[None, :]))

    rows, columns = psf.shape[1:]
    open_grid = ky.ndim == 2 and bool((ky == ky[:, :1]).all() and (kx == kx[:1]).all())
    if open_grid:
        used_y, at_y = np.unique(inside[0], return_inverse=True)
        used_x, at_x = np.unique(inside[1], return_inverse=True)
        wave_y, wave_x = waves(ky[used_y, 0], rows), waves(kx[0, used_x], columns).T
        return np.stack([(wave_y @ plane @ wave_x)[at_y, at_x] for plane in psf])
    out = np.empty((psf.shape[0], inside[0].size), dtype=np.complex128)
    points_y, points_x = ky[inside], kx[inside]
    block = max(1, 2_000_000 // (psf.shape[0] * rows))
    for start in range(0, inside[0].size, block):
        part = slice(start, start + block)
        along_x = psf @ waves(points_x[part], columns).T
        out[:, part] = np.sum(along_x * waves(points_y[part], rows).T, axis=1)
    return out
