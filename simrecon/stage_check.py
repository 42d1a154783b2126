"""Does the stage of a light-sheet scan move as the settings say? Asked of the planes themselves."""

from __future__ import annotations

import numpy as np

from simrecon.config import Settings
from simrecon.errors import InputError
from simrecon.estimate.volume.stage_moves import contradicting_way, unexpected_travel, way_vector
from simrecon.model.grid import VolumeGrid


def check_stage(planes: np.ndarray, grid: VolumeGrid, settings: Settings) -> tuple[str, ...]:
    """Hold the planes of a volume of mode lls against what was told of the scan.

    Parameters
    ----------
    planes : ndarray (Z, Y, X)
        Mean of the raw frames of every plane.
    grid
        Raw grid, with the shear of the scan.
    settings
        ``sheet.scan`` and ``sheet.stage_moves``.

    Returns
    -------
    tuple of str
        Notes.

    Raises
    ------
    InputError
        When structures move against the way told: every volume would be wrong.
    """
    sheet = settings.sheet
    if sheet.scan == "objective":
        found = unexpected_travel(planes, grid.dz_um)
        if found is None:
            return ()
        way, step = found
        return (
            f"structures move {way} by about {step:g} pixel(s) from plane to plane: if the stage "
            f"moved, give --scan stage --stage-moves {way} and its angle",
        )
    step = float(np.hypot(*grid.shear)) * grid.dz_um / grid.pixel_um
    seen = contradicting_way(planes, step, grid.dz_um, sheet.stage_moves)
    if seen is None:
        return ()
    if np.dot(way_vector(seen), way_vector(sheet.stage_moves)) == 0.0:
        return (
            f"structures seem to move {seen} from plane to plane, not {sheet.stage_moves} as "
            f"told: if they do, give --stage-moves {seen}",
        )
    raise InputError(
        "The planes of this stage scan move the other way.",
        expected=f"structures that move {sheet.stage_moves} by {step:.1f} pixels from plane to "
        "plane (--stage-moves, --stage-angle-deg)",
        got=f"structures that move {seen}",
        where="--stage-moves",
        hint=f"give --stage-moves {seen}; it is clear from the cross-correlation of the planes",
    )
