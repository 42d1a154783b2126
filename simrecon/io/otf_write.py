"""OTF files of other programs.

=====================================  =====================================================
function                               what is written
=====================================  =====================================================
:func:`write_priism_otf`               Priism MRC, mode 4: (kz, kr, orders) of a volume as
                                       cudasirecon and softWoRx read it, (kr, 1, 1) of a plane
:func:`write_otf_tiff`                 makeotf TIFF: orders × kr × 2·kz float32; no scale inside
:func:`write_fairsim_otf`              fairSIM ``<otf2d>`` XML, one band per order
=====================================  =====================================================

The layouts are those that :mod:`simrecon.io.otf_files` and its sister for volumes read.
"""

from __future__ import annotations

import base64
import os
import xml.etree.ElementTree as ET

import numpy as np
import tifffile

from simrecon.errors import UsageError
from simrecon.io.atomic import atomic_path
from simrecon.io.mrc_dv import HEADER_BYTES, PRIISM_ID

_COMPLEX = 4
_TITLE_BYTES = 80


def write_priism_otf(
    path: str | os.PathLike[str],
    table: np.ndarray,
    kr_step_per_um: float,
    kz_step_per_um: float,
    *,
    emission_nm: float,
    title: str = "",
) -> None:
    """Write a Priism MRC file, little-endian complex64.

    Parameters
    ----------
    table : ndarray, shape (orders, R, K), complex
        kz in FFT order. K = 1: a plane, of which order 0 is written as (R, 1, 1).
    kr_step_per_um, kz_step_per_um
        Steps; the second is not written for a plane.
    emission_nm, title
        For the header.
    """
    _check(table)
    planar = table.shape[2] == 1
    samples = table[:1, :, 0][:, None, :] if planar else table
    steps = (kr_step_per_um, 0.0, 0.0) if planar else (kz_step_per_um, kr_step_per_um, 0.0)
    sections, rows, columns = samples.shape
    words = np.zeros(HEADER_BYTES // 4, dtype="<i4")
    words[:4] = columns, rows, sections, _COMPLEX
    words[7:10] = 1
    words[10:13].view("<f4")[:] = steps
    words[13:16].view("<f4")[:] = 90.0
    words[16:19] = 1, 2, 3
    header = words.view("<i2")
    header[48] = PRIISM_ID
    header[90] = header[98] = 1
    header[99] = round(emission_nm)
    raw = bytearray(words.tobytes())
    if title:
        raw[220:224] = np.array([1], "<i4").tobytes()
        text = title.encode("ascii", "replace")[:_TITLE_BYTES].ljust(_TITLE_BYTES)
        raw[224 : 224 + _TITLE_BYTES] = text
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(raw) + samples.astype("<c8").tobytes())


def write_otf_tiff(path: str | os.PathLike[str], table: np.ndarray) -> None:
    """Write a TIFF as makeotf of cudasirecon does, for volumes.

    Such a file has no frequency scale: its readers take ``1/(2·pixel·(R − 1))`` and ``1/(K·dz)`` of
    the bead stack, which the table must have.
    """
    _check(table)
    if table.shape[2] == 1:
        raise UsageError("An OTF TIFF holds a volume.", got="the OTF of a plane",
                         hint="write .mrc or .xml")  # fmt: skip
    pairs = np.stack([table.real, table.imag], axis=-1).astype(np.float32)
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, pairs.reshape(*table.shape[:2], -1), photometric="minisblack")


def write_fairsim_otf(
    path: str | os.PathLike[str],
    table: np.ndarray,
    kr_step_per_um: float,
    *,
    na: float,
    emission_nm: float,
) -> None:
    """Write a fairSIM OTF file: bands of the plane in focus, the sum of a table over kz.

    Every band is divided by its largest size, the first one by its value at 0: fairSIM fits the
    contrast itself.
    """
    _check(table)
    bands = table.sum(axis=2)
    root = ET.Element("fairsim")
    otf = ET.SubElement(root, "otf2d")
    _text(otf, "NA", "decimal", f"{na:.5e}")
    _text(otf, "emission", "int", str(round(emission_nm)))
    data = ET.SubElement(otf, "data")
    _text(data, "cycles", "decimal", f"{kr_step_per_um:.7e}")
    _text(data, "samples", "int", str(bands.shape[1]))
    _text(data, "bands", "int", str(len(bands)))
    for number, band in enumerate(bands):
        scale = band[0].real if number == 0 else np.abs(band).max()
        body = base64.b64encode((band / scale).astype(">c8").tobytes()).decode("ascii")
        _text(data, f"band-{number}", "data", f"BASE64:{body}:END64")
    ET.indent(root, "")
    with atomic_path(path) as temporary:
        ET.ElementTree(root).write(temporary, encoding="utf-8")


def _text(parent: ET.Element, name: str, kind: str, text: str) -> None:
    ET.SubElement(parent, name, {"type": kind}).text = f" {text} "


def _check(table: np.ndarray) -> None:
    if table.ndim != 3 or min(table.shape) < 1 or not np.isfinite(table).all():
        raise UsageError(
            "The OTF table cannot be written.", got=str(table.shape),
            expected="finite values of shape (orders, kr, kz)",
        )  # fmt: skip
