"""What the camera records of a fluorescent bead: PSF, sphere and pixel together.

The sphere is split into three slices by Gauss-Legendre quadrature of its thickness, exact to the
fifth power of the height; each slice is a disc, applied with its transform 2·J1(v)/v. The camera
pixel is the usual sinc. Both act on the PSF on a grid that samples it without aliasing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import j1

from simrecon.model.optics import Optics
from simrecon.physics.pupil import PupilModel
from simrecon.physics.sampled_pupil import SampledPupil, cone_radius_um, sample_pupil
from simrecon.physics.zernike import zernike

_MARGIN_PX = 4


def sphere_otf(k_per_um: np.ndarray, diameter_um: float) -> np.ndarray:
    """Transform of a solid sphere of integral 1: 3 (sin u − u cos u)/u³, u = π·k·d."""
    u = np.pi * np.asarray(k_per_um, dtype=np.float64) * diameter_um
    small = np.abs(u) < 1e-2
    safe = np.where(small, 1.0, u)
    value = 3.0 * (np.sin(safe) - safe * np.cos(safe)) / safe**3
    return np.where(small, 1.0 - u**2 / 10.0, value)


def _slices(diameter_um: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights, disc radii and weights (sum 1) of the slices of a sphere, µm."""
    if diameter_um == 0:
        return np.zeros(1), np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    radius = 0.5 * diameter_um
    discs = radius * np.sqrt(1.0 - nodes**2)
    weights = weights * discs**2
    return radius * nodes, discs, weights / weights.sum()


