"""MRC files of the Priism family: DeltaVision/OMX ``.dv`` and Multi-SIM ``.mrc``.

Own tolerant reader: little- and big-endian, no MAP stamp needed, extended header skipped,
unknown section sequences read with a note, frames memory-mapped.

Header (1024 bytes; byte offsets): nx, ny, sections, mode int32 @0; pixel µm float32 @40
(m = 1) or cell/m (m int32 @28); extended-header bytes int32 @92; id int16 @96 = −16224;
integers and floats per section int16 @128; lens int16 @162; n1, n2 int16 @164 (Multi-SIM:
phases, directions); time points int16 @180; sequence int16 @182 (0: ZTW, 1: WZT, 2: ZWT, fastest
first); waves int16 @196 and their nm int16×5 @198; number of titles int32 @220; titles 80
bytes each @224.

Orientation. softWoRx stores the bottom row of the picture first; its files are turned round here
(``flipped_y``), so that they agree with what other programs export as TIFF. Multi-SIM files share
the header but are written and read by their makers' programs with the first row on top; they
are left as they are. A file counts as softWoRx when its name ends in ``.dv``/``.r3d`` or its
header names a lens.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import InputError
from simrecon.model.frames import RawFrames

HEADER_BYTES = 1024
PRIISM_ID = -16224
DTYPES = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2"}
SEQUENCES = {0: ("C", "T", "S"), 1: ("T", "S", "C"), 2: ("T", "C", "S")}
"""Leading axes, slowest first, per ImgSequence."""
LENS_NA = {10612: 1.42}
"""Lens id → detection NA (10612: Olympus PlanApo N 60×/1.42 oil of the OMX)."""
DV_SUFFIXES = (".dv", ".r3d", ".r3d_d3d")
_TITLE = re.compile(r"(?<!\d)(\d{3})-[\d.]+m?W-(\d(?:\.\d+)?)-[\d.]+ms")


@dataclass(frozen=True)
class MrcHeader:
    """The facts of a Priism MRC header.

    Attributes
    ----------
    shape : (int, int, int)
        Sections, rows, columns.
    dtype : numpy.dtype
        Sample type with the file's byte order.
    byte_order : {"little", "big"}
    offset : int
        First byte of the samples.
    spacing : (float, float, float)
        Header values dx, dy, dz: µm for images, 1/µm for OTFs; 0 when absent.
    times, waves : int
    sequence : int
        ImgSequence as stored.
    wavelengths_nm : tuple of float
        One per wave (0 when unknown).
    lens, n1, n2 : int
    priism : bool
        True when the Priism id is present.
    titles : tuple of str
        Distinct non-empty titles.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    byte_order: str
    offset: int
    spacing: tuple[float, float, float]
    times: int
    waves: int
    sequence: int
    wavelengths_nm: tuple[float, ...]
    lens: int
    n1: int
    n2: int
    priism: bool
    titles: tuple[str, ...]


def _byte_order(raw: bytes, path: Path) -> str:
    """Byte order in which the size and mode words are plausible."""
    for order in "<>":
        nx, ny, ns, mode = np.frombuffer(raw, f"{order}i4", 4)
        if mode in DTYPES and min(nx, ny, ns) > 0 and max(nx, ny) < 2**20:
            return order
    nx, ny, ns, mode = (int(v) for v in np.frombuffer(raw, "<i4", 4))
    raise InputError(
        "This is not an MRC/DV file that can be read.",
        expected="positive sizes and mode 0, 1, 2, 4 or 6 in the first 16 bytes",
        got=f"sizes {nx}×{ny}×{ns}, mode {mode}",
        where=str(path),
    )


