"""Options of ``simrecon simulate`` on the light of single-slice, nonlinear and hexagonal SIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True)
class LightOptions:
    """Options of --mode slice3, nonlinear and hex.

    Parameters
    ----------
    central_amplitude
        Of slice3: amplitude of the central beam over that of the others.
    defocus_um
        Of slice3: distance of the sample from the focus of the pattern, µm.
    dose
        Of nonlinear: mean light over the saturation intensity.
    response
        Of nonlinear: what the molecules do with the light.
    hex_light
        Of hex: three interfering beams, or three two-beam patterns that add.
    """

    central_amplitude: float = 0.35
    defocus_um: float = 0.0
    dose: float = 1.5
    response: Literal["switching", "saturation"] = "switching"
    hex_light: Literal["coherent", "incoherent"] = "coherent"
