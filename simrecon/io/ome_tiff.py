"""Pictures to OME-TIFF or ImageJ TIFF, with physical scale and provenance inside."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from simrecon.errors import InputError, UsageError
from simrecon.io.atomic import atomic_path, to_json
from simrecon.io.tiff import PROVENANCE_SCHEMA, RAW_SCHEMA, annotation
from simrecon.model.stack import SimStack

_IMAGEJ_LIMIT_BYTES = 2**32 - 2**25


def _canonical(array: np.ndarray) -> np.ndarray:
    """(Y, X), (Z, Y, X) or (T, C, Z, Y, X) as float32 (T, C, Z, Y, X)."""
    image = np.asarray(array)
    if image.ndim not in (2, 3, 5) or image.dtype.kind not in "uifb":
        raise UsageError(
            "This is not a picture.", expected="real values of shape (Y, X), (Z, Y, X) or "
            "(T, C, Z, Y, X)", got=f"{image.dtype.name} of shape {image.shape}",
        )  # fmt: skip
    return image.astype(np.float32, copy=False).reshape((1,) * (5 - image.ndim) + image.shape)


def write_image(
    path: str | os.PathLike[str],
    array: np.ndarray,
    *,
    pixel_um: float,
    dz_um: float | None = None,
    provenance: Mapping[str, Any],
    channel_names: Sequence[str] | None = None,
    emission_nm: Sequence[float] | None = None,
) -> None:
    """Write a float32 picture, atomically.

    ``.ome.tif``/``.ome.tiff`` gives OME-TIFF (PhysicalSizeX/Y/Z in µm, provenance as JSON in a
    map annotation), any other ``.tif`` an ImageJ hyperstack (scale in µm, provenance in Info).

    Parameters
    ----------
    array : ndarray, shape (Y, X), (Z, Y, X) or (T, C, Z, Y, X)
        Values are written as float32, neither scaled nor clipped.
    pixel_um, dz_um
        Pixel pitch and plane spacing, µm.
    provenance
        JSON-ready record of what made the picture.
    channel_names
        One per channel.
    emission_nm
        Emission wavelengths, nm, one per channel; kept by OME-TIFF only.

    Raises
    ------
    UsageError
        Unknown suffix, or an array that is no picture.
    InputError
        The file cannot be written; nothing is left half-written.
    """
    image = _canonical(array)
    target = Path(path)
    name = target.name.lower()
    if channel_names is not None and len(channel_names) != image.shape[1]:
        raise UsageError(
            "Each channel needs one name.", expected=str(image.shape[1]),
            got=str(len(channel_names)),
        )  # fmt: skip
    if name.endswith((".ome.tif", ".ome.tiff")):
        metadata = ome_metadata(pixel_um, dz_um, {PROVENANCE_SCHEMA: dict(provenance)})
        if channel_names is not None:
            metadata["Channel"] = {"Name": list(channel_names)}
        if emission_nm is not None:
            waves = {"EmissionWavelength": [float(nm) for nm in emission_nm],
                     "EmissionWavelengthUnit": ["nm"] * len(emission_nm)}  # fmt: skip
            metadata["Channel"] = {**metadata.get("Channel", {}), **waves}
        _write_ome(target, image, metadata, pixel_um)
    elif name.endswith((".tif", ".tiff")):
        _write_imagej(target, image, pixel_um, dz_um, provenance, channel_names)
    else:
        check_format(target)


def check_format(path: str | os.PathLike[str]) -> None:
    """Refuse a name whose suffix :func:`write_image` has no format for.

    Raises
    ------
    UsageError
    """
    name = Path(path).name
    if not name.lower().endswith((".tif", ".tiff")):
        raise UsageError(
            "Unknown output format.", expected=".ome.tif (recommended) or .tif (ImageJ)",
            got=name, where="-o", hint="give a name that ends so",
        )  # fmt: skip


def ome_metadata(
    pixel_um: float, dz_um: float | None, annotations: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What tifffile must be told about pictures with axes TCZYX; annotations by namespace."""
    metadata: dict[str, Any] = {
        "axes": "TCZYX",
        "PhysicalSizeX": float(pixel_um),
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": float(pixel_um),
        "PhysicalSizeYUnit": "µm",
        "MapAnnotation": [
            {"Namespace": namespace, "json": to_json(data, indent=None)}
            for namespace, data in annotations.items()
        ],
    }
    if dz_um is not None:
        metadata |= {"PhysicalSizeZ": float(dz_um), "PhysicalSizeZUnit": "µm"}
    return metadata


