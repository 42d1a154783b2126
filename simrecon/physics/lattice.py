"""Light of a coherent lattice sheet: its lateral orders and their axial profiles.

The pupil of the excitation objective holds stripes parallel to the detection axis z, at a few
equally spaced lateral frequencies, cut out of the annulus between two NAs (Chen et al., Science
346, 1257998 (2014): the wave vectors of a two-dimensional optical lattice, bound to a sheet).
Column c, at lateral frequency c·p, makes the field

    F_c(z) = f_c ∫ exp(2πi kz z) dkz / ∫ dkz      over NA_min ≤ λ·sqrt((c p)² + kz²) ≤ NA_max

and the intensity, the squared size of ``Σ_c F_c exp(2πi c p x)``, has the orders
``I_m(z) = Σ_c F_c F*_(c−m)``. Three columns give orders 0, 1, 2 and need five phases. Fields are
scalar, and the sheet does not change along the direction in which it propagates. Nothing is
dithered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.psf import AxialProfiles

LatticeKind = Literal["square", "hexagonal", "harmonic-balanced"]

_COLUMNS: dict[LatticeKind, tuple[float, float, float]] = {
    # place of the side column over the mean NA, field of the side and of the central column
    "square": (1.0, 1.0, 2.0),
    "hexagonal": (np.sqrt(0.75), 2.0, 2.0),
    "harmonic-balanced": (np.sqrt(0.75), 2.0, 1.0),
}


_SLACK = 1.02
"""Of the period that belongs to an annulus: of pixel sizes and of NAs as they are written."""


@dataclass(frozen=True)
class Lattice:
    """A lattice sheet.

    Attributes
    ----------
    kind : {"square", "hexagonal", "harmonic-balanced"}
        ``square``: four equal beams, at kx = ±NA and at kz = ±NA. ``hexagonal``: six equal beams
        60° apart, two of them at kx = 0. ``harmonic-balanced``: the same places, the two
        central beams at half the amplitude, which gives orders 1 and 2 the same contrast.
    na_max, na_min : float
        Annulus of the excitation objective.
    excitation_nm : float
        Wavelength in vacuum, nm.
    index : float
        Refractive index of the sample's medium.
    """

    kind: LatticeKind
    na_max: float
    na_min: float
    excitation_nm: float
    index: float = 1.33

    def __post_init__(self) -> None:
        if self.kind not in get_args(LatticeKind):
            raise UsageError(
                "Unknown lattice.", expected=", ".join(get_args(LatticeKind)), got=str(self.kind)
            )
        if not 0 <= self.na_min < self.na_max < self.index:
            raise UsageError(
                "The NAs of a lattice's annulus do not fit.",
                expected=f"0 <= NA_min < NA_max < {self.index:g} (the index)",
                got=f"NA_min {self.na_min:g}, NA_max {self.na_max:g}",
            )
        if not 200 <= self.excitation_nm <= 2000:
            raise UsageError(
                "excitation_nm is not a wavelength in nm.", got=f"{self.excitation_nm:g}"
            )

    @property
    def fundamental_per_um(self) -> float:
        """Lateral frequency of order 1, cycles/µm."""
        place = _COLUMNS[self.kind][0]
        return float(place * 0.5 * (self.na_max + self.na_min) / (self.excitation_nm * 1e-3))

    def doubt(self, fundamental_per_um: float) -> str | None:
        """A sentence when beams in this annulus cannot make the fundamental that was found."""
        place = _COLUMNS[self.kind][0] / (self.excitation_nm * 1e-3)
        if place * self.na_min / _SLACK <= fundamental_per_um <= place * self.na_max * _SLACK:
            return None
        return (
            f"the annulus contradicts the pattern: a {self.kind} lattice of NA {self.na_min:g} to "
            f"{self.na_max:g} has a period of {1e3 / (place * self.na_max):.0f} to "
            f"{1e3 / (place * max(self.na_min, 1e-3)):.0f} nm, found are "
            f"{1e3 / fundamental_per_um:.0f} nm: its OTF and the place of its sheet are wrong; "
            "check --lattice, --lattice-na-max, --lattice-na-min and --excitation-nm, or give "
            "--otf"
        )

    @property
    def axial_reach_per_um(self) -> float:
        """Axial frequency beyond which the light has no structure, cycles/µm."""
        return 2.0 * self.na_max / (self.excitation_nm * 1e-3)

    def fields(self, z_um: np.ndarray) -> np.ndarray:
        """Field of columns −1, 0, 1 at distances from the sheet's centre, (3, Z), real."""
        _, side, centre = _COLUMNS[self.kind]
        outer = side * self._stripe(self.fundamental_per_um, z_um)
        return np.stack([outer, centre * self._stripe(0.0, z_um), outer])

    def _stripe(self, kx: float, z_um: np.ndarray) -> np.ndarray:
        """∫ cos(2π kz z) dkz over the annulus at one kx, 1 at z = 0."""
        inner, outer = (na / (self.excitation_nm * 1e-3) for na in (self.na_min, self.na_max))
        low = np.sqrt(max(inner**2 - kx**2, 0.0))
        high = np.sqrt(outer**2 - kx**2)
        wave = high * np.sinc(2.0 * high * z_um) - low * np.sinc(2.0 * low * z_um)
        return np.asarray(wave / (high - low))

    def orders(self, z_um: np.ndarray) -> np.ndarray:
        """I_m(z) for m = 0, 1, 2: shape (3, Z), relative to I_0(0)."""
        left, middle, right = self.fields(np.asarray(z_um, dtype=np.float64))
        found = np.stack([left**2 + middle**2 + right**2, middle * (left + right), left * right])
        _, side, centre = _COLUMNS[self.kind]
        return np.asarray(found / (centre**2 + 2.0 * side**2))

    @property
    def contrast(self) -> tuple[float, float]:
        """Modulation of orders 1 and 2 in the sheet's central plane, 2·I_m(0)/I_0(0)."""
        first, second = 2.0 * self.orders(np.zeros(1))[1:, 0]
        return float(first), float(second)

    def profiles(
        self, *, offset_um: float = 0.0, reach_um: float = 10.0, step_um: float = 0.02
    ) -> AxialProfiles:
        """Axial profiles g_m(z) = I_m(z − offset) / I_m(0) of orders 0, 1, 2.

        Parameters
        ----------
        offset_um
            Distance of the sheet from the detection's focal plane, µm; positive where the sheet
            lies deeper in the sample.
        reach_um
            Profiles are given this far on both sides.
        step_um
            Their spacing, µm.
        """
        z = step_um * np.arange(-round(reach_um / step_um), round(reach_um / step_um) + 1)
        values = self.orders(z - offset_um)
        source = f"{self.kind} lattice, NA {self.na_min:g} to {self.na_max:g}, "
        source += f"{self.excitation_nm:g} nm"
        if offset_um:
            source += f", sheet at {offset_um:g} µm"
        return AxialProfiles(z, values / self.orders(np.zeros(1)), source)
