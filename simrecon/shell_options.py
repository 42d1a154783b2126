"""Options that several commands share, and how they become settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from simrecon.config import Settings, build_settings, load_settings_file, parse_assignments
from simrecon.errors import UsageError


@Parameter(name="*")
@dataclass(frozen=True)
class FileOptions:
    """What metadata lack is given here; the same keys work in --config and --set.

    Parameters
    ----------
    pixel_um
        Camera pixel in the sample, µm [default: from the file].
    dz_um
        Distance between planes, µm [default: from the file].
    na
        Numerical aperture of detection [default: from the file].
    index
        Refractive index of the immersion [default: from the file, else 1.515].
    emission_nm
        Emission wavelength, nm; repeat for several channels [default: from the file].
    excitation_nm
        Excitation wavelength, nm; repeat for several channels [default: from the file].
    excitation_na
        NA of the interfering beams (finest period = λ_ex / 2·NA) [default: from the file].
    angles
        Number of pattern directions [default: from the file, else 3].
    phases
        Number of phase steps per direction [default: from the file, else 3].
    planes
        Number of planes, where a plain sequence of frames holds planes and time points.
    channels
        Number of channels in a plain sequence of frames; the order then needs a C.
    order
        Frame order, fastest first, letters of P A Z C T, e.g. PA or PZA; 'simrecon inspect' finds
        it [default: from the file, else PA].
    gain
        Camera: counts per photo-electron [default: estimated from the noise, and said so].
    offset
        Camera: counts without light [default: 0, and said so].
    read_noise_e
        Camera: read noise, photo-electrons rms [default: 0].
    camera
        Camera record file, instead of the three numbers.
    gain_map
        TIFF with the gain of every pixel, instead of --gain; NaN or inf marks a bad pixel.
    offset_map
        TIFF with the offset of every pixel, instead of --offset.
    read_noise_map
        TIFF with the read noise of every pixel, photo-electrons, instead of --read-noise-e.
    mode
        Kind of illumination: tirf looks for the pattern between the sample's index and the NA, and
        refuses optics that cannot give total reflection; slice3 (three beams, one plane), nonlinear
        and hex (docs/modes.md); 3d (three beams, 5 phases) and lls (lattice light sheet) make one
        volume of all planes (docs/volumes.md) [default: 2d].
    local
        Pattern that varies over the field: auto uses a local pattern where it clearly does, off
        never, on always [default: auto].
    scan
        Mode lls: what moves from plane to plane, the objective with its sheet or the stage at an
        angle; --dz-um always counts along the detection axis [default: objective].
    stage_angle_deg
        Angle between the stage's way and the focal plane, degrees.
    stage_moves
        Where structures move in the frames from plane to plane of a stage scan [default: up,
        towards row 0].
    lattice
        Mode lls without --otf: kind of lattice [default: square].
    lattice_na_max
        Outer NA of the lattice's annulus.
    lattice_na_min
        Inner NA of the lattice's annulus.
    sheet_offset_um
        Mode lls without --otf: distance of the sheet from the focal plane, µm, positive deeper, or
        auto: found from the overlap of the bands [default: auto].
    sheet_orders
        Mode lls: orders of the pattern. 1 takes order 2 to be absent, as three phases need
        (docs/volumes.md) [default: those of the OTF].
    phase_step_um
        Mode lls: distance by which the pattern moves from frame to frame, µm [default: found].
    config
        Settings file (TOML, or JSON).
    set
        One setting, a.b=c; may be repeated; see 'simrecon config show'.
    """

    pixel_um: float | None = None
    dz_um: float | None = None
    na: float | None = None
    index: float | None = None
    emission_nm: list[float] | None = None
    excitation_nm: list[float] | None = None
    excitation_na: float | None = None
    angles: int | None = None
    phases: int | None = None
    planes: int | None = None
    channels: int | None = None
    order: str | None = None
    gain: float | None = None
    offset: float | None = None
    read_noise_e: float | None = None
    camera: str | None = None
    gain_map: str | None = None
    offset_map: str | None = None
    read_noise_map: str | None = None
    mode: str | None = None
    local: Literal["auto", "off", "on"] | None = None
    scan: Literal["objective", "stage"] | None = None
    stage_angle_deg: float | None = None
    stage_moves: Literal["up", "down", "left", "right"] | None = None
    lattice: Literal["square", "hexagonal", "harmonic-balanced"] | None = None
    lattice_na_max: float | None = None
    lattice_na_min: float | None = None
    sheet_offset_um: float | Literal["auto"] | None = None
    sheet_orders: Literal[1, 2] | None = None
    phase_step_um: float | None = None
    config: Path | None = None
    set: Annotated[list[str] | None, Parameter(negative=())] = None

    def given(self) -> dict[str, Any]:
        """Options on the command line as settings keys."""
        keys = {f.name: getattr(self, f.name) for f in fields(self)}
        found = {k: v for k, v in keys.items() if k not in ("config", "set") and v is not None}
        for name in ("emission_nm", "excitation_nm"):
            if name in found:
                values = found[name]
                found[name] = values[0] if len(values) == 1 else tuple(values)
        return found

    def settings(self, **more: Any) -> Settings:
        """Settings from the file, the options, `more` (None ignored) and ``--set``."""
        layers: list[tuple[str, dict[str, Any]]] = []
        if self.config is not None:
            layers.append((str(self.config), load_settings_file(self.config)))
        layers.append(("command line", self.given()))
        layers.append(("command line", {k: v for k, v in more.items() if v is not None}))
        layers.append(("--set", parse_assignments(self.set or ())))
        return build_settings(*layers)


def side_inputs(
    file: FileOptions | None,
    settings: Settings,
    otf: Sequence[Path] | None = None,
    pattern: Path | None = None,
) -> list[Path]:
    """Files beside the frames that a command reads: OTF, pattern, camera record, settings."""
    config = None if file is None else file.config
    return [
        Path(p) for p in (*(otf or ()), pattern, *settings.camera.files, config) if p is not None
    ]


def memory_gb(text: str | None) -> float | None:
    """Read ``6GB``, ``500MB`` or a number of GB.

    Raises
    ------
    UsageError
        For anything else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([GM]?)i?B?\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(
            "Cannot read an amount of memory.", expected="6GB or 500MB", got=text,
            where="--max-memory",
        )  # fmt: skip
    return float(found[1]) / (1000.0 if found[2].upper() == "M" else 1.0)
