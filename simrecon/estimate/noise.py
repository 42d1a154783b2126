"""Noise in the spectrum: what the variance maps predict, and what lies beyond the cut-off."""

from __future__ import annotations

import numpy as np

from simrecon.estimate.mixing import BANDS
from simrecon.estimate.rows import band_rows, rows_per_direction
from simrecon.estimate.window import FieldWindow


def noise_moments(
    variance_e2: np.ndarray, frequency_per_um: np.ndarray, window: FieldWindow
) -> np.ndarray:
    """``Σ_r w² σ² (1, y, x, y², yx, x²) exp(−2πi n p·r)``, n = 0, 1, 2: (P, 3, 6) complex128."""
    left, right = [], []
    for n in range(3):
        ey = window.wy**2 * np.exp(-2j * np.pi * n * frequency_per_um[0] * window.y_um)
        ex = window.wx**2 * np.exp(-2j * np.pi * n * frequency_per_um[1] * window.x_um)
        left += [ey * window.y_um**power for power in range(3)]
        right += [ex * window.x_um**power for power in range(3)]
    ey_all, ex_all = np.array(left).astype(np.complex64), np.array(right).astype(np.complex64)
    table = ey_all @ (variance_e2 @ ex_all.T)
    powers = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    return np.stack(
        [
            np.stack([table[:, 3 * n + py, 3 * n + px] for py, px in powers], axis=-1)
            for n in range(3)
        ],
        axis=1,
    ).astype(np.complex128)


def row_noise(moments: np.ndarray, unmix: np.ndarray) -> np.ndarray:
    """Expected ``conj(row) row'`` of one direction from noise, (3P + 4, 3P + 4) complex128."""
    phases = moments.shape[0]
    first = unmix[1]

    def lag(n: int, power: int) -> np.ndarray:
        value = moments[:, abs(n), power]
        return value if n >= 0 else np.conj(value)

    size = rows_per_direction(phases)
    result = np.zeros((size, size), dtype=np.complex128)
    for i, b in enumerate(BANDS):
        ci = first if b >= 0 else np.conj(first)
        ri = band_rows(0, i, phases)
        for k, b2 in enumerate(BANDS):
            ck = first if b2 >= 0 else np.conj(first)
            rk = band_rows(0, k, phases)
            n = b2 - b
            block = result[ri, rk]
            block[:phases, :phases] = np.diag(lag(n, 0))
            if i:
                for d in range(2):
                    block[phases + d, :phases] = np.conj(ci) * lag(n, 1 + d)
            if k:
                for d in range(2):
                    block[:phases, phases + d] = ck * lag(n, 1 + d)
            if i and k:
                for d in range(2):
                    for d2 in range(2):
                        total = np.sum(np.conj(ci) * ck * lag(n, 3 + d + d2))
                        block[phases + d, phases + d2] = total
    return result


def measured_noise(
    spectra: np.ndarray, window: FieldWindow, cutoff_per_um: float, least_samples: int = 400
) -> np.ndarray | None:
    """Mean power of each frame's spectrum beyond the optical cut-off, or None.

    Parameters
    ----------
    spectra : ndarray (A, P, KY, KX//2 + 1), complex64
        Half spectra of the windowed frames.
    window : FieldWindow
    cutoff_per_um : float
    least_samples : int
        None is returned when fewer samples lie beyond 1.05 × the cut-off.

    Returns
    -------
    ndarray (A, P) float64: ``Σ w² σ²`` of each frame, as white noise would have it.
    """
    ky, kx = window.half_frequencies_per_um()
    times = (np.hypot(ky, kx) > 1.05 * cutoff_per_um) * window.multiplicity
    count = float(times.sum(dtype=np.float64))
    if count < least_samples:
        return None
    frames = [[float(np.sum(np.abs(s) ** 2 * times)) for s in one] for one in spectra]
    return np.array(frames) / count


def predicted_noise(variance_e2: np.ndarray, window: FieldWindow) -> np.ndarray:
    """``Σ w² σ²`` of each frame (A, P) from variance maps (A, P, Y, X)."""
    wy2, wx2 = (window.wy**2).astype(np.float32), (window.wx**2).astype(np.float32)
    total: np.ndarray = ((variance_e2 @ wx2) @ wy2).astype(np.float64)
    return total
