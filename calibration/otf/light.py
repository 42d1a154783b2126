"""Light of the orders along z, from the orders' pictures of a bead.

The pattern stays with the focal plane, so that the picture of order m is that of order 0 under even
light, h, plane by plane times one complex number: ``h_m(r) = h(r) g_m(−z)`` (physics of 3D-SIM and
of lattice sheets alike). That number is a projection on h, and has next to no noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from simrecon.model.psf import AxialProfiles
from simrecon.physics.theory_volume import EXTENT_UM

NEAR_FOCUS = 0.3
"""Planes with this share of the brightest one's power count as near the focus."""
_SHIFTS_PER_UM = np.linspace(0.1, 3.0, 233)
_AROUND = 0.15
_STEP_UM = 0.01
_FADE_PLANES = 2


@dataclass(frozen=True)
class Light:
    """Axial profiles and what they say.

    Attributes
    ----------
    profiles : AxialProfiles
        Mean over the directions, order 0 first; contrast of the beads included.
    each : ndarray, shape (A, orders, Z), complex
        Measured, per direction and plane of the window.
    distance_um : ndarray, shape (Z,)
        Distance of the bead from the focal plane in each of these planes, positive deeper.
    contrast : ndarray, shape (A, orders − 1)
        Largest size near the focus relative to order 0, the size of the bead not taken out.
    shift_per_um : float or None
        Three beams: axial frequency of order 1.
    axial_phase_rad : float or None
        Three beams: phase of order 1's axial wave in the focal plane.
    explained : float
        Share of the profiles that the model along z explains, 1 where there is none.
    at_ends : float
        Light sheets: order 0 at the ends of the window relative to its top.
    """

    profiles: AxialProfiles
    each: np.ndarray
    distance_um: np.ndarray
    contrast: np.ndarray
    shift_per_um: float | None
    axial_phase_rad: float | None
    explained: float
    at_ends: float


def plane_factors(orders: np.ndarray, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors (orders, Z) of `picture` (Z, Y, X) in the orders (…, Z, Y, X), and its power (Z,)."""
    power = np.sum(picture**2, axis=(1, 2))
    return np.sum(orders * picture, axis=(2, 3)) / power, power


def common_phase(factors: np.ndarray, power: np.ndarray) -> float:
    """Phase of the fundamental with which order 1 is real, and positive near the focus."""
    first = factors[1]
    angle = 0.5 * float(np.angle(np.sum(power * first**2)))
    near = power > NEAR_FOCUS * power.max()
    if np.real(np.sum((power * first)[near]) * np.exp(-1j * angle)) < 0:
        angle += np.pi
    return angle


def light_along_z(
    factors: Sequence[np.ndarray],
    power: np.ndarray,
    distance_um: np.ndarray,
    *,
    sheet: bool,
    expected_shift_per_um: float | None,
) -> Light:
    """Profiles of the orders from their factors per direction.

    Parameters
    ----------
    factors
        (orders, Z) complex, one per direction, on a common phase (:func:`common_phase`).
    power : ndarray, shape (Z,)
        Weight of the planes.
    distance_um
        Of the bead from the focal plane, per plane.
    sheet
        The light ends along z: profiles are those measured, spline between planes. Else it is that
        of three beams: order 0 and 2 even, order 1 two waves exp(±2πi κ z).
    expected_shift_per_um
        κ where it is known, to look near it.
    """
    each = np.stack(factors)
    near = power > NEAR_FOCUS * power.max()
    zero = np.real(each[:, 0])
    flux = np.average(zero, axis=1, weights=power * near)
    if sheet:
        flux = zero[:, near].max(axis=1)
    each = each / flux[:, None, None]
    contrast = np.abs(each[:, 1:, near]).max(axis=2)
    mean = each.mean(axis=0)
    if sheet:
        profiles = _spline(mean, distance_um)
        # below 0 is background that was taken off too much where the bead fills the window
        ends = max(float(mean[0, [0, -1]].real.max() / np.abs(mean[0]).max()), 0.0)
        return Light(profiles, each, distance_um, contrast, None, None, 1.0, ends)
    half = round(0.5 * EXTENT_UM / _STEP_UM)
    z = _STEP_UM * np.arange(-half, half + 1)
    shift, waves, explained = _two_waves(mean[1], power, distance_um, expected_shift_per_um)
    values = [np.ones(z.size, complex), _basis(z, shift) @ waves]
    for order in mean[2:]:
        even = np.sum(power * order) / np.sum(power)
        left = np.sum(power * np.abs(order - even) ** 2) / np.sum(power * np.abs(order) ** 2)
        explained = min(explained, float(1.0 - left))
        values.append(np.full(z.size, even))
    phase = 0.5 * float(np.angle(waves[0] * np.conj(waves[1])))
    contrast[:, 0] = contrast[:, 0].clip(0.0)
    profiles = AxialProfiles(z, np.stack(values), f"three beams, measured: {shift:.3f} per µm")
    return Light(profiles, each, distance_um, contrast, shift, phase, explained, 0.0)


def _basis(z: np.ndarray, shift: float) -> np.ndarray:
    turn = np.exp(2j * np.pi * shift * z)
    return np.stack([turn, turn.conj()], axis=1)


def _two_waves(
    order: np.ndarray, power: np.ndarray, z: np.ndarray, expected: float | None
) -> tuple[float, np.ndarray, float]:
    """κ, the two amplitudes and the explained share of a profile."""
    weight = np.sqrt(power / power.sum())
    total = float(np.sum(np.abs(weight * order) ** 2))

    def solve(shift: float) -> tuple[np.ndarray, float]:
        design = _basis(z, shift) * weight[:, None]
        found, *_ = np.linalg.lstsq(design, weight * order, rcond=None)
        return found, float(np.sum(np.abs(design @ found - weight * order) ** 2))

    grid = _SHIFTS_PER_UM
    if expected is not None:
        grid = expected * np.linspace(0.6, 1.4, 65)
    start = float(grid[np.argmin([solve(s)[1] for s in grid])])
    best = minimize_scalar(lambda s: solve(float(s))[1], method="bounded",
                           bounds=(start * (1 - _AROUND), start * (1 + _AROUND)))  # fmt: skip
    waves, left = solve(float(best.x))
    return float(best.x), waves, 1.0 - left / total


def _spline(mean: np.ndarray, distance_um: np.ndarray) -> AxialProfiles:
    """Profiles between the planes, fading over one plane beyond the window."""
    order = np.argsort(distance_um)
    z, values = distance_um[order], mean[:, order]
    step = float(z[1] - z[0])
    beyond = np.arange(1, _FADE_PLANES + 1)
    fade = np.cos(0.5 * np.pi * beyond / _FADE_PLANES) ** 2
    z = np.concatenate([z[0] - step * beyond[::-1], z, z[-1] + step * beyond])
    values = np.concatenate([values[:, :1] * fade[::-1], values, values[:, -1:] * fade], axis=1)
    fine = np.arange(np.ceil(z[0] / _STEP_UM), np.floor(z[-1] / _STEP_UM) + 1) * _STEP_UM
    found = CubicSpline(z, values.real, axis=1)(fine) + 1j * CubicSpline(z, values.imag, axis=1)(
        fine
    )
    return AxialProfiles(fine, found, "light sheet, measured")
