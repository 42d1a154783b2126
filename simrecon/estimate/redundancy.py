"""What more than three phases must have in common: the frames outside the three bands are noise.

With M the mixing matrix and W = 1/σ_j of each frame, ``P = 1 − WM (WM)⁺`` projects the frames onto
what no band can explain. Its power, ``J_r = Σ_k |P W D(k)|² = tr(P C)`` with C the frames' cross
powers, is P − 3 per sample when phases and intensities are right, and noise alone contributes the
same whatever they are, so that its minimum is not biased. For three phases there is nothing left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.mixing import BANDS, mixing

SLIGHT = 1.3
"""Residuals up to this multiple of the noise count fully, stronger ones by its inverse square."""


@dataclass(frozen=True)
class Redundancy:
    """Cross powers of the whitened frames of every direction.

    Attributes
    ----------
    power : ndarray (D, P, P), float64
        C less the noise: ``Re Σ_k conj(W_j D_j) W_j' D_j'`` without K on the diagonal.
    whitening : ndarray (D, P)
        W.
    weight : ndarray (D,)
        1 where the residual is noise, 1/excess² where it is more (another pattern order, drift).
    """

    power: np.ndarray
    whitening: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(
        cls, zero: np.ndarray, noise: np.ndarray, parameters: Sequence[np.ndarray]
    ) -> Redundancy | None:
        """From order-0 rows (D, P, K) with noise powers (D, P); None for three phases."""
        directions, phases, samples = zero.shape
        if phases <= len(BANDS):
            return None
        whitening = 1.0 / np.sqrt(noise)
        white = zero * whitening[..., None].astype(np.float32)
        power = np.real(np.conj(white) @ white.swapaxes(-1, -2)).astype(np.float64)
        power -= samples * np.eye(phases)
        plain = cls(power, whitening, np.ones(directions))
        left = np.array([plain._residual(d, p) for d, p in enumerate(parameters)])
        excess = 1.0 + np.maximum(left, 0.0) / (samples * (phases - len(BANDS)))
        return cls(power, whitening, np.where(excess > SLIGHT, excess**-2.0, 1.0))

    def value(self, parameters: Sequence[np.ndarray]) -> float:
        """J_r less its expectation from noise, all directions."""
        parts = [self._residual(d, p) * self.weight[d] for d, p in enumerate(parameters)]
        return float(np.sum(parts))

    def system(self, parameters: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (n,) and Gauss–Newton Hessian (n, n) in (φ, g, ln m, f_y, f_x) of all."""
        phases = self.power.shape[1]
        count = 2 * phases + 3
        gradient = np.zeros(len(parameters) * count)
        hessian = np.zeros((gradient.size, gradient.size))
        for d, values in enumerate(parameters):
            rows = slice(d * count, d * count + 2 * phases)
            projection, slopes = self.projection(d, values), self.slopes(d, values)
            along = slopes @ self.power[d]
            gradient[rows] = 2 * self.weight[d] * np.einsum("nij,ij->n", along, projection)
            hessian[rows, rows] = 2 * self.weight[d] * np.einsum("nij,mij->nm", along, slopes)
        return gradient, hessian

    def projection(self, direction: int, parameters: np.ndarray) -> np.ndarray:
        """P of one direction, (…, P, P) float64, from parameters (…, 2P + 1)."""
        phases = self.power.shape[1]
        matrix = mixing(parameters[..., :phases], parameters[..., phases : 2 * phases])
        white = self.whitening[direction][:, None] * matrix
        inside = np.real(white @ np.linalg.pinv(white))
        result: np.ndarray = np.eye(phases) - inside
        return result

    def slopes(self, direction: int, parameters: np.ndarray) -> np.ndarray:
        """Derivatives of P by φ and g, (2P, P, P), by central differences."""
        count = 2 * self.power.shape[1]
        step = 1e-5 * np.eye(parameters.size)[:count]
        both = self.projection(direction, np.concatenate([parameters + step, parameters - step]))
        slopes: np.ndarray = (both[:count] - both[count:]) / 2e-5
        return slopes

    def _residual(self, direction: int, parameters: np.ndarray) -> float:
        return float(np.sum(self.projection(direction, parameters) * self.power[direction]))
