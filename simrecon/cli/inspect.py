"""``simrecon inspect``: what a file means, with the evidence."""

from __future__ import annotations

from simrecon.backend import select_device
from simrecon.cli.options import FileOptions
from simrecon.inspection import inspect as inspect_stack
from simrecon.io import read
from simrecon.shell import Reporter


def inspect(files: list[str], /, *, file: FileOptions | None = None, json: bool = False) -> None:
    """Say what raw frames mean: dimensions, order, pixel, wavelengths, pattern peaks, doubts.

    Parameters
    ----------
    files
        Raw frames: a TIFF, OME-TIFF or MRC/DV file, or single-page TIFFs, a folder or a glob.
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    settings = (file or FileOptions()).settings()
    report.device(select_device("cpu"))
    stack = read(files, mode=settings.reconstruction.mode, **settings.reader_overrides())
    found = inspect_stack(stack)
    report.finish(found.to_dict(), found.to_text())
