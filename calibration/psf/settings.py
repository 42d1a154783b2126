"""What a bead measurement needs to know and may choose."""

from __future__ import annotations

from dataclasses import dataclass, field

from simrecon.errors import UsageError
from simrecon.model.optics import Optics
from simrecon.physics.pupil import PupilModel

TERMS = (5, 6, 7, 8, 9, 10, 11)
"""Fitted by default: astigmatism, coma, trefoil, primary spherical (Noll). Defocus is the z of
the beads; tip and tilt their y and x."""


@dataclass(frozen=True)
class BeadSetup:
    """The instrument and the sample.

    Attributes
    ----------
    pixel_um : float
        Camera pixel in the sample.
    dz_um : float or None
        Plane spacing; None for single planes.
    optics : Optics
    bead_um : float
        Diameter of the beads; 0: taken as points.
    reverse_z : bool
        True when plane numbers grow as the emitter comes nearer to the objective. It decides the
        sign of even aberrations and of the depth.
    """

    pixel_um: float
    dz_um: float | None
    optics: Optics
    bead_um: float = 0.1
    reverse_z: bool = False

    def __post_init__(self) -> None:
        if not 0.005 <= self.pixel_um <= 2.0:
            raise UsageError("No microscope camera has this pixel size in the sample.",
                             expected="0.005 to 2 µm", got=f"{self.pixel_um:g} µm",
                             where="--pixel-um")  # fmt: skip
        if self.dz_um is not None and not 0.01 <= self.dz_um <= 5.0:
            raise UsageError("This is no plane spacing of a bead stack.",
                             expected="0.01 to 5 µm", got=f"{self.dz_um:g} µm",
                             where="--dz-um")  # fmt: skip
        if not 0.0 <= self.bead_um <= 10.0:
            raise UsageError("This is no bead diameter.", expected="0 to 10000 nm",
                             got=f"{1e3 * self.bead_um:g} nm", where="--bead-nm")  # fmt: skip


@dataclass(frozen=True)
class PsfSettings:
    """Choices with their defaults.

    Attributes
    ----------
    window_um : float or None
        Side of the square cut out around each bead; None: from the optics.
    depth_um : float or None
        Depth cut out around each bead; None: from the optics.
    min_snr : float
        Beads whose matched-filter response is below this many noise sd are too dim.
    terms : tuple of int
        Noll indices of the fitted aberrations; empty: no pupil fit.
    fit_na, fit_depth : bool
        Fit the NA; fit the depth below the coverslip (needs `sample_index`).
    model : PupilModel
        Pupil model of the fit.
    saturation : float or None
        Counts from which pixels are saturated; None: found in the data.
    """

    window_um: float | None = None
    min_snr: float = 15.0
    terms: tuple[int, ...] = field(default=TERMS)
    fit_na: bool = False
    fit_depth: bool = False
    model: PupilModel = "auto"
    saturation: float | None = None
    depth_um: float | None = None