def read_header(path: str | os.PathLike[str]) -> MrcHeader:
    """Read and check the header.

    Raises
    ------
    InputError
        When the file cannot be opened, is no MRC, or is shorter than its header says.
    """
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            raw = stream.read(HEADER_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise InputError("The file cannot be opened.", got=str(error), where=str(path)) from error
    if len(raw) < HEADER_BYTES:
        raise InputError(
            "The file is truncated: it ends inside its header.",
            expected=f"at least {HEADER_BYTES} bytes",
            got=f"{size} bytes",
            where=str(path),
        )
    header = _parse(raw, _byte_order(raw, path))
    needed = header.offset + int(np.prod(header.shape, dtype=np.int64)) * header.dtype.itemsize
    if size < needed:
        frame = header.shape[1] * header.shape[2] * header.dtype.itemsize
        raise InputError(
            "The file is truncated: it holds fewer frames than its header says.",
            expected=f"{needed} bytes for {header.shape[0]} frames",
            got=f"{size} bytes, {max(0, size - header.offset) // frame} whole frames",
            where=str(path),
            hint="copy the file again from the microscope",
        )
    return header


def _parse(raw: bytes, order: str) -> MrcHeader:
    words = np.frombuffer(raw, f"{order}i4")
    short = np.frombuffer(raw, f"{order}i2")
    real = np.frombuffer(raw, f"{order}f4").astype(float)
    intervals = [int(v) for v in words[7:10]]
    spacing = [real[10 + i] / (intervals[i] if intervals[i] > 1 else 1) for i in range(3)]
    spacing = [float(f"{v:.7g}") if np.isfinite(v) and v > 0 else 0.0 for v in spacing]
    waves = min(max(1, int(short[98])), 5)
    count = min(max(0, int(words[55])), 10)
    titles = [raw[224 + 80 * i : 304 + 80 * i] for i in range(count)]
    text = [t.split(b"\0")[0].decode("latin-1").strip() for t in titles]
    return MrcHeader(
        shape=(int(words[2]), int(words[1]), int(words[0])),
        dtype=np.dtype(f"{order}{DTYPES[int(words[3])]}"),
        byte_order={"<": "little", ">": "big"}[order],
        offset=HEADER_BYTES + max(0, int(words[23])),
        spacing=(spacing[0], spacing[1], spacing[2]),
        times=max(1, int(short[90])),
        waves=waves,
        sequence=int(short[91]),
        wavelengths_nm=tuple(float(v) for v in short[99 : 99 + waves]),
        lens=int(short[81]),
        n1=int(short[82]),
        n2=int(short[83]),
        priism=int(short[48]) == PRIISM_ID,
        titles=tuple(dict.fromkeys(t for t in text if t)),
    )


def read_samples(path: str | os.PathLike[str], header: MrcHeader) -> np.ndarray:
    """Memory-mapped samples, shape (sections, Y, X), stored row order, file byte order."""
    return np.memmap(path, header.dtype, "r", header.offset, header.shape)


def parse_title(title: str) -> tuple[float, float] | None:
    """Excitation wavelength (nm) and NA from a Multi-SIM title such as ``c18-488-0.3W-1.35-2ms``.

    Returns
    -------
    (float, float) or None
        None when the text does not have the form ``…λ-power-NA-exposure…`` or its numbers are
        no wavelength (300…900 nm) and NA (0.1…1.7).
    """
    found = _TITLE.search(title)
    if found is None:
        return None
    wavelength, na = float(found[1]), float(found[2])
    return (wavelength, na) if 300 <= wavelength <= 900 and 0.1 <= na <= 1.7 else None


def _axes(header: MrcHeader, path: Path, notes: list[str]) -> tuple[tuple[str, int], ...]:
    """Leading axes, slowest first; sections are what waves and times leave over."""
    total = header.shape[0]
    if total % (header.waves * header.times):
        notes.append(
            f"The header claims {header.waves} wavelengths × {header.times} time points, which "
            f"does not divide its {total} frames; the claim is ignored."
        )
        return (("S", total),)
    sequence = header.sequence
    if sequence not in SEQUENCES:
        notes.append(
            f"Unknown section sequence {sequence} in the header of {path.name}; read as 0 "
            "(sections fastest, then time, then wavelength)."
        )
        sequence = 0
    sizes = {"C": header.waves, "T": header.times, "S": total // (header.waves * header.times)}
    return tuple((name, sizes[name]) for name in SEQUENCES[sequence])


def _excitation(header: MrcHeader, path: Path) -> tuple[tuple[float, float] | None, str]:
    """Excitation wavelength and NA from a title or the file name, and where they stood."""
    for text, origin in [(t, "title") for t in header.titles] + [(path.stem, "file name")]:
        found = parse_title(text)
        if found is not None:
            return found, f"{origin} '{text}'"
    return None, ""


def read_mrc(path: str | os.PathLike[str]) -> RawFrames:
    """Read a Priism MRC image file; see the module text for header and orientation.

    Returns
    -------
    RawFrames
        `frames` is a memory-mapped view of shape (*axis sizes, Y, X).

    Raises
    ------
    InputError
        When the file is no MRC, is truncated, or holds complex samples (an OTF).
    """
    path = Path(path)
    header = read_header(path)
    if header.dtype.kind == "c":
        raise InputError(
            "The file holds complex numbers: it is an OTF, not raw frames.",
            where=str(path),
            hint="give it with --otf",
        )
    notes: list[str] = []
    axes = _axes(header, path, notes)
    softworx = path.suffix.lower() in DV_SUFFIXES or header.lens > 0
    samples = read_samples(path, header)
    if softworx:
        samples = samples[:, ::-1, :]
        notes.append("DeltaVision file: rows turned round (stored bottom-up), row 0 is the top.")
    metadata = _metadata(header, path)
    na = LENS_NA.get(header.lens)
    if na is not None:
        notes.append(f"Detection NA {na} from lens id {header.lens}.")
    excitation, origin = _excitation(header, path)
    if excitation is not None:
        notes.append(
            f"Excitation {excitation[0]:.0f} nm and its NA {excitation[1]} taken from the {origin}."
        )
    emission = header.wavelengths_nm if all(300 <= v <= 1200 for v in header.wavelengths_nm) else ()
    dx, dy, dz = header.spacing
    if dx and dy and abs(dx - dy) > 0.01 * dx:
        raise InputError("Pixels are not square.", got=f"{dx:g} × {dy:g} µm", where=str(path))
    steps = header.n1 in range(2, 16) and header.n2 in range(1, 16) and not softworx
    steps = steps and dict(axes)["S"] % (header.n1 * header.n2) == 0
    return RawFrames(
        frames=samples.reshape(*(size for _, size in axes), *header.shape[1:]),
        axes=axes,
        pixel_um=dx or None,
        dz_um=dz or None,
        emission_nm=emission,
        excitation_nm=(excitation[0],) if excitation and header.waves == 1 else (),
        na=na,
        excitation_na=excitation[1] if excitation else None,
        angles=header.n2 if steps else None,
        phases=header.n1 if steps else None,
        flipped_y=softworx,
        metadata=metadata,
        notes=tuple(notes),
    )


def _metadata(header: MrcHeader, path: Path) -> dict[str, Any]:
    return {
        "format": "mrc",
        "paths": [str(path)],
        "byte_order": header.byte_order,
        "dtype": header.dtype.name,
        "titles": list(header.titles),
        "lens": header.lens,
        "sequence": header.sequence,
    }
