"""One stack of planes from a file, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simrecon.config import Settings
from simrecon.errors import MetadataError
from simrecon.io import read_raw
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from zsdeconv.camera_choice import given_camera
from zsdeconv.file_optics import file_optics
from zsdeconv.picture_files import refuse_sim
from zsdeconv.sampling import check_planes, check_sampling
from zsdeconv.selection import chosen_index


@dataclass(frozen=True)
class VolumeFile:
    """A volume and its scale.

    Attributes
    ----------
    path : Path
    counts : ndarray, shape (Z, Y, X)
    pixel_um, dz_um : float
    optics : Optics or None
        None where NA or wavelength are not known (a measured PSF does not need them).
    camera : Camera
    """

    path: Path
    counts: np.ndarray
    pixel_um: float
    dz_um: float
    optics: Optics | None
    camera: Camera


def open_volume(
    path: Path, engine: Settings, *, time: int | None = None, channel: int | None = None
) -> VolumeFile:
    """Read one volume; what `engine` says replaces what the file says.

    An undeclared sequence of frames (a plain TIFF) counts as planes.

    Raises
    ------
    InputError
        Raw SIM frames, or an unreadable file.
    MetadataError
        Pixel, plane distance or camera gain are neither in the file nor given.
    UsageError
        Several time points or channels and none named.
    """
    raw = read_raw(path)
    refuse_sim(raw, path)
    names = [name for name, _ in raw.axes]
    index: list[int | slice] = []
    for name, size in raw.axes:
        if name == "C" or (name == "T" and {"Z", "S"} & set(names)):
            word, wanted = ("channel", channel) if name == "C" else ("time", time)
            index.append(chosen_index(word, wanted, size, str(path)))
        else:
            index.append(slice(None))
    counts = np.asarray(raw.frames[tuple(index)])
    counts = counts.reshape(-1, *counts.shape[-2:])
    facts = file_optics(engine, raw, channel)
    if facts.pixel_um is None or facts.dz_um is None:
        pixel = facts.pixel_um is None
        raise MetadataError(
            f"The {'pixel' if pixel else 'distance of the planes'} is not known.",
            expected="--pixel-um" if pixel else "--dz-um", got="nothing in the file",
            where=str(path), hint=f"for example {'--pixel-um 0.065' if pixel else '--dz-um 0.2'}",
        )  # fmt: skip
    optics = facts.optics()
    check_sampling(facts.pixel_um, None if optics is None else optics.cutoff_per_um, str(path))
    check_planes(facts.dz_um, str(path))
    shape = (int(counts.shape[1]), int(counts.shape[2]))
    return VolumeFile(
        path,
        counts.astype(np.float64),
        facts.pixel_um,
        facts.dz_um,
        optics,
        _camera(engine, raw.camera, shape, path),
    )


def _camera(engine: Settings, stated: Camera | None, shape: tuple[int, int], path: Path) -> Camera:
    """Record, maps, numbers, or what the file states; a gain is not guessed."""
    named = given_camera(engine, shape)
    if named is not None:
        return named
    numbers = {k: getattr(engine.camera, k) for k in ("gain", "offset", "read_noise_e")}
    found = {k: v for k, v in numbers.items() if v is not None}
    if stated is not None:
        return replace(stated, **found)
    if "gain" not in found:
        raise MetadataError(
            "The camera's gain is not known: noise and photo-electrons follow from it.",
            expected="--gain (counts per photo-electron) with --offset, or --camera RECORD",
            got="nothing in the file",
            where=str(path),
            hint="'simcal camera' measures it; for a stack in photo-electrons: --gain 1 --offset 0",
        )
    return Camera(**found, source="given", offset_known="offset" in found)
