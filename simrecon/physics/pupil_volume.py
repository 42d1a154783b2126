"""OTFs of all orders from an aberrated pupil and the light of the orders along z.

The PSF is computed plane by plane (:mod:`simrecon.physics.bead_image`), tapered along z as that of
:mod:`simrecon.physics.theory_volume`, and multiplied with the axial profile of every order:
``h_m(r) = h(r) g_m(−z)``, because the plane at z sees an emitter at 0 from the distance −z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal.windows import tukey

from simrecon.model.optics import Optics
from simrecon.model.psf import AxialProfiles, GridOTF, GridVolumeOTF
from simrecon.physics.bead_image import Camera3D
from simrecon.physics.measured_volume import grid_volume_otf
from simrecon.physics.pupil import PupilModel
from simrecon.physics.sampled_pupil import cone_radius_um
from simrecon.physics.theory_volume import EXTENT_UM, axial_bandwidth, axial_shift_per_um

_FLAT = 0.5
_PAD = 3
_ANGLES = 32
_PLANE_UM = 16.0


def three_beam_profiles(optics: Optics, extent_um: float = EXTENT_UM) -> AxialProfiles:
    """Light of ideal three-beam illumination: 1, cos(2π kz1 z), 1."""
    z = np.linspace(-0.5 * extent_um, 0.5 * extent_um, 1025)
    shift = axial_shift_per_um(optics)
    return AxialProfiles(
        z, np.stack([np.ones_like(z), np.cos(2.0 * np.pi * shift * z), np.ones_like(z)]),
        f"three beams, kz1 {shift:.4f} per µm",
    )  # fmt: skip


def plane_heights_um(dz_um: float, extent_um: float = EXTENT_UM) -> np.ndarray:
    """Heights of the planes of a PSF of this length; plane Z//2 is the focus."""
    half = int(np.ceil(0.5 * extent_um / dz_um)) - 1
    return np.arange(-half, half + 1) * dz_um


def psf_volume(
    optics: Optics,
    *,
    pixel_um: float,
    dz_um: float,
    extent_um: float = EXTENT_UM,
    aberrations_nm: Mapping[int, float] | None = None,
    apodisation: float = 0.0,
    blur_um2: float = 0.0,
    model: PupilModel = "auto",
) -> np.ndarray:
    """PSF of a point as the planes of an objective-scanned stack show it.

    Parameters
    ----------
    optics, aberrations_nm, apodisation, blur_um2, model
        See :meth:`simrecon.physics.bead_image.Camera3D.image`.
    pixel_um, dz_um
        Pitches, µm.
    extent_um
        Length along z of the taper (Tukey, its middle half flat).

    Returns
    -------
    ndarray, shape (Z, N, N), float64
        Centre at (Z//2, N//2, N//2); the window holds the cone of light of all planes that are not
        tapered to less than half.
    """
    z = plane_heights_um(dz_um, extent_um)
    radius = cone_radius_um(optics, [0.375 * extent_um])
    half = int(np.ceil(radius / pixel_um))
    camera = Camera3D((2 * half + 1,) * 2, pixel_um, tuple(-z), optics.pixel_integration)
    stack = camera.image(optics, aberrations_nm=aberrations_nm, apodisation=apodisation,
                         blur_um2=blur_um2, model=model)  # fmt: skip
    nodes = np.linspace(-0.5 * extent_um, 0.5 * extent_um, 2049)
    taper = np.interp(z, nodes, tukey(nodes.size, _FLAT))
    return np.asarray(stack * taper[:, None, None])


