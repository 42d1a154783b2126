"""Output files of a reconstruction: all of them, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simrecon.errors import InputError, UsageError
from simrecon.io import write_image, write_json
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


def check_output(path: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before any work, an output that cannot be written or would replace an input.

    Raises
    ------
    UsageError, InputError
    """
    split_output(path)
    if any(path.resolve() == p.resolve() for p in inputs):
        raise UsageError("The output would replace an input.", got=str(path), where="-o")
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

    A widefield fallback carries ``.widefield`` in every name.
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
        if psf and result.kind == "sim":
            names.append(f"{stem}.psf.tif")
            facts = {**provenance, "quantity": "effective PSF, one plane per channel, sum 1"}
            write_image(
                folder / names[-1], result.effective_psf, pixel_um=pixel_um, provenance=facts
            )
        for kind, data in (("prov", provenance), ("qc", qc)):
            names.append(f"{stem}.{kind}.json")
            write_json(folder / names[-1], data)
    return [path.parent / name for name in names]