@dataclass(frozen=True)
class Camera3D:
    """Where a bead is looked at: a window of pixels and planes.

    Attributes
    ----------
    shape : (int, int)
        Window (Y, X); pixel (Y//2, X//2) is its origin.
    pixel_um : float
    z_um : tuple of float
        Planes: distance of the window's origin beyond focus.
    pixel_integration : bool
        Whether pixels integrate over their area.
    bead_um : float
        Diameter of the bead.
    """

    shape: tuple[int, int]
    pixel_um: float
    z_um: tuple[float, ...]
    pixel_integration: bool = True
    bead_um: float = 0.0

    def image(
        self,
        optics: Optics,
        *,
        position_um: tuple[float, float, float] = (0.0, 0.0, 0.0),
        aberrations_nm: Mapping[int, float] | None = None,
        apodisation: float = 0.0,
        blur_um2: float = 0.0,
        model: PupilModel = "auto",
    ) -> np.ndarray:
        """Picture of a bead of flux 1.

        Parameters
        ----------
        position_um
            (z, y, x) of the bead relative to the window's origin, at most some pixels and planes.
        aberrations_nm, apodisation, model, optics
            See :func:`simrecon.physics.sampled_pupil.sample_pupil`.
        blur_um2
            Variance of a further lateral Gaussian blur (vibration, crosstalk of the camera), µm².

        Returns
        -------
        ndarray, shape (Z, Y, X), float64
            Each plane would sum to 1 over an infinite window.
        """
        pupil = self._pupil(optics, aberrations_nm, apodisation, model)
        return self._render(pupil, optics, position_um, blur_um2, None)[0]

    def image_and_slopes(
        self,
        optics: Optics,
        terms: Sequence[int],
        *,
        position_um: tuple[float, float, float] = (0.0, 0.0, 0.0),
        aberrations_nm: Mapping[int, float] | None = None,
        apodisation: float = 0.0,
        blur_um2: float = 0.0,
        model: PupilModel = "auto",
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture, and its derivatives.

        Returns
        -------
        image : ndarray, shape (Z, Y, X)
        slopes : ndarray, shape (5 + len(terms), Z, Y, X)
            By z, y, x of the bead (per µm), the apodisation, the variance of the blur (per µm²),
            and each Zernike term (per nm).
        """
        pupil = self._pupil(optics, aberrations_nm, apodisation, model)
        ky, kx = pupil.k_per_um[:, None], pupil.k_per_um[None, :]
        phases = [pupil.kz_per_um, -ky + 0 * kx, -kx + 0 * ky]
        waves = [zernike(j, pupil.rho, pupil.azimuth_rad) / optics.emission_nm for j in terms]
        factors = [2j * np.pi * p for p in phases] + [-(pupil.rho**2) + 0j]
        factors += [2j * np.pi * w for w in waves]
        image, (blurring,), slopes = self._render(
            pupil, optics, position_um, blur_um2, np.stack(factors)
        )
        slopes[3] += 2.0 * pupil.mean_rho2 * image  # the flux stays 1 under apodisation
        return image, np.insert(slopes, 4, blurring, axis=0)

    def _pupil(
        self,
        optics: Optics,
        aberrations_nm: Mapping[int, float] | None,
        apodisation: float,
        model: PupilModel,
    ) -> SampledPupil:
        # independent of the position, so that fits see one and the same sampling
        reach = max(cone_radius_um(optics, self.z_um), 0.5 * max(self.shape) * self.pixel_um)
        return sample_pupil(
            optics, reach_um=reach, model=model, aberrations_nm=aberrations_nm,
            apodisation=apodisation,
        )  # fmt: skip

    def _render(
        self,
        pupil: SampledPupil,
        optics: Optics,
        position_um: tuple[float, float, float],
        blur_um2: float,
        factors: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The picture, its derivative by `blur_um2`, and those by the exponents `factors`."""
        blurred = self.pixel_integration or self.bead_um > 0 or blur_um2 != 0 or factors is not None
        fold = int(np.ceil(2.0 * optics.cutoff_per_um * self.pixel_um)) if blurred else 1
        margin = _MARGIN_PX if blurred else 0
        pitch = self.pixel_um / fold
        y_um, x_um = (
            (np.arange(fold * (n + 2 * margin)) - fold * (n // 2 + margin)) * pitch
            for n in self.shape
        )
        heights, radii, weights = _slices(self.bead_um)
        frequencies = np.fft.fftfreq(y_um.size, pitch)[:, None], np.fft.rfftfreq(x_um.size, pitch)
        kernels = [w * self._kernel(*frequencies, r, blur_um2)
                   for w, r in zip(weights, radii, strict=True)]  # fmt: skip
        by_blur = -2.0 * np.pi**2 * (frequencies[0] ** 2 + frequencies[1] ** 2)
        count = 0 if factors is None else 1 + len(factors)
        out = np.empty((1 + count, len(self.z_um), *self.shape))
        scale = self.pixel_um**2 / pupil.energy
        for i, plane in enumerate(self.z_um):
            total: np.ndarray | float = 0.0
            for height, kernel in zip(heights, kernels, strict=True):
                depth = plane + position_um[0] + float(height)
                intensity = _intensities(
                    pupil, y_um - position_um[1], x_um - position_um[2], depth, factors
                )
                total = total + (np.fft.rfft2(intensity) * kernel if blurred else intensity)
            if factors is not None:
                total = np.insert(total, 1, by_blur * total[0], axis=0)  # type: ignore[index]
            if blurred:
                total = np.fft.irfft2(total, (y_um.size, x_um.size))
                rows, columns = (slice(fold * margin, fold * (margin + n), fold)
                                 for n in self.shape)  # fmt: skip
                total = total[:, rows, columns]
            out[:, i] = scale * total
        return out[0], out[1:2], out[2:]

    def _kernel(
        self, ky: np.ndarray, kx: np.ndarray, disc_um: float, blur_um2: float
    ) -> np.ndarray:
        kernel = np.exp(-2.0 * np.pi**2 * blur_um2 * (ky**2 + kx**2))
        if self.pixel_integration:
            kernel = kernel * np.sinc(ky * self.pixel_um) * np.sinc(kx * self.pixel_um)
        if disc_um > 0:
            v = 2.0 * np.pi * disc_um * np.hypot(ky, kx)
            kernel = kernel * np.where(v > 1e-6, 2.0 * j1(v) / np.where(v > 1e-6, v, 1.0), 1.0)
        return np.asarray(kernel)


def _intensities(
    pupil: SampledPupil,
    y_um: np.ndarray,
    x_um: np.ndarray,
    z_um: float,
    factors: np.ndarray | None,
) -> np.ndarray:
    """Σ|E|² and 2·Re Σ E*·dE for each factor, (1 + J, Y, X)."""
    fields = pupil.image_fields(y_um, x_um, z_um)
    parts = [np.sum(np.abs(fields) ** 2, axis=0)]
    if factors is not None:
        for factor in factors:
            changed = pupil.image_fields(y_um, x_um, z_um, factor[None])[0]
            parts.append(2.0 * np.sum(np.real(np.conj(fields) * changed), axis=0))
    return np.stack(parts)
