"""What a reconstruction will need, said before it starts: memory and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.stack import SimStack
from simrecon.recon.deskew import Deskewing
from simrecon.recon.operator import DEFAULT_MARGIN_UM
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.solver import TUNING_SIDE_PX
from simrecon.volume_frames import volume_grid

BASE_MEMORY = 165e6
"""Bytes of the interpreter with its libraries."""
BYTES_PER_BAND_SAMPLE = 33.0
"""Peak bytes per band and padded SR sample of the operator, variance included (measured)."""
BYTES_PER_VOLUME_SAMPLE = 28.0
"""Bytes per padded SR voxel of a volume's operator (:mod:`simrecon.recon.memory`)."""
SECONDS_PER_VOLUME_SAMPLE, SECONDS_PER_VOLUME_FIT = 1e-7, 15.0
"""Seconds per padded SR voxel and direction, and per direction for the pattern's fit."""
BYTES_PER_ITERATED_SAMPLE = 26.0
"""Further bytes per band and padded SR sample of tv, hessian and rl (measured)."""
BYTES_PER_RAW_SAMPLE = 120.0
"""Peak bytes per raw sample while the pattern is fitted (measured)."""
SECONDS_PER_BAND_SAMPLE = {"build": 1.2e-7, "apply": 1.5e-8, "variance": 6e-8}
SECONDS_PER_ITERATION = 4e-8
"""Per band and padded SR sample: one forward model and its transpose (measured)."""
ITERATIONS = {"tv": 150, "hessian": 150, "rl": 40}
TUNING_ITERATIONS = {"tv": 200, "hessian": 200, "rl": 40}
"""Typical numbers for a picture, and for choosing the strength on a part of it."""
SECONDS_PER_RAW_SAMPLE = {"estimate": 1.2e-6, "qc": 1.2e-7}
"""Seconds on ordinary cores (measured, rounded up)."""


