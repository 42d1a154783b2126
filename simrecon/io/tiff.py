"""TIFF in all its dialects: OME-TIFF, ImageJ hyperstacks, plain stacks.

Pixel size is taken from OME, then ImageJ, then the resolution tags, in their own units. A value
outside 0.005…0.999 µm is not a SIM camera pixel (72 dpi is 353 µm, an uncalibrated ImageJ stack
"1 µm") and counts as absent, with a note.
"""

from __future__ import annotations

import json
import logging
import os
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from simrecon.errors import InputError
from simrecon.model.camera import Camera
from simrecon.model.frames import RawFrames

RAW_SCHEMA = "simrecon/raw/1"
"""Namespace of the map annotation with which this program describes raw frames it writes."""
PROVENANCE_SCHEMA = "simrecon/provenance/1"
"""Namespace of the map annotation (and key in ImageJ's Info) that holds provenance."""
PIXEL_RANGE_UM = (0.005, 0.999)
SQUARE_TOLERANCE = 0.01
"""Relative difference of the sides of a pixel that rounding in a file may leave."""
_BROKEN = (
    OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error, zlib.error,
    tifffile.TiffFileError,
)  # fmt: skip
"""What tifffile and its decoders raise on damaged or unsupported files."""
_UM_PER: dict[str, float] = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "micrometre": 1.0, "nm": 1e-3, "nanometer": 1e-3, "mm": 1e3, "millimeter": 1e3, "cm": 1e4,
    "m": 1e6, "inch": 25400.0, "pm": 1e-6, "å": 1e-4,
}  # fmt: skip


def unit_um(unit: str) -> float | None:
    """Length of a named unit in µm; None for "pixel" and unknown units."""
    return _UM_PER.get(unit.replace("\\u00B5", "µ").strip().lower())


