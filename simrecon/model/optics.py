"""What the microscope is: numerical apertures, wavelengths, refractive indices."""

from __future__ import annotations

from dataclasses import dataclass

from simrecon.errors import InputError, UsageError


@dataclass(frozen=True)
class Optics:
    """Optical constants of one channel.

    Attributes
    ----------
    na : float
        Detection numerical aperture.
    emission_nm : float
        Emission wavelength in vacuum, nm.
    immersion_index : float
        Refractive index of the immersion medium for which the objective is designed.
    sample_index : float or None
        Refractive index of the sample; None: equal to the immersion.
    depth_um : float
        Depth of focus below the coverslip, µm (matters only when the indices differ).
    excitation_nm : float or None
        Excitation wavelength in vacuum, nm.
    excitation_na : float or None
        Numerical aperture of the interfering beams; the finest pattern frequency is
        2·NA_ex/λ_ex.
    pixel_integration : bool
        True when the camera integrates over square pixels, so that the OTF carries the pixel's
        sinc; False for point-sampled (simulated) data.
    """

    na: float
    emission_nm: float
    immersion_index: float = 1.515
    sample_index: float | None = None
    depth_um: float = 0.0
    excitation_nm: float | None = None
    excitation_na: float | None = None
    pixel_integration: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.na < self.immersion_index:
            raise UsageError(
                "The detection NA must lie between 0 and the immersion index.",
                expected=f"0 < NA < {self.immersion_index}",
                got=str(self.na),
                hint="check --na and --index",
            )
        for name in ("emission_nm", "excitation_nm"):
            value = getattr(self, name)
            if value is not None and not 200 <= value <= 2000:
                raise UsageError(
                    f"{name} is not a wavelength in nm.", expected="200…2000 nm", got=str(value)
                )
        if self.excitation_nm is not None and self.emission_nm <= self.excitation_nm:
            raise InputError(
                "The emission must have a longer wavelength than the excitation.",
                expected=f"emission above {self.excitation_nm:g} nm (the excitation)",
                got=f"{self.emission_nm:g} nm",
                hint="check --emission-nm and --excitation-nm; are they exchanged?",
            )
        if self.excitation_na is not None and not 0 < self.excitation_na < 2:
            raise UsageError("excitation_na must lie in (0, 2).", got=str(self.excitation_na))

    @property
    def cutoff_per_um(self) -> float:
        """Detection cut-off 2·NA/λ_em in cycles/µm."""
        return 2.0 * self.na / (self.emission_nm * 1e-3)

    @property
    def pattern_frequency_per_um(self) -> float | None:
        """Finest pattern frequency 2·NA_ex/λ_ex in cycles/µm, or None when not known."""
        if self.excitation_na is None or self.excitation_nm is None:
            return None
        return 2.0 * self.excitation_na / (self.excitation_nm * 1e-3)
