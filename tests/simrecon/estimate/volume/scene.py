"""Volumes under three beams by the definition: one convolution per band, on the frames' own grid.

Shares nothing with the fit but the OTF's values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.model.grid import VolumeGrid
from simrecon.model.optics import Optics
from simrecon.model.psf import AxialProfiles, RadialVolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.theory_volume import axial_shift_per_um, theoretical_volume_otf

OPTICS = Optics(na=1.2, emission_nm=520.0, excitation_nm=488.0, excitation_na=1.1)
PERIOD_UM = 0.488 / 1.1
"""Of the fundamental: two side beams against the central one, λ_ex/NA_ex."""


EMPTY = 14
"""Planes on either side of a stack: two micrometres, half of the PSF's length."""


@dataclass(frozen=True)
class Scene:
    """Noise-free frames (A, P, Z, Y, X) with their truth."""

    frames: np.ndarray
    grid: VolumeGrid
    otf: RadialVolumeOTF
    frequency_per_um: np.ndarray
    phase_rad: np.ndarray
    intensity: np.ndarray
    modulation: tuple[float, ...]


def make_scene(
    *,
    shape: tuple[int, int, int] = (8, 80, 80),
    peak_e: float = 1000.0,
    angles_rad: tuple[float, ...] = (0.3, 0.3 + np.pi / 3, 0.3 + 2 * np.pi / 3),
    phases: int = 5,
    modulation: tuple[float, ...] = (0.5, 0.8),
    step_rad: float | None = None,
    jitter_rad: float = 0.1,
    beyond: int = 0,
    seed: int = 0,
    optics: Optics = OPTICS,
) -> Scene:
    """Curved filaments through a volume, and through `beyond` more planes on either side of it.

    The planes of the frames are cut out of more, so that their two ends never meet.
    """
    rng = np.random.default_rng(seed)
    cut = slice(EMPTY, EMPTY + shape[0])
    grid = VolumeGrid((shape[0] + 2 * EMPTY, *shape[1:]), 0.08, 0.15)
    otf = theoretical_volume_otf(optics, extent_um=4.0)
    density = np.zeros(grid.shape)
    filled = slice(EMPTY - beyond, EMPTY + shape[0] + beyond)
    density[filled] = _filaments(rng, (shape[0] + 2 * beyond, *shape[1:]))
    period_um = PERIOD_UM
    frequency = np.array([[np.sin(a), np.cos(a)] for a in angles_rad]) / period_um
    step = 2 * np.pi / phases if step_rad is None else step_rad
    count = len(angles_rad)
    phase = rng.uniform(-np.pi, np.pi, (count, 1)) + step * np.arange(phases)
    phase = phase + jitter_rad * rng.normal(size=phase.shape)
    intensity = 1.0 + 0.03 * rng.normal(size=phase.shape)
    intensity /= intensity.mean()
    kz, ky, kx = grid.frequencies_per_um()
    _, y, x = grid.positions_um()
    frames = np.zeros((count, phases, *shape))
    for d in range(count):
        for order in range(len(modulation) + 1):
            wave = np.exp(2j * np.pi * order * (frequency[d, 0] * y + frequency[d, 1] * x))
            transfer = evaluate_volume_otf(otf, order, kz, ky, kx)
            band = np.fft.ifftn(transfer * np.fft.fftn(density * wave))[cut]
            for j in range(phases):
                turned = band * np.exp(1j * order * phase[d, j])
                weight = 1.0 if order == 0 else modulation[order - 1]
                frames[d, j] += intensity[d, j] * weight * turned.real
    frames *= peak_e / np.percentile(frames.mean(axis=(0, 1)), 99.9)
    return Scene(
        np.maximum(frames, 0).astype(np.float32),
        VolumeGrid(shape, grid.pixel_um, grid.dz_um),
        otf,
        frequency,
        phase,
        intensity,
        modulation,
    )


def displaced(distance_um: float) -> RadialVolumeOTF:
    """Three beams whose order 1 is brightest this far from the focal plane."""
    z = 0.01 * np.arange(-600, 601)
    flat = np.ones_like(z)
    wave = np.cos(2 * np.pi * axial_shift_per_um(OPTICS) * (z - distance_um))
    light = AxialProfiles(z, np.stack([flat, wave, flat]))
    return theoretical_volume_otf(OPTICS, extent_um=4.0, illumination=light)


def _filaments(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Curved lines of light, and a few points."""
    density = np.zeros(shape)
    size = np.array(shape)
    for _ in range(14):
        start = rng.uniform(0.1, 0.9, 3) * size
        heading = rng.normal(size=3) * np.array([0.15, 1.0, 1.0])
        bend = 0.02 * rng.normal(size=3) * np.array([0.1, 1.0, 1.0])
        for _ in range(120):
            heading = heading + bend
            start = start + heading / np.linalg.norm(heading)
            at = np.round(start).astype(int)
            if np.all(at >= 0) and np.all(at < size):
                density[tuple(at)] += 1.0
    return density