class _Records(logging.Handler):
    """Collects what tifffile reports, so that damage in a file cannot pass unnoticed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.errors.append(record.getMessage())


@contextmanager
def _open(path: Path) -> Iterator[tuple[tifffile.TiffFile, _Records]]:
    """Open a TIFF; every way in which it can be broken becomes an InputError."""
    logger, records = logging.getLogger("tifffile"), _Records()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(records)
    try:
        with tifffile.TiffFile(path) as file:
            yield file, records
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            "The TIFF cannot be read.",
            expected="a whole, undamaged TIFF file",
            got=f"{type(error).__name__}: {error}",
            where=str(path),
            hint="is it truncated, or compressed in a way that needs the package imagecodecs?",
        ) from error
    finally:
        logger.removeHandler(records)
        logger.propagate = propagate


def read_tiff(path: str | os.PathLike[str]) -> RawFrames:
    """Read the first image series of a TIFF.

    Uncompressed contiguous files are memory-mapped, others loaded.

    Returns
    -------
    RawFrames
        Axes as declared (T, C, Z, A, P); other axes are named "S".

    Raises
    ------
    InputError
        When the file is missing, damaged, truncated, or a colour picture.
    """
    path = Path(path)
    with _open(path) as (file, records):
        if not file.series:
            raise InputError(
                "The TIFF holds no image.", expected="at least one picture", where=str(path),
                hint="copy the file again from the microscope",
            )  # fmt: skip
        series = file.series[0]
        samples, axes = _samples(file, path)
        if records.errors:
            raise InputError(
                "The TIFF is damaged or truncated.",
                got=records.errors[0],
                where=str(path),
                hint="copy the file again from the microscope",
            )
        facts = _facts(file)
        notes = facts.pop("notes")
        if len(file.series) > 1:
            notes.append(
                f"The file holds {len(file.series)} image series; only the first "
                f"({'×'.join(map(str, series.shape))}) is read."
            )
        kind = "ome-tiff" if file.is_ome else "imagej" if file.is_imagej else "tiff"
    metadata = {
        "format": kind, "paths": [str(path)], "dtype": samples.dtype.name,
        "description": facts.pop("description"),
    }  # fmt: skip
    return RawFrames(frames=samples, axes=axes, metadata=metadata, notes=tuple(notes), **facts)


def _samples(file: tifffile.TiffFile, path: Path) -> tuple[np.ndarray, tuple[tuple[str, int], ...]]:
    """Samples of shape (*axes, Y, X) and the leading axes."""
    series = file.series[0]
    if series.axes[-2:] != "YX":
        raise InputError(
            "The TIFF is a colour picture, not camera frames.",
            expected="greyscale pages",
            got=f"axes {series.axes} of shape {series.shape}",
            where=str(path),
            hint="export the raw frames again, without colours or overlays",
        )
    if series.dataoffset is not None and not series.is_multifile:
        dtype = np.dtype(f"{file.byteorder}{series.dtype.char}")
        needed = series.dataoffset + int(np.prod(series.shape, dtype=np.int64)) * dtype.itemsize
        size = path.stat().st_size
        if size < needed:
            raise InputError(
                "The TIFF is truncated.",
                expected=f"{needed} bytes",
                got=f"{size} bytes",
                where=str(path),
                hint="copy the file again from the microscope",
            )
        samples: np.ndarray = np.memmap(path, dtype, "r", series.dataoffset, series.shape)
    else:
        samples = series.asarray()
    letters = [a if a in "TCZAP" else "S" for a in series.axes[:-2]]
    return samples, tuple(zip(letters, series.shape[:-2], strict=True))


def count_pages(path: str | os.PathLike[str]) -> int:
    """Number of frames in the first image series; 0 when there is none."""
    with _open(Path(path)) as (file, _):
        return int(np.prod(file.series[0].shape[:-2])) if file.series else 0


def iterate_pages(path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """Frames of the first image series one by one, shape (Y, X), without loading the series.

    Raises
    ------
    InputError
        As :func:`read_tiff`.
    """
    path = Path(path)
    with _open(path) as (file, records):
        if not file.series or file.series[0].axes[-2:] != "YX" or file.series[0].dataoffset:
            frames = read_tiff(path).frames  # memory-mapped, or refused there
            yield from frames.reshape(-1, *frames.shape[-2:])
            return
        for page in file.series[0].pages:
            if page is None:
                raise InputError("The TIFF lacks pages that it declares.", where=str(path))
            yield page.asarray()
            if records.errors:
                raise InputError(
                    "The TIFF is damaged or truncated.",
                    got=records.errors[0],
                    where=str(path),
                    hint="copy the file again from the microscope",
                )


def _facts(file: tifffile.TiffFile) -> dict[str, Any]:
    """Metadata as keyword arguments of RawFrames, plus "notes" and "description"."""
    facts: dict[str, Any] = {"notes": []}
    text = file.ome_metadata if file.is_ome else None
    if text:
        facts.update(ome_facts(text))
    elif file.is_imagej and file.imagej_metadata:
        facts.update(_imagej_facts(file))
    uneven = any("not square" in note for note in facts["notes"])
    if facts.get("pixel_um") is None and not uneven:
        facts["pixel_um"] = _square(
            _resolution_um(file, "X"), _resolution_um(file, "Y"), facts["notes"]
        )
    pixel = facts.setdefault("pixel_um", None)
    if pixel is not None and not PIXEL_RANGE_UM[0] <= pixel <= PIXEL_RANGE_UM[1]:
        facts["notes"].append(
            f"The file's pixel size of {pixel:.4g} µm is a default, not a calibration; ignored."
        )
        facts["pixel_um"] = facts["dz_um"] = None
    facts["description"] = (text or str(file.pages.first.description))[:20000]
    return facts


def _square(x_um: float | None, y_um: float | None, notes: list[str]) -> float | None:
    """Side of a pixel, µm; None, with a note, where it has two."""
    if x_um is None or y_um is None or abs(x_um / y_um - 1.0) <= SQUARE_TOLERANCE:
        return x_um
    notes.append(
        f"The file's pixels are not square ({x_um:.4g} µm along x, {y_um:.4g} µm along y): no "
        "pixel size is taken from it. Resample the frames, or give the size if the file is wrong."
    )
    return None


def _resolution_um(file: tifffile.TiffFile, axis: str) -> float | None:
    """Pixel size along X or Y from the resolution tags, µm; None without a length unit."""
    tags = file.pages.first.tags
    unit = (
        {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value))
        if ("ResolutionUnit" in tags)
        else None
    )
    return None if unit is None else _tag_um(file, axis, unit)


def _tag_um(file: tifffile.TiffFile, axis: str, unit_um: float) -> float | None:
    """Pixel size along X or Y, µm: the unit divided by pixels per unit."""
    tag = file.pages.first.tags.get(f"{axis}Resolution")
    if tag is None:
        return None
    number, per = tag.value
    return float(f"{unit_um * per / number:.7g}") if number and per else None


def _imagej_facts(file: tifffile.TiffFile) -> dict[str, Any]:
    meta = file.imagej_metadata or {}
    scale = unit_um(str(meta.get("unit", "")))
    facts: dict[str, Any] = {}
    if scale is not None and "XResolution" in file.pages.first.tags:
        notes: list[str] = []
        facts["pixel_um"] = _square(_tag_um(file, "X", scale), _tag_um(file, "Y", scale), notes)
        facts["notes"] = notes
        if "spacing" in meta:
            facts["dz_um"] = abs(float(meta["spacing"])) * scale
    return facts


def _number(element: ET.Element | None, name: str) -> float | None:
    """A positive finite attribute as float, or None."""
    try:
        value = float(element.get(name, "")) if element is not None else float("nan")
    except ValueError:
        return None
    return value if np.isfinite(value) and value > 0 else None


def _length_um(element: ET.Element, name: str, default: str) -> float | None:
    value, scale = _number(element, name), unit_um(element.get(f"{name}Unit", default))
    return None if value is None or scale is None else float(f"{value * scale:.7g}")


def ome_facts(text: str) -> dict[str, Any]:
    """Facts of the first image of an OME-XML text, as keyword arguments of RawFrames.

    Reads PhysicalSizeX/Y/Z, the channels' wavelengths, the objective's LensNA, the refractive
    index of ObjectiveSettings, and this program's own raw annotation (which wins).
    """
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        return {"notes": [f"The OME-XML is not well-formed ({error}); its metadata are ignored."]}
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    facts: dict[str, Any] = {"notes": []}
    pixels = root.find("Image/Pixels")
    if pixels is not None:
        sides = [_length_um(pixels, f"PhysicalSize{axis}", "µm") for axis in "XY"]
        facts["pixel_um"] = _square(sides[0], sides[1], facts["notes"])
        facts["dz_um"] = _length_um(pixels, "PhysicalSizeZ", "µm")
        for key, name in (("emission_nm", "Emission"), ("excitation_nm", "Excitation")):
            values = [_length_um(c, f"{name}Wavelength", "nm") for c in pixels.findall("Channel")]
            if values and None not in values:
                facts[key] = tuple(float(f"{v * 1e3:.6g}") for v in values if v is not None)
    facts["na"] = _number(root.find("Instrument/Objective"), "LensNA")
    facts["index"] = _number(root.find("Image/ObjectiveSettings"), "RefractiveIndex")
    own = annotation(root, RAW_SCHEMA)
    if own is not None:
        facts.update(_own_facts(own))
    return facts


def annotation(root: ET.Element, namespace: str) -> dict[str, Any] | None:
    """The JSON object under key "json" of the map annotation of that namespace, or None."""
    for element in root.iter():
        if element.tag.rsplit("}", 1)[-1] == "MapAnnotation" and (
            element.get("Namespace") == namespace
        ):
            for entry in element.iter():
                if entry.tag.rsplit("}", 1)[-1] == "M" and entry.get("K") == "json":
                    data = json.loads(entry.text or "null")
                    return data if isinstance(data, dict) else None
    return None


def _own_facts(own: dict[str, Any]) -> dict[str, Any]:
    """Facts that this program wrote about raw frames."""
    facts: dict[str, Any] = {
        key: own[key]
        for key in ("pixel_um", "dz_um", "na", "index", "excitation_na", "angles", "phases",
                    "order", "planes", "pixel_integration")
        if own.get(key) is not None
    }  # fmt: skip
    for key in ("emission_nm", "excitation_nm"):
        if own.get(key):
            facts[key] = tuple(float(v) for v in own[key])
    if own.get("camera"):
        facts["camera"] = Camera(**own["camera"])
    return facts


def natural_key(path: str | os.PathLike[str]) -> tuple[Any, ...]:
    """Sort key under which ``1_X2`` comes before ``1_X10``."""
    parts = re.split(r"(\d+)", os.fspath(path))
    return tuple((0, int(p), p) if p.isdigit() else (1, 0, p.lower()) for p in parts)
