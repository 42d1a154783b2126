"""Instruments as data: start values that a stack can be compared with. Fits always decide.

Directions are atan2(fy, fx) in the frames as :func:`simrecon.read` gives them (row 0 at the top, y
downwards); those published for DeltaVision files, which are stored bottom-up, have changed sign
here. A direction is a line: θ and θ + π are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simrecon.errors import UsageError
from simrecon.model.pattern import line_distance_rad

PIXEL_TOLERANCE = 0.03
NA_TOLERANCE = 0.05
PERIOD_TOLERANCE = 0.05
ANGLE_TOLERANCE_RAD = math.radians(4.0)


@dataclass(frozen=True)
class Preset:
    """Nominal acquisition of one instrument.

    Attributes
    ----------
    name : str
        Key, for example ``multisim-tirf-488``.
    instrument : str
        What users call it.
    mode : str
        ``2d``, ``tirf``, ``3d`` or ``lls``.
    angles, phases : int
    order : str or None
        Frame order, fastest first.
    pixel_um, dz_um, na, index : float or None
    excitation_nm, excitation_na : float or None
    finest_period_um : float or None
        Period of the highest order when no NA of excitation is stated.
    directions_rad : tuple of tuple of float
        Published sets of pattern directions (one set per alignment of the instrument).
    offset : float or None
        Camera offset, counts.
    source : str
        Where the numbers come from.
    """

    name: str
    instrument: str
    mode: str
    angles: int
    phases: int
    source: str
    order: str | None = None
    pixel_um: float | None = None
    dz_um: float | None = None
    na: float | None = None
    index: float | None = None
    excitation_nm: float | None = None
    excitation_na: float | None = None
    finest_period_um: float | None = None
    directions_rad: tuple[tuple[float, ...], ...] = field(default=())
    offset: float | None = None

    @property
    def period_um(self) -> float | None:
        """Period of the finest pattern order, µm."""
        if self.finest_period_um is not None:
            return self.finest_period_um
        if self.excitation_nm is None or self.excitation_na is None:
            return None
        return self.excitation_nm * 1e-3 / (2.0 * self.excitation_na)

    def overrides(self) -> dict[str, Any]:
        """The preset's values as keyword arguments of :func:`simrecon.read`."""
        names = ("angles", "phases", "order", "pixel_um", "dz_um", "na", "index", "excitation_nm",
                 "excitation_na", "offset")  # fmt: skip
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


_OPEN3DSIM = "Open-3DSIM presets (github.com/Cao-ruijie/Open3DSIM)"
PRESETS: tuple[Preset, ...] = (
    Preset(
        "multisim-tirf-488", "Multi-SIM, TIRF/GI-SIM 488 nm", "tirf", 3, 3,
        "rDL-SIM Parameters_2DSIM.py (github.com/qc17-THU/rDL-SIM)", order="PA", pixel_um=0.0626,
        na=1.3, excitation_nm=488.0, excitation_na=1.35, offset=100.0,
        directions_rad=((1.48, 2.5272, 3.5744), (-1.66, -0.6128, 0.4344), (1.5708, 2.618, 3.6652)),
    ),
    Preset(
        "multisim-3d-488", "Multi-SIM, 3D-SIM 488 nm (silicone)", "3d", 3, 5,
        "ZS-DeconvNet main_create_simu_beads.m (github.com/TristaZeng/ZS-DeconvNet)", order="PAZ",
        pixel_um=0.061, dz_um=0.160, index=1.406, excitation_nm=488.0, excitation_na=1.17,
        directions_rad=((1.48, 2.5272, -2.7061),), offset=100.0,
    ),
    Preset(
        "omx-3d-488", "DeltaVision OMX V3/V4 60×/1.42, 488 nm", "3d", 3, 5,
        "cudasirecon test_data (github.com/scopetools/cudasirecon), issue 21", order="PZA",
        pixel_um=0.080, dz_um=0.125, na=1.42, index=1.515, excitation_nm=488.0,
        finest_period_um=0.2035, directions_rad=((0.8043, 1.8555, -0.2388),),
    ),
    Preset(
        "omx-fairsim", "DeltaVision OMX (fairSIM default)", "3d", 3, 5,
        "fairSIM source (github.com/fairSIM/fairSIM)", order="PZA", pixel_um=0.082,
    ),
    Preset(
        "nsim-3d-488", "Nikon N-SIM 100×/1.49, 488 nm", "3d", 3, 5, _OPEN3DSIM,
        pixel_um=0.065, dz_um=0.120, na=1.49, index=1.515, excitation_nm=488.0,
    ),
    Preset(
        "nsim-2d", "Nikon N-SIM 100×/1.49, 2D/TIRF", "2d", 3, 3, _OPEN3DSIM,
        pixel_um=0.065, na=1.49, index=1.515,
    ),
    Preset(
        "elyra-ps1", "Zeiss Elyra PS.1/S.1 63×/1.4", "3d", 5, 5,
        "fairSIM default; SIMcheck order CZAPT", order="ZAP", pixel_um=0.064, na=1.4, index=1.518,
    ),
    Preset(
        "lls-janelia", "Lattice light-sheet SIM (Janelia design)", "lls", 1, 5,
        "cudasirecon issues 27 and 29", order="PZ", pixel_um=0.104, na=1.1, index=1.33,
        finest_period_um=0.53, directions_rad=((-1.57,),),
    ),
    Preset(
        "cryosim-b24", "CryoSIM (Diamond B24), 525 nm", "3d", 3, 5,
        "PySIMRecon configuration; cudasirecon issue 21", pixel_um=0.125, dz_um=0.125, na=0.9,
        index=1.0, finest_period_um=0.394, directions_rad=((0.264, -1.830, 2.353),),
    ),
)  # fmt: skip
"""Start values per instrument."""


