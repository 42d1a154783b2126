"""What an OTF measurement needs to know and may choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.errors import InputError, UsageError

BeadMode = Literal["2d", "3d", "lls"]
OtfModel = Literal["auto", "pupil", "measured"]
ORDERS: dict[str, int] = {"2d": 2, "3d": 3, "lls": 3}
"""Orders of the pattern, 0 included."""


@dataclass(frozen=True)
class OtfSettings:
    """Choices.

    Attributes
    ----------
    mode : {"2d", "3d", "lls"}
        Kind of light.
    model : {"auto", "pupil", "measured"}
        ``pupil``: a pupil fitted to the beads, times the light of the orders along z: no noise, and
        no end at the window's. ``measured``: the mean beads themselves. ``auto``: pupil where beads
        have planes and the fit holds.
    full : bool
        Three-dimensional arrays (of a plane: a PSF picture) instead of radial averages.
    psf : PsfSettings
        Detection, screening, pupil fit.
    """

    mode: BeadMode
    model: OtfModel = "auto"
    full: bool = False
    psf: PsfSettings = field(default_factory=PsfSettings)


def check_frames(mode: BeadMode, shape: tuple[int, ...], setup: BeadSetup) -> None:
    """Refuse frames (A, P, Z, Y, X) that the mode cannot be.

    Raises
    ------
    InputError, UsageError
        Naming what does not fit.
    """
    if mode not in ORDERS:
        raise UsageError("Unknown mode of SIM beads.", expected=", ".join(ORDERS), got=mode,
                         where="--mode")  # fmt: skip
    _, phases, planes = shape[:3]
    least = 2 * ORDERS[mode] - 1
    if phases < least:
        raise InputError(
            f"{ORDERS[mode]} orders cannot be told apart with these phases.",
            expected=f"{least} phases or more for --mode {mode}", got=f"{phases} phases",
            where="--phases", hint="is the frame order right? 'simrecon inspect' shows it",
        )  # fmt: skip
    if mode != "2d" and planes < 9:
        raise InputError(
            "The OTF of a volume needs a z-stack of beads.", got=f"{planes} planes",
            expected="9 planes or more, some micrometres of them", where="--mode",
            hint="give --mode 2d for single planes, or --planes and --order where the file "
            "does not state them",
        )  # fmt: skip
    if planes > 1 and setup.dz_um is None:
        raise InputError("The distance between planes is not known.", expected="--dz-um",
                         got=f"{planes} planes")  # fmt: skip
