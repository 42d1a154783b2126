"""Three-dimensional OTFs of all orders from files.

=====================================  =====================================================
file                                   what is read
=====================================  =====================================================
Priism MRC, (kz, kr, orders) complex   steps from the header (dx: kz, dy: kr); either byte order
TIFF of makeotf, orders × kr × 2·kz    real and imaginary part by turns; no frequency scale in
float32                                the file: pixel and plane distance of its bead stack must
                                       be given
NumPy ``.npz``                         ``psf`` or ``otf`` of shape (orders, Z, Y, X), or
                                       (directions, orders, Z, Y, X); ``pixel_um``, ``dz_um``
calibration record ``.h5``             of ``simcal otf``: its PSFs, of every direction, else its
                                       radial means
=====================================  =====================================================

In all tables kz is in FFT order. A table that holds one set of orders for each direction gives one
OTF for each direction; more than five sections are sets of three. ``otf`` arrays of NumPy files are
``numpy.fft.fftn`` over the last three axes of PSFs whose focus is on voxel 0.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io.mrc_dv import DV_SUFFIXES, read_header, read_samples
from simrecon.io.otf_record import is_record, read_otf_record
from simrecon.io.tiff import read_tiff
from simrecon.model.optics import Optics
from simrecon.model.psf import RadialVolumeOTF, VolumeOTF
from simrecon.physics.measured_volume import grid_volume_otf, lit_as_sheet, radial_table
from simrecon.physics.otf_volume_checks import check_volume_otf

MAX_ORDERS, USUAL_ORDERS = 5, 3
WAVELENGTH_TOLERANCE = 0.1
"""Relative difference of the emission wavelengths of an OTF file and of the data: 528 and 609 nm of
one microscope's dyes are told apart, 520 and 528 nm for one dye are not."""


def read_volume_otf(
    path: str | os.PathLike[str],
    optics: Optics | None = None,
    *,
    pixel_um: float | None = None,
    dz_um: float | None = None,
    orders: int | None = None,
) -> tuple[VolumeOTF, ...]:
    """Read the OTFs of all orders of a 3-D mode.

    Parameters
    ----------
    path
        See the table in the module text.
    optics
        When given, the file is checked against NA, index and wavelength, and cut at their
        cut-offs. Required for NumPy files.
    pixel_um, dz_um
        Pitches of the bead stack from which a TIFF table was made, µm.
    orders
        Orders per direction, 0 included; None: all that the file holds are one set, or sets of
        three where there are more than five.

    Returns
    -------
    tuple of VolumeOTF
        One for all directions, or one for each.

    Raises
    ------
    InputError
        Unreadable or unsupported file; another wavelength, pixel size or plane distance.
    MetadataError
        A TIFF table without `pixel_um` or `dz_um`; a NumPy file without `optics`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError("The OTF file does not exist.", where=str(path))
    if suffix in (".mrc", *DV_SUFFIXES, ".otf"):
        table, steps = _from_mrc(path, optics)
    elif suffix in (".tif", ".tiff"):
        table, steps = _from_tiff(path, pixel_um, dz_um)
    elif suffix == ".npz":
        return _from_numpy(path, optics)
    elif is_record(path):
        return _from_record(path, optics)
    else:
        raise InputError(
            "Unknown kind of 3-D OTF file.",
            expected="an OTF .mrc/.dv/.otf, a makeotf .tif, an .npz, or a record .h5",
            got=suffix or "no suffix",
            where=str(path),
            hint="OTFs of a plane (fairSIM .xml) serve the modes of planes only",
        )
    found = []
    for direction, part in enumerate(_split(table, orders, path)):
        name = path.name if len(part) == len(table) else f"{path.name}, direction {direction + 1}"
        otf = radial_table(part, *steps, optics=optics, source=name)
        if optics is not None:
            check_volume_otf(otf, optics, orders=1, sheet_per_um=_sheet_allowance(otf, optics))
        found.append(otf)
    return tuple(found)


def holds_volume_otf(path: str | os.PathLike[str]) -> bool:
    """Whether :func:`read_volume_otf`, not ``read_otf``, is the reader of a file.

    Raises
    ------
    InputError
        When the file cannot be opened.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".mrc", *DV_SUFFIXES, ".otf"):
        return min(read_header(path).shape[1:]) > 1
    if suffix in (".tif", ".tiff"):
        return _is_table(np.asarray(read_tiff(path).frames))
    return suffix == ".npz" or (is_record(path) and read_otf_record(path).is_volume)


def _is_table(frames: np.ndarray) -> bool:
    """Float, an even number of columns, the largest value first: what makeotf writes."""
    return bool(frames.dtype.kind == "f" and frames.shape[-1] % 2 == 0 and frames.argmax() == 0)


def _split(table: np.ndarray, orders: int | None, path: Path) -> np.ndarray:
    """Sets of orders, shape (directions, orders, kr, kz)."""
    if orders is not None and orders < 1:
        raise UsageError("An OTF has at least order 0.", got=f"orders = {orders}")
    per_set = orders or (len(table) if len(table) <= MAX_ORDERS else USUAL_ORDERS)
    if per_set > MAX_ORDERS or len(table) % per_set:
        raise InputError(
            "The sections of the OTF file are not sets of orders.",
            expected=f"up to {MAX_ORDERS} orders, or a multiple of them for each direction",
            got=f"{len(table)} sections" + ("" if orders is None else f" for {orders} orders"),
            where=str(path),
            hint="say how many orders each direction has (Python: read_volume_otf(orders=3))",
        )
    return table.reshape(-1, per_set, *table.shape[1:])


