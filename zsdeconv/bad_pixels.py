"""Bad pixels of a camera: what the others around them show, in pictures and volumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.errors import InputError
from simrecon.model.camera import Camera

REACH_PX = 2
"""Neighbours up to so far away count: a whole dead column leaves four columns of them."""


def mended(counts: np.ndarray, camera: Camera) -> tuple[np.ndarray, Camera]:
    """Bad pixels get the median of the good ones around them, and typical camera numbers.

    Parameters
    ----------
    counts : ndarray, shape (Y, X) or (Z, Y, X)
        Planes of the camera's window; each is mended by itself.

    Raises
    ------
    InputError
        When nothing good is near a bad pixel.
    """
    bad = camera.bad_pixels
    if bad is None:
        return counts, camera
    holed = np.where(bad, np.nan, counts)
    widths = [(0, 0)] * (counts.ndim - 2) + [(REACH_PX, REACH_PX)] * 2
    wide = np.pad(holed, widths, mode="reflect")
    rows, columns = np.nonzero(bad)
    steps = range(2 * REACH_PX + 1)
    around = np.stack([wide[..., rows + dy, columns + dx] for dy in steps for dx in steps])
    lost = int(np.isnan(around).all(axis=0).any(axis=tuple(range(counts.ndim - 2))).sum())
    if lost:
        raise InputError(
            "Whole areas of the camera are bad: nothing near them tells what they would show.",
            expected=f"good pixels within {REACH_PX} of every bad one",
            got=f"{lost} pixels without any",
            where="camera",
            hint="cut the picture, or look at the record ('simcal camera')",
        )
    holed[..., rows, columns] = np.nanmedian(around, axis=0)
    typical = camera.summary()

    def numbers(name: str) -> np.ndarray:
        return np.where(bad, typical[name], getattr(camera, name)).astype(np.float32)

    return holed, replace(
        camera,
        gain=numbers("gain"),
        offset=numbers("offset"),
        read_noise_e=numbers("read_noise_e"),
    )
