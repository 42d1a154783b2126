"""``simrecon inspect``: what a file means, with the evidence."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from simrecon.backend import select_device
from simrecon.config import Settings
from simrecon.inspection import inspect as inspect_frames
from simrecon.io import read_raw
from simrecon.model.axes import parse_order
from simrecon.model.frames import RawFrames
from simrecon.shell import Reporter
from simrecon.shell_options import FileOptions

_SEVERAL = ("emission_nm", "excitation_nm")


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


def with_given(raw: RawFrames, settings: Settings) -> RawFrames:
    """What the user knows about a file wins over what the file says."""
    given: dict[str, Any] = settings.reader_overrides()
    for name in _SEVERAL:
        value = given.get(name)
        if isinstance(value, (int, float)):
            given[name] = (float(value),)
    if given.get("order"):
        given["order"] = "".join(parse_order(given["order"]))
    known = {f.name for f in fields(RawFrames)} - {"camera"}
    return replace(raw, **{name: value for name, value in given.items() if name in known})