def _write_ome(target: Path, image: np.ndarray, metadata: dict[str, Any], pixel_um: float) -> None:
    with atomic_path(target) as temporary:
        tifffile.imwrite(
            temporary, image, ome=True, photometric="minisblack", metadata=metadata,
            resolution=(1e4 / pixel_um, 1e4 / pixel_um), resolutionunit="CENTIMETER",
        )  # fmt: skip


def _write_imagej(
    target: Path,
    image: np.ndarray,
    pixel_um: float,
    dz_um: float | None,
    provenance: Mapping[str, Any],
    channel_names: Sequence[str] | None,
) -> None:
    if image.nbytes > _IMAGEJ_LIMIT_BYTES:
        raise UsageError(
            "ImageJ TIFF ends at 4 GB.", got=f"{image.nbytes / 2**30:.1f} GB", where=str(target),
            hint="write .ome.tif",
        )  # fmt: skip
    metadata: dict[str, Any] = {
        "axes": "TZCYX",
        "unit": "um",
        "Info": to_json({PROVENANCE_SCHEMA: dict(provenance)}),
    }
    if dz_um is not None:
        metadata["spacing"] = float(dz_um)
    if channel_names is not None:
        planes = image.shape[0] * image.shape[2]
        metadata["Labels"] = list(channel_names) * planes
    with atomic_path(target) as temporary:
        tifffile.imwrite(
            temporary, image.transpose(0, 2, 1, 3, 4), imagej=True,
            resolution=(1.0 / pixel_um, 1.0 / pixel_um), metadata=metadata,
        )  # fmt: skip


def write_raw(
    path: str | os.PathLike[str], stack: SimStack, *, provenance: Mapping[str, Any]
) -> None:
    """Write raw frames as OME-TIFF that :func:`simrecon.read` understands without options.

    Frames lie along T, phase fastest, then angle, then time; C and Z are themselves. A map
    annotation (``simrecon/raw/1``) holds order, optics and camera numbers.

    Raises
    ------
    UsageError
        The name does not end in ``.ome.tif``.
    InputError
        The camera has per-pixel maps (keep those in a record), or the file cannot be written.
    """
    target = Path(path)
    if not target.name.lower().endswith((".ome.tif", ".ome.tiff")):
        raise UsageError("Raw frames are written as OME-TIFF.", expected=".ome.tif",
                         got=target.name, where="-o")  # fmt: skip
    data = np.asarray(stack.data)
    times, channels, angles, phases, planes, rows, columns = data.shape
    frames = data.transpose(0, 2, 3, 1, 4, 5, 6)
    frames = frames.reshape(times * angles * phases, channels, planes, rows, columns)
    metadata = ome_metadata(
        stack.pixel_um, stack.dz_um,
        {RAW_SCHEMA: _raw_facts(stack), PROVENANCE_SCHEMA: dict(provenance)},
    )  # fmt: skip
    _write_ome(target, frames, metadata, stack.pixel_um)


def _raw_facts(stack: SimStack) -> dict[str, Any]:
    numbers = {}
    for name in ("gain", "offset", "read_noise_e"):
        value = np.asarray(getattr(stack.camera, name))
        if value.ndim:
            raise InputError(
                "Per-pixel camera maps cannot be written into raw frames.",
                got=f"a map for {name}", hint="write a camera record beside the frames",
            )  # fmt: skip
        numbers[name] = float(value)
    first = stack.optics[0]
    order = "ZPA" if stack.data.shape[4] > 1 else "PA"
    excitation = [o.excitation_nm for o in stack.optics]
    return {
        "angles": stack.directions, "phases": stack.phases, "order": order,
        "planes": stack.data.shape[4] if stack.data.shape[4] > 1 else None,
        "pixel_um": stack.pixel_um, "dz_um": stack.dz_um, "na": first.na,
        "index": first.immersion_index, "excitation_na": first.excitation_na,
        "emission_nm": [o.emission_nm for o in stack.optics],
        "excitation_nm": None if None in excitation else excitation,
        "pixel_integration": first.pixel_integration, "camera": numbers,
    }  # fmt: skip


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Provenance inside a picture that :func:`write_image` wrote; None when there is none.

    Raises
    ------
    InputError
        When the file is no readable TIFF.
    """
    try:
        with tifffile.TiffFile(path) as file:
            ome = file.ome_metadata
            info = (file.imagej_metadata or {}).get("Info")
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError("The TIFF cannot be read.", got=str(error), where=str(path)) from error
    if ome is not None:
        return annotation(ET.fromstring(ome), PROVENANCE_SCHEMA)
    try:
        data = json.loads(info or "null")
    except json.JSONDecodeError:
        return None
    found = data.get(PROVENANCE_SCHEMA) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else None
