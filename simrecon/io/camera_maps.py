"""Per-pixel camera maps as TIFF files: gain, offset, read noise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simrecon.errors import InputError
from simrecon.io.tiff import read_tiff
from simrecon.provenance import sha256_file


def read_camera_maps(
    paths: Mapping[str, str | os.PathLike[str]], shape: tuple[int, int]
) -> tuple[dict[str, np.ndarray], str]:
    """Maps of a camera and a sentence on where they come from.

    Parameters
    ----------
    paths
        Name of the quantity (gain, offset, read_noise_e) → TIFF of one page, in ADU per
        electron, ADU or electrons. NaN or an infinite value marks a bad pixel.
    shape
        Size (Y, X) of the raw frames.

    Returns
    -------
    maps : dict of ndarray (Y, X), float32
    source : str
        File names with their SHA-256, for the provenance.

    Raises
    ------
    InputError
        When a file cannot be read, holds several pages, is of another size, or holds gains of
        0 or below or negative read noise.
    """
    maps, sources = {}, []
    for name, path in paths.items():
        frames = np.asarray(read_tiff(path).frames)
        found = frames.reshape(-1, *frames.shape[-2:])
        if len(found) != 1 or found.shape[1:] != shape:
            raise InputError(
                f"The {name} map does not fit the frames.",
                expected=f"one page of {shape[1]} × {shape[0]} pixels",
                got=f"{len(found)} page(s) of {found.shape[2]} × {found.shape[1]} pixels",
                where=os.fspath(path),
                hint="make the map with the same camera window (ROI) and binning",
            )
        if not np.isfinite(found).any():
            raise InputError(f"The {name} map holds no number.", where=os.fspath(path))
        wrong = found <= 0 if name == "gain" else found < 0
        if name != "offset" and wrong.any():
            raise InputError(
                f"The {name} map holds values that no camera has.",
                expected="numbers above 0" if name == "gain" else "numbers of 0 or more",
                got=f"{int(wrong.sum())} of {found.size} pixels are "
                + ("0 or negative" if name == "gain" else "negative"),
                where=os.fspath(path),
                hint="mark bad pixels with NaN",
            )
        maps[name] = found[0].astype(np.float32)
        sources.append(f"{name} map {Path(path).name} sha256 {sha256_file(Path(path))}")
    return maps, "; ".join(sources)
