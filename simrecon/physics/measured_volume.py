"""Measured OTFs of volumes: order of frequencies, origin, contrast, cut-offs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simrecon.errors import InputError
from simrecon.model.optics import Optics
from simrecon.model.psf import GridVolumeOTF, RadialVolumeOTF
from simrecon.physics.theory_volume import axial_shift_per_um, detection_axial_cutoff_per_um

_ORIGIN_TOLERANCE = 0.03
_LINE = slice(1, 8)
_SHEET_NEIGHBOUR = 0.5
_FLOOR = 0.002
_NOISE_FACTOR = 3.0
_SIGNAL_TO_THE_END = 0.1
_NEAR_FOCUS = 0.3


def radial_table(
    table: np.ndarray,
    kr_step_per_um: float,
    kz_step_per_um: float,
    *,
    optics: Optics | None = None,
    source: str = "measured OTF",
) -> RadialVolumeOTF:
    """An OTF from a table of all orders as bead programs write it.

    Parameters
    ----------
    table : ndarray, shape (orders, R, K), complex
        ``H_m(kr, kz)`` with kr from 0 and kz in FFT order (0 first, negative ones behind);
        any common scale.
    kr_step_per_um, kz_step_per_um
        Steps, cycles/µm.
    optics
        When given, nothing is kept beyond their cut-offs.
    source
        For messages and provenance; what was done is appended.

    Returns
    -------
    RadialVolumeOTF
        ``H_0(0, 0) == 1``. Every other order is scaled so that the largest size of its axial
        profile near the focus is 1: the contrast of the bead scan is divided out, the axial phase
        stays.

    Raises
    ------
    InputError
        When the table is not finite, too small, or order 0 is not positive at the origin.
    """
    if table.ndim != 3 or table.shape[1] < 8 or table.shape[2] < 4:
        raise InputError(
            "The OTF table has a shape that is not supported.",
            expected="(orders, kr, kz) with at least 8 radii and 4 heights",
            got=str(table.shape),
            where=source,
        )
    if not np.isfinite(table).all() or not table[0, 0, 0].real > 0:
        raise InputError(
            "The OTF is not usable.",
            expected="finite values with H(0, 0) > 0",
            got=f"H(0, 0) = {table[0, 0, 0]:g}",
            where=source,
        )
    values = np.fft.fftshift(table.astype(np.complex128), axes=2)
    kz = np.fft.fftshift(np.fft.fftfreq(table.shape[2])) * table.shape[2] * kz_step_per_um
    notes = [source]
    zero = int(np.flatnonzero(kz == 0)[0])
    if _repair_origin(values[0], zero):
        notes.append("origin repaired")
    values /= values[0, 0, zero]
    contrasts = [_contrast(values[0], order, kz) for order in values[1:]]
    for order, contrast in zip(values[1:], contrasts, strict=True):
        order /= contrast
    if contrasts:
        notes.append("divided by " + ", ".join(f"{c:.3f}" for c in contrasts))
    kr = kr_step_per_um * np.arange(table.shape[1])
    lateral, axial = _cutoffs(values, kr, kz, optics)
    notes.append(f"cut at {lateral:.3f} and kz {', '.join(f'{a:.3f}' for a in axial)} per µm")
    return RadialVolumeOTF(
        kr_per_um=kr,
        kz_per_um=kz,
        values=values,
        cutoff_per_um=lateral,
        axial_cutoff_per_um=axial,
        source="; ".join(notes),
    )


def lit_as_sheet(otf: RadialVolumeOTF) -> bool:
    """Whether order 0 fades with defocus at kr = 0: its light is a sheet, not the whole depth."""
    return _is_sheet(otf.values[0], otf.kz_per_um)


def _is_sheet(order0: np.ndarray, kz: np.ndarray) -> bool:
    zero = int(np.argmin(np.abs(kz)))
    return bool(abs(order0[0, zero + 1]) > _SHEET_NEIGHBOUR * abs(order0[0, zero]))


def _repair_origin(order0: np.ndarray, zero: int) -> bool:
    """Undo in place what bead programs do at kr = 0; say whether anything was.

    They copy the row kr = 0 from the next one but for the origin, because background spoils it.
    Light that is the same in all planes puts everything of that row at kz = 0, as much as the
    sums over kz of the next rows tell by a straight line.
    """
    first, second = np.delete(order0[0], zero), np.delete(order0[1], zero)
    copied = bool(np.allclose(first, second, atol=1e-6 * abs(order0[0, zero])))
    if copied:
        order0[0] = np.where(np.arange(order0.shape[1]) == zero, order0[0, zero], 0.0)
    total = order0.sum(axis=1).real
    rows = np.arange(total.size)
    line = float(np.polyval(np.polyfit(rows[_LINE], total[_LINE], 1), 0.0))
    if abs(total[0] - line) <= _ORIGIN_TOLERANCE * abs(line):
        return copied
    order0[0, zero] += line - total[0]
    return True


def _contrast(order0: np.ndarray, order: np.ndarray, kz: np.ndarray) -> float:
    """Largest size of the axial profile of an order where order 0 is in focus.

    The profile is the ratio of the PSFs along z, weighted over lateral frequencies.
    """
    step = float(kz[1] - kz[0])
    z = np.linspace(-0.5, 0.5, 201) / step
    waves = np.exp(2j * np.pi * kz[:, None] * z[None, :])
    kr = np.arange(order0.shape[0])[:, None]
    zero, other = order0 @ waves, order @ waves
    focus = np.sum(kr * np.abs(zero) ** 2, axis=0)
    near = focus > _NEAR_FOCUS * focus.max()
    profile = np.sum(kr * other * zero.conj(), axis=0)[near] / focus[near]
    return float(np.abs(profile).max())


def _cutoffs(
    values: np.ndarray, kr: np.ndarray, kz: np.ndarray, optics: Optics | None
) -> tuple[float, tuple[float, ...]]:
    """Where the table holds signal, and not beyond what the optics can pass."""
    lateral = _reach(np.abs(values[0]).sum(axis=1), kr)
    weight = kr[:, None] * np.abs(values) ** 2
    profiles = np.sqrt(weight.sum(axis=1))
    height = np.abs(kz)
    levels = np.unique(np.round(height, 9))
    axial = []
    for profile in profiles:
        folded = np.asarray([profile[np.isclose(height, k)].max() for k in levels])
        axial.append(_reach(folded, levels))
    if optics is None:
        return lateral, tuple(axial)
    known = optics.excitation_nm is not None and optics.excitation_na is not None
    if known and len(values) == 3 and not _is_sheet(values[0], kz):
        passed = detection_axial_cutoff_per_um(optics) + 2.0 * float(kz[1] - kz[0])
        moved = (0.0, axial_shift_per_um(optics), 0.0)
        axial = [min(a, passed + shift) for a, shift in zip(axial, moved, strict=True)]
    return min(optics.cutoff_per_um, float(kr[-1])), tuple(axial)


def _reach(profile: np.ndarray, k: np.ndarray) -> float:
    """First frequency from which on the profile stays below 0.2 % of its top or 3 × its noise."""
    noise = float(np.median(profile[3 * profile.size // 4 :]))
    if noise > _SIGNAL_TO_THE_END * profile.max():
        noise = 0.0
    floor = max(_FLOOR * profile.max(), _NOISE_FACTOR * noise)
    above = np.flatnonzero(profile > floor)
    last = min(int(above[-1]) + 1, profile.size - 1)
    return float(k[last]) if last < profile.size - 1 else float(k[-1] + k[1])


def grid_volume_otf(
    psf: np.ndarray,
    dz_um: float,
    pixel_um: float,
    optics: Optics,
    *,
    light_per_um: Sequence[float] | None = None,
    source: str = "measured PSFs",
) -> GridVolumeOTF:
    """An OTF from the PSFs of all orders on a grid.

    Parameters
    ----------
    psf : ndarray, shape (orders, Z, Y, X), real or complex
        Order 0 first, background removed, the focus on voxel (Z//2, Y//2, X//2).
    dz_um, pixel_um
        Pitches, µm.
    optics
        Gives the cut-offs: 2·NA/λ, and along kz that of the rays, plus kz1 for order 1 of three
        orders whose light is not a sheet, plus twice the resolution of the stack; for a sheet
        what its light can add, 2·n/λ_ex. Never more than what planes so far apart can show.
    light_per_um
        How far the light widens every order along kz, where that is known.
    source
        For messages and provenance.

    Returns
    -------
    GridVolumeOTF
        Order 0 sums to 1; the others are scaled as in :func:`radial_table`.

    Raises
    ------
    InputError
        For another shape, values that are not finite, or an order 0 without light.
    """
    psf = np.asarray(psf)
    if psf.ndim != 4 or min(psf.shape[1:]) < 4 or not np.isfinite(psf).all():
        raise InputError(
            "The PSFs of the orders are not usable.",
            expected="finite values of shape (orders, Z, Y, X), at least 4 voxels each way",
            got=str(psf.shape),
            where=source,
        )
    total = float(psf[0].real.sum())
    if not total > 0:
        raise InputError("The PSF of order 0 holds no light.", got=f"sum {total:g}", where=source)
    focus = np.sum(np.abs(psf[0]) ** 2, axis=(1, 2))
    near = focus > _NEAR_FOCUS * focus.max()
    scaled = [psf[0] / total]
    for order in psf[1:]:
        profile = np.sum(order * np.conj(psf[0]), axis=(1, 2))[near] / focus[near]
        scaled.append(order / (total * float(np.abs(profile).max())))
    depth = psf.shape[1] * dz_um
    passed = detection_axial_cutoff_per_um(optics) + 2.0 / depth
    flux = np.abs(psf[0].sum(axis=(1, 2)))
    edge = max(flux[0], flux[-1])
    light = np.zeros(len(psf))
    if light_per_um is not None:
        light[:] = light_per_um
    elif edge < _SHEET_NEIGHBOUR * flux.max():
        wavelength = (optics.excitation_nm or optics.emission_nm) * 1e-3
        light[:] = 2.0 * optics.immersion_index / wavelength
    elif len(psf) == 3:
        light[1] = axial_shift_per_um(optics)
    return GridVolumeOTF(
        psf=np.stack(scaled),
        dz_um=float(dz_um),
        pixel_um=float(pixel_um),
        cutoff_per_um=optics.cutoff_per_um,
        axial_cutoff_per_um=tuple(min(float(passed + v), 0.5 / float(dz_um)) for v in light),
        source=source,
    )
