"""Measured OTFs and PSFs from files.

=====================================  =====================================================
file                                   what is read
=====================================  =====================================================
PSF picture or stack (TIFF)            the plane with the highest peak; :class:`GridOTF`
radial OTF, Priism MRC (n, 1, 1)       real part against k = i·dk; :class:`RadialOTF`
1- to 5-order OTF, Priism MRC          order 0 summed over kz: the OTF of the plane in focus
(kz, kr, orders), 3-D SIM              (a sum over kz is the value at z = 0); :class:`RadialOTF`
fairSIM ``<otf2d>`` XML                band 0; :class:`RadialOTF`
OTF TIFF of makeotf                    refused: it carries no frequency scale
calibration record (.h5)               of ``simcal otf`` as the radial MRC tables, or its PSFs; of
                                       ``simcal psf`` the plane with the highest peak
=====================================  =====================================================

Every OTF is normalised to H(0) = 1. Measured tables often have a spoiled origin (background and
the constant of a bead image fall on k = 0): where the first one or two values leave the straight
line through the next seven by more than 3 %, the line replaces them. Noise beyond the cut-off is
removed. What was done is said in `source`.
"""

from __future__ import annotations

import base64
import binascii
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from simrecon.errors import InputError, MetadataError
from simrecon.io.mrc_dv import DV_SUFFIXES, MrcHeader, read_header, read_samples
from simrecon.io.otf_record import is_record, read_otf_record
from simrecon.io.tiff import read_tiff
from simrecon.model.optics import Optics
from simrecon.model.psf import DetectionOTF, RadialOTF
from simrecon.physics.otf import check_otf, otf_from_psf

ORIGIN_TOLERANCE = 0.03
_LINE = slice(2, 9)
_NOISE_FACTOR = 3.0
_FLOOR = 1e-3


