"""Small volumes: an OTF of three orders, patterns, and frames summed by hand, emitter by emitter.

Nothing here uses the code under test: light from a point reaches plane i through the axial profile
of the order, integrated over kz, and its pattern is fixed to the camera (physics.md §2).
"""

from __future__ import annotations

import numpy as np

from simrecon.model.grid import VolumeGrid
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import RadialVolumeOTF

CUTOFF, AXIAL, SHIFT = 4.6, 1.0, 0.5
"""Lateral and axial cut-off of order 0, and what the interference of order 1 adds, per µm."""
PERIOD_UM = 0.5  # of the fundamental; the finest is half of it


def _taper(v: np.ndarray) -> np.ndarray:
    return np.where(np.abs(v) < 1, np.cos(0.5 * np.pi * np.clip(v, -1, 1)) ** 2, 0.0)


def _detection(kz: np.ndarray, kr: np.ndarray) -> np.ndarray:
    """No missing cone, only narrower in kz there: such light would leave small volumes."""
    width = AXIAL * (0.8 + 0.2 * np.sin(np.pi * np.clip(kr / CUTOFF, 0, 1)))
    return _taper(kr / CUTOFF) * _taper(kz / width)


def h(order: int, kz: np.ndarray, kr: np.ndarray) -> np.ndarray:
    """Transfer of one order, broadcast shape."""
    if order != 1:
        return _detection(kz, kr)
    return 0.5 * (_detection(kz - SHIFT, kr) + _detection(kz + SHIFT, kr))


def volume_otf(orders: int = 3) -> RadialVolumeOTF:
    kr, kz = np.linspace(0, CUTOFF, 301), np.linspace(-1.6, 1.6, 321)
    values = np.stack([h(m, kz[None, :], kr[:, None]) for m in range(orders)]).astype(complex)
    cutoffs = (AXIAL, AXIAL + SHIFT, AXIAL)[:orders]
    return RadialVolumeOTF(kr, kz, values, CUTOFF, cutoffs, None, "test")


def make_volume_pattern(
    grid: VolumeGrid, directions: int = 3, phases: int = 5, orders: int = 2, seed: int = 0
) -> PatternFit:
    """Unequal steps, intensities and modulations."""
    rng = np.random.default_rng(seed)
    out = []
    for d in range(directions):
        angle = 0.3 + np.pi * d / directions
        fy, fx = np.sin(angle) / PERIOD_UM, np.cos(angle) / PERIOD_UM
        phase = rng.uniform(0, 6) + 2 * np.pi * np.arange(phases) / phases
        out.append(
            DirectionPattern(
                frequency_per_um=(float(fy), float(fx)),
                phase_rad=tuple(phase + rng.normal(0, 0.1, phases)),
                modulation=tuple(rng.uniform(0.5, 0.9, orders)),
                intensity=tuple(1 + rng.normal(0, 0.03, phases)),
            )
        )
    return PatternFit(grid.pixel_um, grid.lateral.shape, tuple(out))


def volume_frames(grid: VolumeGrid, pattern: PatternFit, points) -> np.ndarray:
    """Frames (A, P, Z, Y, X) of emitters (z, y, x, weight) in space, float64.

    The stage has carried an emitter to ``(y, x) − shear · z_i`` of the camera when plane i is
    taken, and moved it with the drift; the light stays with the camera.
    """
    ky, kx = grid.lateral.frequencies_per_um()
    kr = np.hypot(ky, kx)
    kz, step = np.linspace(-1.6, 1.6, 81, retstep=True)
    transfers = [h(m, kz, kr[..., None]) for m in range(3)]
    out = np.zeros((len(pattern.directions), len(pattern.directions[0].phase_rad), *grid.shape))
    for i in range(grid.shape[0]):
        z = i * grid.dz_um
        for z0, y0, x0, weight in points:
            wave = np.exp(2j * np.pi * kz * (z - z0)) * step * grid.dz_um
            profiles = [t @ wave for t in transfers]
            for d, direction in enumerate(pattern.directions):
                still = ((0.0, 0.0),) * len(direction.phase_rad)
                for j, (uy, ux) in enumerate(direction.drift_um or still):
                    y, x = y0 + uy - grid.shear[0] * z, x0 + ux - grid.shear[1] * z
                    out[d, j, i] += weight * _lit(profiles, direction, j, y, x, ky, kx)
    return out


def _lit(profiles, direction, j, y, x, ky, kx) -> np.ndarray:
    """One plane of frame j with one emitter at (y, x) of the camera."""
    fy, fx = direction.frequency_per_um
    turn = 2 * np.pi * (fy * y + fx * x) + direction.phase_rad[j]
    spectrum = profiles[0].astype(complex)
    for m, contrast in enumerate(direction.modulation, 1):
        spectrum += contrast * np.cos(m * turn) * profiles[m]
    spectrum *= np.exp(-2j * np.pi * (ky * y + kx * x))
    return direction.intensity[j] * np.fft.ifft2(spectrum).real


def constant_volume(grid: VolumeGrid, pattern: PatternFit, level: float) -> np.ndarray:
    """Frames (A, P, Z, Y, X), float32, of a constant object."""
    y, x = (p[None] for p in grid.lateral.positions_um())
    phases = len(pattern.directions[0].phase_rad)
    frames = np.zeros((len(pattern.directions), phases, *grid.shape), np.float32)
    for d, direction in enumerate(pattern.directions):
        fy, fx = direction.frequency_per_um
        f = np.hypot(fy, fx)
        for j, phase in enumerate(direction.phase_rad):
            wave = 1.0
            for m, contrast in enumerate(direction.modulation, 1):
                # a carrier that is the same in every plane: kz = 0 of order m at m p, but for a
                # skewed stage, where it is kz = shear · 0 of the object as well
                seen = float(h(m, np.array(0.0), np.array(m * f)))
                wave = wave + contrast * seen * np.cos(m * (2 * np.pi * (fy * y + fx * x) + phase))
            frames[d, j] = level * direction.intensity[j] * wave
    return frames
