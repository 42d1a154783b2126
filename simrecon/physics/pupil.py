"""Detection pupil of an objective: its OTF by quadrature, its PSF on a grid.

The OTF of an incoherent emitter is the autocorrelation of the pupil function (Hanser et al.,
J. Microsc. 216, 32 (2004)). Here it is integrated by Gauss-Legendre quadrature over the lens
where two shifted pupils overlap, not read off an FFT grid: no jagged pupil edge, no wrap-around,
and the result is exactly zero beyond 2·NA/λ.

Vectorial model: freely rotating dipoles, the collimated field behind the objective (two
polarisations for each of three dipole axes), aplanatic factor 1/sqrt(cos θ), Fresnel transmission
from the sample into the immersion medium and the phase of a focus at `depth_um` when the indices
differ. The coverslip has the index of the immersion (the objective corrects its own).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics

PupilModel = Literal["auto", "scalar", "vectorial"]
VECTORIAL_ABOVE_NA = 0.7


def resolve_model(optics: Optics, model: PupilModel) -> Literal["scalar", "vectorial"]:
    """``auto`` becomes vectorial for NA > 0.7, scalar otherwise."""
    if model == "auto":
        return "vectorial" if optics.na > VECTORIAL_ABOVE_NA else "scalar"
    if model not in ("scalar", "vectorial"):
        raise UsageError(
            "Unknown pupil model.", expected="auto, scalar or vectorial", got=str(model)
        )
    return model


@dataclass(frozen=True)
class _Rays:
    """Complex pupil amplitudes at radial frequencies, in the sample and behind the objective.

    `s` and `p` are the amplitudes of the two polarisations; `sin`/`cos` the (complex, for
    supercritical emission) direction of the ray in the sample.
    """

    s: np.ndarray
    p: np.ndarray
    sin: np.ndarray
    cos: np.ndarray
    phase_cycles: np.ndarray


def _axial_frequency(k_per_um: np.ndarray, index: float, emission_um: float) -> np.ndarray:
    """Axial wave number kz = sqrt((n/λ)² - k²), cycles/µm, +i for evanescent waves."""
    return np.asarray(np.sqrt((index / emission_um) ** 2 - k_per_um**2 + 0j))


def _rays(optics: Optics, k_per_um: np.ndarray, scalar: bool) -> _Rays:
    wavelength = optics.emission_nm * 1e-3
    n_i = optics.immersion_index
    n_s = n_i if optics.sample_index is None else optics.sample_index
    kz_i = _axial_frequency(k_per_um, n_i, wavelength)
    kz_s = _axial_frequency(k_per_um, n_s, wavelength)
    aplanatic = 1.0 / np.sqrt(np.real(kz_i) * wavelength / n_i)
    # far-field amplitude of a dipole below an interface: kz_i/kz_s times the Fresnel
    # transmission of the electric field, written so that kz_s cancels (no pole at k = n_s/λ)
    s = aplanatic * 2.0 * kz_i / (kz_s + kz_i)
    p = aplanatic * 2.0 * n_s * n_i * kz_i / (n_i**2 * kz_s + n_s**2 * kz_i)
    if scalar:
        s = p = 0.5 * (s + p)
    phase = optics.depth_um * kz_s
    if optics.depth_um and n_s != n_i:
        slope, constant = _best_focus(optics, wavelength, n_i, n_s)
        phase = phase - slope * kz_i - constant
    elif optics.depth_um:
        phase = np.zeros_like(kz_s)
    sin = k_per_um * wavelength / n_s + 0j
    return _Rays(s, p, sin, kz_s * wavelength / n_s, phase)


def _best_focus(optics: Optics, wavelength: float, n_i: float, n_s: float) -> tuple[float, float]:
    """Refocus a·kz_i + b that minimises the phase variance over the propagating pupil."""
    edge = min(optics.na, 0.999 * n_s) / wavelength
    k = edge * np.sqrt((np.arange(256) + 0.5) / 256)  # equal pupil areas
    kz_i = np.real(_axial_frequency(k, n_i, wavelength))
    phase = optics.depth_um * np.real(_axial_frequency(k, n_s, wavelength))
    slope, constant = np.polyfit(kz_i, phase, 1)
    return float(slope), float(constant)


def _lens_nodes(
    k_per_um: np.ndarray, radius: float, n: int, critical: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quadrature of one quarter of the overlap of two discs of `radius` a distance k apart.

    Polar coordinates (ρ, β) about one disc: β in [0, arccos(k/2R)], ρ in [k/(2 cos β), R]. Where
    the pupil has a square-root edge at the `critical` radius (n_s/λ < R), ρ is integrated in two
    parts with nodes crowding quadratically towards it.

    Returns
    -------
    rho, rho2, cos_delta, weight : ndarray, shape (K, n, n or 2n)
        Distances from the two pupil centres, cosine of the angle between them as seen from the
        node, and the area weight.
    """
    nodes, weights = np.polynomial.legendre.leggauss(n)
    unit, half = (0.5 * (nodes + 1.0)), 0.5 * weights
    k = k_per_um[:, None, None]
    beta_max = np.arccos(np.clip(k / (2.0 * radius), 0.0, 1.0))
    beta = beta_max * unit[None, :, None]
    low = np.minimum(k / (2.0 * np.cos(beta)), radius)
    if critical is None:
        rho = low + (radius - low) * unit
        step = (radius - low) * half
    else:
        edge = np.maximum(low, critical)
        rho = np.concatenate([edge - (edge - low) * unit**2, edge + (radius - edge) * unit**2], -1)
        jacobian = 2.0 * unit * half
        step = np.concatenate([(edge - low) * jacobian, (radius - edge) * jacobian], -1)
    weight = beta_max * half[None, :, None] * step * rho
    rho2 = np.sqrt(np.maximum(rho**2 - 2.0 * rho * k * np.cos(beta) + k**2, 0.0))
    dot = rho**2 - rho * k * np.cos(beta)  # (q + k/2)·(q - k/2)
    with np.errstate(invalid="ignore", divide="ignore"):
        cos_delta = np.where(rho * rho2 > 0, dot / (rho * rho2), 1.0)
    return rho, rho2, np.clip(cos_delta, -1.0, 1.0), weight


