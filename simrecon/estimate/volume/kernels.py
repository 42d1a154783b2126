"""What every band does to the object along z, at one lateral frequency.

At a lateral frequency k, band b of the planes is the object's column s(z) convolved with the kernel
``h_b(z) = ∫ H_b(kz, k + b p) exp(2πi kz z) dkz``. A stack is a few PSF lengths deep at most: light
comes from beyond its ends, so the column of the object is longer than that of the planes. It is
sampled as finely as the OTF can show, whatever the distance of the planes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.state import VolumeState, band_orders
from simrecon.model.psf import VolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf

FLOOR = 0.03
"""Bands are used where their kernel's energy is at least this share (amplitude) of its median."""
CENTRE = 0.2
"""Every order is left out inside this share of the cut-off about its centre: there light comes from
depths far beyond the stack (with it the contrasts of a 1.75 µm stack came out 10 % too high; from
0.1 to 0.2 the standard deviation of order 1's contrast falls by half)."""
BEYOND_UM = 1.0
"""Length of the object's column beyond either end of the stack."""
NODES_PER_UM = 14.0
"""Nodes of the integral over kz per 1/µm, at least."""
OVERSAMPLING = 1.05


@dataclass(frozen=True)
class Kernels:
    """Transfer of all bands at all samples.

    Attributes
    ----------
    transfer : ndarray (2M + 1, K, N), complex64
        ``H_b`` at the nodes of kz, times their weight.
    used : ndarray (2M + 1, K), bool
        Where a band tells something.
    waves : tuple of ndarray
        ``exp(2πi kz z)`` of the planes z and ``exp(−2πi kz s)`` of the samples s of the object's
        column: (N, Z) and (N, S), complex64.
    turn : tuple of ndarray or None
        For a skewed grid ``exp(2πi q z)`` and ``exp(−2πi q s)`` with ``q = shear·k``, k being the
        object's frequency: (K, Z) and (K, S).
    """

    transfer: np.ndarray
    used: np.ndarray
    waves: tuple[np.ndarray, np.ndarray]
    turn: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, otf: VolumeOTF, field: VolumeField, state: VolumeState) -> Kernels:
        """Kernels at the frequency of `state`."""
        fy, fx = state.frequency_per_um
        sy, sx = field.grid.shear
        z, s, nodes, weight = _column(otf, field)
        transfer, used = [], []
        for b in band_orders(state.orders):
            value = _transfer(otf, field, state, b, nodes)
            y, x = field.ky + b * fy, field.kx + b * fx
            energy = np.sqrt(np.sum(np.abs(value) ** 2, axis=1))
            radius = np.hypot(y, x)
            inside = radius < otf.cutoff_per_um
            typical = np.median(energy[inside]) if inside.any() else 0.0
            seen = inside & (energy > FLOOR * typical)
            used.append(seen & (radius >= CENTRE * otf.cutoff_per_um))
            transfer.append(value * weight)
        open_ = np.array(used)
        # a sample that only one band shows compares nothing
        open_ &= open_.sum(axis=0) > 1
        there, back = (np.exp(2j * np.pi * np.outer(nodes, at)) for at in (z, -s))
        waves = there.astype(np.complex64), back.astype(np.complex64)
        turn = None
        if (sy or sx) and not field.projected:
            q = (sy * field.ky + sx * field.kx)[:, None]
            turn = np.exp(2j * np.pi * q * z), np.exp(-2j * np.pi * q * s)
        return cls(np.array(transfer, np.complex64), open_, waves, turn)

    def at(self, samples: np.ndarray) -> Kernels:
        """The same at some of the samples."""
        turn = self.turn and (self.turn[0][samples], self.turn[1][samples])
        return Kernels(self.transfer[:, samples], self.used[:, samples], self.waves, turn)

    @property
    def planes(self) -> int:
        """Z."""
        return int(self.waves[0].shape[1])

    @property
    def column(self) -> int:
        """S."""
        return int(self.waves[1].shape[1])

    def matrices(self, band: int, part: np.ndarray) -> np.ndarray:
        """What makes the planes of a band out of the column, (k, Z, S) complex64."""
        open_ = self.used[band, part]
        both = self.waves[0][:, :, None] * self.waves[1][:, None, :]
        flat = (self.transfer[band, part] * open_[:, None]) @ both.reshape(len(both), -1)
        made: np.ndarray = flat.reshape(-1, self.planes, self.column)
        if self.turn is not None:
            rows, columns = self.turn[0][part], self.turn[1][part]
            made = (made * rows[:, :, None] * columns[:, None, :]).astype(np.complex64)
        return made

    def planes_of(self, band: int, part: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Planes of a band (k, Z) from columns (k, S): the matrices' product, without them."""
        open_ = self.used[band, part]
        if self.turn is not None:
            column = column * self.turn[1][part]
        waves = (column.astype(np.complex64) @ self.waves[1].T) * self.transfer[band, part]
        planes = (waves @ self.waves[0]) * open_[:, None]
        return np.asarray(planes if self.turn is None else planes * self.turn[0][part])


@dataclass(frozen=True)
class LateralSlope:
    """Slope of the matrices over one component of the lateral frequency.

    Attributes
    ----------
    kernels : Kernels
        With slopes in place of their transfer, µm.
    plain : Kernels
        Without.
    reach_um : tuple of ndarray or None
        For a skewed grid how far planes (Z,) and samples of the column (S,) are displaced.
    """

    kernels: Kernels
    plain: Kernels
    reach_um: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(
        cls, otf: VolumeOTF, kernels: Kernels, field: VolumeField, state: VolumeState, axis: int
    ) -> LateralSlope:
        """Over ky (axis 0) or kx (1), from differences over one DFT sample."""
        step = 0.5 / field.window.padded.extent_um[axis]
        z, s, nodes, weight = _column(otf, field)
        move = (step, 0.0) if axis == 0 else (0.0, step)
        up, down = (field.moved(sign * move[0], sign * move[1]) for sign in (1, -1))
        slope = [
            _transfer(otf, up, state, b, nodes) - _transfer(otf, down, state, b, nodes)
            for b in band_orders(state.orders)
        ]
        transfer = np.array(slope, np.complex64) * np.float32(weight / (2 * step))
        shear = field.grid.shear[axis]
        reach = (shear * z, shear * s) if shear else None
        return cls(replace(kernels, transfer=transfer), kernels, reach)

    def planes_of(self, band: int, part: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Slope of :meth:`Kernels.planes_of`, (k, Z) complex64."""
        found = self.kernels.planes_of(band, part, column)
        if self.reach_um is not None:
            there, back = self.reach_um
            turning = self.plain.planes_of(band, part, column) * there
            turning = turning - self.plain.planes_of(band, part, column * back)
            found = found + np.complex64(2j * np.pi) * turning
        return found


def _transfer(
    otf: VolumeOTF, field: VolumeField, state: VolumeState, band: int, nodes: np.ndarray
) -> np.ndarray:
    """``H_b`` at the nodes of kz, (K, N) complex128."""
    # h_−b is the conjugate of h_b: its transfer at k is that of b at −k, conjugated
    sign = 1.0 if band >= 0 else -1.0
    fy, fx = state.frequency_per_um
    y, x = sign * field.ky + abs(band) * fy, sign * field.kx + abs(band) * fx
    kz = sign * nodes[:, None]
    if field.projected:
        # the pattern stays with the camera: a shear acts on the object's frequency, not on b p
        sy, sx = field.grid.shear
        kz = kz - sign * (sy * field.ky + sx * field.kx)
    value = np.asarray(evaluate_volume_otf(otf, abs(band), kz, y[None], x[None]).T)
    return np.conj(value) if band < 0 else value


def _column(otf: VolumeOTF, field: VolumeField) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Planes z and column s, µm, nodes of kz, 1/µm, and the weight of a node."""
    if field.projected:
        return np.zeros(1), np.zeros(1), np.zeros(1), 1.0
    top = max(otf.axial_cutoff_per_um)
    z = field.grid.dz_um * np.arange(field.planes)
    length = float(z[-1]) + 2 * BEYOND_UM
    count = int(np.ceil(2 * top * OVERSAMPLING * length)) + 1
    s = np.linspace(-BEYOND_UM, z[-1] + BEYOND_UM, count)
    number = int(np.ceil(2 * top * max(NODES_PER_UM, 1.25 * length))) | 1
    nodes = np.linspace(-top, top, number)
    return z, s, nodes, float(nodes[1] - nodes[0]) * float(s[1] - s[0])