def read_otf(
    path: str | os.PathLike[str], optics: Optics | None = None, *, pixel_um: float | None = None
) -> DetectionOTF:
    """Read a detection OTF or a PSF picture.

    Parameters
    ----------
    path
        See the table in the module text.
    optics
        When given, the file is checked against NA and wavelength, and cut at their cut-off.
        Required for PSF pictures.
    pixel_um
        Pixel pitch of a PSF picture whose file does not state it, µm.

    Returns
    -------
    RadialOTF or GridOTF
        H(0) = 1, zero from the cut-off on. A measured OTF contains its camera's pixel
        integration, so `pixel_um` of a radial table is None.

    Raises
    ------
    InputError
        Unreadable or unsupported file; cut-off a factor 1.6 or more off the optics'.
    MetadataError
        A PSF picture without pixel size or without `optics`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError("The OTF file does not exist.", where=str(path))
    if suffix in (".mrc", *DV_SUFFIXES, ".otf"):
        return _cut(*_read_mrc_otf(path), path, optics)
    if suffix == ".xml":
        return _cut(*_read_fairsim(path), path, optics)
    if suffix in (".tif", ".tiff"):
        return _read_psf(path, optics, pixel_um)
    if is_record(path):
        return _read_record(path, optics)
    raise InputError(
        "Unknown kind of OTF file.",
        expected="a PSF .tif, an OTF .mrc/.dv/.otf, a fairSIM .xml, or a record .h5",
        got=suffix or "no suffix",
        where=str(path),
    )


def _read_mrc_otf(path: Path) -> tuple[np.ndarray, float, str]:
    """Radial table, its step in 1/µm, and what it is."""
    header = read_header(path)
    samples = np.asarray(read_samples(path, header))
    if header.dtype.kind != "c":
        raise InputError(
            "The file holds no OTF.", expected="complex samples (mode 4)",
            got=f"{header.dtype.name} of shape {header.shape}", where=str(path),
            hint="give a PSF as TIFF",
        )  # fmt: skip
    orders, rows, columns = header.shape
    if rows == 1 and orders == 1:
        return samples[0, 0].real.astype(np.float64), _step(header, 0, path), "radial OTF"
    if not 1 <= orders <= 5 or rows < 8:
        raise InputError(
            "An OTF of this shape is not supported.",
            expected="(n, 1, 1) radial or (kz, kr, orders) with up to 5 orders",
            got=f"(columns, rows, sections) = ({columns}, {rows}, {orders})",
            where=str(path),
        )
    plane = samples[0].astype(np.complex128).sum(axis=1)
    return plane.real, _step(header, 1, path), f"order 0 of {orders}, summed over kz (plane z = 0)"


def _step(header: MrcHeader, axis: int, path: Path) -> float:
    step = header.spacing[axis]
    if not 1e-3 < step < 1.0:
        raise InputError(
            "The OTF's frequency step is missing or implausible.", expected="0.001…1 per µm",
            got=f"{step:g}", where=str(path),
        )  # fmt: skip
    return step


def _read_fairsim(path: Path) -> tuple[np.ndarray, float, str]:
    """Band 0 of a fairSIM OTF file (big-endian complex64 in base64)."""
    try:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        data = root.find("otf2d/data")
        text = root.findtext("otf2d/data/band-0", "")
        step = float(root.findtext("otf2d/data/cycles", "nan"))
        body = text.split("BASE64:")[1].split(":END64")[0].strip()
        values = np.frombuffer(base64.b64decode(body), ">c8")
    except (ET.ParseError, IndexError, ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise InputError(
            "The XML holds no fairSIM OTF.",
            expected="<otf2d><data> with band-0 (measured values) and cycles",
            got=f"{type(error).__name__}: {error}",
            where=str(path),
            hint="files with NA and emission only hold no measurement: give --na and --emission-nm",
        ) from error
    if data is None or not np.isfinite(step):
        raise InputError("The fairSIM OTF has no frequency step.", where=str(path))
    return values.real.astype(np.float64), step, "fairSIM band 0"


def _read_psf(path: Path, optics: Optics | None, pixel_um: float | None) -> DetectionOTF:
    raw = read_tiff(path)
    planes = np.asarray(raw.frames).reshape(-1, *raw.frames.shape[-2:]).astype(np.float64)
    if raw.frames.dtype.kind == "f" and int(np.argmax(planes)) == 0:
        raise InputError(
            "The TIFF is an OTF table without frequency scale (its maximum is its first value).",
            expected="a PSF picture, or an OTF in MRC",
            got=f"shape {raw.frames.shape}",
            where=str(path),
            hint="give the bead stack from which it was made",
        )
    pixel = pixel_um if pixel_um is not None else raw.pixel_um
    if pixel is None or optics is None:
        missing = "pixel size" if pixel is None else "NA and emission wavelength"
        raise MetadataError(
            f"A PSF picture needs a {missing}.",
            expected="a PSF file that states its pixel size (Python: read_otf(pixel_um=…))"
            if pixel is None
            else "--na, --emission-nm",
            where=str(path),
        )
    plane = int(np.argmax(planes.max(axis=(1, 2))))
    source = f"PSF {path.name}, pixel {pixel:g} µm"
    if len(planes) > 1:
        source += f", plane {plane} of {len(planes)} (highest peak)"
    otf = otf_from_psf(planes[plane], pixel, cutoff_per_um=optics.cutoff_per_um, source=source)
    check_otf(otf, optics)
    return otf


def _read_record(path: Path, optics: Optics | None) -> DetectionOTF:
    """The plane in focus of a calibration record."""
    found = read_otf_record(path)
    planar_psfs = found.psfs is not None and not found.is_volume
    if planar_psfs or found.table is None:
        assert found.psfs is not None
        if optics is None:
            raise MetadataError("The PSFs of a record need the optics.",
                                expected="--na, --emission-nm", where=str(path))  # fmt: skip
        planes = np.real(found.psfs[:, 0].mean(axis=0))
        plane = planes[int(np.argmax(planes.max(axis=(1, 2))))]
        otf = otf_from_psf(plane, found.pixel_um, cutoff_per_um=optics.cutoff_per_um,
                           source=found.source)  # fmt: skip
        check_otf(otf, optics)
        return otf
    values = found.table[0].sum(axis=1).real
    return _cut(values, found.kr_step_per_um, found.source, path, optics)


def repair_origin(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Replace a spoiled origin by the line through the next seven values; say whether."""
    values = values.astype(np.float64).copy()
    if values.size < _LINE.stop:
        return values, False
    index = np.arange(values.size)
    line = np.polyval(np.polyfit(index[_LINE], values[_LINE], 1), index[:2])
    spoiled = np.abs(values[:2] - line) > ORIGIN_TOLERANCE * abs(line[0])
    if spoiled[0]:
        values[:2] = np.where(spoiled, line, values[:2])
    return values, bool(spoiled[0])


def data_cutoff(values: np.ndarray) -> int:
    """Index of the first value that is not above the table's noise.

    The noise is taken from the second differences of the last quarter (a smooth signal that
    reaches to the end of the table has none), the threshold is three times it, at least 0.1 %.
    """
    rough = np.diff(values[3 * values.size // 4 :], 2) / np.sqrt(6.0)
    noise = float(np.sqrt(np.mean(rough**2))) if rough.size else 0.0
    below = np.flatnonzero(values < max(_NOISE_FACTOR * noise, _FLOOR))
    return int(below[0]) if below.size else int(values.size - 1)


def _cut(
    values: np.ndarray, step: float, what: str, path: Path, optics: Optics | None
) -> RadialOTF:
    """Normalised table without noise beyond the cut-off, checked against the optics."""
    if not np.all(np.isfinite(values)) or not values[0] > 0:
        raise InputError(
            "The OTF is not usable.", expected="finite values with H(0) > 0",
            got=f"H(0) = {values[0]:g}", where=str(path),
        )  # fmt: skip
    values, repaired = repair_origin(values)
    values = values / values[0]
    k = step * np.arange(values.size)
    last = data_cutoff(values)
    notes = [f"{path.name}: {what}"]
    if repaired:
        notes.append("origin extrapolated")
    cutoff = float(k[last])
    if optics is not None:
        check_otf(RadialOTF(k, values, cutoff, source=path.name), optics)
        cutoff = min(optics.cutoff_per_um, float(k[-1]))
    notes.append(f"cut at {cutoff:.3f} per µm; noise from {k[last]:.3f} per µm")
    kept = np.where((k < cutoff) & (np.arange(values.size) < last), values, 0.0)
    return RadialOTF(k, kept, cutoff, source="; ".join(notes))
