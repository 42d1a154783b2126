"""Small patterns and OTFs that several tests share, written without the code under test."""

from __future__ import annotations

import numpy as np

from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import RadialOTF

CUTOFF = 5.4


def ideal_otf(cutoff: float = CUTOFF) -> RadialOTF:
    k = np.linspace(0, cutoff, 4001)
    v = k / cutoff
    return RadialOTF(k, 2 / np.pi * (np.arccos(v) - v * np.sqrt(1 - v * v)), cutoff, None, "test")


def make_pattern(grid: Grid, directions: int = 3, phases: int = 3, seed: int = 0) -> PatternFit:
    """Unequal steps, intensities and modulations."""
    rng = np.random.default_rng(seed)
    out = []
    for d in range(directions):
        angle = 0.3 + np.pi * d / directions
        f = (1 / 0.21) * np.array([np.sin(angle), np.cos(angle)])
        phase = rng.uniform(0, 6) + 2 * np.pi * np.arange(phases) / phases
        out.append(
            DirectionPattern(
                frequency_per_um=(float(f[0]), float(f[1])),
                phase_rad=tuple(phase + rng.normal(0, 0.1, phases)),
                modulation=(float(rng.uniform(0.5, 0.9)),),
                intensity=tuple(1 + rng.normal(0, 0.03, phases)),
            )
        )
    return PatternFit(grid.pixel_um, grid.shape, tuple(out))


def ideal_h(ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    v = np.minimum(np.hypot(ky, kx) / CUTOFF, 1.0)
    return 2 / np.pi * (np.arccos(v) - v * np.sqrt(1 - v * v))


def constant_frames(grid: Grid, pattern: PatternFit, level: float, lit: bool = True) -> np.ndarray:
    """Frames (A, P, Y, X), float32, of a constant object; `lit` False: of unmodulated light."""
    y, x = grid.positions_um()
    phases = len(pattern.directions[0].phase_rad)
    frames = np.zeros((len(pattern.directions), phases, *grid.shape), np.float32)
    for d, direction in enumerate(pattern.directions):
        fy, fx = direction.frequency_per_um
        contrast = direction.modulation[0] * float(ideal_h(np.array(fy), np.array(fx))) * lit
        for j, phase in enumerate(direction.phase_rad):
            wave = 1 + contrast * np.cos(2 * np.pi * (fy * y + fx * x) + phase)
            frames[d, j] = level * direction.intensity[j] * wave
    return frames


def point_frames(grid: Grid, pattern: PatternFit, points) -> np.ndarray:
    """Frames of point emitters by explicit Fourier sums: one loop per frame and emitter.

    Emitters move with the drift; the light stays.
    """
    ky = np.fft.fftfreq(grid.shape[0], grid.pixel_um)[:, None]
    kx = np.fft.fftfreq(grid.shape[1], grid.pixel_um)[None, :]
    h = ideal_h(ky, kx)
    frames = np.zeros((len(pattern.directions), 3, *grid.shape))
    for d, direction in enumerate(pattern.directions):
        fy, fx = direction.frequency_per_um
        for j in range(3):
            spectrum = np.zeros(grid.shape, complex)
            uy, ux = direction.drift_um[j] if direction.drift_um else (0.0, 0.0)
            for y0, x0, weight in points:
                y, x = y0 + uy, x0 + ux
                light = 1 + direction.modulation[0] * np.cos(
                    2 * np.pi * (fy * y + fx * x) + direction.phase_rad[j]
                )
                spectrum += weight * light * np.exp(-2j * np.pi * (ky * y + kx * x))
            frames[d, j] = direction.intensity[j] * np.fft.ifft2(spectrum * h).real
    return frames
