"""Does a volume OTF belong to these optics? Its widths against those of theory."""

from __future__ import annotations

import numpy as np

from simrecon.errors import InputError
from simrecon.model.optics import Optics
from simrecon.model.psf import VolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.theory_volume import theoretical_volume_otf

MISMATCH_FACTOR = 1.6
"""A width that many times too large or small is refused, as for planar OTFs; 1.3 is noted."""

_VISIBLE = 0.02
_EXTENT_UM = 4.0
_NEAR_AXIS = 0.1
"""Of the cut-off: there the detection is narrow along kz, and order 1 lies at its two places."""
_BLUR = 0.15
"""Along kz, cycles/µm: of the place of order 1 in OTFs whose PSF is some 7 µm deep or less."""


def check_volume_otf(
    otf: VolumeOTF, optics: Optics, *, orders: int, sheet_per_um: float = 0.0
) -> list[str]:
    """Compare a volume OTF with the optics and with the orders that a pattern needs.

    Parameters
    ----------
    otf
        From a file, a PSF or theory.
    optics
        NA, emission and index say how far order 0 must reach.
    orders
        Orders that the reconstruction needs, 0 included (three-beam: 3).
    sheet_per_um
        How far a light sheet widens order 0 along kz (its NA_ex·2/λ_ex at most), cycles/µm; 0
        where the light of order 0 is the same in all planes.

    Returns
    -------
    list of str
        Notes on smaller disagreements.

    Raises
    ------
    InputError
        Too few orders; or the radius, or the height in kz, at which order 0 is seen is off by
        1.6 or more: another wavelength, objective, pixel size or distance of the planes.
    """
    if otf.orders < orders:
        raise InputError(
            "The OTF holds fewer orders than the pattern has.",
            expected=f"{orders} orders (0 to {orders - 1})",
            got=f"{otf.orders}",
            where=otf.source or "--otf",
            hint="give the OTF of this mode, or reconstruct fewer orders",
        )
    theory = theoretical_volume_otf(optics, illumination="two-beam", extent_um=_EXTENT_UM)
    radius, height = visible_extent(otf)
    expected_radius, expected_height = visible_extent(theory)
    notes = []
    pixel, planes = "the pixel size of the OTF", "the plane distance (dz) of the OTF"
    for name, got, low, high, cause in (
        ("lateral radius", radius, expected_radius, expected_radius, pixel),
        ("axial height", height, expected_height, expected_height + sheet_per_um, planes),
    ):
        numbers = f"{low:.2f} per µm" if low == high else f"{low:.2f} to {high:.2f} per µm"
        numbers += f" from NA {optics.na:g}, {optics.emission_nm:g} nm, index "
        numbers += f"{optics.immersion_index:g}"
        if not low / MISMATCH_FACTOR < got < high * MISMATCH_FACTOR:
            raise InputError(
                f"The OTF does not belong to these optics: its {name} does not fit.",
                expected=numbers,
                got=f"{got:.2f} per µm",
                where=otf.source or "--otf",
                hint=f"check {cause}, --na, --index and --emission-nm",
            )
        slack = 0.5 * (1.0 + MISMATCH_FACTOR)
        if not low / slack < got < high * slack:
            notes.append(f"The OTF's {name} is {got:.2f} per µm; expected are {numbers}.")
    return notes


def three_beam_doubt(otf: VolumeOTF, optics: Optics, fundamental_per_um: float) -> str | None:
    """Whether order 1 of an OTF lies where three beams of this fundamental have it along kz.

    Beams at ``±p``, all of wave number ``k = n/λ_ex``, differ from the central one by
    ``k − √(k² − p²)`` along kz. OTFs of theory meet that to 0.001 per µm, the file of
    ``cudasirecon-3dsim`` to 0.01.

    Parameters
    ----------
    otf
        With order 1.
    optics
        Where the excitation is not known, it is taken to be between 0.85 and 1 of the emission.
    fundamental_per_um
        p as found in the frames, cycles/µm.

    Returns
    -------
    str or None
        A sentence with both numbers when they differ by 1.3 or more, as widths are noted.
    """
    emission_um = optics.emission_nm * 1e-3
    waves = (0.85 * emission_um, emission_um)
    if optics.excitation_nm is not None:
        waves = (optics.excitation_nm * 1e-3,) * 2
    beams = [optics.immersion_index / wave for wave in waves]
    if min(beams) <= fundamental_per_um:
        return None
    low, high = (k - float(np.sqrt(k**2 - fundamental_per_um**2)) for k in beams)
    got, slack = axial_place(otf), 0.5 * (1.0 + MISMATCH_FACTOR)
    if min(low / slack, low - _BLUR) < got < max(high * slack, high + _BLUR):
        return None
    expected = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
    return (
        f"the OTF contradicts the pattern: its order 1 lies at ±{got:.2f} per µm along kz, three "
        f"beams of the period found ({1e3 / fundamental_per_um:.0f} nm) at ±{expected}: the OTF of "
        "another instrument or pattern (without --otf: wrong --excitation-na or --excitation-nm)?"
    )


def axial_place(otf: VolumeOTF) -> float:
    """Mean ``|kz|`` of order 1 near the axis, weighted by ``|H_1|²``, cycles/µm."""
    kz = np.linspace(-1.0, 1.0, 257) * otf.axial_cutoff_per_um[1]
    angle = np.linspace(0.0, np.pi, 8, endpoint=False)
    ky, kx = (_NEAR_AXIS * otf.cutoff_per_um * part(angle) for part in (np.sin, np.cos))
    values = evaluate_volume_otf(otf, 1, kz[:, None], ky[None], kx[None])
    weight = (np.abs(values) ** 2).sum(axis=1)
    return float(np.sum(np.abs(kz) * weight) / np.sum(weight))


def visible_extent(otf: VolumeOTF) -> tuple[float, float]:
    """Radius and height of order 0 where it is still seen, cycles/µm.

    Returns
    -------
    radius : float
        Where the sum over kz of ``|H_0|`` falls below 2 % of its value near the axis.
    height : float
        Mean ``|kz|`` at half that radius, weighted by ``|H_0|``, times two.
    """
    kz = np.linspace(-1.0, 1.0, 129) * otf.axial_cutoff_per_um[0]
    angle = np.linspace(0.0, np.pi, 8, endpoint=False)

    def over_kz(kr: np.ndarray) -> np.ndarray:
        """Azimuthal mean of |H_0|, shape (kz, kr)."""
        ky, kx = kr[:, None] * np.sin(angle), kr[:, None] * np.cos(angle)
        values = evaluate_volume_otf(otf, 0, kz[:, None, None], ky[None], kx[None])
        return np.asarray(np.abs(values).mean(axis=2))

    kr = np.linspace(0.02, 1.0, 99) * otf.cutoff_per_um
    profile = over_kz(kr).sum(axis=0)
    below = np.flatnonzero(profile < _VISIBLE * profile[0])
    radius = float(kr[below[0]] if below.size else kr[-1])
    weight = over_kz(np.asarray([0.5 * radius]))[:, 0]
    return radius, float(2.0 * np.sum(np.abs(kz) * weight) / np.sum(weight))
