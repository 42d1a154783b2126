"""Detection OTFs: made from optical constants, evaluated anywhere, checked against the optics."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline

from simrecon.errors import InputError, UsageError
from simrecon.model.optics import Optics
from simrecon.model.psf import DetectionOTF, GridOTF, RadialOTF
from simrecon.physics.measured import otf_from_psf
from simrecon.physics.pupil import pupil_otf, resolve_model

__all__ = ["check_otf", "evaluate_otf", "otf_from_psf", "theoretical_otf"]

OtfModel = Literal["auto", "ideal", "scalar", "vectorial"]
TABLE_POINTS = 2049
_COARSE_POINTS = 257
_MISMATCH_FACTOR = 1.6
_VISIBLE = 0.02
_MAX_POINTS_PER_BLOCK = 4_000_000


def ideal_otf(v: np.ndarray) -> np.ndarray:
    """Incoherent OTF of an aberration-free circular pupil at v = k/cutoff (Goodman, eq. 7-41)."""
    v = np.clip(np.abs(v), 0.0, 1.0)
    return np.asarray((2.0 / np.pi) * (np.arccos(v) - v * np.sqrt(1.0 - v * v)))


def theoretical_otf(
    optics: Optics, *, pixel_um: float | None = None, model: OtfModel = "auto"
) -> RadialOTF:
    """In-focus OTF of a 2-D acquisition from optical constants.

    Parameters
    ----------
    optics
        NA and wavelength give the cut-off; the pupil models also use the indices and the depth.
    pixel_um
        Camera pixel pitch in the sample, µm. When given, evaluation multiplies by the square
        pixel's sinc(kx·px)·sinc(ky·px). None: point sampling.
    model
        ``ideal``: analytic, scalar paraxial. ``scalar`` and ``vectorial``: pupil with the sine
        condition (and dipole emission). ``auto``: vectorial for NA > 0.7, scalar otherwise.

    Returns
    -------
    RadialOTF
        `TABLE_POINTS` values from 0 to the cut-off, real, ``values[0] == 1``.
    """
    cutoff = optics.cutoff_per_um
    k = np.linspace(0.0, cutoff, TABLE_POINTS)
    if model == "ideal":
        values, name = ideal_otf(k / cutoff), "ideal"
    else:
        name = resolve_model(optics, model)
        values = _pupil_table(optics, name)
    values = values.copy()
    values[0], values[-1] = 1.0, 0.0
    return RadialOTF(
        k_per_um=k,
        values=values,
        cutoff_per_um=cutoff,
        pixel_um=pixel_um,
        source=f"theoretical, {name}, NA {optics.na:g}, {optics.emission_nm:g} nm",
    )


@lru_cache(maxsize=32)
def _pupil_table(optics: Optics, model: Literal["scalar", "vectorial"]) -> np.ndarray:
    """Table of `TABLE_POINTS` values: quadrature at fewer points, spline of the ratio to ideal."""
    v_coarse = np.linspace(0.0, 1.0, _COARSE_POINTS)
    values = pupil_otf(optics, v_coarse * optics.cutoff_per_um, model=model)[0]
    v = np.linspace(0.0, 1.0, TABLE_POINTS)
    ideal = ideal_otf(v_coarse[:-1])
    ratio = CubicSpline(v_coarse[:-1], values[:-1] / ideal, extrapolate=True)
    return np.asarray(ratio(v) * ideal_otf(v))


def evaluate_otf(otf: DetectionOTF, ky_per_um: np.ndarray, kx_per_um: np.ndarray) -> np.ndarray:
    """Value of an OTF at arbitrary frequencies.

    Parameters
    ----------
    otf
        Radial table (linear interpolation between its points) or measured PSF (exact DFT).
    ky_per_um, kx_per_um : ndarray
        Frequencies in cycles/µm, broadcast against each other. Open grids, (Y, 1) and (1, X), are
        evaluated much faster than full ones for a measured PSF.

    Returns
    -------
    ndarray, broadcast shape
        float64 for a radial table, complex128 for a measured PSF; exactly 0 from the cut-off on.
    """
    ky, kx = np.asarray(ky_per_um, dtype=np.float64), np.asarray(kx_per_um, dtype=np.float64)
    if ky.ndim == 2 and kx.ndim == 2 and ky.shape[1] == 1 and kx.shape[0] == 1:
        out = np.zeros((ky.shape[0], kx.shape[1]), _value_type(otf))
        rows, columns = open_support(otf, ky, kx)
        out[np.ix_(rows, columns)] = _on_open_grid(otf, ky[rows], kx[:, columns])
        return out
    radius = np.hypot(ky, kx)
    inside = radius < otf.cutoff_per_um
    if isinstance(otf, RadialOTF):
        return np.where(inside, _radial(otf, ky, kx, radius), 0.0)
    out = np.zeros(radius.shape, dtype=np.complex128)
    ky_in, kx_in = (np.broadcast_to(a, radius.shape)[inside] for a in (ky, kx))
    out[inside] = _dft_points(otf, ky_in, kx_in)
    return out


def open_support(
    otf: DetectionOTF, ky_per_um: np.ndarray, kx_per_um: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of an open grid, (Y, 1) and (1, X), outside which the OTF is 0."""
    inside_y = np.abs(ky_per_um[:, 0]) < otf.cutoff_per_um
    inside_x = np.abs(kx_per_um[0]) < otf.cutoff_per_um
    return np.flatnonzero(inside_y), np.flatnonzero(inside_x)


