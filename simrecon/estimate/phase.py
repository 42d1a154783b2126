"""Start values of the phases, whatever the steps are."""

from __future__ import annotations

import numpy as np


def phases_from_carrier(coefficients: np.ndarray) -> np.ndarray:
    """Phases of a direction's frames from its carrier coefficients.

    The coefficients of the contrasts are ``K (exp(iφ_j) − mean)``: points on a circle whose centre
    is not known, because the mean over the frames was removed. The circle through them (by least
    squares for more than three) gives the centre, for equal and unequal steps alike.

    Parameters
    ----------
    coefficients : ndarray (P,), complex
        :attr:`CarrierPeak.coefficients`; sum zero.

    Returns
    -------
    ndarray (P,), float64, rad, in (−π, π]
    """
    v = np.asarray(coefficients, dtype=np.complex128)
    size = float(np.sqrt(np.mean(np.abs(v) ** 2)))
    if size == 0:
        return np.zeros(v.size)
    u = v / size
    system = np.stack([2 * u.real, 2 * u.imag, -np.ones(u.size)], axis=1)
    (centre_re, centre_im, _), _, rank, _ = np.linalg.lstsq(system, -(np.abs(u) ** 2), rcond=1e-6)
    centre = complex(centre_re, centre_im)
    moved = u + centre
    if rank < 3 or abs(centre) > 0.9 * float(np.median(np.abs(moved))):
        moved = u
    result: np.ndarray = np.angle(moved)
    return result


def equal_steps(coefficients: np.ndarray, sense: int) -> np.ndarray:
    """Phases with equal steps of ±2π/P that agree best with carrier coefficients.

    Parameters
    ----------
    coefficients : ndarray (P,), complex
        As for :func:`phases_from_carrier`.
    sense : {1, -1}
        Sign of the steps.

    Returns
    -------
    ndarray (P,), float64, rad
    """
    return with_steps(
        coefficients, sense * 2 * np.pi * np.arange(len(coefficients)) / len(coefficients)
    )


def with_steps(coefficients: np.ndarray, steps_rad: np.ndarray) -> np.ndarray:
    """Phases with the given steps, (P,), and the common phase that carrier coefficients tell."""
    phases: np.ndarray = steps_rad + np.angle(np.sum(coefficients * np.exp(-1j * steps_rad)))
    return phases
