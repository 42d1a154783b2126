"""``simrecon inspect``: what a file means, with the evidence."""

from __future__ import annotations

from simrecon.backend import select_device
from simrecon.inspection import inspect as inspect_frames
from simrecon.io import read_raw
from simrecon.loading import with_given
from simrecon.shell import Reporter
from simrecon.shell_options import FileOptions


def inspect(files: list[str], /, *, file: FileOptions | None = None, json: bool = False) -> None:
    """Say what raw frames mean: dimensions, order, pixel, wavelengths, pattern peaks, doubts.

    Needs no OTF, and works on files that state nothing: what is missing is listed.

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
    raw = with_given(read_raw(files), settings)
    found = inspect_frames(raw, settings.estimate.angles_rad, None if file is None else file.mode)
    report.finish(found.to_dict(), found.to_text())
