"""From files to :class:`~simrecon.model.stack.SimStack`: the one reader every entrance uses."""

from __future__ import annotations

import glob
import inspect
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from simrecon.checks import check_frames, check_kind, counts_evidence
from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io.camera_maps import read_camera_maps
from simrecon.io.camera_record import read_camera_record
from simrecon.io.mrc_dv import DV_SUFFIXES, read_mrc
from simrecon.io.tiff import natural_key, read_tiff
from simrecon.layout import Layout, arrange, plan_layout
from simrecon.model.camera import Camera
from simrecon.model.frames import RawFrames
from simrecon.model.mode import MODES, check_steps
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack
from simrecon.mosaic import untiled

PathLike = str | os.PathLike[str]
Mode = Literal["2d", "tirf", "3d", "lls", "slice3", "nonlinear", "hex"]
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm")
MRC_SUFFIXES = (*DV_SUFFIXES, ".mrc")
DEFAULT_INDEX = 1.515


def expand_paths(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    """Files of a path, a folder, a glob pattern or a list of these, in natural order.

    Raises
    ------
    InputError
        When nothing matches.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: list[Path] = []
    for entry in given:
        path = Path(entry)
        if path.is_dir():
            inside = [p for p in path.iterdir() if _is_tiff(p)]
            found.extend(sorted(inside, key=natural_key))
        elif path.exists() or not glob.has_magic(os.fspath(entry)):
            found.append(path)
        else:
            found.extend(Path(p) for p in sorted(glob.glob(os.fspath(entry)), key=natural_key))
    if not found:
        raise InputError(
            "No file matches.",
            expected=f"files, a folder of TIFFs ({' '.join(TIFF_SUFFIXES)}) or a quoted pattern",
            where=", ".join(os.fspath(p) for p in given),
            hint="check folder and spelling; of other formats give the file itself, not its folder",
        )
    for path in found:
        if not path.is_file():
            raise InputError(
                "The file does not exist.", where=str(path), hint="check folder and spelling"
            )
    return sorted(dict.fromkeys(found), key=natural_key)


def _is_tiff(path: Path) -> bool:
    """Whether a file of a folder is meant; hidden ones (macOS: ``._name.tif``) hold no frames."""
    return path.suffix.lower() in TIFF_SUFFIXES and not path.name.startswith(".")


PIXEL_DOUBT = 0.02
"""Relative difference of the given pixel size from the file's that is worth a note."""


def _read_one(path: Path) -> RawFrames:
    raw = _read_any(path)
    check_kind(raw.frames.dtype, str(path))
    return raw


def _read_any(path: Path) -> RawFrames:
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return read_tiff(path)
    if suffix in MRC_SUFFIXES:
        return read_mrc(path)
    with open(path, "rb") as stream:
        start = stream.read(4)
    if start[:2] in (b"II", b"MM"):
        return read_tiff(path)
    raise InputError(
        "Unknown file format.",
        expected=f"a TIFF ({' '.join(TIFF_SUFFIXES)}) or an MRC/DV ({' '.join(MRC_SUFFIXES)})",
        got=f"suffix {suffix or '(none)'}",
        where=str(path),
        hint="export the raw frames as (OME-)TIFF",
    )


def read_raw(paths: PathLike | Sequence[PathLike], **given: Any) -> RawFrames:
    """Read frames and what the file says about them, assuming and requiring nothing.

    For looking at a file (:func:`simrecon.inspection.inspect`); :func:`read` is for work. Takes
    the same keyword arguments as :func:`read`; what is given replaces what the file says.

    Several files (a list, a folder or a glob; natural order: ``1_X2`` before ``1_X10``) are
    joined along a new slowest axis; they must agree in frame size and type. Joined files are
    loaded, a single uncompressed one is memory-mapped.

    Raises
    ------
    InputError
        When a file is missing, unreadable, truncated or does not fit the others.
    """
    raw = _join(expand_paths(paths))
    return _with_given(raw, given) if given else raw


def _with_given(raw: RawFrames, given: dict[str, Any]) -> RawFrames:
    """`raw` with the given facts; those that it has no place for do not matter to it."""
    unknown = set(given) - set(_keyword_names())
    if unknown:
        raise UsageError("Unknown reader argument.", got=", ".join(sorted(unknown)))
    names = {f.name for f in fields(raw)} - {"camera"}
    changes = {k: v for k, v in given.items() if k in names and v is not None}
    for name in ("emission_nm", "excitation_nm"):
        value = changes.get(name)
        if value is not None:
            single = isinstance(value, (int, float))
            changes[name] = (float(value),) if single else tuple(float(v) for v in value)
    if given.get("directions") is not None:
        changes["angles"] = given["directions"]
    numbers = {k: given[k] for k in ("gain", "offset", "read_noise_e") if given.get(k) is not None}
    if numbers:
        changes["camera"] = Camera(**numbers)
    elif given.get("camera") is not None:
        changes["camera"] = read_camera_record(given["camera"]).camera
    return replace(raw, **changes)


def _keyword_names() -> tuple[str, ...]:
    """Names of the keyword arguments of :func:`read`."""
    return tuple(inspect.signature(read).parameters)[1:]


def _join(files: list[Path]) -> RawFrames:
    """One file, or several along a new slowest axis."""
    first = _read_one(files[0])
    if len(files) == 1:
        return first
    parts = [first.frames]
    for path in files[1:]:
        part = _read_one(path)
        kinds = [np.dtype(r.frames.dtype).newbyteorder("=") for r in (first, part)]
        if part.frames.shape != first.frames.shape or kinds[0] != kinds[1]:
            raise InputError(
                "The files do not belong together.",
                expected=f"{kinds[0]} of shape {first.frames.shape}, as {files[0].name}",
                got=f"{kinds[1]} of shape {part.frames.shape}",
                where=str(path),
                hint="name the frames of one recording only, for example 'cell_*.tif' in quotes",
            )
        parts.append(part.frames)
    metadata = {**first.metadata, "paths": [str(p) for p in files]}
    name = "S" if first.count == 1 else "T"
    axes = ((name, len(files)), *((("S", s) if n == "T" else (n, s)) for n, s in first.axes))
    return replace(first, frames=np.stack(parts), axes=axes, metadata=metadata)


def read(
    paths: PathLike | Sequence[PathLike],
    *,
    angles: int | None = None,
    phases: int | None = None,
    directions: int | None = None,
    planes: int | None = None,
    channels: int | None = None,
    order: str | None = None,
    pixel_um: float | None = None,
    dz_um: float | None = None,
    na: float | None = None,
    index: float | None = None,
    sample_index: float | None = None,
    depth_um: float | None = None,
    emission_nm: float | Sequence[float] | None = None,
    excitation_nm: float | Sequence[float] | None = None,
    excitation_na: float | None = None,
    pixel_integration: bool | None = None,
    gain: float | None = None,
    offset: float | None = None,
    read_noise_e: float | None = None,
    camera: PathLike | None = None,
    gain_map: PathLike | None = None,
    offset_map: PathLike | None = None,
    read_noise_map: PathLike | None = None,
    mode: Mode = "2d",
) -> SimStack:
    """Read raw SIM frames.

    What is given wins over the file; what neither gives is refused (pixel size, emission, NA) or
    assumed with a note (3 × 3 frames in order PA, immersion index, camera).

    Parameters
    ----------
    paths
        A TIFF, OME-TIFF, ImageJ stack or Priism MRC/DV; or a list, folder or glob of TIFFs.
    angles, phases
        Number of pattern directions and of phase steps. `directions` is another name of `angles`.
    planes, channels
        Number of planes and of channels in a plain sequence of frames whose `order` names them.
    order
        Frame order in the file, letters of P, A, Z, C, T, fastest first.
    pixel_um, dz_um
        Lateral pixel pitch and plane spacing, µm.
    na, index, sample_index, depth_um
        Detection NA, refractive indices of immersion and sample, depth of focus in µm.
    emission_nm, excitation_nm
        Vacuum wavelengths, nm; one for all channels or one per channel.
    excitation_na
        NA of the interfering beams.
    pixel_integration
        False for point-sampled (simulated) frames; default True.
    gain, offset, read_noise_e
        Camera numbers: ADU/e, ADU, e.
    camera
        Camera record file, instead of the three numbers.
    gain_map, offset_map, read_noise_map
        TIFF maps (Y, X), each instead of its number; NaN marks a bad pixel.
    mode
        Kind of illumination: how many directions and phases there are when neither the file nor
        the arguments say.

    Returns
    -------
    SimStack
        Data of shape (T, C, A, P, Z, Y, X), row 0 at the top; a view of the file where possible.

    Raises
    ------
    InputError
        Unreadable, truncated or impossible data; wrong number of frames.
    MetadataError
        Pixel size, emission wavelength or NA neither in the file nor given.
    UsageError
        Contradicting or impossible arguments.
    """
    if angles is not None and directions is not None and angles != directions:
        raise UsageError("angles and directions are two names of one number.")
    raw = read_raw(paths)
    stated = raw.planes if order is None else None  # belongs to the order that the file states
    raw = replace(raw, planes=planes or stated, channels=channels)
    raw = untiled(replace(raw, angles=angles or directions or raw.angles,
                          phases=phases or raw.phases, order=order or raw.order))  # fmt: skip
    where = _where(raw)
    raw, told = _steps_of_mode(raw, mode)
    layout = plan_layout(raw, angles or directions, phases, order, where)
    data = arrange(raw, layout)
    check_steps(mode, int(data.shape[2]), int(data.shape[3]))
    _check_number(planes, int(data.shape[4]), "planes", "Z", layout.order)
    _check_number(channels, int(data.shape[1]), "channels", "C", layout.order)
    notes = [*raw.notes, *told, *layout.notes, *check_frames(data)]
    if pixel_um and raw.pixel_um and abs(pixel_um / raw.pixel_um - 1.0) > PIXEL_DOUBT:
        notes.append(f"Pixel size {pixel_um:g} µm as given; the file says {raw.pixel_um:g} µm.")
    ignored = next((note for note in raw.notes if "pixel size" in note), None)
    pixel = _required(pixel_um, raw.pixel_um, "pixel size", "--pixel-um", "0.065", where, ignored)
    numbers = {
        "na": _required(na, raw.na, "detection NA", "--na", "1.49", where),
        "index": index or raw.index,
        "sample_index": sample_index,
        "depth_um": depth_um or 0.0,
        "excitation_na": excitation_na or raw.excitation_na,
    }
    count = int(data.shape[1])
    if count > 1 and emission_nm is not None and np.size(emission_nm) == 1:
        notes.append(f"One emission wavelength was given: it is used for all {count} channels.")
    emission = _wavelengths(emission_nm, raw.emission_nm, data.shape[1], "emission", where)
    if not emission:
        _required(None, None, "emission wavelength", "--emission-nm", "525", where)
    excitation = _wavelengths(excitation_nm, raw.excitation_nm, data.shape[1], "excitation", where)
    if pixel_integration is None:
        pixel_integration = raw.pixel_integration
    optics = _optics(numbers, emission, excitation, pixel_integration is not False, notes)
    numbers_given = {"gain": gain, "offset": offset, "read_noise_e": read_noise_e}
    files = {"gain": gain_map, "offset": offset_map, "read_noise_e": read_noise_map}
    maps = {name: path for name, path in files.items() if path is not None}
    model = _camera(camera, numbers_given, maps, raw, data, notes)
    return SimStack(
        data=data,
        pixel_um=pixel,
        optics=optics,
        camera=model,
        dz_um=dz_um or (raw.dz_um if data.shape[4] > 1 else None),
        order=layout.order,
        flipped_y=raw.flipped_y,
        metadata={**raw.metadata, "mode": mode, "file_axes": _axes_text(raw, layout)},
        notes=tuple(dict.fromkeys(notes)),
    )


def _steps_of_mode(raw: RawFrames, mode: Mode) -> tuple[RawFrames, list[str]]:
    """Directions and phases that are usual in a mode, where nothing else tells them."""
    facts = MODES.get(mode)
    declared = {"A", "P"} <= {name for name, _ in raw.axes}
    if facts is None or mode in ("2d", "tirf") or declared or (raw.angles and raw.phases):
        return raw, []
    angles, phases = raw.angles or facts.directions, raw.phases or facts.phases
    note = f"{angles} × {phases} frames assumed, usual in mode {mode} (--angles, --phases)."
    return replace(raw, angles=angles, phases=phases), [note]


def _check_number(given: int | None, read: int, what: str, letter: str, order: str) -> None:
    """Refuse a given number of planes or channels that the frames were not split by."""
    if given is not None and given != read:
        raise UsageError(
            f"The frames were not read as {given} {what}.",
            expected=f"an --order with {letter}, where the file does not name its {what} itself",
            got=f"{read} {what}, order {order}",
            where=f"--{what}",
            hint=f"leave --{what} out, or give --order, for example "
            f"{'PZA' if letter == 'Z' else 'PAC'}",
        )


def _where(raw: RawFrames) -> str:
    paths = list(raw.metadata.get("paths", ()))
    return paths[0] if len(paths) == 1 else f"{paths[0]} … {paths[-1]} ({len(paths)} files)"


def _axes_text(raw: RawFrames, layout: Layout) -> str:
    stored = "".join(f"{name}{size}" for name, size in raw.axes) or "single frame"
    meant = "".join(f"{name}{size}" for name, size in layout.axes)
    return f"{stored} read as {meant} (slowest first)"


def _required(
    given: float | None, found: float | None, what: str, option: str, example: str, where: str,
    got: str | None = None,
) -> float:  # fmt: skip
    value = given if given is not None else found
    if value is None:
        raise MetadataError(
            f"The {what} is neither in the file nor given.",
            expected=f"{option} (Python: {option[2:].replace('-', '_')}=)",
            got=got,
            where=where,
            hint=f"for example {option} {example}; it is on the microscope's data sheet",
        )
    return float(value)


def _wavelengths(
    given: float | Sequence[float] | None,
    found: tuple[float, ...],
    channels: int,
    what: str,
    where: str,
) -> tuple[float, ...]:
    """One wavelength per channel, or () when unknown."""
    if given is None:
        values = tuple(found)
    elif isinstance(given, (int, float)):
        values = (float(given),)
    else:
        values = tuple(float(v) for v in given)
    if len(values) == 1:
        values *= channels
    if values and len(values) != channels:
        if given is None:
            return ()
        raise UsageError(
            f"Wrong number of {what} wavelengths.",
            expected=f"{'' if channels == 1 else '1 or '}{channels} (channels of {where})",
            got=str(len(values)),
            where=f"--{what}-nm",
        )
    return values


def _optics(
    numbers: dict[str, float | None],
    emission: tuple[float, ...],
    excitation: tuple[float, ...],
    pixel_integration: bool,
    notes: list[str],
) -> tuple[Optics, ...]:
    index = numbers["index"]
    if index is None:
        index = DEFAULT_INDEX
        notes.append(f"Immersion index not given: {DEFAULT_INDEX} (oil) assumed (--index).")
    return tuple(
        Optics(
            na=float(numbers["na"] or 0.0),
            emission_nm=wavelength,
            immersion_index=index,
            sample_index=numbers["sample_index"],
            depth_um=numbers["depth_um"] or 0.0,
            excitation_nm=excitation[channel] if excitation else None,
            excitation_na=numbers["excitation_na"],
            pixel_integration=pixel_integration,
        )
        for channel, wavelength in enumerate(emission)
    )


def _camera(
    record: PathLike | None,
    given: dict[str, float | None],
    maps: dict[str, PathLike],
    raw: RawFrames,
    data: np.ndarray,
    notes: list[str],
) -> Camera:
    """Camera from a record, from given numbers and maps, from the file, or assumed with a note."""
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    twice = set(maps) & set(chosen)
    if twice or (record is not None and (chosen or maps)):
        raise UsageError(
            "Give a camera record, or each number or its map once.",
            got=f"--camera and {', '.join(sorted({*chosen, *maps}))}"
            if record is not None
            else f"{', '.join(sorted(twice))} as number and as map",
        )
    if record is not None:
        found = read_camera_record(record)
        if found.record.verdict == "failed":
            raise InputError(
                "The camera record is a failed calibration.",
                expected="a record with verdict ok or weak",
                got=" ".join(["verdict failed:", *found.record.notes]),
                where=str(record),
                hint="measure the camera again, or give --gain, --offset and --read-noise-e",
            )
        shape = found.map_shape
        if shape is not None and shape != data.shape[-2:]:
            raise InputError(
                "The camera record's maps do not fit the frames.",
                expected=f"maps of the frames' size {data.shape[-2:]}",
                got=f"{shape}",
                where=str(record),
                hint="make the record with the same camera window (ROI) and binning",
            )
        doubts = found.doubts(datetime.now(UTC).date())
        notes += doubts
        return replace(found.usable, doubts=doubts)
    read_maps, source_of_maps = read_camera_maps(maps, data.shape[-2:])
    chosen.update(read_maps)
    base = raw.camera
    if base is not None:
        numbers = {name: getattr(base, name) for name in given}
        source = source_of_maps or ("given and file" if chosen else "file")
        return Camera(**{**numbers, **chosen}, source=source)
    if not chosen.keys() >= {"gain", "offset"}:
        notes.append(_assumption(chosen, data))
    source = (source_of_maps or "given") if "gain" in chosen else "assumed"
    return Camera(**chosen, source=source, offset_known="offset" in chosen)


def _assumption(chosen: dict[str, Any], data: np.ndarray) -> str:
    evidence = counts_evidence(data)
    assumed = [
        f"{name} {value}"
        for name, value in (("gain", "1 ADU/e"), ("offset", "0"))
        if name not in chosen
    ]
    text = f"Camera not known: {' and '.join(assumed)} assumed (--gain, --offset or --camera)."
    if evidence.verdict == "not camera counts":
        return f"{text} These are not camera counts anyway: {evidence.reason}."
    if "offset" not in chosen and evidence.minimum > 0:
        return (
            f"{text} The darkest pixel is {evidence.minimum:g}: give --offset (the counts of a "
            "dark frame, often 100), or background counts as signal."
        )
    return text