def _sheet_allowance(otf: RadialVolumeOTF, optics: Optics) -> float:
    """How far light that is a sheet may widen order 0 along kz, 1/µm."""
    if not lit_as_sheet(otf):
        return 0.0
    wavelength_um = (optics.excitation_nm or optics.emission_nm) * 1e-3
    na = optics.immersion_index if optics.excitation_na is None else optics.excitation_na
    return 2.0 * na / wavelength_um


def _from_mrc(path: Path, optics: Optics | None) -> tuple[np.ndarray, tuple[float, float]]:
    header = read_header(path)
    if header.dtype.kind != "c" or min(header.shape[1:]) < 4:
        raise InputError(
            "The file holds no 3-D OTF.",
            expected="complex samples (mode 4) of shape (orders, kr, kz)",
            got=f"{header.dtype.name} of shape {header.shape}",
            where=str(path),
        )
    kz_step, kr_step = header.spacing[:2]
    if not (1e-3 < kr_step < 1.0 and 1e-3 < kz_step < 1.0):
        raise InputError(
            "The OTF's frequency steps are missing or implausible.",
            expected="0.001…1 per µm",
            got=f"kr {kr_step:g}, kz {kz_step:g} per µm",
            where=str(path),
        )
    stated = header.wavelengths_nm[0]
    if optics is not None and stated > 0:
        difference = abs(stated / optics.emission_nm - 1.0)
        if difference > WAVELENGTH_TOLERANCE:
            raise InputError(
                "The OTF file belongs to another wavelength.",
                expected=f"{optics.emission_nm:g} nm (the emission)",
                got=f"{stated:g} nm in its header",
                where=str(path),
                hint="give the OTF of this channel, or correct --emission-nm",
            )
    return np.asarray(read_samples(path, header)), (kr_step, kz_step)


def _from_tiff(
    path: Path, pixel_um: float | None, dz_um: float | None
) -> tuple[np.ndarray, tuple[float, float]]:
    frames = np.asarray(read_tiff(path).frames)
    table = frames.reshape(-1, *frames.shape[-2:])
    if not _is_table(table):
        raise InputError(
            "The TIFF holds no OTF table.",
            expected="float32, real and imaginary part by turns, the largest value first",
            got=f"{table.dtype.name} of shape {table.shape}",
            where=str(path),
        )
    if pixel_um is None or dz_um is None:
        raise MetadataError(
            "An OTF TIFF carries no frequency scale.",
            expected="pixel size and plane distance of the bead stack from which it was made",
            got=f"pixel_um = {pixel_um}, dz_um = {dz_um}",
            where=str(path),
            hint="simrecon otf: --pixel-um, --dz-um; Python: read_volume_otf(pixel_um=…, dz_um=…)",
        )
    values = table[..., 0::2] + 1j * table[..., 1::2]
    radii, heights = values.shape[1:]
    return values, (1.0 / (2.0 * pixel_um * (radii - 1)), 1.0 / (dz_um * heights))


def _from_record(path: Path, optics: Optics | None) -> tuple[VolumeOTF, ...]:
    found = read_otf_record(path)
    if not found.is_volume:
        raise InputError(
            "The record holds the OTF of a plane.", expected="beads measured with --mode 3d or lls",
            got=f"a record of kind {found.record.kind}", where=str(path),
        )  # fmt: skip
    if found.psfs is not None and optics is not None and found.dz_um is not None:
        sheet = 2.0 * optics.immersion_index / ((optics.excitation_nm or optics.emission_nm) * 1e-3)
        each = []
        for number, psf in enumerate(found.psfs, start=1):
            name = f"{found.source}, direction {number}" if len(found.psfs) > 1 else found.source
            grid = grid_volume_otf(psf, found.dz_um, found.pixel_um, optics,
                                   light_per_um=found.light_per_um, source=name)  # fmt: skip
            check_volume_otf(grid, optics, orders=1, sheet_per_um=sheet)
            each.append(grid)
        return tuple(each)
    assert found.table is not None
    otf = radial_table(found.table, found.kr_step_per_um, found.kz_step_per_um, optics=optics,
                       source=found.source)  # fmt: skip
    if optics is not None:
        check_volume_otf(otf, optics, orders=1, sheet_per_um=_sheet_allowance(otf, optics))
    return (otf,)


def _from_numpy(path: Path, optics: Optics | None) -> tuple[VolumeOTF, ...]:
    if optics is None:
        raise MetadataError(
            "An OTF in a NumPy file needs the optics.", expected="--na, --emission-nm, --index",
            where=str(path),
        )  # fmt: skip
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            "The NumPy file cannot be read.", got=str(error), where=str(path)
        ) from error
    kind = next((name for name in ("psf", "otf") if name in content), None)
    if kind is None or not {"pixel_um", "dz_um"} <= set(content):
        raise InputError(
            "The NumPy file holds no OTF.",
            expected="psf or otf, and pixel_um, dz_um",
            got=", ".join(sorted(content)) or "nothing",
            where=str(path),
        )
    values = content[kind]
    if values.ndim not in (4, 5):
        raise InputError(
            f"{kind} has another shape.",
            expected="(orders, Z, Y, X) or (directions, orders, Z, Y, X)",
            got=str(values.shape),
            where=str(path),
        )
    sets = values[None] if values.ndim == 4 else values
    if kind == "otf":
        axes = (-3, -2, -1)
        sets = np.fft.fftshift(np.fft.ifftn(sets, axes=axes), axes=axes)
    pitches = float(content["dz_um"]), float(content["pixel_um"])
    return tuple(
        grid_volume_otf(one, *pitches, optics, source=f"{path.name}, direction {i + 1}")
        for i, one in enumerate(sets)
    )
