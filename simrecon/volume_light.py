"""OTFs of volumes: of theory from the light that the settings describe, or given and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from simrecon.config import Settings
from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import (
    AnyOTF,
    AnyVolumeOTF,
    AxialProfiles,
    DirectionalVolumeOTF,
    GridOTF,
    RadialOTF,
    VolumeOTF,
    of_direction,
)
from simrecon.model.stack import SimStack
from simrecon.otf_choice import of_channel
from simrecon.physics.lattice import Lattice
from simrecon.physics.otf_volume import first_orders
from simrecon.physics.otf_volume_checks import check_volume_otf
from simrecon.physics.theory_volume import theoretical_volume_otf

ORDERS = 3
"""Orders of three-beam light and of a lattice, 0 included."""


@dataclass(frozen=True)
class VolumeLight:
    """OTFs of all orders of one channel.

    Attributes
    ----------
    otf : VolumeOTF or DirectionalVolumeOTF
        With a light sheet at the distance of the settings, in the focal plane if that is "auto".
    notes : tuple of str
    at : callable or None
        The OTFs with the sheet at a distance from the focal plane, µm; None: there is no sheet, or
        it was measured where it is.
    measured : bool
        The OTFs were given.
    doubt : str
        Why no pattern fitted with them is better than weak; empty: nothing known.
    """

    otf: AnyVolumeOTF
    notes: tuple[str, ...] = ()
    at: Callable[[float], VolumeOTF] | None = None
    measured: bool = False
    doubt: str = ""

    def of(self, pattern: PatternFit) -> AnyVolumeOTF:
        """The OTFs that belong to a pattern, with the sheet where it was found."""
        offset = pattern.directions[0].sheet_offset_um
        return self.otf if self.at is None or offset is None else self.at(offset)


def volume_light(
    stack: SimStack,
    channel: int,
    settings: Settings,
    given: AnyOTF | Sequence[AnyOTF] | None,
) -> VolumeLight:
    """OTFs of all orders for a channel, checked against its optics.

    `given`: None for theory, one, or one per channel.

    Raises
    ------
    UsageError
        For a planar OTF, a wrong number of them, or for a distance of a measured sheet.
    MetadataError
        When theory lacks the excitation.
    InputError
        When the OTF does not belong to the optics or holds too few orders, or when the frames are
        too few for them.
    """
    optics = stack.optics[channel]
    sheet = settings.reconstruction.mode == "lls"
    if given is None:
        return _of_theory(stack, optics, settings)
    one = of_channel(given, stack, channel)
    if isinstance(one, RadialOTF | GridOTF):
        raise UsageError(
            "A volume needs the OTFs of all orders.",
            expected="a three-order OTF file, or none (theory)",
            got="the OTF of a plane",
            where="--otf",
        )
    if sheet and settings.sheet.sheet_offset_um not in ("auto", 0.0):
        raise UsageError(
            "A measured OTF holds the sheet where it was: it cannot be moved.",
            expected="no --otf (theory), or no distance",
            got=f"{settings.sheet.sheet_offset_um:g} µm",
            where="--sheet-offset-um",
        )
    thickness = 0.0
    if sheet:  # light from the whole aperture could make the sheet at most so thin
        wave_um = (optics.excitation_nm or optics.emission_nm) * 1e-3
        thickness = 2.0 * optics.immersion_index / wave_um
    directions = int(stack.data.shape[2])
    if isinstance(one, DirectionalVolumeOTF) and len(one.directions) != directions:
        raise UsageError(
            "There must be one OTF for all directions, or one for each.",
            expected=f"1 or {directions}",
            got=str(len(one.directions)),
            where="--otf",
        )
    least = 2 if sheet and stack.phases < 2 * ORDERS - 1 else ORDERS
    least = min(least, _wanted(settings, ORDERS))
    notes: list[str] = []
    for d in range(directions if isinstance(one, DirectionalVolumeOTF) else 1):
        own = of_direction(one, d)
        found = check_volume_otf(own, optics, orders=least, sheet_per_um=thickness)
        notes += [note for note in found if note not in notes]
    if sheet and one.orders > 2 and _wanted(settings, one.orders) == 2:
        notes.append(ORDER_2_LEFT_OUT)
    used = first_orders(one, _wanted(settings, one.orders))
    if sheet:
        _check_phases(stack, used.orders, None)
        notes.append("the sheet is taken to be where it was when the OTF was measured")
    return VolumeLight(used, tuple(notes), measured=True)


ORDER_2_LEFT_OUT = "order 2 of the pattern is taken to be absent (sheet_orders = 1)"


def _of_theory(stack: SimStack, optics: Optics, settings: Settings) -> VolumeLight:
    """Of three beams, or of a lattice at any distance."""
    sheet = settings.reconstruction.mode == "lls"
    model = settings.reconstruction.otf_model
    notes = ["otf_model ideal has no depth: the scalar model was used for the volume"]
    notes = notes if model == "ideal" else []

    def made(light: Optics, illumination: Literal["three-beam"] | AxialProfiles) -> VolumeOTF:
        return theoretical_volume_otf(
            light,
            illumination=illumination,
            pixel_um=stack.pixel_um if optics.pixel_integration else None,
            model="scalar" if model == "ideal" else model,
        )

    if not sheet:
        light = _with_excitation(optics, settings)
        for value, option in (
            (light.excitation_nm, "--excitation-nm"),
            (light.excitation_na, "--excitation-na"),
        ):
            if value is None:
                raise MetadataError(
                    "The theoretical OTF of three beams needs the excitation's wavelength and NA.",
                    expected="--excitation-nm and --excitation-na",
                    got=f"{option} is missing",
                    where=option,
                    hint="finest period = λ_ex/(2·NA_ex); or give measured OTFs of all orders with "
                    "--otf",
                )
        return VolumeLight(made(light, "three-beam"), tuple(notes))
    lattice = lattice_of(optics, settings)
    orders = _wanted(settings, ORDERS)
    _check_phases(stack, orders, lattice)
    doubt = ""
    if orders < ORDERS:
        share = lattice.contrast[1] / lattice.contrast[0]
        doubt = (
            f"{ORDER_2_LEFT_OUT}; a {lattice.kind} lattice has {share:.0%} of order 1's contrast "
            "in it: where the light is such a lattice, that much is put into wrong places"
        )
    profiles = lattice.profiles()

    def at(offset_um: float) -> VolumeOTF:
        kept = replace(profiles, values=profiles.values[:orders]).moved(offset_um)
        return made(optics, kept)

    offset = settings.sheet.sheet_offset_um
    return VolumeLight(at(0.0 if offset == "auto" else offset), tuple(notes), at, doubt=doubt)


def _wanted(settings: Settings, there: int) -> int:
    """Orders to use of those that an OTF holds, 0 included."""
    orders = settings.sheet.sheet_orders
    return there if orders == "auto" else min(there, orders + 1)


def _check_phases(stack: SimStack, orders: int, lattice: Lattice | None) -> None:
    """Refuse frames that cannot tell the orders of a sheet apart.

    Raises
    ------
    InputError
        Saying what three-phase sets can be.
    """
    least = 2 * orders - 1
    if stack.phases >= least:
        return
    what = "Order 2"
    if lattice is not None:
        share = lattice.contrast[1] / lattice.contrast[0]
        what = f"Order 2 of a {lattice.kind} lattice ({share:.0%} of order 1's contrast)"
    raise InputError(
        f"{stack.phases} phases do not separate {orders - 1} orders of a light sheet. {what} would "
        "be taken for order 1 of the other side and put into wrong places; frames that were "
        "dropped cannot be made up for.",
        expected=f"{least} phases or more",
        got=f"{stack.phases}",
        where="--phases",
        hint="record 5 phases (wrong --phases?); where the light was made with one order only (two "
        "beams), or is known to have next to nothing in order 2, say --sheet-orders 1",
    )


def lattice_of(optics: Optics, settings: Settings) -> Lattice:
    """The lattice that the settings describe.

    Raises
    ------
    MetadataError
        Naming what is missing.
    """
    sheet = settings.sheet
    for value, option in (
        (optics.excitation_nm, "--excitation-nm"),
        (sheet.lattice_na_max, "--lattice-na-max"),
        (sheet.lattice_na_min, "--lattice-na-min"),
    ):
        if value is None:
            raise MetadataError(
                "The theoretical OTF of a lattice sheet needs its annulus and wavelength.",
                expected="--excitation-nm, --lattice-na-max and --lattice-na-min",
                got=f"{option} is missing",
                where=option,
                hint="or give measured OTFs of all orders with --otf",
            )
    assert sheet.lattice_na_max is not None
    assert sheet.lattice_na_min is not None
    assert optics.excitation_nm is not None
    return Lattice(
        sheet.lattice,
        sheet.lattice_na_max,
        sheet.lattice_na_min,
        optics.excitation_nm,
        optics.immersion_index,
    )


def _with_excitation(optics: Optics, settings: Settings) -> Optics:
    """Optics whose excitation NA is known, from the expected period where it is not given.

    Three beams make a fundamental of NA_ex/λ_ex.
    """
    period = settings.estimate.period_um
    if optics.excitation_na is not None or period is None or optics.excitation_nm is None:
        return optics
    return replace(optics, excitation_na=1e-3 * optics.excitation_nm / period)
