"""OTFs of volumes: of theory from the light that the settings describe, or given and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simrecon.config import Settings
from simrecon.errors import MetadataError, UsageError
from simrecon.model.optics import Optics
from simrecon.model.psf import (
    AnyOTF,
    AnyVolumeOTF,
    DirectionalVolumeOTF,
    GridOTF,
    RadialOTF,
    VolumeOTF,
    of_direction,
)
from simrecon.model.stack import SimStack
from simrecon.otf_choice import of_channel
from simrecon.physics.lattice import Lattice
from simrecon.physics.otf_volume_checks import check_volume_otf
from simrecon.physics.theory_volume import theoretical_volume_otf

ORDERS = 3
"""Orders of three-beam light and of a lattice, 0 included."""


def volume_otf(
    stack: SimStack,
    channel: int,
    settings: Settings,
    given: AnyOTF | Sequence[AnyOTF] | None,
) -> tuple[AnyVolumeOTF, list[str]]:
    """OTFs of all orders for a channel, checked against its optics, and notes.

    `given`: None for theory, one, or one per channel.

    Raises
    ------
    UsageError
        For a planar OTF, a wrong number of them, or when theory lacks the excitation.
    InputError
        When the OTF does not belong to the optics or holds too few orders.
    """
    optics = stack.optics[channel]
    sheet = settings.reconstruction.mode == "lls"
    if given is None:
        light = optics if sheet else _with_excitation(optics, settings)
        pixel_um = stack.pixel_um if optics.pixel_integration else None
        model = settings.reconstruction.otf_model
        chosen: VolumeOTF = theoretical_volume_otf(
            light,
            illumination=lattice_of(optics, settings).profiles() if sheet else "three-beam",
            pixel_um=pixel_um,
            model="scalar" if model == "ideal" else model,
        )
        told = "otf_model ideal has no depth: the scalar model was used for the volume"
        return chosen, [told] if model == "ideal" else []
    one = of_channel(given, stack, channel)
    if isinstance(one, RadialOTF | GridOTF):
        raise UsageError(
            "A volume needs the OTFs of all orders.",
            expected="a three-order OTF file, or none (theory)",
            got="the OTF of a plane",
            where="--otf",
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
    notes = []
    for d in range(directions if isinstance(one, DirectionalVolumeOTF) else 1):
        own = of_direction(one, d)
        found = check_volume_otf(own, optics, orders=ORDERS, sheet_per_um=thickness)
        notes += [note for note in found if note not in notes]
    return one, notes


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
