"""Light, scan and brightness of simulated volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.axes import parse_order
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import AxialProfiles
from simrecon.physics.lattice import Lattice

CONTRAST_3D = (0.9, 0.6)
"""Contrast of orders 1 and 2 of three-beam light; three equal beams would give 4/3 and 2/3."""


def scan_shear(scan: str, stage_angle_rad: float) -> tuple[float, float]:
    """Travel of the field per µm of z: the stage moves by (cos, sin) of its angle to the plane."""
    if scan == "objective":
        return 0.0, 0.0
    if scan != "stage":
        raise UsageError("Unknown scan.", expected="objective or stage", got=scan, where="--scan")
    if not 0.05 < stage_angle_rad < 0.5 * np.pi - 0.05:
        raise UsageError(
            "The stage must move at an angle to the focal plane.",
            expected="3 to 87 degrees",
            got=f"{np.degrees(stage_angle_rad):g} degrees",
        )
    return float(1.0 / np.tan(stage_angle_rad)), 0.0


def light_of(
    mode: str, optics: Optics, lattice: Lattice, sheet_offset_um: float
) -> tuple[float, tuple[float, ...], Literal["three-beam"] | AxialProfiles]:
    """Fundamental frequency, contrast of orders 1 and 2, and axial structure."""
    if mode == "lls":
        profiles = lattice.profiles(offset_um=sheet_offset_um)
        return lattice.fundamental_per_um, lattice.contrast, profiles
    finest = optics.pattern_frequency_per_um
    if finest is None:
        raise UsageError(
            "3D-SIM needs the excitation's wavelength and NA.",
            expected="optics with excitation_nm and excitation_na",
        )
    return 0.5 * finest, CONTRAST_3D, "three-beam"


def lit_directions(
    rng: np.random.Generator,
    count: int,
    phases: int,
    frequency_per_um: float,
    *,
    contrast: Sequence[float],
    first_angle_rad: float,
    phase_step_um: float | None,
    phase_jitter_rad: float,
) -> tuple[DirectionPattern, ...]:
    """Directions π/A apart; every one starts at a random phase."""
    if not 1 <= len(contrast) <= 2 or not all(np.isfinite(contrast)):
        raise UsageError("modulation needs the contrast of order 1, or 1 and 2.", got=str(contrast))
    if phases < 2 * len(contrast) + 1:
        raise UsageError(
            f"{len(contrast) + 1} orders need more phases.",
            expected=f"{2 * len(contrast) + 1} or more",
            got=str(phases),
            where="--phases",
        )
    turn = np.linspace(0.0, 2.0 * np.pi, 361)
    light = 1.0 + sum(c * np.cos(m * turn) for m, c in enumerate(contrast, start=1))
    if np.min(light) < -1e-6:
        raise UsageError(
            "Light of these contrasts would be negative in places.",
            expected="1 + m1 cos t + m2 cos 2t not below 0",
            got=f"{np.min(light):.3f} for modulation {', '.join(f'{c:g}' for c in contrast)}",
        )
    step = 2.0 * np.pi / phases
    if phase_step_um is not None:
        step = 2.0 * np.pi * frequency_per_um * phase_step_um
    start = rng.uniform(-np.pi, np.pi, (count, 1))
    phase = start + step * np.arange(phases) + phase_jitter_rad * rng.normal(size=(count, phases))
    angles = first_angle_rad + np.pi * np.arange(count) / count
    return tuple(
        DirectionPattern(
            frequency_per_um=(frequency_per_um * np.sin(angle), frequency_per_um * np.cos(angle)),
            phase_rad=tuple(float(v) for v in np.angle(np.exp(1j * one))),
            modulation=tuple(float(c) for c in contrast),
            intensity=(1.0,) * phases,
        )
        for angle, one in zip(angles, phase, strict=True)
    )


def acquisition_time(count: tuple[int, int, int], order: str) -> np.ndarray:
    """Time of every frame (A, P, Z), 0 for the first one and 1 for the last.

    Letters that `order` (fastest first) lacks come last, in the order P, Z, A.
    """
    sizes = dict(zip("APZ", count, strict=True))
    letters = [letter for letter in parse_order(order) if letter in sizes]
    letters += [letter for letter in "PZA" if letter not in letters]
    time, stride = np.zeros(count), 1
    for letter in letters:
        axis = "APZ".index(letter)
        steps = np.arange(sizes[letter]).reshape([-1 if i == axis else 1 for i in range(3)])
        time = time + stride * steps
        stride *= sizes[letter]
    return np.asarray(time / max(1, time.size - 1))


def frame_intensity(
    rng: np.random.Generator,
    count: tuple[int, int, int],
    order: str,
    bleaching: float,
    jitter: float,
) -> np.ndarray:
    """Brightness of every frame (A, P, Z), mean 1: bleaching in the order of acquisition."""
    fade = (1.0 - bleaching) ** acquisition_time(count, order)
    intensity = fade * np.maximum(1.0 + jitter * rng.normal(size=count), 0.05)
    return np.asarray(intensity / intensity.mean())
