"""``simrecon estimate``: fit the illumination pattern and say how good the fit is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from simrecon import pipeline
from simrecon.backend import select_device
from simrecon.cli.outputs import check_output
from simrecon.cli.text import pattern_lines
from simrecon.errors import UsageError
from simrecon.io import read_patterns, write_pattern
from simrecon.io.reader import expand_paths
from simrecon.loading import load_otfs, load_stack
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter
from simrecon.shell_options import FileOptions, side_inputs


def estimate(
    files: list[str],
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    file: FileOptions | None = None,
    otf: list[Path] | None = None,
    pattern: Path | None = None,
    drift: Literal["auto", "off"] | None = None,
    time: int = 0,
    channel: int = 0,
    json: bool = False,
) -> int:
    """Fit frequency, phases, intensities and modulation of the pattern, with error bars.

    Exit code 4 says that a direction is weak or failed; the file is written and says so too.

    Parameters
    ----------
    files
        Raw frames, as for 'simrecon reconstruct'.
    output
        Pattern file to write (JSON) [default: print only].
    otf
        Measured OTF or PSF file [default: theoretical].
    pattern
        Pattern file with frequencies only, or a record of 'simcal pattern': the rest is fitted.
    drift
        Motion of the sample between frames: measured and corrected, or off [default: auto].
    time
        Time point to fit, from 0.
    channel
        Channel to fit, from 0.
    json
        Write one JSON document to standard output.
    """
    report = Reporter(json)
    settings = (file or FileOptions()).settings(drift=drift)
    report.device(select_device("cpu"))
    if output is not None:
        _check_output(output, [*expand_paths(files), *side_inputs(file, settings, otf, pattern)])
    stack = load_stack(files, settings)
    given = None if pattern is None else read_patterns(pattern, stack.optics)
    fit = pipeline.estimate_pattern(
        stack, load_otfs(otf, stack, settings), settings, pattern=given, time=time, channel=channel
    )
    if output is not None:
        write_pattern(output, fit)
    text = "\n".join(pattern_lines(fit) + ([f"wrote {output}"] if output else []))
    report.finish(fit.to_dict(), text)
    return EXIT_OK if fit.verdict == "ok" else EXIT_QUALITY


def _check_output(output: Path, inputs: list[Path]) -> None:
    """Refuse, before reading, a name that is no pattern file's or belongs to an input."""
    if output.suffix.lower() != ".json":
        raise UsageError(
            "A pattern file is JSON.", expected=".json", got=output.name, where="-o",
            hint="give a name such as pattern.json; 'simrecon reconstruct' writes pictures",
        )  # fmt: skip
    check_output(output, inputs, lambda path: [path])
