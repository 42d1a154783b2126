"""What a raw file says, before anything is assumed about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simrecon.model.camera import Camera


@dataclass(frozen=True)
class RawFrames:
    """Frames in file order with the facts that the file itself states; None: not stated.

    Attributes
    ----------
    frames : array_like, shape (*axis sizes, Y, X)
        Counts as stored, row 0 at the top of the picture; may be memory-mapped.
    axes : tuple of (str, int)
        Names and sizes of the leading axes, slowest first, as the file declares them; "S" is
        an undeclared sequence of sections. Declarations are claims: SIM files often keep
        phases and angles under Z, C or T.
    pixel_um, dz_um : float or None
        Lateral pitch and plane spacing, µm.
    emission_nm, excitation_nm : tuple of float
        Wavelengths per channel, nm; empty when unknown.
    na, index, excitation_na : float or None
        Detection NA, immersion index, NA of the interfering beams.
    angles, phases : int or None
        Number of pattern directions and of phase steps.
    planes, channels : int or None
        Numbers that are known beyond what `axes` claims (given by the user).
    order : str or None
        Acquisition order, letters fastest first.
    camera : Camera or None
    pixel_integration : bool or None
        False when the frames were point-sampled (simulated).
    flipped_y : bool
        True when the rows were turned round on reading.
    metadata : mapping
        Facts for provenance (paths, format, titles, header numbers).
    notes : tuple of str
        Doubts and decisions of the reader, for the user.
    """

    frames: Any
    axes: tuple[tuple[str, int], ...]
    pixel_um: float | None = None
    dz_um: float | None = None
    emission_nm: tuple[float, ...] = ()
    excitation_nm: tuple[float, ...] = ()
    na: float | None = None
    index: float | None = None
    excitation_na: float | None = None
    angles: int | None = None
    phases: int | None = None
    planes: int | None = None
    channels: int | None = None
    order: str | None = None
    camera: Camera | None = None
    pixel_integration: bool | None = None
    flipped_y: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of frames in the file."""
        total = 1
        for _, size in self.axes:
            total *= size
        return total
