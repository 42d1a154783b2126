"""``simrecon register``: pictures of several channels onto one, by a measured registration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from simrecon.backend import select_device
from simrecon.cli.outputs import check_output, split_output, staging
from simrecon.errors import InputError, MetadataError
from simrecon.io import read_provenance, read_raw, write_image, write_json
from simrecon.io.registration_record import RegistrationRecord, read_registration_record
from simrecon.model.affine import Affine2D
from simrecon.model.grid import Grid
from simrecon.provenance import describe_files, record
from simrecon.registration import ORDER, covered, register, register_variance
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line

_AXES = "TCZ"


@dataclass(frozen=True)
class _Picture:
    """Pixels (T, C, Z, Y, X), pitch, and the emission wavelengths that the file states."""

    data: np.ndarray
    pixel_um: float
    dz_um: float | None
    emission_nm: tuple[float, ...]


def register_pictures(
    pictures: list[Path],
    /,
    *,
    registration: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    emission_nm: list[float] | None = None,
    target_nm: float | None = None,
    variance: list[Path] | None = None,
    json: bool = False,
) -> int:
    """Bring the channels of reconstructed pictures into one coordinate system.

    Every channel is interpolated once, straight from its own pixels to the target's (quintic
    splines); the target stays as it is. Pixels that a channel does not reach are NaN.

    Exit code 0: registered; 3: pictures or record that do not belong together; 4: the record is
    doubtful or has expired (written and marked).

    Parameters
    ----------
    pictures
        Output of 'simrecon reconstruct': one picture with all channels, or one per channel.
    registration
        Record of 'simcal registration' (.h5).
    output
        Picture with all channels to write, .ome.tif or .tif.
    emission_nm
        Emission wavelength of every channel, nm; repeat the option [default: from the pictures].
    target_nm
        Channel onto which the others are brought [default: the record's reference].
    variance
        Variance maps of the pictures, in the same order: also writes OUT.variance.*.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    device = select_device("cpu")
    speak.device(device)
    sides = list(variance or ())
    check_output(output, [*pictures, registration, *sides])
    known = read_registration_record(registration)
    picture = _read(pictures)
    wavelengths = _wavelengths(picture, emission_nm)
    grid = _grid(picture, known, registration)
    target = known.emission_nm[_reference(known)] if target_nm is None else target_nm
    maps = [known.between(nm, target) for nm in wavelengths]
    doubts = known.doubts(datetime.now(UTC).date())
    reach = [covered(grid, one) for one in maps]
    facts = {
        "schema": "simrecon/register/1", "target_nm": target, "emission_nm": wavelengths,
        "maps": [{"matrix": m.matrix, "shift_um": m.shift_um} for m in maps],
        "covered": reach, "interpolation": f"B-spline of order {ORDER}", "notes": list(doubts),
        "verdict": "weak" if doubts else "ok",
    }  # fmt: skip
    made = record(
        settings=facts, device=f"{device.label}: {device.reason}", seed=None,
        inputs=describe_files([*pictures, *sides]), registration=describe_files([registration]),
        source=[read_provenance(p) for p in pictures], command=command_line("simrecon"),
    )  # fmt: skip
    results = {"": _each(picture.data, grid, maps, register)}
    if sides:
        spread = _read(sides).data
        if spread.shape != picture.data.shape:
            raise InputError("The variance maps do not belong to the pictures.",
                             expected=str(picture.data.shape), got=str(spread.shape),
                             where="--variance")  # fmt: skip
        results[".variance"] = _each(spread, grid, maps, register_variance)
    written = _write(output, results, picture, wavelengths, made, facts)
    lines = [f"channel {nm:g} nm: moved by {_moved_nm(m, grid):.0f} nm at most, reaches "
             f"{100 * share:.1f} % of the field"
             for nm, m, share in zip(wavelengths, maps, reach, strict=True)]  # fmt: skip
    lines += [f"note: {text}" for text in doubts] + [f"wrote {path}" for path in written]
    speak.finish({**facts, "files": written}, "\n".join(lines))
    return EXIT_QUALITY if doubts else EXIT_OK


def _each(data: np.ndarray, grid: Grid, maps: list[Affine2D], how: Any) -> np.ndarray:
    """Every channel by its own map; the target's own pixels are not touched."""
    same = Affine2D()
    parts = [data[:, c] if m == same else how(data[:, c], grid, m) for c, m in enumerate(maps)]
    return np.stack(parts, axis=1)


def _read(paths: list[Path]) -> _Picture:
    """One picture with all channels, or one per channel."""
    raws = [read_raw(path) for path in paths]
    stacks = []
    for raw, path in zip(raws, paths, strict=True):
        names = [name for name, _ in raw.axes]
        if any(name not in _AXES for name, size in raw.axes if size > 1):
            raise InputError("This is not a reconstructed picture.", expected="axes T, C, Z, Y, X",
                             got="".join(names), where=str(path))  # fmt: skip
        data = np.asarray(raw.frames)
        sizes = {name: size for name, size in raw.axes if name in _AXES}
        order = [names.index(n) for n in _AXES if n in names]
        rest = [i for i in range(len(names)) if i not in order]
        data = data.transpose(*rest, *order, data.ndim - 2, data.ndim - 1)
        stacks.append(data.reshape(*(sizes.get(n, 1) for n in _AXES), *data.shape[-2:]))
    shapes = {(s.shape[0], *s.shape[2:]) for s in stacks}
    pixels = {round(float(raw.pixel_um or 0.0), 7) for raw in raws}
    if len(shapes) > 1 or len(pixels) > 1:
        raise InputError("The pictures do not belong together.",
                         expected="one size and one pixel size",
                         got=", ".join(map(str, [*shapes, *pixels])))  # fmt: skip
    if raws[0].pixel_um is None:
        raise MetadataError("The picture does not state its pixel size.", where=str(paths[0]))
    emission = tuple(nm for path, raw in zip(paths, raws, strict=True)
                     for nm in raw.emission_nm or _stated(path))  # fmt: skip
    return _Picture(np.concatenate(stacks, axis=1), float(raws[0].pixel_um), raws[0].dz_um,
                    emission)  # fmt: skip


def _stated(path: Path) -> tuple[float, ...]:
    """Emission wavelengths in a picture's provenance."""
    return tuple(float(nm) for nm in (read_provenance(path) or {}).get("emission_nm", ()))


def _wavelengths(picture: _Picture, given: list[float] | None) -> list[float]:
    count = picture.data.shape[1]
    found = list(given or picture.emission_nm)
    if len(found) != count:
        raise MetadataError(
            "The channels of the pictures are not known.",
            expected=f"{count} emission wavelengths", got=str(found) if found else "none",
            where="--emission-nm",
        )  # fmt: skip
    return found


def _grid(picture: _Picture, known: RegistrationRecord, where: Path) -> Grid:
    """The grid of pictures, whose field must be the record's."""
    shape = (int(picture.data.shape[-2]), int(picture.data.shape[-1]))
    zoom = shape[0] / known.shape[0]
    fits = [abs(n / (m * zoom) - 1) < 1e-3 for n, m in zip(shape, known.shape, strict=True)]
    same = abs(picture.pixel_um * zoom / known.pixel_um - 1.0) < 5e-3
    if not all(fits) or not same or abs(zoom - round(zoom)) > 1e-6:
        raise InputError(
            "The pictures and the registration are of different fields.",
            expected=f"{known.shape[0]} × {known.shape[1]} raw pixels of "
            f"{1e3 * known.pixel_um:.2f} nm, or pictures on a finer grid of that field",
            got=f"{shape[0]} × {shape[1]} pixels of {1e3 * picture.pixel_um:.2f} nm",
            where=str(where), hint="the same region of the cameras is needed",
        )  # fmt: skip
    return Grid(known.shape, known.pixel_um).zoomed(round(zoom))


def _reference(known: RegistrationRecord) -> int:
    """The channel whose map is the identity."""
    return known.to_reference.index(Affine2D())


def _moved_nm(one: Affine2D, grid: Grid) -> float:
    y, x = (axis.ravel()[[0, -1]] for axis in grid.positions_um())
    corners = np.array([(a, b) for a in y for b in x])
    return 1e3 * float(np.hypot(*(one(corners) - corners).T).max())


def _write(
    output: Path,
    results: dict[str, np.ndarray],
    picture: _Picture,
    wavelengths: list[float],
    made: dict[str, Any],
    facts: dict[str, Any],
) -> list[str]:
    stem, suffix = split_output(output)
    names = [f"{nm:g} nm" for nm in wavelengths]
    written = []
    with staging(output) as folder:
        for kind, data in results.items():
            written.append(f"{stem}{kind}{suffix}")
            write_image(folder / written[-1], data, pixel_um=picture.pixel_um,
                        dz_um=picture.dz_um, provenance=made, channel_names=names)  # fmt: skip
        for kind, what in (("prov", made), ("qc", facts)):
            written.append(f"{stem}.{kind}.json")
            write_json(folder / written[-1], what)
    return [str(output.parent / name) for name in written]
