"""Light of single-slice three-beam, nonlinear and hexagonal SIM: contrasts of every order.

``slice3``: a central beam of amplitude β and two of amplitude 1 at ±p interfere in one plane,
``|β + 2 cos(2π p·r + φ)|²`` over its mean ``β² + 2``: contrasts 4β/(β² + 2) and 2/(β² + 2)
(Gustafsson et al. 2008, Biophys. J. 94:4957). Out of focus by z the first gets ``cos(2π kz1 z)``.

``nonlinear``: the light I = 1 + m cos θ acts through an exponential, whose harmonics are modified
Bessel functions I_n (Jacobi–Anger expansion). *Switching*: molecules switched off with the dose s
emit what is left, ``exp(−s I)`` (Rego et al. 2012, PNAS 109:E135): m_n = 2 I_n(sm)/I_0(sm), counted
from the dark lines. *Saturation*: ``1 − exp(−s I)`` (Heintzmann et al. 2002, JOSA A 19:1599): the
same harmonics with changing signs over a brighter mean.

``hex``: three carriers in one exposure. *Coherent*: three beams at 120°, ``|Σ exp(i k_n·r)|²``,
q_1 + q_2 + q_3 = 0 with |q| = √3 NA/λ, contrast 2/3 each, phases that sum to the same in every
frame. *Incoherent*: three two-beam patterns whose intensities add, |q| = 2 NA/λ, contrast 1/3 each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import ive

from simrecon.errors import UsageError
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern

SimulatedMode = Literal["2d", "tirf", "slice3", "nonlinear", "hex"]
Response = Literal["switching", "saturation"]
HexLight = Literal["coherent", "incoherent"]
LEAST_CONTRAST = 1e-3
"""Harmonics of a nonlinear response below this are left out."""
MOST_HARMONICS = 12
HEX_STEPS = (1, 2, -3)
"""Phase steps of the three carriers in units of 2π/7: they sum to zero, as a translation of the
pattern has it, and all bands of seven frames separate with condition number 1."""


def finest_over_fundamental(mode: SimulatedMode, light: HexLight = "coherent") -> float:
    """Highest frequency that the objective lights, 2 NA/λ, over the pattern's fundamental."""
    if mode == "slice3":
        return 2.0
    return 2.0 / np.sqrt(3.0) if mode == "hex" and light == "coherent" else 1.0


def three_beam_orders(
    contrast: float, central_amplitude: float, axial_factor: float = 1.0
) -> tuple[float, float]:
    """Contrasts of orders 1 and 2 in the plane of a thin sample.

    Parameters
    ----------
    contrast
        Mutual coherence of the beams, 0…1; multiplies both.
    central_amplitude
        β: amplitude of the central beam over that of the others.
    axial_factor
        ``cos(2π kz1 z)`` of the sample's distance z from the pattern's focus.
    """
    mean = central_amplitude**2 + 2.0
    first = contrast * 4.0 * central_amplitude * axial_factor / mean
    return first, contrast * 2.0 / mean


def axial_factor(optics: Optics, period_um: float, defocus_um: float) -> float:
    """``cos(2π kz1 z)`` with ``kz1 = n/λ − sqrt((n/λ)² − p²)``, p the fundamental (physics.md §2).

    Raises
    ------
    UsageError
        Without an excitation wavelength, or when no beam of this period passes the objective.
    """
    if defocus_um == 0:
        return 1.0
    if optics.excitation_nm is None:
        raise UsageError("defocus_um needs the excitation wavelength.", expected="excitation_nm")
    wave = optics.immersion_index / (1e-3 * optics.excitation_nm)
    if period_um * wave <= 1:
        raise UsageError(
            "No beam has this period.", expected=f"more than {1 / wave:.3f} µm", got=str(period_um)
        )
    kz = wave - np.sqrt(wave**2 - period_um**-2)
    return float(np.cos(2 * np.pi * kz * defocus_um))


def nonlinear_orders(contrast: float, dose: float, response: Response) -> tuple[float, ...]:
    """Contrasts m_1, m_2, … of all harmonics of at least `LEAST_CONTRAST`.

    Parameters
    ----------
    contrast
        Contrast m of the light, 0…1.
    dose
        s: mean light over the saturation intensity (times the exposure, for switching).
    response
        ``switching`` counts θ from the dark lines: all m_n > 0. ``saturation``: m_2, m_4, … < 0.

    Raises
    ------
    UsageError
        For a dose that is not a positive number.
    """
    if not 0 < dose < np.inf:
        raise UsageError(
            "The dose must be positive.",
            expected="mean light over the saturation intensity, above 0",
            got=f"{dose:g}",
            where="dose (--dose)",
        )
    n = np.arange(MOST_HARMONICS + 1)
    scaled = ive(n, dose * contrast)  # exp(−sm) I_n(sm)
    if response == "switching":
        orders = 2.0 * scaled[1:] / scaled[0]
    else:
        raised = np.exp(dose * (contrast - 1.0))
        orders = -2.0 * (-1.0) ** n[1:] * scaled[1:] * raised / (1.0 - scaled[0] * raised)
    return tuple(float(m) for m in orders[np.abs(orders) >= LEAST_CONTRAST])


def hexagonal_directions(
    rng: np.random.Generator,
    *,
    phases: int,
    period_um: float,
    modulation: Sequence[float],
    light: HexLight = "coherent",
    first_angle_rad: float = 0.0,
    phase_jitter_rad: float = 0.0,
    intensity_jitter: float = 0.0,
    bleaching: float = 0.0,
) -> tuple[DirectionPattern, ...]:
    """Three carriers, 120° apart, that share their frames; parameters as `regular_directions`.

    Frequency vectors sum to zero; so do the phases of coherent light in every frame, whose errors
    are those of the pattern's place.
    """
    start = rng.uniform(-np.pi, np.pi, 3)
    error = phase_jitter_rad * rng.normal(size=(3, phases))
    if light == "coherent":
        start[2] = -start[0] - start[1]
        error[2] = -error[0] - error[1]
    step = np.array(HEX_STEPS)[:, None] * 2.0 * np.pi * np.arange(phases) / phases
    phase = np.angle(np.exp(1j * (start[:, None] + step + error)))
    fade = (1.0 - bleaching) ** (np.arange(phases) / max(1, phases - 1))
    intensity = fade * np.maximum(1.0 + intensity_jitter * rng.normal(size=phases), 0.05)
    intensity /= intensity.mean()
    share = 2.0 / 3.0 if light == "coherent" else 1.0 / 3.0
    out = []
    for d in range(3):
        angle = first_angle_rad + 2.0 * np.pi * d / 3.0
        out.append(
            DirectionPattern(
                frequency_per_um=(np.sin(angle) / period_um, np.cos(angle) / period_um),
                phase_rad=tuple(float(v) for v in phase[d]),
                modulation=(share * float(modulation[d % len(modulation)]),),
                intensity=tuple(float(v) for v in intensity),
            )
        )
    return tuple(out)
