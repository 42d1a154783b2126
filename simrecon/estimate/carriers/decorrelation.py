"""Bands as the camera sees them are not correlated: a leak of a strong band into a weak one shows.

At one raw frequency k' the bands show the object at places k' − q_b far apart, so that the
separated bands are uncorrelated wherever the object does not repeat itself (Wicker 2013, Opt.
Express 21:24692, uses the same of single frames). A wrong phase or intensity leaks one band into
another, and shows as a correlation. Where the bands' overlap says little (the last harmonics) this
holds the mixing together:

    V = N Σ_{b≠b'} |E_bb'|² / (E_bb E_b'b'),   E = U C Uᴴ,   C = mean of D Dᴴ over N samples,

the samples whitened by the mean power of their ring.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.groups import SEPARATE
from simrecon.estimate.rows import BandImages

INDEPENDENT = 0.3
"""Independent samples per DFT sample of the half plane: window, and power that is not even."""
RING_WIDTH = 4


@dataclass(frozen=True)
class Decorrelation:
    """Covariance of the frames of one set.

    Attributes
    ----------
    carriers : CarrierSet
    power : ndarray (P, P), complex128
        C less the noise.
    noise : ndarray (P,)
        Of the whitened frames.
    samples : float
        N.
    scale : ndarray (B, B)
        Weight of every pair of bands.
    """

    carriers: CarrierSet
    power: np.ndarray
    noise: np.ndarray
    samples: float
    scale: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))

    @classmethod
    def of(
        cls,
        carriers: CarrierSet,
        state: SetState,
        images: BandImages,
        frames: int,
        noise: np.ndarray,
    ) -> Decorrelation:
        """From the spectra of the frames, without the centres of the bands.

        Parameters
        ----------
        noise : ndarray (P,)
            ``Σ w² σ²`` of every frame.
        """
        half, cutoff = images.half, images.field.cutoff_per_um
        used = np.ones(half.ring.size, dtype=bool)
        for qy, qx in carriers.carrier_per_um(state.frequency_per_um):
            used &= np.hypot(half.ky - qy, half.kx - qx) > SEPARATE * cutoff
        spectra = images.zero[frames][:, used]
        ring = half.ring[used] // RING_WIDTH
        sums = np.bincount(ring, np.mean(np.abs(spectra) ** 2, axis=0))
        level = sums / np.maximum(np.bincount(ring), 1)
        weight = 1.0 / np.maximum(level[ring], 1e-30)
        power = (spectra * weight) @ np.conj(spectra.T) / weight.size
        whitened = noise * float(weight.mean())
        samples = INDEPENDENT * weight.size
        return cls(carriers, power - np.diag(whitened), whitened, samples).scaled(state)

    def scaled(self, state: SetState, excess: float = 1.0) -> Decorrelation:
        """Weights from the powers that the bands have at a state, less by `excess`."""
        unmix = self.carriers.unmixing(state.phase_rad, state.intensity)
        own = np.real(np.einsum("bi,ij,bj->b", unmix, self.power, np.conj(unmix)))
        own = np.maximum(own, 0.0) + np.abs(unmix) ** 2 @ self.noise
        pairs = np.triu(np.ones((own.size, own.size)), 1)
        return replace(self, scale=pairs * self.samples / excess / np.outer(own, own))

    def chance(self, state: SetState) -> float:
        """V over its expectation for uncorrelated bands: 1; more where the object repeats."""
        return self.value(state) / int(np.count_nonzero(self.scale))

    def _cross(self, unmix: np.ndarray) -> np.ndarray:
        """E of unmixing rows (…, B, P)."""
        return np.asarray(unmix @ self.power @ np.conj(np.swapaxes(unmix, -1, -2)))

    def value(self, state: SetState) -> float:
        """V."""
        unmix = self.carriers.unmixing(state.phase_rad, state.intensity)
        return float(np.sum(np.abs(self._cross(unmix)) ** 2 * self.scale))

    def system(self, state: SetState) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Gauss–Newton Hessian by all parameters of the state."""
        mixing_parameters = self.carriers.parameters_of("intensity").stop
        values, step = state.parameters, 1e-5
        both = []
        for sign in (step, -step):
            moved = values[None, :] + sign * np.eye(values.size)[:mixing_parameters]
            f, p = state.phase_rad.shape
            phase, lamp = moved[:, : f * p].reshape(-1, f, p), moved[:, f * p : f * p + p]
            both.append(self._cross(self.carriers.unmixing(phase, lamp)))
        slopes = (both[0] - both[1]) / (2 * step)
        here = self._cross(self.carriers.unmixing(state.phase_rad, state.intensity))
        gradient, hessian = np.zeros(values.size), np.zeros((values.size,) * 2)
        inner = slice(0, mixing_parameters)
        gradient[inner] = 2 * np.real(np.einsum("nab,ab->n", np.conj(slopes), here * self.scale))
        weighted = slopes * self.scale
        hessian[inner, inner] = 2 * np.real(np.einsum("nab,mab->nm", np.conj(slopes), weighted))
        return gradient, hessian
