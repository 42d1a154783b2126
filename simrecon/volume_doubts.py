"""Why a volume's pattern could not be fitted: how the frames would be read by themselves."""

from __future__ import annotations

from simrecon.config import Settings
from simrecon.frame_doubts import frame_doubt
from simrecon.grouping import core_order
from simrecon.model.psf import AnyVolumeOTF
from simrecon.model.stack import SimStack


def doubts(stack: SimStack, settings: Settings, measured: AnyVolumeOTF | None) -> list[str]:
    """What may be wrong where the fit of a volume's pattern failed, in sentences.

    Parameters
    ----------
    stack
        As it was read; what is clear from the frames is held against it (:mod:`.frame_doubts`).
    settings
        Mode, and what was told about a light sheet.
    measured
        The OTF if one was given. It is suspected where the frames themselves are read right.
    """
    return [*_of_frames(stack, settings.reconstruction.mode, measured), *_told(settings)]


def _of_frames(stack: SimStack, mode: str, measured: AnyVolumeOTF | None) -> list[str]:
    """Frame order, mode, or else the OTF."""
    found = frame_doubt(stack, mode)
    if found is None:
        return []
    if found.text is not None:
        return [found.text]
    if measured is None:
        return []
    return [
        f"the frames are read right (order {core_order(stack.order)} {found.seen}), but the "
        f"given OTF does not agree with them: that of another instrument, mode, wavelength, pixel "
        f"size or plane distance? ({measured.source or '--otf'})"
    ]


def _told(settings: Settings) -> list[str]:
    """What was told about a light sheet and may be wrong."""
    sheet, said = settings.sheet, []
    if sheet.sheet_offset_um != "auto":
        said.append(
            f"the sheet was taken to lie {sheet.sheet_offset_um:g} µm from the focal plane, as "
            "told; --sheet-offset-um auto finds where it is"
        )
    if sheet.sheet_orders == 1:
        said.append(
            "order 2 was taken to be absent, as told: a lattice with five phases needs no "
            "--sheet-orders 1"
        )
    return said
