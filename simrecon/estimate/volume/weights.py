"""What the bands of one direction weigh: their noise, and the object that is left free.

At every lateral frequency the planes of band b are ``y_b = A_b s + n_b`` (:mod:`.kernels`); the
column s that they speak for together is ``(Σ A_b^H A_b/N_b + 1/P)⁻¹ Σ A_b^H y_b/N_b``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState

PRIOR_FACTOR = 30.0
"""Prior power of the object over its measured one: wide enough to leave the object free."""
RINGS = 24
SHOWN_SD, SHOWN_ENERGY = 4.0, 0.02
"""Rings of |k| count where order 0 is so far above its noise, and its transfer's energy above this
share of the largest; the power of the others is that of the next of these."""
CHUNK_BYTES = 4e6
"""Of the matrices of some samples: what a processor's cache holds."""


@dataclass(frozen=True)
class Weights:
    """Weights of one direction, frozen at a state.

    Attributes
    ----------
    rows : Rows
    kernels : Kernels
    band_noise : ndarray (2M + 1,)
        N_b of one sample in one plane.
    power : ndarray (K,)
        P.
    """

    rows: Rows
    kernels: Kernels
    band_noise: np.ndarray
    power: np.ndarray

    @classmethod
    def frozen(
        cls,
        rows: Rows,
        kernels: Kernels,
        field: VolumeField,
        state: VolumeState,
        factor: float = PRIOR_FACTOR,
    ) -> Weights:
        """Weights at `state`; P is `factor` times the measured power."""
        noise = rows.band_noise(state)
        power = _measured_power(rows.separated(state, 0), kernels, noise[0], field)
        return cls(rows, kernels, noise, factor * power)

    def whitened(self, part: np.ndarray, of: Sequence[int] | None = None) -> np.ndarray:
        """``A_b/√N_b`` of some bands, or all, one below the other, (k, B, Z, S) complex64."""
        bands = range(len(self.band_noise)) if of is None else of
        shape = (part.size, len(bands), self.kernels.planes, self.kernels.column)
        result = np.empty(shape, np.complex64)
        for n, i in enumerate(bands):
            made = self.kernels.matrices(i, part)
            np.multiply(made, np.float32(self.band_noise[i] ** -0.5), out=result[:, n])
        return result

    def precision(self, whitened: np.ndarray, part: np.ndarray) -> np.ndarray:
        """``Σ_b A_b^H A_b / N_b + 1/P``, (k, S, S) complex128 (it may be stiff)."""
        size = whitened.shape[3]
        flat = whitened.reshape(part.size, -1, size)
        total = (np.conj(flat.transpose(0, 2, 1)) @ flat).astype(np.complex128)
        total += np.eye(size) / self.power[part, None, None]
        return np.asarray(total)

    def back(
        self,
        whitened: np.ndarray,
        bands: np.ndarray,
        part: np.ndarray,
        of: Sequence[int] | None = None,
    ) -> np.ndarray:
        """``Σ_b A_b^H y_b / N_b`` of some of the bands y (2M + 1, Z, K), (k, S, 1)."""
        chosen = list(range(len(bands)) if of is None else of)
        scale = (self.kernels.used[chosen][:, part].T / np.sqrt(self.band_noise[chosen])).T
        data = bands[chosen][..., part] * scale.astype(np.float32)[:, None]
        flat = whitened.reshape(part.size, -1, whitened.shape[3])
        # a row from the left, so that the large array is not copied to be conjugated
        row = np.conj(data.transpose(2, 0, 1)).reshape(part.size, 1, -1) @ flat
        return np.asarray(np.conj(row.transpose(0, 2, 1)))

    def mismatch(self, state: VolumeState) -> np.ndarray:
        """``M y``, (2M + 1, Z, K) complex64 (see :mod:`.form`)."""
        bands = self.rows.bands(state)
        result = np.zeros_like(bands)
        for part in chunks(self.kernels, np.arange(bands.shape[2])):
            whitened = self.whitened(part)
            precision = self.precision(whitened, part)
            column = np.linalg.solve(precision, self.back(whitened, bands, part))[..., 0]
            for i, noise in enumerate(self.band_noise):
                told = self.kernels.planes_of(i, part, column).T
                result[i][:, part] = (bands[i][:, part] * self.kernels.used[i, part] - told) / noise
        return result


def chunks(kernels: Kernels, samples: np.ndarray) -> Iterator[np.ndarray]:
    """Samples in parts whose matrices fit the memory."""
    bands = kernels.used.shape[0]
    step = max(1, int(CHUNK_BYTES / (8.0 * bands * kernels.planes * kernels.column)))
    for start in range(0, samples.size, step):
        yield samples[start : start + step]


def _measured_power(
    zero: np.ndarray, kernels: Kernels, noise: float, field: VolumeField
) -> np.ndarray:
    """Power of the object's column from order 0 (Z, K), a smooth function of |k|."""
    radius = np.hypot(field.ky, field.kx)
    bins = np.minimum((RINGS * radius / radius.max()).astype(np.intp), RINGS - 1)
    there, back = kernels.waves
    centre = there[:, kernels.planes // 2, None] * back
    energy = np.sum(np.abs(kernels.transfer[0] @ centre) ** 2, axis=1)
    # not clipped before the mean, or noise alone would be a signal
    signal = np.mean(np.abs(zero) ** 2, axis=0) - noise
    count = np.maximum(np.bincount(bins, minlength=RINGS), 1)
    up, down = np.bincount(bins, signal, RINGS) / count, np.bincount(bins, energy, RINGS) / count
    doubt = noise / np.sqrt(count * kernels.planes)
    seen = (up > SHOWN_SD * doubt) & (down > SHOWN_ENERGY * down.max())
    least = 1e-3 * noise / max(float(energy.max(initial=0.0)), 1e-30)
    if not seen.any():
        return np.full(bins.size, least)
    # beyond what order 0 shows, the object is taken to be as strong as where it still shows it
    ring = np.interp(np.arange(RINGS), np.flatnonzero(seen), up[seen] / down[seen])
    return np.asarray(np.maximum(ring[bins], least))
