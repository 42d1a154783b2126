"""Patterned light: a two-beam set of directions, and its intensity at grid points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simrecon.model.grid import Grid
from simrecon.model.local_field import LocalField
from simrecon.model.pattern import DirectionPattern


def illumination(
    grid: Grid,
    frequency_per_um: tuple[float, float],
    phase_rad: float,
    modulation: Sequence[float],
    intensity: float = 1.0,
    local: LocalField | None = None,
) -> np.ndarray:
    """Relative excitation intensity·(1 + Σ_m modulation_m cos(2π m p·r + m φ)) at grid points.

    Parameters
    ----------
    grid
        Where; positions count from the centre of raw pixel (0, 0).
    frequency_per_um
        Fundamental [fy, fx], cycles/µm.
    phase_rad
        Phase of the fundamental at the origin.
    modulation
        Contrast of order 1, 2, …
    local
        Deviation of the pattern over the field.

    Returns
    -------
    ndarray, grid.shape, float32
    """
    y, x = grid.positions_um()
    fy, fx = frequency_per_um
    total = np.full(grid.shape, intensity, dtype=np.float32)
    for order, contrast in enumerate(modulation, start=1):
        wave_y = np.exp(1j * order * (2.0 * np.pi * fy * y + phase_rad)).astype(np.complex64)
        wave_x = intensity * contrast * np.exp(2j * np.pi * order * fx * x)
        wave_x = wave_x.astype(np.complex64)
        if local is None:
            total += wave_y.real * wave_x.real - wave_y.imag * wave_x.imag
        else:
            total += (wave_y * wave_x * local.at(y, x, order)).real
    return total


def bent_field(
    extent_um: tuple[float, float], bend_rad: float, contrast_loss: float, nodes: int = 33
) -> LocalField | None:
    """A carrier that bends and fades towards the end of the field; None when it does neither.

    Down to a third of the height nothing changes; from there to the last row the phase turns by
    `bend_rad` and the contrast falls to ``1 - contrast_loss``, both as ``3t² − 2t³``.

    Parameters
    ----------
    extent_um
        Positions (y, x) of the last pixel, µm.
    bend_rad
        Turn of the phase.
    contrast_loss
        0…1.
    """
    if bend_rad == 0 and contrast_loss == 0:
        return None

    def deviation(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        t = np.clip(1.5 * y / extent_um[0] - 0.5, 0.0, 1.0)
        s = t * t * (3.0 - 2.0 * t)
        return np.asarray((1.0 - contrast_loss * s) * np.exp(1j * bend_rad * s) + 0.0 * x)

    return LocalField.sampled(deviation, extent_um, nodes)


def regular_directions(
    rng: np.random.Generator,
    *,
    directions: int,
    phases: int,
    period_um: float,
    modulation: Sequence[float],
    first_angle_rad: float = 0.0,
    phase_jitter_rad: float = 0.0,
    intensity_jitter: float = 0.0,
    bleaching: float = 0.0,
    orders: Callable[[float], tuple[float, ...]] = lambda contrast: (contrast,),
) -> tuple[DirectionPattern, ...]:
    """Directions π/A apart with phase steps of 2π/P from a random start, and their errors.

    Parameters
    ----------
    rng
        Draws the starting phases and the errors.
    directions, phases
        Numbers A and P.
    modulation
        Contrast per direction, repeated when shorter.
    phase_jitter_rad, intensity_jitter
        Standard deviations per frame, the latter relative.
    bleaching
        Fraction of the brightness lost between the first and the last frame (exponential, frames
        in the order of phases, then directions).
    orders
        Modulations of orders 1, 2, … from a direction's contrast.

    Returns
    -------
    tuple of DirectionPattern
        Intensities have mean 1 over all frames.
    """
    a, p = directions, phases
    start = rng.uniform(-np.pi, np.pi, (a, 1))
    phase = start + 2.0 * np.pi * np.arange(p) / p + phase_jitter_rad * rng.normal(size=(a, p))
    fade = (1.0 - bleaching) ** (np.arange(a * p) / max(1, a * p - 1)).reshape(a, p)
    intensity = fade * np.maximum(1.0 + intensity_jitter * rng.normal(size=(a, p)), 0.05)
    intensity /= intensity.mean()
    out = []
    for d in range(a):
        angle = first_angle_rad + np.pi * d / a
        out.append(
            DirectionPattern(
                frequency_per_um=(np.sin(angle) / period_um, np.cos(angle) / period_um),
                phase_rad=tuple(float(v) for v in np.angle(np.exp(1j * phase[d]))),
                modulation=orders(float(modulation[d % len(modulation)])),
                intensity=tuple(float(v) for v in intensity[d]),
            )
        )
    return tuple(out)