@dataclass(frozen=True)
class PresetMatch:
    """A preset that fits, what agreed, and what differed.

    Attributes
    ----------
    preset : Preset
    agrees, differs : tuple of str
        Facts compared.
    """

    preset: Preset
    agrees: tuple[str, ...]
    differs: tuple[str, ...]


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises
    ------
    UsageError
        When there is none.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise UsageError(
        "Unknown preset.", expected=", ".join(p.name for p in PRESETS), got=name, where="--preset"
    )


def same_directions(found: Sequence[float], nominal: Sequence[float]) -> bool:
    """True when every found direction lies near its own nominal one, in any sequence."""
    left = list(nominal)
    for angle in found:
        near = [n for n in left if line_distance_rad(angle, n) < ANGLE_TOLERANCE_RAD]
        if not near:
            return False
        left.remove(min(near, key=lambda n: line_distance_rad(angle, n)))
    return bool(found)


def match_presets(
    *,
    angles: int | None = None,
    phases: int | None = None,
    pixel_um: float | None = None,
    na: float | None = None,
    excitation_nm: float | None = None,
    excitation_na: float | None = None,
    period_um: float | None = None,
    directions_rad: Sequence[float] = (),
) -> tuple[PresetMatch, ...]:
    """Presets that fit the known facts, best first.

    The numbers of directions and phases and the pixel size must fit where they are known, and at
    least one of pixel size, period and excitation NA must agree (60° steps from the vertical are
    too common to tell instruments apart). `period_um` is the finest period found in the data,
    `directions_rad` the directions of convincing peaks.
    """
    matches = []
    for preset in PRESETS:
        if any(
            given is not None and given != own
            for given, own in ((angles, preset.angles), (phases, preset.phases))
        ):
            continue
        agrees: list[str] = []
        differs: list[str] = []

        def compare(what: str, given: float | None, own: float | None, tolerance: float,
                    yes: list[str] = agrees, no: list[str] = differs) -> None:  # fmt: skip
            if given is not None and own is not None:
                close = abs(given / own - 1.0) <= tolerance
                (yes if close else no).append(f"{what} {given:.4g} (preset {own:.4g})")

        compare("pixel µm", pixel_um, preset.pixel_um, PIXEL_TOLERANCE)
        if differs:
            continue
        compare("NA", na, preset.na, NA_TOLERANCE)
        compare("excitation nm", excitation_nm, preset.excitation_nm, 0.02)
        compare("excitation NA", excitation_na, preset.excitation_na, NA_TOLERANCE)
        compare("period µm", period_um, preset.period_um, PERIOD_TOLERANCE)
        _compare_directions(directions_rad, preset, agrees, differs)
        telling = any(a.startswith(("pixel", "period", "excitation NA")) for a in agrees)
        if telling and len(agrees) > len(differs):
            matches.append(PresetMatch(preset, tuple(agrees), tuple(differs)))
    return tuple(sorted(matches, key=lambda m: len(m.differs) - len(m.agrees)))


def _compare_directions(
    found: Sequence[float], preset: Preset, agrees: list[str], differs: list[str]
) -> None:
    if not found or not preset.directions_rad:
        return
    text = ", ".join(f"{math.degrees(a):.1f}°" for a in found)
    mirrored = [-a for a in found]
    if any(same_directions(found, nominal) for nominal in preset.directions_rad):
        agrees.append(f"directions {text}")
    elif any(same_directions(mirrored, nominal) for nominal in preset.directions_rad):
        agrees.append(f"directions {text} mirrored (the file has its rows the other way round)")
    else:
        differs.append(f"directions {text}")
