"""``simcal pattern``: the illumination pattern, from beads, fluorescent slides or many cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from calibration.commands.options import ValidDays
from calibration.outputs import conditions_of, record_files, write_measurement
from calibration.pattern.measure import measure_pattern
from calibration.pattern.report import facts, sections, to_pattern, to_record, to_text
from simrecon.backend import select_device
from simrecon.errors import UsageError
from simrecon.io import check_overwrite, read, read_otf, write_pattern
from simrecon.io.reader import expand_paths
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack
from simrecon.otf_choice import per_channel
from simrecon.provenance import describe_files, record
from simrecon.qc.figures import new_figure
from simrecon.shell import EXIT_OK, EXIT_QUALITY, Reporter, command_line
from simrecon.shell_options import FileOptions, side_inputs


def pattern(
    files: list[str],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    file: FileOptions | None = None,
    otf: list[Path] | None = None,
    sample: Literal["auto", "objects", "slide"] = "auto",
    pattern_json: Path | None = None,
    report: bool = False,
    instrument: str = "",
    condition: list[str] | None = None,
    valid_days: ValidDays = 365.0,
    json: bool = False,
) -> int:
    """Measure frequency, phase steps and modulation of the pattern, and how well they repeat.

    Give several recordings (or time points) of one instrument setting: only they tell how far the
    pattern may be trusted next time. Writes OUT.h5, a calibration record that 'simrecon reconstruct
    --pattern' takes, and OUT.qc.json with every acquisition; on request OUT.report.html.

    Exit code 0: measured; 3: files that are no SIM frames, or of different settings; 4: doubtful
    (written and marked), or a direction without a pattern (not written).

    Parameters
    ----------
    files
        Raw SIM recordings: each argument is one file, or a folder or a glob in quotes of
        single-page TIFFs.
    output
        Record to write, .h5.
    otf
        Measured OTF or PSF file, one or one per channel [default: theoretical].
    sample
        slide: an even fluorescent sheet, whose pattern is seen directly; objects: beads or cells;
        auto: decided for each acquisition by the structure of its widefield.
    pattern_json
        Also write the frequencies and phase steps as a pattern file, one per channel (with more
        than one as NAME.c0.json, NAME.c1.json …).
    report
        Write a page with tables and plots.
    instrument
        Microscope, objective and grating or modulator, for the record.
    condition
        What the numbers hold for, e.g. --condition grating=2; may be repeated.
    valid_days
        Days after which the record asks to be measured again.
    json
        Write one JSON document to standard output.
    """
    speak = Reporter(json)
    device = select_device("cpu")
    speak.device(device)
    settings = (file or FileOptions()).settings()
    out = record_files(output)
    inputs = [path for source in files for path in expand_paths(source)]
    _refuse_twice(inputs)
    _check_json(pattern_json)
    check_overwrite([*out.all(), *([pattern_json] if pattern_json else [])],
                    [*inputs, *side_inputs(file, settings, otf)])  # fmt: skip
    if report:
        new_figure(1.0, 1.0)  # a missing matplotlib is said before the work
    stacks = [read(source, mode=settings.reconstruction.mode, **settings.reader_overrides())
              for source in files]  # fmt: skip
    with speak.progress() as progress:
        found = measure_pattern(
            stacks, settings, otf=_otfs(otf, stacks[0]), sample=sample,
            progress=lambda done, total: progress("pattern", done, total),
        )  # fmt: skip
    made = record(
        settings=settings.model_dump(), device=f"{device.label}: {device.reason}", seed=None,
        inputs=describe_files(inputs), otf_files=describe_files(otf or ()),
        command=command_line("simcal"),
    )  # fmt: skip
    content = to_record(found, instrument=instrument, conditions=conditions_of(condition),
                        valid_days=valid_days, sources=made["inputs"], provenance=made)  # fmt: skip
    written = []
    if pattern_json is not None:
        for c in range(len(found.channels)):
            path = pattern_json
            if len(found.channels) > 1:
                path = pattern_json.with_suffix(f".c{c}.json")
            write_pattern(path, to_pattern(found, c))
            written.append(str(path))
    pages = sections(found) if report else []
    written += write_measurement(out, content, "Illumination pattern", pages)
    lines = [to_text(found), *(f"wrote {path}" for path in written)]
    speak.finish({**facts(found), "files": written}, "\n".join(lines))
    return EXIT_OK if found.verdict == "ok" else EXIT_QUALITY


def _check_json(path: Path | None) -> None:
    if path is not None and path.suffix.lower() != ".json":
        raise UsageError("A pattern file is JSON.", expected=".json", got=path.name,
                         where="--pattern-json")  # fmt: skip


def _refuse_twice(inputs: Sequence[Path]) -> None:
    """Refuse a file that is given twice: it would repeat itself perfectly.

    Raises
    ------
    UsageError
    """
    seen: set[Path] = set()
    for path in inputs:
        if path.resolve() in seen:
            raise UsageError(
                "The same recording is given twice.",
                expected="recordings that were made one after the other",
                got=str(path),
                where="FILES",
                hint="only different recordings tell how well the pattern repeats",
            )
        seen.add(path.resolve())


def _otfs(paths: list[Path] | None, stack: SimStack) -> list[DetectionOTF] | None:
    """OTF files as one OTF per channel."""
    if not paths:
        return None
    chosen = per_channel(paths, len(stack.optics))
    return [read_otf(p, o) for p, o in zip(chosen, stack.optics, strict=True)]
