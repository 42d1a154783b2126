"""Register beads to their mean by fractions of a voxel, and average them noise-weighted.

Each bead is modelled as ``a · M(r − s) + b``; amplitude, background and shift follow from weighted
least squares linearised in the shift, the mean M from the shifted beads, in turns. Shifts are
Fourier shifts (they neither blur nor correlate white noise) of mirror-extended stacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.psf.crops import MARGIN_PX, Crop
from calibration.psf.noise import NoiseModel

_ROUNDS = 6
_LARGEST_STEP = 0.5


@dataclass(frozen=True)
class Aligned:
    """Beads on a common centre, background removed, flux normalised.

    Attributes
    ----------
    beads : ndarray, shape (N, Z, Y, X)
        Each bead over its amplitude, on the common centre.
    mean : ndarray, shape (Z, Y, X)
        Noise-weighted mean, on the scale of the median bead (counts).
    standard_error : ndarray, shape (Z, Y, X)
        Of the mean: noise model times `scatter` where that exceeds 1.
    amplitudes, backgrounds : ndarray, shape (N,)
        Relative brightness (median 1), counts of background.
    positions_px : ndarray, shape (N, 3)
        Centres (plane, row, column) in the stacks.
    position_sd_px : ndarray, shape (N, 3)
        Standard deviations from the noise.
    chi2 : ndarray, shape (N,)
        Reduced χ² of each bead against the mean of all.
    scatter : float
        Root of the pooled reduced χ² between beads (NaN for one bead).
    """

    beads: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    amplitudes: np.ndarray
    backgrounds: np.ndarray
    positions_px: np.ndarray
    position_sd_px: np.ndarray
    chi2: np.ndarray
    scatter: float


def fourier_shift(data: np.ndarray, shift: Sequence[float]) -> np.ndarray:
    """Move the content of (Z, Y, X) by `shift` voxels; edges are mirrored, not wrapped."""
    out = np.asarray(data, dtype=np.float64)
    for axis, s in enumerate(shift):
        n = out.shape[axis]
        if n == 1 or s == 0:
            continue
        mirrored = np.concatenate([out, np.flip(out, axis)], axis)
        phase = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * n) * s)
        phase[-1] = np.real(phase[-1])
        shape = [1] * out.ndim
        shape[axis] = phase.size
        moved = np.fft.irfft(np.fft.rfft(mirrored, axis=axis) * phase.reshape(shape), 2 * n, axis)
        out = np.take(moved, np.arange(n), axis)
    return out


def inner(data: np.ndarray) -> np.ndarray:
    """The window without the margin that sub-pixel shifts need."""
    m, deep = MARGIN_PX, slice(1, -1) if data.shape[-3] > 1 else slice(None)
    return data[..., deep, m:-m, m:-m]


def _slopes(mean: np.ndarray) -> list[np.ndarray]:
    """Derivatives by the shift along z, y, x (negative gradients), by small Fourier shifts."""
    step = 0.05
    found = []
    for axis in range(3):
        if mean.shape[axis] == 1:
            found.append(np.zeros_like(mean))
            continue
        unit = [step if a == axis else 0.0 for a in range(3)]
        up, down = fourier_shift(mean, unit), fourier_shift(mean, [-u for u in unit])
        found.append((up - down) / (2 * step))
    return found


def align(crops: Sequence[Crop], noise: NoiseModel) -> Aligned:
    """Align and average beads of equal cut-outs.

    Parameters
    ----------
    crops
        From :func:`calibration.psf.crops.cut`, one window.
    noise
        Variance of their voxels.
    """
    corners = np.array([c.corner for c in crops], dtype=float)
    size = np.array(crops[0].counts.shape)
    shift = np.array([c.spot.position_px for c in crops]) - corners - size // 2
    level = np.array([c.background for c in crops])
    above = np.stack([c.counts for c in crops])
    amplitude = np.array([np.sum(_core(d - b)) for d, b in zip(above, level, strict=True)])
    scale = float(np.median(amplitude))
    amplitude = amplitude / scale
    mean = _mean(above, level, amplitude, shift, noise, None)[0]
    sd = np.full((len(crops), 3), np.nan)
    for _ in range(_ROUNDS):
        slopes = _slopes(mean)
        for i, data in enumerate(above):
            amplitude[i], level[i], step, sd[i] = _register(
                fourier_shift(data, -shift[i]), mean, slopes, amplitude[i], noise
            )
            shift[i] += step
        amplitude = amplitude / np.median(amplitude)
        shift = shift + _off_centre(mean)
        mean = _mean(above, level, amplitude, shift, noise, mean)[0]
    mean, variance, moved = _mean(above, level, amplitude, shift, noise, mean)
    beads = np.stack([(m - b) / a for m, b, a in zip(moved, level, amplitude, strict=True)])
    chi2 = _chi2(moved, mean, level, amplitude, noise)
    count = len(crops)
    scatter = float(np.sqrt(chi2.mean() * count / (count - 1))) if count > 1 else float("nan")
    error = np.sqrt(variance) * max(1.0, scatter if count > 1 else 1.0)
    return Aligned(inner(beads), inner(mean), inner(error), amplitude, level,
                   corners + size // 2 + shift, sd, chi2, scatter)  # fmt: skip


def _core(data: np.ndarray) -> np.ndarray:
    z, y, x = (n // 2 for n in data.shape)
    deep = min(z, 1)
    return data[z - deep : z + deep + 1, y - 4 : y + 5, x - 4 : x + 5]


def _register(
    data: np.ndarray,
    mean: np.ndarray,
    slopes: list[np.ndarray],
    amplitude: float,
    noise: NoiseModel,
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Amplitude, background, shift still to make, and its sd, of a bead already shifted back."""
    axes = [a for a in range(3) if mean.shape[a] > 1]
    weight = np.sqrt(1.0 / noise.variance(inner(mean) * amplitude)).ravel()
    columns = [mean, np.ones_like(mean), *(amplitude * slopes[a] for a in axes)]
    design = np.stack([inner(c).ravel() * weight for c in columns], axis=1)
    found, *_ = np.linalg.lstsq(design, inner(data).ravel() * weight, rcond=None)
    covariance = np.linalg.inv(design.T @ design)
    step, sd = np.zeros(3), np.zeros(3)
    step[axes] = np.clip(found[2:], -_LARGEST_STEP, _LARGEST_STEP)
    sd[axes] = np.sqrt(np.diag(covariance))[2:]
    return float(found[0]), float(found[1]), step, sd


