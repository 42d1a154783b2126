"""Raw SIM data with what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics

PIXEL_RANGE_UM = (0.005, 2.0)
"""Camera pixel in the sample; anything else is a wrong unit."""


@dataclass(frozen=True)
class SimStack:
    """Raw frames in the canonical order, in camera counts.

    Attributes
    ----------
    data : array_like, shape (T, C, A, P, Z, Y, X)
        Counts as stored (any real dtype); may be a lazy array that supports slicing.
    pixel_um : float
        Lateral pixel pitch, µm.
    optics : tuple of Optics, one per channel
    camera : Camera
    dz_um : float or None
        Plane spacing, µm; None for single planes.
    order : str
        Acquisition order in the file, letters fastest first.
    flipped_y : bool
        True when the reader turned the rows round so that row 0 is the top of the picture.
    metadata : mapping
        Facts from the file for provenance (source path, format, titles, …).
    notes : tuple of str
        Doubts and decisions of the reader, for the user.
    """

    data: Any
    pixel_um: float
    optics: tuple[Optics, ...]
    camera: Camera = field(default_factory=Camera)
    dz_um: float | None = None
    order: str = "PA"
    flipped_y: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.data.shape) != 7:
            raise InputError(
                "Raw SIM data need seven axes.",
                expected="(T, C, A, P, Z, Y, X)",
                got=f"shape {tuple(self.data.shape)}",
            )
        low, high = PIXEL_RANGE_UM
        if not low <= self.pixel_um <= high:
            raise InputError(
                "No microscope camera has this pixel size in the sample.",
                expected=f"{low:g} to {high:g} µm",
                got=f"{self.pixel_um:g} µm",
                where="--pixel-um",
                hint=f"nm given instead of µm? Then it is {self.pixel_um / 1000:g}"
                if high < self.pixel_um <= high * 1000
                else "the camera's pixel divided by the magnification",
            )
        if len(self.optics) != self.data.shape[1]:
            raise InputError(
                "Each channel needs its own optics.",
                expected=f"{self.data.shape[1]} channels",
                got=f"{len(self.optics)} Optics",
            )

    @property
    def directions(self) -> int:
        """Number of pattern directions A."""
        return int(self.data.shape[2])

    @property
    def phases(self) -> int:
        """Number of phase steps P."""
        return int(self.data.shape[3])

    @property
    def grid(self) -> Grid:
        """Raw lateral grid."""
        return Grid((int(self.data.shape[5]), int(self.data.shape[6])), self.pixel_um)

    def frames_e(self, time: int = 0, channel: int = 0, plane: int = 0) -> np.ndarray:
        """One 2-D acquisition in photo-electrons, float32, shape (A, P, Y, X)."""
        counts = np.asarray(self.data[time, channel, :, :, plane])
        return self.camera.electrons(counts)
