"""A pupil with any aberration, sampled on a square grid, and the PSF that it makes.

`pupil.py` integrates rotationally symmetric pupils exactly; here the pupil may have a Zernike
phase and an apodised amplitude, and the emitter may lie between the pixels. The field of an
emitter at (z, y0, x0) is

    E(r) = Σ_k P(k) · exp(2πi [k·(r − r0) + z·kz(k) + W(k)/λ])

(Hanser et al., J. Microsc. 216, 32 (2004), eq. 2, with the polarisations of `pupil.py`), W being
the wavefront in nm. Sums over a Cartesian pupil are two small matrix products per plane, so no
FFT grid ties pupil sampling to pixel size. Pupil cells that the edge cuts carry the part of their
area that lies inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.model.optics import Optics
from simrecon.physics.pupil import PupilModel, _axial_frequency, _rays, resolve_model
from simrecon.physics.zernike import zernike

_EDGE_PARTS = 9


@dataclass(frozen=True)
class SampledPupil:
    """Pupil amplitudes on a square grid over the NA.

    Attributes
    ----------
    k_per_um : ndarray, shape (n,)
        Lateral frequencies of rows and columns, cycles/µm.
    rho, azimuth_rad : ndarray, shape (n, n)
        Polar pupil coordinates; ρ = 1 at the NA (cut cells just outside are drawn in to 1).
    kz_per_um : ndarray, shape (n, n)
        Axial frequency in the immersion medium, cycles/µm.
    fields : ndarray, shape (F, n, n), complex128
        Amplitudes, weighted by cell area inside the NA: F = 1 scalar; F = 5 vectorial, the
        independent pairs of dipole axis and camera polarisation.
    energy : float
        ∫ ΣF |P|² over the pupil: the flux that the PSF's sum over all pixels is divided by.
    mean_rho2 : float
        Mean of ρ² over the pupil, weighted by energy.
    """

    k_per_um: np.ndarray
    rho: np.ndarray
    azimuth_rad: np.ndarray
    kz_per_um: np.ndarray
    fields: np.ndarray
    energy: float
    mean_rho2: float

    def image_fields(
        self,
        y_um: np.ndarray,
        x_um: np.ndarray,
        z_um: float,
        factors: np.ndarray | None = None,
    ) -> np.ndarray:
        """Fields in the image plane for an emitter on the axis, z_um beyond focus.

        Parameters
        ----------
        y_um : ndarray, shape (Y,)
        x_um : ndarray, shape (X,)
            Positions relative to the emitter.
        z_um
            Distance beyond focus, µm.
        factors : ndarray, shape (J, n, n), optional
            Multipliers of the pupil (derivatives of its exponent): one set of fields for each.

        Returns
        -------
        ndarray, shape (F, Y, X), or (J, F, Y, X) with `factors`, complex128
        """
        cell = (self.k_per_um[1] - self.k_per_um[0]) ** 2
        pupil = self.fields * (cell * np.exp(2j * np.pi * z_um * self.kz_per_um))
        if factors is not None:
            pupil = factors[:, None] * pupil
        rows = np.exp(2j * np.pi * y_um[:, None] * self.k_per_um[None, :])
        columns = np.exp(2j * np.pi * self.k_per_um[:, None] * x_um[None, :])
        return np.asarray(rows @ pupil @ columns)


def sample_pupil(
    optics: Optics,
    *,
    reach_um: float,
    model: PupilModel = "auto",
    aberrations_nm: Mapping[int, float] | None = None,
    apodisation: float = 0.0,
) -> SampledPupil:
    """Sample the pupil finely enough for positions up to `reach_um` from the axis.

    Parameters
    ----------
    optics
        NA, wavelength, indices, depth.
    reach_um
        Largest distance that the caller looks at plus the radius of the defocused cone, µm; the
        sampled pupil repeats its image with a period of at least 2.5 times that.
    model
        As in :func:`simrecon.physics.pupil.pupil_otf`.
    aberrations_nm
        Noll index → rms wavefront, nm.
    apodisation
        a of the extra amplitude exp(−a·ρ²).
    """
    wavelength_um = optics.emission_nm * 1e-3
    radius = optics.na / wavelength_um
    n = max(36, int(np.ceil(2.0 * radius * 2.5 * reach_um)))
    step = 2.0 * radius / n
    k = (np.arange(n) - 0.5 * (n - 1)) * step
    ky, kx = k[:, None], k[None, :]
    rho = np.minimum(np.hypot(ky, kx) / radius, 1.0)
    azimuth = np.arctan2(ky, kx) + np.zeros_like(rho)
    scalar = resolve_model(optics, model) == "scalar"
    exponent = -apodisation * rho**2 + 0j
    for j, rms_nm in (aberrations_nm or {}).items():
        exponent += 2j * np.pi * rms_nm / optics.emission_nm * zernike(j, rho, azimuth)
    bare = _polarised(optics, rho * radius, azimuth, scalar) * np.exp(exponent)
    inside = _area_inside(k, step, radius)
    kz = np.real(_axial_frequency(rho * radius, optics.immersion_index, wavelength_um))
    density = np.sum(np.abs(bare) ** 2, axis=0) * inside
    energy = float(density.sum() * step**2)
    mean_rho2 = float(np.sum(density * rho**2) / density.sum())
    return SampledPupil(k, rho, azimuth, kz, bare * inside, energy, mean_rho2)


def _polarised(
    optics: Optics, k_per_um: np.ndarray, azimuth: np.ndarray, scalar: bool
) -> np.ndarray:
    """Amplitudes (F, n, n) of `pupil._rays`, turned into camera polarisations per dipole axis."""
    rays = _rays(optics, k_per_um, scalar)
    turn = np.exp(2j * np.pi * rays.phase_cycles)
    if scalar:
        return np.asarray(rays.s * turn)[None]
    c, s = np.cos(azimuth), np.sin(azimuth)
    p_cos = rays.p * rays.cos
    crossed = np.sqrt(2.0) * (p_cos - rays.s) * s * c  # x dipole seen in y, and the reverse
    straight = (p_cos * c**2 + rays.s * s**2, p_cos * s**2 + rays.s * c**2)
    axial = (-rays.p * rays.sin * c, -rays.p * rays.sin * s)
    return np.stack([*straight, crossed, *axial]) * turn


def _area_inside(k: np.ndarray, step: float, radius: float) -> np.ndarray:
    """Part of each pupil cell that lies inside the NA, (n, n)."""
    parts = (np.arange(_EDGE_PARTS) - 0.5 * (_EDGE_PARTS - 1)) * step / _EDGE_PARTS
    fine = (k[:, None] + parts[None, :]).ravel()
    inside = fine[:, None] ** 2 + fine[None, :] ** 2 < radius**2
    n = k.size
    return np.asarray(inside.reshape(n, _EDGE_PARTS, n, _EDGE_PARTS).mean(axis=(1, 3)))


def cone_radius_um(optics: Optics, z_um: Sequence[float]) -> float:
    """Largest radius of the defocused light cone plus four Airy radii, µm."""
    sine = min(optics.na / optics.immersion_index, 0.95)
    spread = float(np.max(np.abs(np.asarray(z_um)), initial=0.0)) * sine / np.sqrt(1 - sine**2)
    return float(spread + 4.0 * 0.61e-3 * optics.emission_nm / optics.na)
