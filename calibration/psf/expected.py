"""How wide a bead's picture must be, from the optics alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.psf.settings import BeadSetup
from calibration.psf.width import half_maximum_width
from simrecon.errors import UsageError
from simrecon.physics.bead_image import Camera3D


@dataclass(frozen=True)
class Expected:
    """FWHM of an unaberrated objective, µm.

    Attributes
    ----------
    limit_um : float
        Lateral FWHM of the PSF alone: the diffraction limit.
    lateral_um : float
        Lateral FWHM of a bead as the camera sees it.
    axial_um : float
        Axial FWHM of the bead's picture.
    """

    limit_um: float
    lateral_um: float
    axial_um: float


def expected_widths(setup: BeadSetup) -> Expected:
    """Widths through the middle of the theoretical bead picture."""
    optics = setup.optics
    airy = 0.51e-3 * optics.emission_nm / optics.na
    fine = airy / 12.0
    point = Camera3D((1, 49), fine, (0.0,), pixel_integration=False).image(optics)
    ball = Camera3D((1, 49), fine, (0.0,), pixel_integration=False, bead_um=setup.bead_um)
    limit = half_maximum_width(point[0, 0], fine)
    blurred = half_maximum_width(ball.image(optics)[0, 0], fine)
    if not np.isfinite(blurred):  # wider than the window: a ball, not a point
        raise UsageError(
            "Beads of this size do not tell the PSF.",
            expected=f"at most about {24e3 * fine:.0f} nm, half of it or less is better",
            got=f"{1e3 * setup.bead_um:g} nm",
            where="--bead-nm",
            hint="give the diameter of the beads in nm, as their supplier states it",
        )
    pixel = setup.pixel_um if optics.pixel_integration else 0.0
    index = optics.immersion_index
    long = 0.88e-3 * optics.emission_nm / (index - np.sqrt(index**2 - optics.na**2))
    z = np.linspace(-1.5, 1.5, 61) * long
    column = Camera3D((1, 1), airy, tuple(z), pixel_integration=False).image(optics)[:, 0, 0]
    axial = half_maximum_width(column, z[1] - z[0])
    if not np.isfinite(axial):
        axial = long
    # variances add: 1/12 per pixel side, 1/20 of a sphere's squared diameter
    per_variance = 8.0 * np.log(2.0)
    return Expected(
        limit,
        float(np.sqrt(blurred**2 + per_variance * pixel**2 / 12.0)),
        float(np.sqrt(axial**2 + per_variance * setup.bead_um**2 / 20.0)),
    )