def _value_type(otf: DetectionOTF) -> type[np.generic]:
    return np.float64 if isinstance(otf, RadialOTF) else np.complex128


def _on_open_grid(otf: DetectionOTF, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    radius = np.hypot(ky, kx)
    if isinstance(otf, RadialOTF):
        values = _radial(otf, ky, kx, radius)
    else:
        values = _dft_open(otf, ky[:, 0], kx[0])
    return np.where(radius < otf.cutoff_per_um, values, 0.0)


def _radial(otf: RadialOTF, ky: np.ndarray, kx: np.ndarray, radius: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.interp(radius, otf.k_per_um, otf.values, right=0.0)
    if otf.pixel_um is not None:
        values = values * (np.sinc(ky * otf.pixel_um) * np.sinc(kx * otf.pixel_um))
    return values


def _waves(otf: GridOTF, k: np.ndarray, axis: int) -> np.ndarray:
    """exp(-2πi k·r) at the PSF's pixels along `axis`, shape (K, n), origin at pixel n//2."""
    n = otf.psf.shape[axis]
    r = (np.arange(n) - n // 2) * otf.pixel_um
    return np.asarray(np.exp(-2j * np.pi * k[:, None] * r[None, :]))


def _dft_open(otf: GridOTF, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    psf = otf.psf.astype(np.float64)
    return np.asarray(_waves(otf, ky, 0) @ psf @ _waves(otf, kx, 1).T)


def _dft_points(otf: GridOTF, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    psf = otf.psf.astype(np.float64)
    out = np.empty(ky.size, dtype=np.complex128)
    step = max(1, _MAX_POINTS_PER_BLOCK // max(otf.psf.shape))
    for start in range(0, ky.size, step):
        part = slice(start, start + step)
        rows = _waves(otf, kx[part], 1) @ psf.T
        out[part] = np.sum(rows * _waves(otf, ky[part], 0), axis=1)
    return out


def check_otf(otf: DetectionOTF, optics: Optics) -> list[str]:
    """Compare an OTF with the cut-off that NA and wavelength give.

    Returns
    -------
    list of str
        Notes for the user on smaller disagreements; empty when all is well.

    Raises
    ------
    InputError
        When the stated cut-off, or the radius where the OTF falls below 2 %, is off by a factor of
        1.6 or more (a wrong pixel size, wavelength or objective; an OTF cannot be wider, and one
        that much narrower cannot serve).
    """
    expected = optics.cutoff_per_um
    visible = _visible_radius(otf, expected)
    theory = _visible_radius(theoretical_otf(optics, pixel_um=otf.pixel_um), expected)
    for name, got, reference in (
        ("stated cut-off", otf.cutoff_per_um, expected),
        ("measured width (2 % of the centre)", visible, theory),
    ):
        ratio = got / reference
        if not 1.0 / _MISMATCH_FACTOR < ratio < _MISMATCH_FACTOR:
            raise InputError(
                f"The OTF does not belong to these optics: its {name} is off by {ratio:.2f}x.",
                expected=f"{reference:.2f} per µm from NA {optics.na:g} and "
                f"{optics.emission_nm:g} nm",
                got=f"{got:.2f} per µm",
                where=otf.source or "--otf",
                hint="check the pixel size of the PSF, --na and --emission-nm",
            )
    notes = []
    if abs(otf.cutoff_per_um / expected - 1.0) > 0.1:
        notes.append(
            f"The OTF's cut-off is {otf.cutoff_per_um:.2f} per µm; NA and wavelength give "
            f"{expected:.2f} per µm."
        )
    if abs(visible / theory - 1.0) > 0.2:
        notes.append(
            f"The OTF falls below 2 % at {visible:.2f} per µm; an aberration-free objective "
            f"reaches {theory:.2f} per µm."
        )
    return notes


def _visible_radius(otf: DetectionOTF, cutoff: float) -> float:
    """First radius where the azimuthal mean of Re H is below 2 % of the centre, cycles/µm."""
    if isinstance(otf, RadialOTF):
        k, profile = np.asarray(otf.k_per_um), np.asarray(otf.values, dtype=np.float64)
        if otf.pixel_um is not None:
            profile = profile * np.sinc(k * otf.pixel_um)
    else:
        k = np.linspace(0.0, min(2.0 * cutoff, 0.5 / otf.pixel_um), 129)
        angle = np.linspace(0.0, np.pi, 24, endpoint=False)
        ky, kx = k[:, None] * np.sin(angle), k[:, None] * np.cos(angle)
        profile = _dft_points(otf, ky.ravel(), kx.ravel()).real.reshape(ky.shape).mean(axis=1)
    if profile[0] == 0:
        raise UsageError("The OTF is zero at zero frequency.", where=otf.source or "--otf")
    below = np.flatnonzero(profile / profile[0] < _VISIBLE)
    return float(k[below[0]] if below.size else k[-1])
