"""Can a camera with these pixels have stood behind these optics?"""

from __future__ import annotations

import math

from simrecon.errors import InputError

FINEST_UM = 0.005
COARSE, IMPOSSIBLE = 2.0, 10.0
"""Finest period that the optics pass, in periods per pixel: 0.5 is Nyquist's limit. At COARSE four
times too coarse, so that next to nothing can be sharpened; at IMPOSSIBLE the unit is wrong.
Chosen: an objective of NA 0.2 on pixels of 2 µm, about the coarsest in use, has 1.5."""
PLANES_UM = (0.005, 50.0)


def check_sampling(pixel_um: float, cutoff_per_um: float | None, where: str) -> str | None:
    """Refuse impossible pixels; say what is doubtful about coarse ones.

    Parameters
    ----------
    pixel_um
        Pixel in the sample, µm.
    cutoff_per_um
        Highest frequency that the optics pass, cycles per µm; None: not known.
    where
        The file, for the message.

    Returns
    -------
    str or None
        A doubt.

    Raises
    ------
    InputError
        Pixels below `FINEST_UM`, or ten times as coarse as the finest detail of the optics.
    """
    periods = math.nan if cutoff_per_um is None else pixel_um * cutoff_per_um
    if not math.isfinite(pixel_um) or pixel_um < FINEST_UM or periods > IMPOSSIBLE:
        most = "" if cutoff_per_um is None else f" to {IMPOSSIBLE / cutoff_per_um:.3g} µm"
        raise InputError(
            "No camera behind these optics has this pixel size in the sample.",
            expected=f"{FINEST_UM:g}{most or ' µm or more'} (--pixel-um)",
            got=f"{pixel_um:g} µm",
            where=where,
            hint=f"nm given instead of µm? Then it is {pixel_um / 1000:g}"
            if FINEST_UM <= pixel_um / 1000 < math.inf
            else "the camera's pixel divided by the magnification",
        )
    if periods <= COARSE or math.isnan(periods):
        return None
    return (
        f"coarse pixels: {pixel_um:g} µm, where these optics ask for "
        f"{0.5 / (cutoff_per_um or 1.0):.3g} µm; what is finer than a pixel cannot be restored. "
        "Check --pixel-um, --na and --emission-nm"
    )


def check_planes(dz_um: float, where: str) -> None:
    """Refuse a distance of planes that no stack has.

    Raises
    ------
    InputError
    """
    low, high = PLANES_UM
    if not low <= dz_um <= high:
        raise InputError(
            "No stack has this distance of planes.",
            expected=f"{low:g} to {high:g} µm (--dz-um)",
            got=f"{dz_um:g} µm",
            where=where,
            hint=f"nm given instead of µm? Then it is {dz_um / 1000:g}"
            if high < dz_um < math.inf
            else "the way of the stage from plane to plane, in µm",
        )
