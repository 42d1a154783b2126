"""Patterns of several orders and of carriers that share their frames, and their frames by hand."""

from __future__ import annotations

import numpy as np
from sim_examples import ideal_h

from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern, PatternFit

MODES = ("slice3", "nonlinear", "hex")


def mode_pattern(mode: str, grid: Grid, seed: int = 0) -> PatternFit:
    """Unequal steps, intensities and modulations: 3 × 5 frames, 2 × 7 frames, or 7 frames."""
    rng = np.random.default_rng(seed)
    if mode == "hex":
        phases, angles, period = 7, 0.3 + 2 * np.pi / 3 * np.arange(3), 0.24
        steps, modulation = [1, 2, -3], [(0.6,), (0.5,), (0.55,)]
    elif mode == "slice3":
        phases, angles, period = 5, 0.3 + np.pi / 3 * np.arange(3), 0.43
        steps, modulation = [1, 1, 1], [(0.2, 0.7), (0.25, 0.6), (0.15, 0.8)]
    else:
        phases, angles, period = 7, np.array([0.3, 1.9]), 0.24
        steps, modulation = [1, 1], [(0.9, 0.5, 0.2), (0.8, 0.4, 0.25)]
    lamp = 1 + rng.normal(0, 0.03, (len(angles), phases))
    out = []
    for d, angle in enumerate(angles):
        phase = rng.uniform(0, 6) + 2 * np.pi * steps[d] * np.arange(phases) / phases
        out.append(
            DirectionPattern(
                frequency_per_um=(np.sin(angle) / period, np.cos(angle) / period),
                phase_rad=tuple(phase + rng.normal(0, 0.05, phases)),
                modulation=modulation[d],
                intensity=tuple(lamp[0 if mode == "hex" else d]),
            )
        )
    return PatternFit(grid.pixel_um, grid.shape, tuple(out), simultaneous=mode == "hex")


def lights(pattern: PatternFit, frame: int, phase: int, y: float, x: float) -> float:
    """Relative light of one frame at one place, summed over directions and orders."""
    used = pattern.directions if pattern.simultaneous else (pattern.directions[frame],)
    light = 1.0
    for d in used:
        turn = 2 * np.pi * (d.frequency_per_um[0] * y + d.frequency_per_um[1] * x)
        for n, m in enumerate(d.modulation, start=1):
            light += m * np.cos(n * (turn + d.phase_rad[phase]))
    return used[0].intensity[phase] * light


def frames_of_points(grid: Grid, pattern: PatternFit, points) -> np.ndarray:
    """Frames (A, P, Y, X) of point emitters (y, x, weight) by explicit Fourier sums, float64."""
    ky = np.fft.fftfreq(grid.shape[0], grid.pixel_um)[:, None]
    kx = np.fft.fftfreq(grid.shape[1], grid.pixel_um)[None, :]
    sets = 1 if pattern.simultaneous else len(pattern.directions)
    phases = len(pattern.directions[0].phase_rad)
    waves = [w * np.exp(-2j * np.pi * (ky * y + kx * x)) for y, x, w in points]
    frames = np.zeros((sets, phases, *grid.shape))
    for a, j in np.ndindex(sets, phases):
        lit = [lights(pattern, a, j, y, x) for y, x, _ in points]
        spectrum = sum(light * wave for light, wave in zip(lit, waves, strict=True))
        frames[a, j] = np.fft.ifft2(spectrum * ideal_h(ky, kx)).real
    return frames
