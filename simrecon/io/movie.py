"""Pictures or volumes of a movie written one by one, without holding the movie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tifffile

from simrecon.errors import InputError
from simrecon.io.atomic import atomic_path
from simrecon.io.ome_tiff import ome_metadata
from simrecon.io.tiff import PROVENANCE_SCHEMA

_BIG_BYTES = 2**31


def _reserve(path: str | os.PathLike[str]) -> None:
    """Give a sparse file its place on the disk: a full one kills who writes to mapped memory."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))


@contextmanager
def movie_writer(
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    *,
    pixel_um: float,
    dz_um: float | None = None,
    provenance: Mapping[str, Any],
) -> Iterator[np.ndarray]:
    """Give a float32 array on disk; the file has its name when the block ends well.

    Parameters
    ----------
    path
        Name, ``.ome.tif``.
    shape
        Time points, of volumes the planes, rows, columns.
    pixel_um, dz_um
        Pixel pitch and, of volumes, distance of the planes, µm.
    provenance
        See :func:`simrecon.io.ome_tiff.write_image`.

    Yields
    ------
    ndarray, shape (T, [Z,] Y, X)
        Memory-mapped: ``array[t] = picture``.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    frames, *planes, rows, columns = shape
    metadata = ome_metadata(pixel_um, dz_um, {PROVENANCE_SCHEMA: dict(provenance)})
    with atomic_path(path) as temporary:
        try:
            array = tifffile.memmap(
                temporary, shape=(frames, 1, *(planes or (1,)), rows, columns), dtype=np.float32,
                ome=True, photometric="minisblack", metadata=metadata,
                bigtiff=4 * int(np.prod(shape, dtype=np.int64)) > _BIG_BYTES,
            )  # fmt: skip
            _reserve(temporary)
        except OSError as error:
            raise InputError(
                "The movie cannot be written.", got=error.strerror or str(error),
                where=str(path), hint="check that the disk has room, or give another path with -o",
            ) from error  # fmt: skip
        yield array.reshape(shape)
        array.flush()
        del array
