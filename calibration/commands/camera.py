"""``simcal camera``: offset, gain and read noise of each pixel from dark and flat frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from calibration.camera import calibrate_camera
from calibration.camera_report import camera_rows, camera_sections
from calibration.outputs import conditions_of, record_files, write_measurement
from calibration.report import new_figure
from simrecon.backend import select_device
from simrecon.errors import UsageError
from simrecon.io import check_overwrite
from simrecon.io.reader import expand_paths
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line

Files = Annotated[list[str] | None, Parameter(consume_multiple=True)]


def camera(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    dark: Files = None,
    flat: Files = None,
    exposure_ms: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    instrument: str = "",
    condition: list[str] | None = None,
    valid_days: float = 365.0,
    report: bool = False,
    json: bool = False,
) -> int:
    """Calibrate a camera; writes OUT.h5, OUT.qc.json and, with --report, OUT.report.html.

    Give at least some hundred dark frames and as many flat frames, spread over two or more levels
    of even light. Every --flat is one level: a multi-page file, a folder, or a glob in quotes. A
    stack with varying light is split into levels by itself.

    Exit code 0: measured; 3: frames that cannot calibrate a camera; 4: doubtful (written and
    marked), or numbers that no camera has (not written).

    Parameters
    ----------
    output
        Record to write, .h5.
    dark
        Frames without light.
    flat
        Frames with even light; one level each, repeat the option.
    exposure_ms
        Exposure of each --flat, or any numbers proportional to its light: adds the linearity of the
        response [default: not measured].
    instrument
        Camera model and serial number.
    condition
        What the numbers hold for, e.g. --condition readout=slow; may be repeated.
    valid_days
        Days after which the record asks to be measured again.
    report
        Write a page with tables and plots.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    speak.device(select_device("cpu"))
    if not dark or not flat:
        raise UsageError(
            "A camera is calibrated from dark and flat frames.",
            expected="--dark FILES and at least one --flat FILES",
            got=" ".join(n for n, v in (("--dark", dark), ("--flat", flat)) if v) or "neither",
        )
    if report:
        new_figure(1, 1)  # refused before any work when matplotlib is missing
    files = record_files(output)
    check_overwrite(files.all(), expand_paths([*dark, *flat]))
    with speak.progress() as progress:
        record, found = calibrate_camera(
            dark,
            list(flat),
            instrument=instrument,
            conditions=conditions_of(condition),
            valid_days=valid_days,
            exposures=exposure_ms,
            command=command_line("simcal"),
            progress=progress,
        )
    sections = camera_sections(record, found) if report else []
    written = write_measurement(files, record, "Camera", sections)
    lines = [f"{name}: {value}" for name, value in camera_rows(record)]
    lines += [f"note: {note}" for note in record.notes]
    lines += [f"verdict: {record.verdict}"] + [f"wrote {path}" for path in written]
    facts: dict[str, Any] = {"files": written, "verdict": record.verdict}
    speak.finish({**facts, "notes": record.notes, **record.results}, "\n".join(lines))
    return EXIT_OK if record.verdict == "ok" else EXIT_QUALITY
