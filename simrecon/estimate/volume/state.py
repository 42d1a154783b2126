"""Values of one direction with several orders, and how its frames mix into bands.

Frame j is ``g_j Σ_b a_|b| exp(i b φ_j) · band_b`` for b = 0, ±1, …, ±M with ``a_0 = 1`` and
``a_m = modulation_m / 2``; one fundamental phase φ_j serves all orders (physics.md §1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RIDGE = 1e-14
"""Relative to the mixing matrix, whose entries are near 1."""


def band_orders(orders: int) -> tuple[int, ...]:
    """Bands 0, 1, −1, …, M, −M in the order of every array of this package."""
    return (0, *(sign * m for m in range(1, orders + 1) for sign in (1, -1)))


@dataclass(frozen=True)
class VolumeState:
    """One direction; phases count from the centre of the field.

    Attributes
    ----------
    frequency_per_um : ndarray (2,)
        Fundamental [fy, fx], cycles/µm.
    phase_rad, intensity : ndarray (P,)
    modulation : ndarray (M,)
        Contrast of the orders 1…M.
    """

    frequency_per_um: np.ndarray
    phase_rad: np.ndarray
    intensity: np.ndarray
    modulation: np.ndarray

    @property
    def orders(self) -> int:
        """M."""
        return int(self.modulation.size)

    @property
    def amplitudes(self) -> np.ndarray:
        """``a_|b|`` of all bands, (2M + 1,)."""
        half = 0.5 * self.modulation
        return np.array([1.0 if b == 0 else half[abs(b) - 1] for b in band_orders(self.orders)])

    def mixing(self) -> np.ndarray:
        """``g_j exp(i b φ_j)``, (P, 2M + 1) complex128."""
        bands = np.array(band_orders(self.orders))
        return np.asarray(self.intensity[:, None] * np.exp(1j * self.phase_rad[:, None] * bands))

    def unmixing(self) -> np.ndarray:
        """Rows c of ``band_b = Σ_j c_bj frame_j``, amplitudes undone: (2M + 1, P) complex128."""
        matrix = self.mixing()
        adjoint = np.conj(matrix.T)
        eye = RIDGE * np.eye(matrix.shape[1])
        inverse = np.linalg.solve(adjoint @ matrix + eye, adjoint)
        return np.asarray(inverse / self.amplitudes[:, None])