@dataclass(frozen=True)
class Plan:
    """Predicted cost of a reconstruction.

    Attributes
    ----------
    memory_bytes : int
        Peak memory of the process.
    seconds : float
        Run time on two ordinary cores.
    units : int
        Two-dimensional acquisitions: times × channels × planes.
    """

    memory_bytes: int
    seconds: float
    units: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready numbers."""
        return {"memory_gb": self.memory_bytes / 1e9, "seconds": self.seconds, "units": self.units}

    def to_text(self) -> str:
        """One line for people."""
        return (
            f"plan: {self.units} acquisition(s), peak memory about "
            f"{self.memory_bytes / 1e9:.1f} GB, about {max(1.0, self.seconds):.0f} s on two cores"
        )


def plan(stack: SimStack, settings: Settings) -> Plan:
    """Predict memory and time of :func:`simrecon.pipeline.reconstruct`.

    Raises
    ------
    UsageError
        When more memory would be needed than ``max_memory_gb`` allows.
    """
    chosen = settings.reconstruction
    if chosen.mode in VOLUME_MODES:
        return _volume_plan(stack, settings)
    times, channels, directions, phases, planes, ny, nx = (int(n) for n in stack.data.shape)
    margin = int(np.ceil(DEFAULT_MARGIN_UM / stack.pixel_um))
    padded = MirrorPadding.around((ny, nx), margin).zoomed(chosen.zoom).padded
    samples = float(np.prod(padded)) * 2 * directions  # two bands per direction
    units = times * channels * planes
    mapped = chosen.variance and chosen.linear
    outputs = units * ny * nx * 4.0 * (chosen.zoom**2 * (1 + mapped) + 1)
    frames = directions * phases * ny * nx
    work = max(BYTES_PER_BAND_SAMPLE * samples, BYTES_PER_RAW_SAMPLE * frames)
    memory = BASE_MEMORY + work + outputs + 24.0 * frames
    operators = channels if settings.estimate.share_pattern else times * channels
    per = SECONDS_PER_BAND_SAMPLE
    seconds = samples * (operators * per["build"] + units * per["apply"])
    seconds += samples * units * per["variance"] * mapped
    raw = SECONDS_PER_RAW_SAMPLE
    seconds += frames * (operators * raw["estimate"] + units * raw["qc"])
    if not chosen.linear:
        memory += BYTES_PER_ITERATED_SAMPLE * samples
        seconds += _iteration_seconds(stack, settings, samples, units, operators)
    if chosen.max_memory_gb is not None and memory > chosen.max_memory_gb * 1e9:
        raise UsageError(
            "The reconstruction needs more memory than allowed.",
            expected=f"at most {chosen.max_memory_gb:g} GB",
            got=f"about {memory / 1e9:.2f} GB",
            where="--max-memory",
            hint="crop the field, choose zoom=1, or allow more memory",
        )
    return Plan(int(memory), float(seconds), units)


def _volume_plan(stack: SimStack, settings: Settings) -> Plan:
    """Cost of volumes; a limit of memory is kept by tiles, so it limits what is told here too."""
    chosen = settings.reconstruction
    times, channels, directions, _, planes, ny, nx = (int(n) for n in stack.data.shape)
    lateral = int(np.ceil(DEFAULT_MARGIN_UM / stack.pixel_um))
    axial = int(np.ceil(DEFAULT_MARGIN_UM / (stack.dz_um or 1.0)))
    padded = MirrorPadding.around((planes, ny, nx), (axial, lateral, lateral))
    fine = float(np.prod(padded.zoomed(chosen.zoom).padded))
    units = times * channels
    work = BYTES_PER_VOLUME_SAMPLE * fine * (1 + 0.5 * chosen.variance)
    work += 8.0 * float(np.prod(stack.data.shape[2:]))
    if chosen.max_memory_gb is not None:
        work = min(work, 1e9 * volume_memory_left_gb(stack, settings))
    memory = _beside_operator(stack, settings) + work
    fits = channels if settings.estimate.share_pattern else units
    seconds = units * SECONDS_PER_VOLUME_SAMPLE * fine * directions * (1 + 4 * chosen.variance)
    seconds += fits * directions * SECONDS_PER_VOLUME_FIT
    return Plan(int(memory), float(seconds), units)


def _beside_operator(stack: SimStack, settings: Settings) -> float:
    """Bytes of the interpreter, of what is read, and of the volumes that come out, deskewed."""
    chosen = settings.reconstruction
    raw = volume_grid(stack, settings)
    sizes = [float(np.prod(Deskewing.of(raw, q).grid.shape)) for q in (1, chosen.zoom)]
    units = float(np.prod(stack.data.shape[:2]))
    outputs = 4.0 * units * (sizes[0] + sizes[1] * (1 + chosen.variance))
    return BASE_MEMORY + outputs + 12.0 * float(np.prod(stack.data.shape[2:]))


def volume_memory_left_gb(stack: SimStack, settings: Settings) -> float:
    """What ``max_memory_gb`` leaves for the operator of volumes with its frames and pictures.

    Raises
    ------
    UsageError
        When the volumes that come out take it all.
    """
    limit = settings.reconstruction.max_memory_gb
    assert limit is not None
    beside = _beside_operator(stack, settings)
    if limit * 1e9 <= beside:
        raise UsageError(
            "The reconstruction needs more memory than allowed.",
            expected=f"at most {limit:g} GB",
            got=f"{beside / 1e9:.2f} GB for frames and the volumes that come out",
            where="--max-memory",
            hint="crop the field, leave out planes, choose zoom=1, or allow more memory",
        )
    return limit - beside / 1e9


def _iteration_seconds(
    stack: SimStack, settings: Settings, samples: float, units: int, operators: int
) -> float:
    """Time of an iterative method: every picture, and the tuning once per operator."""
    chosen = settings.reconstruction
    part = min(1.0, TUNING_SIDE_PX**2 / float(np.prod(stack.data.shape[-2:])))
    solve = min(ITERATIONS[chosen.method], chosen.max_iterations)
    rounds = units * solve + operators * part * TUNING_ITERATIONS[chosen.method]
    return SECONDS_PER_ITERATION * samples * rounds
