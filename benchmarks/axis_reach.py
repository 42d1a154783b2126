"""How far along x, y and z two volumes go together: correlation of rods of frequencies."""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.signal.windows import blackmanharris

STEP_PER_UM = 0.4
NARROW_PER_UM = 0.8
"""Half-width of the rod of frequencies about an axis."""
EMPTY = 1e-9
"""Share of the largest power below which a bin holds what has leaked from others (the taper's side
lobes: 10⁻⁹·² of them), and counts as not correlated: beyond its support a picture has nothing."""


def axis_reach(
    first: np.ndarray, second: np.ndarray, pitch_um: tuple[float, float, float], threshold: float
) -> dict[str, float]:
    """Frequency along x, y and z at which the correlation of two volumes falls below a value.

    Parameters
    ----------
    first, second : ndarray (Z, Y, X)
        Of two recordings (then this is the Fourier shell correlation in rods about the axes), or
        a picture and its object.
    pitch_um
        Voxel size.
    threshold
        1/7 for two recordings.
    """
    a, b = (_spectrum(v) for v in (first, second))
    k = np.meshgrid(
        *(np.abs(np.fft.fftfreq(n, p)) for n, p in zip(a.shape, pitch_um, strict=True)),
        indexing="ij",
    )
    found = {}
    for axis, name in enumerate("zyx"):
        used = np.hypot(*(k[i] for i in range(3) if i != axis)) < NARROW_PER_UM
        bins = np.round(k[axis][used] / STEP_PER_UM).astype(int)
        cross = np.bincount(bins, (a * np.conj(b)).real[used])
        power = np.bincount(bins, np.abs(a[used]) ** 2) * np.bincount(bins, np.abs(b[used]) ** 2)
        power = np.sqrt(power)
        there = power > EMPTY * power.max()
        found[name] = _crossing(np.where(there, cross / np.where(there, power, 1), 0), threshold)
    return found


def _spectrum(volume: np.ndarray) -> np.ndarray:
    """Transform of the tapered volume without its mean."""
    part = (volume - volume.mean()).astype(np.float64)
    for axis, n in enumerate(part.shape):
        shape = [1, 1, 1]
        shape[axis] = n
        part = part * blackmanharris(n).reshape(shape)
    return np.asarray(scipy.fft.fftn(part))


def _crossing(curve: np.ndarray, threshold: float) -> float:
    """Frequency at which a curve over bins of `STEP_PER_UM` falls below a value."""
    below = np.flatnonzero(curve[1:] < threshold)
    n = int(below[0]) + 1 if below.size else len(curve) - 1
    drop = curve[n - 1] - curve[n]
    part = (curve[n - 1] - threshold) / drop if below.size and drop > 0 else 0.0
    return float(STEP_PER_UM * (n - 1 + part))
