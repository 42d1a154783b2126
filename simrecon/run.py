"""State of one reconstruction while it runs."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simrecon import backend
from simrecon.config import Settings
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.qc.gates import Gates
from simrecon.qc.symptoms import PatternSource
from simrecon.recon.operator import Reconstructor
from simrecon.recon.tiling import TiledReconstructor
from simrecon.result import Progress


@dataclass
class Run:
    """State of one call of :func:`simrecon.pipeline.reconstruct`."""

    stack: SimStack
    settings: Settings
    device: backend.Device
    progress: Progress
    gates: Gates = field(default_factory=Gates)
    notes: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    kind: str = "sim"
    pattern_source: PatternSource = "fitted"

    def timed(self, stage: str, start: float) -> None:
        """Add the time since `start` (``perf_counter``) to a stage."""
        self.timings[stage] = self.timings.get(stage, 0.0) + clock.perf_counter() - start

    def note(self, *texts: str) -> None:
        """Add sentences for the user, each once."""
        self.notes.extend(t for t in texts if t not in self.notes)

    def note_channel(self, channel: int, *texts: str) -> None:
        """Add sentences on one channel, which is named where there are several."""
        several = int(self.stack.data.shape[1]) > 1
        self.note(*(f"channel {channel}: {t}" if several else t for t in texts))


@dataclass
class Arrays:
    """Output arrays: image and variance (T, C, Z, qY, qX), widefield (T, C, Z, Y, X), float32."""

    image: np.ndarray
    variance: np.ndarray | None
    widefield: np.ndarray


def allocate(stack: SimStack, settings: Settings) -> Arrays:
    """Zeroed output arrays for all times, channels and planes of `stack`."""
    t, c, _, _, z, ny, nx = (int(n) for n in stack.data.shape)
    q = settings.reconstruction.zoom
    shape = (t, c, z, q * ny, q * nx)
    chosen = settings.reconstruction
    variance = np.zeros(shape, np.float32) if chosen.variance and chosen.linear else None
    return Arrays(np.zeros(shape, np.float32), variance, np.zeros((t, c, z, ny, nx), np.float32))


@dataclass
class ChannelResult:
    """What one channel gave, per time point: pattern, operator (None: widefield), numbers."""

    patterns: list[PatternFit]
    operators: list[Reconstructor | TiledReconstructor | None]
    numbers: list[dict[str, Any]]
