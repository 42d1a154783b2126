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