def order_psfs(psf: np.ndarray, dz_um: float, light: AxialProfiles) -> np.ndarray:
    """PSFs of all orders, (orders, Z, Y, X): ``h(r) g_m(−z)``."""
    z = (np.arange(psf.shape[0]) - psf.shape[0] // 2) * dz_um
    return np.asarray(light.at(-z)[:, :, None, None] * psf)


def pupil_planar_otf(
    optics: Optics, *, pixel_um: float, aberrations_nm: Mapping[int, float] | None = None
) -> GridOTF:
    """OTF of the focal plane of an aberrated objective."""
    half = int(np.ceil(0.5 * _PLANE_UM / pixel_um))
    camera = Camera3D((2 * half + 1,) * 2, pixel_um, (0.0,), optics.pixel_integration)
    psf = camera.image(optics, aberrations_nm=aberrations_nm)[0]
    return GridOTF(psf / psf.sum(), pixel_um, optics.cutoff_per_um, "pupil with aberrations")


def pupil_volume_otf(
    optics: Optics,
    light: AxialProfiles,
    *,
    pixel_um: float,
    dz_um: float,
    extent_um: float = EXTENT_UM,
    aberrations_nm: Mapping[int, float] | None = None,
    reach_um: float | None = None,
) -> GridVolumeOTF:
    """OTF of an aberrated objective under the light of a pattern.

    Parameters
    ----------
    optics, pixel_um, dz_um, extent_um, aberrations_nm
        See :func:`psf_volume`.
    light
        Axial profiles of the orders.
    reach_um
        Half side of the PSF, where less than the whole cone of light will do: the time that the
        OTF takes to evaluate grows with its square.
    """
    psf = psf_volume(optics, pixel_um=pixel_um, dz_um=dz_um, extent_um=extent_um,
                     aberrations_nm=aberrations_nm)  # fmt: skip
    middle = psf.shape[1] // 2
    half = middle if reach_um is None else min(middle, int(np.ceil(reach_um / pixel_um)))
    part = slice(middle - half, middle + half + 1)
    orders = order_psfs(psf[:, part, part], dz_um, light)
    otf = grid_volume_otf(orders, dz_um, pixel_um, optics, light_per_um=light_reach(light),
                          source="pupil with aberrations, " + light.source)  # fmt: skip
    return replace(otf, psf=orders / orders[0].sum().real)  # the light says how strong they are


def light_reach(light: AxialProfiles) -> list[float]:
    """How far the light of every order reaches along kz, cycles/µm; tapered, as the PSFs are."""
    taper = np.hanning(light.z_um.size)
    return [axial_bandwidth(light.z_um, taper * g) for g in light.values]


def radial_planes(psf: np.ndarray, pixel_um: float, rows: int) -> np.ndarray:
    """Azimuthal mean of the transform of every plane.

    Parameters
    ----------
    psf : ndarray, shape (Z, Y, X), real or complex
        Focus at pixel (Y//2, X//2).
    rows
        Radii R from 0 to the pixels' Nyquist frequency, ``kr_i = i / (2·pixel·(R − 1))``.

    Returns
    -------
    ndarray, shape (Z, R), real where `psf` is
    """
    size = _PAD * max(psf.shape[1:])
    radius = np.arange(rows) / (2.0 * pixel_um * (rows - 1)) * size * pixel_um
    angle = 2.0 * np.pi * np.arange(_ANGLES) / _ANGLES
    place = np.stack([radius[:, None] * np.sin(angle), radius[:, None] * np.cos(angle)])
    if np.iscomplexobj(psf):
        # opposite angles add up: the real part of a plane gives the real part of its mean
        return radial_planes(psf.real, pixel_um, rows) + 1j * radial_planes(
            psf.imag, pixel_um, rows
        )
    rings = [map_coordinates(_lateral_spectrum(p, size).real, place, order=3, mode="grid-wrap")
             for p in psf]  # fmt: skip
    return np.asarray(np.mean(rings, axis=2))


def radial_orders(planes: np.ndarray, heights: int) -> np.ndarray:
    """Radial OTFs of orders in the form that bead programs write.

    Parameters
    ----------
    planes : ndarray, shape (orders, Z, R)
        :func:`radial_planes` of every order, the focus in plane Z//2.
    heights
        K ≥ Z, in FFT order with steps of ``1 / (K·dz)``.

    Returns
    -------
    ndarray, shape (orders, R, K), complex64
        Reading it linearly between heights fades the PSF by sinc²; that is undone here.
    """
    orders, depth, rows = planes.shape
    place = np.arange(depth) - depth // 2
    out = np.zeros((orders, rows, heights), dtype=np.complex128)
    out[:, :, place % heights] = (planes / np.sinc(place / heights)[:, None] ** 2).swapaxes(1, 2)
    return np.asarray(np.fft.fft(out, axis=2), dtype=np.complex64)


def _lateral_spectrum(plane: np.ndarray, size: int) -> np.ndarray:
    """DFT of a plane whose middle pixel is the origin, zero-padded to `size`."""
    padded = np.zeros((size, size), dtype=plane.dtype)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    shift = [-(n // 2) for n in plane.shape]
    return np.asarray(np.fft.fft2(np.roll(padded, shift, (0, 1))))
