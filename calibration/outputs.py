"""Files that a measurement leaves: the record, its numbers as JSON, and a report on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.record import summary
from calibration.report import Section, write_html
from simrecon.errors import UsageError
from simrecon.io import CalibrationRecord, write_json, write_record

QC_SCHEMA = "calibration/qc/1"


@dataclass(frozen=True)
class OutputFiles:
    """Names of the three files."""

    record: Path
    numbers: Path
    report: Path

    def all(self) -> list[Path]:
        """All three."""
        return [self.record, self.numbers, self.report]


def record_files(output: Path) -> OutputFiles:
    """Names that belong to ``-o``: OUT.h5, OUT.qc.json, OUT.report.html.

    Raises
    ------
    UsageError
        When `output` does not end in .h5 or .hdf5.
    """
    if output.suffix.lower() not in (".h5", ".hdf5"):
        raise UsageError(
            "A calibration record is an HDF5 file.",
            expected="a name that ends in .h5", got=str(output), where="-o",
        )  # fmt: skip
    return OutputFiles(output, output.with_suffix(".qc.json"), output.with_suffix(".report.html"))


def conditions_of(pairs: Sequence[str] | None) -> dict[str, str]:
    """``key=value`` texts as a mapping.

    Raises
    ------
    UsageError
        For a text without "=" or a repeated key.
    """
    found: dict[str, str] = {}
    for text in pairs or ():
        key, sign, value = text.partition("=")
        if not sign or not key.strip() or key.strip() in found:
            raise UsageError(
                "Cannot read a condition.", expected="NAME=VALUE, each name once", got=text,
                where="--condition",
            )  # fmt: skip
        found[key.strip()] = value.strip()
    return found


def write_measurement(
    files: OutputFiles, record: CalibrationRecord, title: str, sections: Sequence[Section]
) -> list[str]:
    """Write record, numbers and, when it has sections, the report; return their names.

    The report of an earlier run is removed when this one has none.
    """
    write_record(files.record, record)
    numbers = {
        **summary(record), "schema": QC_SCHEMA, "conditions": record.conditions,
        "results": record.results, "sources": record.sources, "notes": record.notes,
    }  # fmt: skip
    write_json(files.numbers, numbers)
    if not sections:
        files.report.unlink(missing_ok=True)
        return [str(files.record), str(files.numbers)]
    heading = f"{title}: {record.instrument or 'not named'}, {record.created[:10]}"
    write_html(files.report, heading, record.verdict, record.notes, sections)
    return [str(path) for path in files.all()]
