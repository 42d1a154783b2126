"""From bead pictures of several channels to the maps between them: the one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.record import worst
from calibration.registration.fit import AffineFit
from calibration.registration.match import Matched, match
from calibration.registration.spots import Beads, find_beads
from simrecon.errors import InputError, UsageError
from simrecon.model.affine import Affine2D
from simrecon.model.optics import Optics
from simrecon.model.pattern import Verdict

GOOD_BEADS = 12
RESIDUAL_NM = 30.0
"""A third of the finest detail of SIM: shifts of this size show in an overlay."""
CORNER_NM = 15.0
"""Error of the map at the worst corner of the field."""
DISTORTED = 2.0
"""Reduced χ² from which an affine map is said not to be all there is. Chosen."""


@dataclass(frozen=True)
class ChannelMap:
    """One channel against the reference.

    Attributes
    ----------
    emission_nm : float
    beads : tuple of Beads
        One per field.
    matched : Matched or None
        None for the reference itself.
    """

    emission_nm: float
    beads: tuple[Beads, ...]
    matched: Matched | None

    @property
    def affine(self) -> Affine2D:
        """Map of this channel's points to the reference."""
        return Affine2D() if self.matched is None else self.matched.fit.affine

    @property
    def fit(self) -> AffineFit | None:
        """The fit behind it."""
        return None if self.matched is None else self.matched.fit


@dataclass(frozen=True)
class Registration:
    """What was found.

    Attributes
    ----------
    pixel_um : float
    shape : (int, int)
    reference : int
        Index of the channel whose map is the identity.
    channels : tuple of ChannelMap
    verdict, notes
        Overall, with reasons.
    """

    pixel_um: float
    shape: tuple[int, int]
    reference: int
    channels: tuple[ChannelMap, ...]
    verdict: Verdict
    notes: tuple[str, ...]

    @property
    def corners_um(self) -> np.ndarray:
        """Corners of the field, (4, 2)."""
        y, x = (self.pixel_um * (n - 1) for n in self.shape)
        return np.array([(0.0, 0.0), (0.0, x), (y, 0.0), (y, x)])


def measure_registration(
    fields: Sequence[np.ndarray],
    pixel_um: float,
    optics: Sequence[Optics],
    *,
    reference: int = 0,
    bead_um: float = 0.1,
    min_snr: float = 10.0,
) -> Registration:
    """Find beads in every channel, match them, and fit an affine map per channel.

    Parameters
    ----------
    fields
        Pictures (C, Y, X) in counts, of one shape: fields of view with the same beads in all
        channels.
    pixel_um
        Camera pixel in the sample; all cameras have the same.
    optics
        One per channel; their emission wavelengths name the channels.
    reference
        Channel to whose coordinates the maps lead.
    bead_um, min_snr
        Diameter of the beads; least signal over noise.

    Raises
    ------
    InputError
        Pictures of different shapes, or fewer than two channels.
    QualityError
        No beads, beads of a width that cannot be, or too few common ones.
    """
    shape = _checked(fields, optics, reference)
    beads = [
        tuple(
            find_beads(picture[c], pixel_um, one, bead_um=bead_um, min_snr=min_snr,
                       where=f"channel {c} ({one.emission_nm:g} nm), picture {f + 1}")
            for f, picture in enumerate(fields)
        )
        for c, one in enumerate(optics)
    ]  # fmt: skip
    extent = (shape[0] * pixel_um, shape[1] * pixel_um)
    channels = []
    for c, one in enumerate(optics):
        found = None
        if c != reference:
            where = f"channel {c} ({one.emission_nm:g} nm) against channel {reference}"
            found = match(beads[c], beads[reference], extent, where)
        channels.append(ChannelMap(one.emission_nm, beads[c], found))
    made = Registration(pixel_um, shape, reference, tuple(channels), "ok", ())
    verdict, notes = _judged(made)
    return Registration(pixel_um, shape, reference, tuple(channels), verdict, notes)


def _checked(
    fields: Sequence[np.ndarray], optics: Sequence[Optics], reference: int
) -> tuple[int, int]:
    shapes = {np.shape(f) for f in fields}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise InputError("The bead pictures have different shapes.",
                         expected="one shape (channels, rows, columns)",
                         got=", ".join(map(str, sorted(shapes))))  # fmt: skip
    count, rows, columns = next(iter(shapes))
    if count < 2 or count != len(optics):
        raise InputError("A registration needs two channels or more.",
                         expected="pictures and wavelengths of as many channels",
                         got=f"{count} channel(s), {len(optics)} wavelength(s)")  # fmt: skip
    wavelengths = [o.emission_nm for o in optics]
    if len(set(wavelengths)) < count:
        raise UsageError("Channels are known by their emission wavelengths, which must differ.",
                         got=", ".join(f"{nm:g} nm" for nm in wavelengths),
                         where="--emission-nm")  # fmt: skip
    if not 0 <= reference < count:
        raise UsageError("There is no such reference channel.", got=str(reference))
    for number, field in enumerate(fields, 1):
        if not np.isfinite(field).all():
            raise InputError("A picture contains NaN or infinite values.",
                             where=f"picture {number}")  # fmt: skip
    return int(rows), int(columns)


def _judged(found: Registration) -> tuple[Verdict, tuple[str, ...]]:
    verdicts: list[Verdict] = ["ok"]
    notes = []
    for channel in found.channels:
        matched = channel.matched
        if matched is None:
            continue
        fit, name = matched.fit, f"{channel.emission_nm:g} nm"
        corner = float(fit.error_nm(found.corners_um).max())
        doubts = []
        if fit.count < GOOD_BEADS:
            doubts.append(f"{fit.count} common beads (ok from {GOOD_BEADS})")
        if fit.residual_nm > RESIDUAL_NM:
            doubts.append(f"residual {fit.residual_nm:.0f} nm (ok to {RESIDUAL_NM:g})")
        if corner > CORNER_NM:
            doubts.append(f"error at the corners {corner:.0f} nm (ok to {CORNER_NM:g}): beads "
                          "nearer to them are needed")  # fmt: skip
        if doubts:
            verdicts.append("weak")
            notes.append(f"{name}: {'; '.join(doubts)}")
        if fit.chi2 > DISTORTED:
            notes.append(f"{name}: χ² {fit.chi2:.1f}: more than an affine map (distortion, moving "
                         "beads) or beads too small for their noise")  # fmt: skip
        if matched.outliers:
            notes.append(f"{name}: {matched.outliers} pair(s) near, but not on the map, left out")
    return worst(*verdicts), tuple(notes)