def _mean(
    above: np.ndarray,
    level: np.ndarray,
    amplitude: np.ndarray,
    shift: np.ndarray,
    noise: NoiseModel,
    model: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted mean of the beads shifted back, its variance, and the shifted beads."""
    moved = np.stack([fourier_shift(d, -s) for d, s in zip(above, shift, strict=True)])
    total = weights = np.zeros(above.shape[1:])
    for data, b, a in zip(moved, level, amplitude, strict=True):
        signal = np.zeros_like(data) if model is None else a * model
        weight = a**2 / noise.variance(signal)
        total = total + weight * (data - b) / a
        weights = weights + weight
    return total / weights, 1.0 / weights, moved


def _chi2(
    moved: np.ndarray,
    mean: np.ndarray,
    level: np.ndarray,
    amplitude: np.ndarray,
    noise: NoiseModel,
) -> np.ndarray:
    found = []
    for data, b, a in zip(moved, level, amplitude, strict=True):
        model = inner(a * mean)
        found.append(np.mean((inner(data) - b - model) ** 2 / noise.variance(model)))
    return np.array(found)


def _off_centre(mean: np.ndarray) -> np.ndarray:
    """How far the mean's Gaussian centre lies from its middle voxel, (z, y, x)."""
    middle = [n // 2 for n in mean.shape]
    half = [min(m, h) for m, h in zip(middle, (2, 3, 3), strict=True)]
    region = tuple(slice(m - h, m + h + 1) for m, h in zip(middle, half, strict=True))
    core = np.maximum(mean[region], 1e-9)
    keep = core > 0.3 * core.max()
    grids = np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij")
    axes = [a for a in range(3) if half[a] > 0]
    columns = [np.ones(keep.sum())]
    columns += [grids[a][keep].astype(float) for a in axes]
    columns += [grids[a][keep] ** 2.0 for a in axes]
    weight = core[keep]
    design = np.stack(columns, axis=1) * weight[:, None]
    found, *_ = np.linalg.lstsq(design, np.log(core[keep]) * weight, rcond=None)
    out = np.zeros(3)
    for i, axis in enumerate(axes):
        slope, curve = found[1 + i], found[1 + len(axes) + i]
        if curve < 0:
            out[axis] = np.clip(-0.5 * slope / curve, -_LARGEST_STEP, _LARGEST_STEP)
    return out
