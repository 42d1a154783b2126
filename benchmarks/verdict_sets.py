"""Random data sets on which verdicts are calibrated: what a microscope may deliver, and worse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import fine_field, simulate
from simrecon.recon.preprocess import raw_variance

KINDS = ("filaments", "rings", "blobs", "beads", "mixed", "sparse", "periodic")
READ_NOISE_E = 1.5
FINE = 2
"""Object pixels per camera pixel: the band of detection plus pattern stays below their Nyquist."""


@dataclass(frozen=True)
class VerdictSet:
    """One data set, what the fit is told of it, and the truth.

    Attributes
    ----------
    frames_e, variance_e2 : ndarray (A, P, Y, X)
        `variance_e2` is None where the fit has to measure the noise.
    pixel_um : float
    otf : DetectionOTF
        What the fit is told; its NA may be off by some per cent.
    frequency_per_um : list of (fy, fx) or None
        True frequency per direction; None where there is no pattern to be found.
    modulation : list of float
    expected_frequency_per_um : float or None
    expected_angles_rad : list of float or None
    settings : dict
        How the set was made, JSON-ready.
    """

    frames_e: np.ndarray
    variance_e2: np.ndarray | None
    pixel_um: float
    otf: DetectionOTF
    frequency_per_um: list[tuple[float, float] | None]
    modulation: list[float]
    expected_frequency_per_um: float | None
    expected_angles_rad: list[float] | None
    settings: dict


def draw(seed: int) -> VerdictSet:
    """Data set number `seed`."""
    rng = np.random.default_rng([20, seed])
    kind = str(rng.choice(KINDS, p=(0.24, 0.14, 0.14, 0.14, 0.14, 0.1, 0.1)))
    size = int(rng.choice([128, 160, 192, 256]))
    pixel_um = float(rng.choice([0.065, 0.08]))
    optics = Optics(na=float(rng.uniform(1.2, 1.45)), emission_nm=float(rng.uniform(500, 620)))
    cutoff = 2e3 * optics.na / optics.emission_nm
    frequency = min(float(rng.uniform(0.55, 1.1)) * cutoff, 0.49 / pixel_um)
    peak_e = float(np.exp(rng.uniform(np.log(10), np.log(1000))))
    modulation = np.exp(rng.uniform(np.log(0.05), np.log(0.9), 3))
    fault = str(rng.choice(["none", "order", "dark", "one dark"], p=(0.78, 0.08, 0.06, 0.08)))
    if fault == "dark":
        modulation[:] = 0.0
    if fault == "one dark":
        modulation[int(rng.integers(3))] = 0.0
    phases = int(rng.choice([3, 5], p=(0.8, 0.2)))
    first_angle = float(rng.uniform(-np.pi, np.pi))
    settings = {
        "peak_e": peak_e,
        "phases": phases,
        "period_um": 1.0 / frequency,
        "modulation": modulation.tolist(),
        "first_angle_rad": first_angle,
        "phase_jitter_rad": float(rng.choice([0.0, 0.1, 0.35])),
        "intensity_jitter": float(rng.choice([0.0, 0.03])),
        "bleaching": float(rng.choice([0.0, 0.2])),
        "background": float(rng.choice([0.0, 0.1, 0.5])) * peak_e,
        "haze": float(rng.choice([0.0, 0.3, 1.0])),
    }
    stack, truth = simulate(
        shape=(size, size),
        pixel_um=pixel_um,
        optics=optics,
        camera=Camera(gain=2.0, offset=100.0, read_noise_e=READ_NOISE_E),
        seed=seed,
        fine=FINE,
        kind="mixed" if kind in ("sparse", "periodic") else kind,
        fine_object=_special(kind, size, pixel_um, frequency, rng),
        **settings,
    )
    frames = stack.frames_e()
    directions = truth.pattern.directions
    true = [
        d.frequency_per_um if m > 0 else None for d, m in zip(directions, modulation, strict=True)
    ]
    if fault == "order":
        flat = frames.reshape(-1, size, size)
        frames = np.ascontiguousarray(flat.reshape(phases, 3, size, size).swapaxes(0, 1))
        true = [None] * 3
    told_na = optics.na * float(rng.choice([1.0, 1.0, 1.0, 0.97, 1.03]))
    otf = theoretical_otf(Optics(na=told_na, emission_nm=optics.emission_nm), pixel_um=pixel_um)
    variance = raw_variance(frames, stack.camera) if rng.random() < 0.7 else None
    near = frequency * float(rng.uniform(0.95, 1.05)) if rng.random() < 0.3 else None
    angles = [d.angle_rad + float(rng.normal(0, 0.02)) for d in directions]
    return VerdictSet(
        frames,
        variance,
        pixel_um,
        otf,
        true,
        modulation.tolist(),
        near,
        angles if rng.random() < 0.1 else None,
        {"seed": seed, "kind": kind, "size": size, "fault": fault, "na": optics.na, **settings},
    )


def _special(
    kind: str, size: int, pixel_um: float, frequency: float, rng: np.random.Generator
) -> np.ndarray | None:
    """A single filament, or a lattice with nearly the pattern's period; None for phantoms."""
    if kind not in ("sparse", "periodic"):
        return None
    grid = fine_field((size, size), pixel_um, FINE).grid
    y, x = grid.positions_um()
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * y + np.sin(angle) * x
    across = np.cos(angle) * x - np.sin(angle) * y
    if kind == "sparse":
        centre = rng.uniform(0.3, 0.7) * size * pixel_um * (np.cos(angle) - np.sin(angle))
        bend = rng.uniform(-0.02, 0.02)
        off = across - centre - bend * (along - along.mean()) ** 2
        return np.exp(-0.5 * (off / 0.03) ** 2).astype(np.float32)
    period = rng.uniform(0.85, 1.6) / frequency
    lattice = 0.5 + 0.5 * np.cos(2 * np.pi * across / period)
    patches = 1.0 + 0.5 * np.sin(2 * np.pi * along / rng.uniform(2.0, 5.0))
    return (lattice * patches).astype(np.float32)
