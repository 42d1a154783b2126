"""One stack of planes from a file, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.config import Settings
from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io import read_raw
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from zsdeconv.camera_choice import given_camera

_DEFAULT_INDEX = 1.515


@dataclass(frozen=True)
class VolumeFile:
    """A volume and its scale.

    Attributes
    ----------
    counts : ndarray, shape (Z, Y, X)
    pixel_um, dz_um : float
    optics : Optics or None
        None where NA or wavelength are not known (a measured PSF does not need them).
    camera : Camera
    """

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
    names = [name for name, _ in raw.axes]
    if {"A", "P"} & set(names) or (raw.angles or 1) * (raw.phases or 1) > 1:
        raise InputError(
            "These are raw SIM frames, not a volume.",
            expected="planes of a widefield, confocal or light-sheet stack",
            where=str(path),
            hint="'simrecon reconstruct --mode 3d' or '--mode lls' makes the volume",
        )
    index: list[int | slice] = []
    for name, size in raw.axes:
        if name == "C" or (name == "T" and {"Z", "S"} & set(names)):
            word, wanted = ("channel", channel) if name == "C" else ("time", time)
            index.append(_chosen(word, wanted, size, path))
        else:
            index.append(slice(None))
    counts = np.asarray(raw.frames[tuple(index)])
    counts = counts.reshape(-1, *counts.shape[-2:])
    given = engine.reader_overrides()
    facts = {k: given.get(k) or getattr(raw, k) for k in ("pixel_um", "dz_um", "na", "index")}
    for name, option in (("pixel_um", "--pixel-um"), ("dz_um", "--dz-um")):
        if facts[name] is None:
            raise MetadataError(
                f"The {'pixel' if name == 'pixel_um' else 'distance of the planes'} is not known.",
                expected=option, got="nothing in the file", where=str(path),
            )  # fmt: skip
    return VolumeFile(
        counts.astype(np.float64),
        float(facts["pixel_um"]),
        float(facts["dz_um"]),
        _optics(facts, given, raw, channel or 0),
        _camera(engine, raw.camera, (int(counts.shape[1]), int(counts.shape[2])), path),
    )


def _chosen(word: str, wanted: int | None, size: int, path: Path) -> int:
    if (wanted is None and size > 1) or not 0 <= (wanted or 0) < size:
        raise UsageError(
            f"Which {word}? This works on one volume.", expected=f"--{word} 0…{size - 1}",
            got="none named" if wanted is None else str(wanted), where=str(path),
        )  # fmt: skip
    return wanted or 0


def _optics(facts: dict[str, Any], given: dict[str, Any], raw: Any, channel: int) -> Optics | None:
    """Optics of the chosen channel, when NA and emission are known."""
    waves = {}
    for name in ("emission_nm", "excitation_nm"):
        value = given.get(name) or getattr(raw, name)
        listed = [value] if isinstance(value, (int, float)) else list(value or ())
        waves[name] = listed[min(channel, len(listed) - 1)] if listed else None
    if facts["na"] is None or waves["emission_nm"] is None:
        return None
    return Optics(
        na=float(facts["na"]),
        emission_nm=float(waves["emission_nm"]),
        immersion_index=float(facts["index"] or _DEFAULT_INDEX),
        excitation_nm=waves["excitation_nm"],
        pixel_integration=raw.pixel_integration is not False,
    )


def _camera(engine: Settings, stated: Camera | None, shape: tuple[int, int], path: Path) -> Camera:
    """Record, maps, numbers, or what the file states; a gain is not guessed."""
    named = given_camera(engine, shape)
    if named is not None:
        return named
    numbers = {k: getattr(engine.camera, k) for k in ("gain", "offset", "read_noise_e")}
    found = {k: v for k, v in numbers.items() if v is not None}
    if "gain" not in found and stated is not None:
        return replace(stated, **found)
    if "gain" not in found:
        raise MetadataError(
            "The camera's gain is not known: noise and photo-electrons follow from it.",
            expected="--gain (counts per photo-electron) with --offset, or --camera RECORD",
            got="nothing in the file",
            where=str(path),
            hint="'simcal camera' measures it; for a stack in photo-electrons: --gain 1 --offset 0",
        )
    return Camera(**found, source="given")
