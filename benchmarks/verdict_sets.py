"""Random data sets on which verdicts are calibrated: what a microscope may deliver, and worse.

The mixture is fixed: set number n is the same in every run. See :func:`draw` for its shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import Truth, fine_field, simulate
from simrecon.recon.preprocess import raw_variance

KINDS = {
    "filaments": 0.24, "rings": 0.17, "blobs": 0.16, "beads": 0.15, "mixed": 0.16,
    "sparse": 0.06, "periodic": 0.06,
}  # fmt: skip
"""Phantoms of the simulator; a single filament; a grating with nearly the pattern's period."""
PERIODS = {"inside": 0.7, "cut-off": 0.18, "nyquist": 0.12}
"""Pattern at 0.6–0.97 of the cut-off, at 0.97–1.12 of it (TIRF), or of 2.05–2.2 pixels."""
FAULTS = {"none": 0.88, "order": 0.04, "dark": 0.03, "one dark": 0.05}
"""Frames in a wrong order; no pattern at all; none in one direction."""
TOLD = {"right": 0.55, "na 3 %": 0.2, "na 7 %": 0.1, "emission 5 %": 0.15}
"""How wrong the optics are that the fit is told, to either side."""
READ_NOISE_E = 1.5
FINE = 2
"""Object pixels per camera pixel: the band of detection plus pattern stays below their Nyquist."""


@dataclass(frozen=True)
class VerdictSet:
    """One data set, what the fit is told of it, and the truth.

    Attributes
    ----------
    stack, truth : SimStack, Truth
        As simulated, in the right order.
    frames_e, variance_e2 : ndarray (A, P, Y, X)
        `variance_e2` is None where the fit has to measure the noise.
    pixel_um : float
    otf : DetectionOTF
        What the fit is told.
    frequency_per_um : list of (fy, fx) or None
        True frequency per direction; None where there is no pattern to be found.
    modulation : list of float
    expected_frequency_per_um : float or None
    expected_angles_rad : list of float or None
    settings : dict
        How the set was made, JSON-ready.
    """

    stack: SimStack
    truth: Truth
    frames_e: np.ndarray
    variance_e2: np.ndarray | None
    pixel_um: float
    otf: DetectionOTF
    frequency_per_um: list[tuple[float, float] | None]
    modulation: list[float]
    expected_frequency_per_um: float | None
    expected_angles_rad: list[float] | None
    settings: dict[str, Any]


def draw(seed: int) -> VerdictSet:
    """Data set number `seed`.

    192² or 256² pixels; 20 to 1000 photo-electrons at the peak (evenly in the logarithm);
    modulation 0.15 to 0.9 per direction, in an eighth of the sets 0.03 to 0.2; shares of `KINDS`,
    `PERIODS`, `FAULTS` and `TOLD`; three or five phases; unequal steps and lamps, bleaching,
    background, haze; noise told (70 %) or measured; in some sets a period or angles are expected.
    """
    rng = np.random.default_rng([21, seed])
    kind, case, fault, told = (_pick(rng, shares) for shares in (KINDS, PERIODS, FAULTS, TOLD))
    size = int(rng.choice([192, 256], p=(0.6, 0.4)))
    optics = Optics(na=float(rng.uniform(1.2, 1.45)), emission_nm=float(rng.uniform(500, 620)))
    frequency, pixel_um = _period(case, 2e3 * optics.na / optics.emission_nm, rng)
    peak_e = _log_uniform(rng, 20.0, 1000.0)
    dim = rng.random() < 0.125
    modulation = [_log_uniform(rng, *((0.03, 0.2) if dim else (0.15, 0.9))) for _ in range(3)]
    if fault == "dark":
        modulation = [0.0] * 3
    if fault == "one dark":
        modulation[int(rng.integers(3))] = 0.0
    phases = int(rng.choice([3, 5], p=(0.85, 0.15)))
    making = {
        "peak_e": peak_e,
        "phases": phases,
        "period_um": 1.0 / frequency,
        "modulation": modulation,
        "first_angle_rad": float(rng.uniform(-np.pi, np.pi)),
        "phase_jitter_rad": float(rng.choice([0.0, 0.1, 0.35])),
        "intensity_jitter": float(rng.choice([0.0, 0.03])),
        "bleaching": float(rng.choice([0.0, 0.2])),
        "background": float(rng.choice([0.0, 0.1, 0.5], p=(0.4, 0.4, 0.2))) * peak_e,
        "haze": float(rng.choice([0.0, 0.3, 1.0], p=(0.5, 0.3, 0.2))),
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
        **making,
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
    variance = raw_variance(frames, stack.camera) if rng.random() < 0.7 else None
    near = frequency * float(rng.uniform(0.95, 1.05)) if rng.random() < 0.2 else None
    angles = [d.angle_rad + float(rng.normal(0, 0.02)) for d in directions]
    return VerdictSet(
        stack,
        truth,
        frames,
        variance,
        pixel_um,
        theoretical_otf(_told(optics, told, rng), pixel_um=pixel_um),
        true,
        modulation,
        near,
        angles if rng.random() < 0.1 else None,
        {"seed": seed, "kind": kind, "size": size, "fault": fault, "period": case, "told": told}
        | making,
    )


def _pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _period(case: str, cutoff_per_um: float, rng: np.random.Generator) -> tuple[float, float]:
    """Pattern frequency (cycles/µm) and pixel pitch (µm)."""
    if case == "nyquist":
        frequency = float(rng.uniform(0.85, 1.1)) * cutoff_per_um
        return frequency, 1.0 / (float(rng.uniform(2.05, 2.2)) * frequency)
    low, high = (0.6, 0.97) if case == "inside" else (0.97, 1.12)
    frequency = float(rng.uniform(low, high)) * cutoff_per_um
    return frequency, float(rng.choice([0.065, 0.08]))


def _told(optics: Optics, told: str, rng: np.random.Generator) -> Optics:
    """The optics as the user believes them to be."""
    off = {"right": 0.0, "na 3 %": 0.03, "na 7 %": 0.07, "emission 5 %": 0.05}[told]
    factor = 1.0 + off * float(rng.choice([-1.0, 1.0]))
    if told.startswith("emission"):
        return Optics(na=optics.na, emission_nm=optics.emission_nm * factor)
    return Optics(na=min(optics.na * factor, 1.5), emission_nm=optics.emission_nm)


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
