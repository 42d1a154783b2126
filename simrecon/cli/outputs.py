"""Output files of a reconstruction: all of them, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simrecon.errors import InputError, UsageError
from simrecon.io import check_overwrite, read_provenance, write_image, write_json
from simrecon.result import Result

SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
LATER = (".ome.zarr", ".mrc", ".dv")


def split_output(path: Path) -> tuple[str, str]:
    """Name without suffix, and the suffix that picks the format.

    Raises
    ------
    UsageError
        For a suffix that no writer has.
    """
    lower = path.name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix) and len(lower) > len(suffix):
            return path.name[: -len(suffix)], path.name[-len(suffix) :]
    got = next((s for s in LATER if lower.endswith(s)), path.suffix or "no suffix")
    raise UsageError(
        "This output format cannot be written.",
        expected=".ome.tif (recommended) or .tif (ImageJ)",
        got=f"{got} (not supported in this version)" if got in LATER else got,
        where="-o",
    )


def output_files(path: Path) -> list[Path]:
    """Every file that a reconstruction to `path` may write, replace or remove."""
    stem, suffix = split_output(path)
    ends = (suffix, f".variance{suffix}", ".psf.tif", ".prov.json", ".qc.json")
    return [path.parent / f"{stem}{kind}{end}" for kind in ("", ".widefield") for end in ends]


def check_output(
    path: Path, inputs: Iterable[Path], files: Callable[[Path], list[Path]] = output_files
) -> None:
    """Refuse, before any work, an output that cannot be written or would replace an input.

    Parameters
    ----------
    path
        As given with ``-o``.
    inputs
        Every file that is read: frames, OTF, pattern, camera and settings files.
    files
        Gives all files that belong to `path`.

    Raises
    ------
    UsageError, InputError
    """
    check_overwrite(files(path), inputs)
    with staging(path):
        pass


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """Folder beside `path`; its files move into place together when the block succeeds.

    Raises
    ------
    InputError
        When the folder of `path` does not exist or cannot be written.
    """
    if not path.parent.is_dir():
        raise InputError(
            "The output cannot be written.",
            expected="a file name in an existing, writable folder",
            got=f"the folder {path.parent} does not exist",
            where=str(path),
        )
    try:
        if path.is_dir():
            raise IsADirectoryError(f"'{path}' is a folder")
        folder = Path(tempfile.mkdtemp(prefix=".part-", dir=path.resolve().parent))
    except OSError as error:
        raise InputError(
            "The output cannot be written.",
            expected="a file name in an existing, writable folder",
            got=str(error),
            where=str(path),
        ) from error
    try:
        yield folder
        for file in sorted(folder.iterdir()):
            os.replace(file, path.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_result(
    path: Path,
    result: Result,
    *,
    provenance: Mapping[str, Any],
    qc: Mapping[str, Any],
    dz_um: float | None,
    psf: bool,
) -> list[Path]:
    """Write picture, variance, PSF, provenance and QC; return their paths, the picture first.

    A widefield fallback carries ``.widefield`` in every name. A variance map or PSF of an earlier
    run under the same name would seem to belong to this picture: it is removed.
    """
    stem, suffix = split_output(path)
    if result.kind == "widefield":
        stem += ".widefield"
    pixel_um = result.grid.pixel_um
    names = [f"{stem}{suffix}"]
    with staging(path) as folder:
        options: dict[str, Any] = {"pixel_um": pixel_um, "dz_um": dz_um}
        write_image(folder / names[0], result.image, provenance=provenance, **options)
        if result.variance is not None:
            names.append(f"{stem}.variance{suffix}")
            facts = {**provenance, "quantity": "variance of the picture, e²"}
            write_image(folder / names[-1], result.variance, provenance=facts, **options)
        if psf and result.effective_psf is not None:
            names.append(f"{stem}.psf.tif")
            facts = {**provenance, "quantity": "effective PSF, one per channel, sum 1"}
            psfs = result.effective_psf
            if psfs.ndim == 4:  # of volumes: (C, Z, n, n)
                write_image(folder / names[-1], psfs[None], provenance=facts, **options)
            else:
                write_image(folder / names[-1], psfs, pixel_um=pixel_um, provenance=facts)
        for kind, data in (("prov", provenance), ("qc", qc)):
            names.append(f"{stem}.{kind}.json")
            write_json(folder / names[-1], data)
        _remove_stale(path.parent, {f"{stem}.variance{suffix}", f"{stem}.psf.tif"} - set(names))
    return [path.parent / name for name in names]


def _remove_stale(folder: Path, names: Iterable[str]) -> None:
    """Remove side files of an earlier run; files that this project did not write stay."""
    for path in (folder / name for name in names):
        if path.is_file() and _ours(path):
            path.unlink()


def _ours(path: Path) -> bool:
    try:
        return bool(read_provenance(path))
    except InputError:
        return False
