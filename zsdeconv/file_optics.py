"""Scale and optics of one channel of a file: what was given, else what the file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simrecon.config import Settings
from simrecon.model.frames import RawFrames
from simrecon.model.optics import Optics


@dataclass(frozen=True)
class FileOptics:
    """What is known; None: neither given nor in the file.

    Attributes
    ----------
    pixel_um, dz_um : float or None
        Pixel and distance of the planes, µm.
    na, index : float or None
        Numerical aperture and refractive index of the immersion.
    emission_nm, excitation_nm : float or None
        Wavelengths of the channel, nm.
    pixel_integration : bool
        Whether the camera's pixels gather light over their area.
    """

    pixel_um: float | None
    dz_um: float | None
    na: float | None
    index: float | None
    emission_nm: float | None
    excitation_nm: float | None
    pixel_integration: bool

    def optics(self) -> Optics | None:
        """None where NA or emission wavelength are not known."""
        if self.na is None or self.emission_nm is None:
            return None
        index = {} if self.index is None else {"immersion_index": self.index}
        return Optics(
            na=self.na,
            emission_nm=self.emission_nm,
            excitation_nm=self.excitation_nm,
            pixel_integration=self.pixel_integration,
            **index,
        )


def file_optics(engine: Settings, raw: RawFrames, channel: int | None) -> FileOptics:
    """What is known about channel `channel` (None: the only one) of a file."""
    given = engine.reader_overrides()

    def known(name: str) -> Any:
        return given[name] if given.get(name) is not None else getattr(raw, name)

    numbers = {k: known(k) for k in ("pixel_um", "dz_um", "na", "index")}
    waves = {k: _of_channel(known(k), channel or 0) for k in ("emission_nm", "excitation_nm")}
    return FileOptics(
        **{k: None if v is None else float(v) for k, v in (numbers | waves).items()},
        pixel_integration=raw.pixel_integration is not False,
    )


def _of_channel(values: float | Sequence[float] | None, channel: int) -> float | None:
    """The only value, or that of the channel."""
    if values is None or isinstance(values, int | float):
        return values
    if len(values) == 1:
        return values[0]
    return values[channel] if channel < len(values) else None