def _overlap(a: _Rays, b: _Rays, cos_d: np.ndarray, scalar: bool) -> np.ndarray:
    """Σ over dipole axes and camera polarisations of P(a)·P*(b), for azimuths Δ apart."""
    if scalar:
        return np.asarray(a.s * np.conj(b.s))
    sin2 = 1.0 - cos_d**2
    bs, bp, bc, bn = (np.conj(x) for x in (b.s, b.p, b.cos, b.sin))
    ss = a.s * bs * cos_d**2
    pp = a.p * bp * cos_d * (a.cos * bc * cos_d + a.sin * bn)
    sp = sin2 * (a.s * bp * bc + a.p * a.cos * bs)
    return np.asarray(ss + pp + sp)


def pupil_otf(
    optics: Optics,
    k_per_um: np.ndarray,
    *,
    model: PupilModel = "auto",
    z_um: Sequence[float] = (0.0,),
) -> np.ndarray:
    """OTF of the objective at radial frequencies and defocus distances, camera pixel excluded.

    Parameters
    ----------
    optics
        NA, wavelength, indices, depth.
    k_per_um : ndarray, shape (K,)
        Radial frequencies, cycles/µm.
    model
        ``scalar`` (no polarisation), ``vectorial``, or ``auto`` (vectorial for NA > 0.7).
    z_um
        Distances of the emitter beyond the plane of best focus (objective displacements in the
        immersion medium), µm.

    Returns
    -------
    ndarray, shape (Z, K), float64
        Real (the pupil is point-symmetric); 1 at k = 0 in every plane, 0 from 2·NA/λ on.
    """
    scalar = resolve_model(optics, model) == "scalar"
    wavelength = optics.emission_nm * 1e-3
    radius = optics.na / wavelength
    k = np.abs(np.asarray(k_per_um, dtype=np.float64)).ravel()
    z = np.asarray(z_um, dtype=np.float64)
    out = np.zeros((z.size, k.size))
    inside = np.flatnonzero(k < 2.0 * radius)
    n = _nodes_needed(optics, z)
    norm = _lens_integral(optics, np.zeros(1), z, scalar, n)
    for block in np.array_split(inside, max(1, inside.size * n * n // 200_000)):
        if block.size:
            out[:, block] = _lens_integral(optics, k[block], z, scalar, n) / norm
    return out


def _nodes_needed(optics: Optics, z_um: np.ndarray) -> int:
    """Quadrature nodes per axis: more for many cycles of defocus or supercritical emission."""
    reach = np.max(np.abs(z_um), initial=0.0) + optics.depth_um
    cycles = reach * optics.immersion_index / (optics.emission_nm * 1e-3)
    supercritical = optics.sample_index is not None and optics.sample_index < optics.na
    return min(200, int(40 + 6 * cycles + (20 if supercritical else 0)))


def _lens_integral(
    optics: Optics, k: np.ndarray, z: np.ndarray, scalar: bool, n: int
) -> np.ndarray:
    wavelength = optics.emission_nm * 1e-3
    critical = None
    if optics.sample_index is not None and optics.sample_index < optics.na:
        critical = optics.sample_index / wavelength
    rho, rho2, cos_d, weight = _lens_nodes(k, optics.na / wavelength, n, critical)
    a, b = _rays(optics, rho, scalar), _rays(optics, rho2, scalar)
    value = weight * _overlap(a, b, cos_d, scalar)
    value = value * np.exp(2j * np.pi * (a.phase_cycles - np.conj(b.phase_cycles)))
    kz = [np.real(_axial_frequency(r, optics.immersion_index, wavelength)) for r in (rho, rho2)]
    turn = 2.0 * np.pi * (kz[0] - kz[1])
    out = np.empty((z.size, k.size))
    for i, zi in enumerate(z):
        rotated = value if zi == 0 else value * np.exp(1j * zi * turn)
        out[i] = np.sum(np.real(rotated), axis=(1, 2))
    return out


def pupil_psf(
    optics: Optics,
    grid: Grid,
    *,
    model: PupilModel = "auto",
    z_um: Sequence[float] = (0.0,),
) -> np.ndarray:
    """PSF of the objective at the sample points of a grid, without the camera's pixel.

    The PSF is periodic over the grid (what leaves one edge enters the other), so that its DFT is
    the OTF exactly: zero beyond 2·NA/λ. Where the grid is too coarse for the PSF it is sampled,
    not filtered.

    Parameters
    ----------
    optics, model, z_um
        As in :func:`pupil_otf`.
    grid
        Any sizes; only shape and pitch matter.

    Returns
    -------
    ndarray, shape (Z, Y, X), float32
        Each plane has sum 1 (the lossless pupil conserves flux); centre at (Y//2, X//2).
    """
    z = np.asarray(z_um, dtype=np.float64)
    cutoff = optics.cutoff_per_um
    radial = np.linspace(0.0, cutoff, 257 + 64 * int(np.ceil(np.max(np.abs(z), initial=0.0))))
    table = CubicSpline(radial, pupil_otf(optics, radial, model=model, z_um=z_um), axis=1)
    fold = int(np.ceil(2.0 * cutoff * grid.pixel_um))
    fine = Grid((grid.shape[0] * fold, grid.shape[1] * fold), grid.pixel_um / fold)
    ky, kx = fine.frequencies_per_um()
    k = np.hypot(ky, kx)
    phase = np.exp(
        -2j * np.pi * grid.pixel_um * (ky * (grid.shape[0] // 2) + kx * (grid.shape[1] // 2))
    )
    out = np.empty((z.size, *grid.shape), dtype=np.float32)
    for i in range(z.size):
        otf = np.where(k < cutoff, table(np.minimum(k, cutoff))[i], 0.0)
        psf = np.real(np.fft.ifft2(otf * phase))[::fold, ::fold] * fold**2
        out[i] = psf / psf.sum()
    return out
