"""How a direction's frames mix into bands, and back.

Frame j is ``g_j Σ_b (m_|b|/2 or 1) exp(i b φ_j) · band_b``; the unmixing matrix is the
pseudo-inverse of ``M_jb = g_j exp(i b φ_j)`` divided by each band's amplitude.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BANDS = (0, 1, -1)
"""Order of the bands in every array of the estimator."""
RIDGE = 1e-14
"""Relative to the mixing matrix, whose entries are near 1."""


@dataclass(frozen=True)
class DirectionState:
    """Current values of one direction, phases counted from the centre of the field.

    Attributes
    ----------
    frequency_per_um : ndarray (2,)
        [fy, fx], cycles/µm.
    phase_rad, intensity : ndarray (P,)
    modulation : float
    """

    frequency_per_um: np.ndarray
    phase_rad: np.ndarray
    intensity: np.ndarray
    modulation: float

    @property
    def parameters(self) -> np.ndarray:
        """(φ_1…φ_P, g_1…g_P, ln m), the parameters of :func:`unmixing`."""
        return np.concatenate([self.phase_rad, self.intensity, [np.log(self.modulation)]])

    @property
    def amplitudes(self) -> np.ndarray:
        """Band amplitudes (1, m/2, m/2) in the order of :data:`BANDS`."""
        half = 0.5 * self.modulation
        return np.array([1.0, half, half])


def mixing(phase_rad: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """``M_jb = g_j exp(i b φ_j)``, (…, P, 3) complex128, from (…, P)."""
    bands = np.array(BANDS)
    matrix: np.ndarray = intensity[..., None] * np.exp(1j * bands * phase_rad[..., None])
    return matrix


def unmixing(parameters: np.ndarray, phases: int) -> np.ndarray:
    """Coefficients c (…, 3, P), complex128: band_b / amplitude_b = Σ_j c_bj frame_j.

    Parameters
    ----------
    parameters : ndarray (…, 2P + 1)
        (φ, g, ln m) of one direction.
    phases : int
        Number of frames P.
    """
    phase, intensity = parameters[..., :phases], parameters[..., phases : 2 * phases]
    half = 0.5 * np.exp(parameters[..., 2 * phases])
    matrix = mixing(phase, intensity)
    adjoint = np.conj(np.swapaxes(matrix, -1, -2))
    # Normal equations: ten times faster than by singular values, and alike phases stay finite.
    inverse = np.linalg.solve(adjoint @ matrix + RIDGE * np.eye(len(BANDS)), adjoint)
    inverse[..., 1:, :] /= half[..., None, None]
    coefficients: np.ndarray = inverse
    return coefficients


def unmixing_jacobian(parameters: np.ndarray, phases: int) -> np.ndarray:
    """Derivatives of :func:`unmixing`, (2P + 1, 3, P) complex128, by central differences."""
    step = 1e-5 * np.eye(parameters.size)
    both = unmixing(np.concatenate([parameters + step, parameters - step]), phases)
    derivatives: np.ndarray = (both[: parameters.size] - both[parameters.size :]) / 2e-5
    return derivatives
