"""Three-dimensional OTFs of all orders from optical constants.

The OTF of an incoherent emitter at a lateral frequency k is a density over kz: every pair of rays
that k connects puts its weight at the difference of their axial frequencies (McCutchen, J. Opt.
Soc. Am. 54, 240 (1964); the pairs and weights are those of :mod:`simrecon.physics.pupil`). At k = 0
all weight is at kz = 0: a plane of light is as bright out of focus as in focus, and an OTF with
``H_0(0, 0) = 1`` exists for a PSF of finite length only. The PSF is therefore tapered along z to
`extent_um`, which widens everything in kz by about its inverse.

Order m of the light multiplies the PSF by its axial profile g_m(z) (Gustafsson et al., Biophys. J.
94, 4957 (2008), eqs. 6-8), here done on the z axis.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal.windows import tukey

from simrecon.errors import UsageError
from simrecon.model.optics import Optics
from simrecon.model.psf import AxialProfiles, RadialVolumeOTF
from simrecon.physics.pupil import (
    PupilModel,
    _axial_frequency,
    _lens_nodes,
    _nodes_needed,
    _overlap,
    _rays,
    resolve_model,
)

__all__ = [
    "axial_bandwidth",
    "axial_shift_per_um",
    "detection_axial_cutoff_per_um",
    "theoretical_volume_otf",
]

EXTENT_UM = 8.0
"""Length of the tapered PSF along z; its middle half is not tapered."""

_KZ_STEPS_PER_EXTENT = 16
_FINER = 2
_TURN_PER_STEP_RAD = 0.8
_LEAKAGE_LOBES = 2.0
_MAX_NODES_PER_BLOCK = 200_000


def axial_shift_per_um(optics: Optics) -> float:
    """Axial frequency kz1 of order 1 of three-beam light, cycles/µm.

    ``n/λ_ex − sqrt((n/λ_ex)² − (NA_ex/λ_ex)²)``, n being the immersion's index (Gustafsson et al.
    2008, fig. 1: the central beam against a side beam).

    Raises
    ------
    UsageError
        Without excitation wavelength or NA, or with an NA that does not fit the immersion.
    """
    if optics.excitation_nm is None or optics.excitation_na is None:
        raise UsageError(
            "Three-beam light needs the excitation's wavelength and NA.",
            expected="excitation_nm and excitation_na",
            got=f"{optics.excitation_nm} and {optics.excitation_na}",
            hint="finest period = λ_ex/(2·NA_ex): give --excitation-nm and --excitation-na",
        )
    if optics.excitation_na >= optics.immersion_index:
        raise UsageError(
            "The excitation NA must be smaller than the immersion index.",
            expected=f"below {optics.immersion_index:g}",
            got=f"{optics.excitation_na:g}",
        )
    wave = 1.0 / (optics.excitation_nm * 1e-3)
    return float(
        wave
        * (optics.immersion_index - np.sqrt(optics.immersion_index**2 - optics.excitation_na**2))
    )


def detection_axial_cutoff_per_um(optics: Optics) -> float:
    """Largest kz of the detection OTF, ``(n − sqrt(n² − NA²))/λ_em``, cycles/µm."""
    n = optics.immersion_index
    return float((n - np.sqrt(n**2 - optics.na**2)) / (optics.emission_nm * 1e-3))


def theoretical_volume_otf(
    optics: Optics,
    *,
    illumination: Literal["three-beam", "two-beam"] | AxialProfiles = "three-beam",
    pixel_um: float | None = None,
    model: PupilModel = "auto",
    extent_um: float = EXTENT_UM,
) -> RadialVolumeOTF:
    """OTFs of order 0, 1, … of a volume acquisition whose pattern stays with the focal plane.

    Parameters
    ----------
    optics
        Detection; for three beams also excitation wavelength and NA. z counts displacements of
        the objective into the sample; with an index mismatch the PSF is not symmetric in z.
    illumination
        ``three-beam``: orders 0, 1, 2 with g_0 = g_2 = 1, g_1 = cos(2π kz1 z).
        ``two-beam``: orders 0 and 1 without axial structure. Profiles: those of a light sheet.
    pixel_um
        Camera pixel whose sinc evaluation multiplies with; None: point sampling.
    model
        As in :func:`simrecon.physics.pupil.pupil_otf`.
    extent_um
        Length of the PSF along z, a Tukey window whose middle half is flat.

    Returns
    -------
    RadialVolumeOTF
        ``H_0(0, 0) == 1``; the axial cut-offs are those of the rays plus 2/`extent_um`, which the
        taper needs.
    """
    resolved = resolve_model(optics, model)
    if not extent_um > 0:
        raise UsageError("extent_um must be positive.", got=str(extent_um))
    if isinstance(illumination, AxialProfiles):
        name, profiles = illumination.source or "given axial profiles", illumination
        reach = [axial_bandwidth(profiles.z_um, g) for g in profiles.values]
    elif illumination == "three-beam":
        kz1 = axial_shift_per_um(optics)
        name, reach = f"three beams, kz1 {kz1:.4f} per µm", [0.0, kz1, 0.0]
    elif illumination == "two-beam":
        name, reach = "two beams", [0.0, 0.0]
    else:
        raise UsageError(
            "Unknown illumination.",
            expected="three-beam, two-beam or axial profiles",
            got=str(illumination),
        )
    leakage = _LEAKAGE_LOBES / extent_um
    cutoffs = tuple(detection_axial_cutoff_per_um(optics) + r + leakage for r in reach)
    kz_step = 1.0 / (_KZ_STEPS_PER_EXTENT * extent_um)
    half = int(np.ceil(max(cutoffs) / kz_step)) + 1
    fine = half * _FINER
    kr, density = _detection_density(optics, resolved, extent_um, kz_step / _FINER, fine)
    z = np.fft.ifftshift(np.arange(-fine, fine + 1)) * _FINER / ((2 * fine + 1) * kz_step)
    if isinstance(illumination, AxialProfiles):
        light = profiles.at(-z)  # a plane at z sees an emitter at 0 from the distance −z
    else:
        light = np.stack([np.cos(2.0 * np.pi * r * z) for r in reach])
    return RadialVolumeOTF(
        kr_per_um=kr,
        kz_per_um=np.arange(-half, half + 1) * kz_step,
        values=_orders(density, z, light, extent_um, kz_step),
        cutoff_per_um=optics.cutoff_per_um,
        axial_cutoff_per_um=cutoffs,
        pixel_um=pixel_um,
        source=f"theoretical, {resolved}, {name}, NA {optics.na:g}, {optics.emission_nm:g} nm, "
        f"{extent_um:g} µm deep",
    )


def _orders(
    density: np.ndarray, z: np.ndarray, light: np.ndarray, extent_um: float, kz_step: float
) -> np.ndarray:
    """Tables (orders, R, K) of the PSF times its taper times the light's profiles."""
    taper = _taper(z, extent_um)
    inside = taper > 0
    # reading the table linearly between its steps fades the PSF by sinc²: undone here
    taper[inside] /= np.sinc(z[inside] * kz_step) ** 2
    psf = np.fft.ifft(np.fft.ifftshift(density, axes=1), axis=1)
    tables = np.fft.fftshift(np.fft.fft(psf * (taper * light)[:, None, :], axis=2), axes=2)
    tables = tables[:, :, ::_FINER]
    origin = tables[0, 0, tables.shape[2] // 2]
    if abs(origin) < 1e-6 * np.abs(tables).max():
        raise UsageError("The light of order 0 is dark around the focus.")
    return np.asarray(tables / origin, dtype=np.complex64)


def _taper(z_um: np.ndarray, extent_um: float) -> np.ndarray:
    nodes = np.linspace(-0.5 * extent_um, 0.5 * extent_um, 2049)
    return np.asarray(np.interp(z_um, nodes, tukey(nodes.size, 0.5), left=0.0, right=0.0))


def axial_bandwidth(z_um: np.ndarray, profile: np.ndarray) -> float:
    """Axial frequency below which 99.9 % of a profile's power lies, cycles/µm."""
    power = np.abs(np.fft.fft(profile, 8 * profile.size)) ** 2
    k = np.abs(np.fft.fftfreq(power.size, float(z_um[1] - z_um[0])))
    order = np.argsort(k)
    share = np.cumsum(power[order]) / power.sum()
    return float(k[order][np.searchsorted(share, 0.999)])


@lru_cache(maxsize=4)
def _detection_density(
    optics: Optics,
    model: Literal["scalar", "vectorial"],
    extent_um: float,
    kz_step: float,
    half: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Radii and weights over kz of the detection OTF, shape (R, 2·half + 1).

    Quadrature at radii between which the phase of the PSF's ends turns by 0.8 rad; a cubic spline
    halves that for the linear interpolation of the table.
    """
    radius = optics.na / (optics.emission_nm * 1e-3)
    slope = optics.na / np.sqrt(optics.immersion_index**2 - optics.na**2)
    spacing = _TURN_PER_STEP_RAD / (np.pi * extent_um * slope)
    count = int(np.ceil(2.0 * radius / spacing)) + 1
    coarse = np.linspace(0.0, 2.0 * radius, count)
    nodes = int(24 + 4 * detection_axial_cutoff_per_um(optics) * 0.5 * extent_um)
    if optics.depth_um and optics.sample_index is not None:
        nodes = max(nodes, _nodes_needed(optics, np.zeros(1)))
    block = max(1, _MAX_NODES_PER_BLOCK // nodes**2)
    rows = [
        _ray_pairs(optics, coarse[i : i + block], model == "scalar", nodes, kz_step, half)
        for i in range(0, count, block)
    ]
    kr = np.linspace(0.0, 2.0 * radius, 2 * count - 1)
    density = CubicSpline(coarse, np.concatenate(rows), axis=0)(kr)
    density[-1] = 0.0
    return kr, density


def _ray_pairs(
    optics: Optics, k: np.ndarray, scalar: bool, nodes: int, kz_step: float, half: int
) -> np.ndarray:
    """Weights of all pairs of rays, laid down linearly between steps of kz; (len(k), 2·half+1)."""
    wavelength = optics.emission_nm * 1e-3
    critical = None
    if optics.sample_index is not None and optics.sample_index < optics.na:
        critical = optics.sample_index / wavelength
    rho, rho2, cos_d, weight = _lens_nodes(k, optics.na / wavelength, nodes, critical)
    a, b = _rays(optics, rho, scalar), _rays(optics, rho2, scalar)
    value = weight * _overlap(a, b, cos_d, scalar)
    value = value * np.exp(2j * np.pi * (a.phase_cycles - np.conj(b.phase_cycles)))
    kz = [np.real(_axial_frequency(r, optics.immersion_index, wavelength)) for r in (rho, rho2)]
    place = (kz[0] - kz[1]) / kz_step
    low = np.floor(place).astype(np.intp)
    part = place - low
    width = 2 * half + 1
    row = np.arange(k.size)[:, None, None] * width
    out = np.zeros(k.size * width, dtype=np.complex128)
    for index, share in ((low, 1.0 - part), (low + 1, part)):
        # the focal plane moves: an emitter beyond the focus lies at a smaller z of the PSF
        flat = (row + half - index).ravel()
        laid = (value * share).ravel()
        out.real += np.bincount(flat, laid.real, out.size)
        out.imag += np.bincount(flat, laid.imag, out.size)
    table = out.reshape(k.size, width)
    return np.asarray(0.5 * (table + np.conj(table[:, ::-1])))  # the other quarters of the lens
