"""The pattern part of calibration records: kind "pattern", read by the engine.

With C channels, A directions and P phases: emission_nm (C,), frequency_per_um (C, A, 2),
phase_step_rad (C, A, P) up to a common phase per direction, and phase_step_repeat_rad of the same
shape: the standard deviation with which a step repeats from one acquisition to the next. What else
the record holds (modulation, trends, local deviations) is for people and for ``simcal check``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from simrecon.errors import InputError
from simrecon.io.calibration_record import (
    CalibrationRecord,
    malformed_record,
    read_record,
    record_doubts,
)
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict
from simrecon.provenance import sha256_file

RECORD_SUFFIXES = (".h5", ".hdf5")
SAME_WAVELENGTH = 0.02
"""Relative difference up to which an emission wavelength is the same channel."""
LEAST_STEP_SD_RAD = 1e-3
"""Steps are not taken as known better than this."""


@dataclass(frozen=True)
class PatternRecord:
    """A measured pattern.

    Attributes
    ----------
    emission_nm : tuple of float
        One per channel.
    patterns : tuple of PatternFit
        One per channel: frequencies and phase steps; the common phase and the modulation are to be
        fitted. A doubtful or expired record makes them "weak", with notes.
    record : CalibrationRecord
    """

    emission_nm: tuple[float, ...]
    patterns: tuple[PatternFit, ...]
    record: CalibrationRecord

    def for_channels(self, optics: Sequence[Optics]) -> list[PatternFit]:
        """The pattern of each channel of a stack, by emission wavelength.

        Raises
        ------
        InputError
            When a channel has a wavelength that was not measured.
        """
        found = []
        for number, one in enumerate(optics):
            ratio = np.abs(np.log(one.emission_nm / np.array(self.emission_nm)))
            nearest = int(np.argmin(ratio))
            if ratio[nearest] > SAME_WAVELENGTH:
                raise InputError(
                    "The pattern record holds no such channel.",
                    expected="an emission of "
                    + " or ".join(f"{nm:g} nm" for nm in self.emission_nm),
                    got=f"{one.emission_nm:g} nm in channel {number}", where="--pattern",
                    hint="measure the pattern of this channel (simcal pattern)",
                )  # fmt: skip
            found.append(self.patterns[nearest])
        return found


def read_pattern_record(path: str | os.PathLike[str], today: date | None = None) -> PatternRecord:
    """Read a pattern record; its notes name the file and its SHA-256.

    Raises
    ------
    InputError
        When the file is missing or damaged, no record of a pattern, or malformed.
    """
    record = read_record(path)
    source = f"{Path(path).name} (sha256 {sha256_file(Path(path))[:16]}…)"
    return pattern_of(record, source, os.fspath(path), today or datetime.now(UTC).date())


def pattern_of(record: CalibrationRecord, source: str, where: str, today: date) -> PatternRecord:
    """The patterns that a record describes.

    Parameters
    ----------
    source
        What the notes call it.
    where
        File name for error messages.
    today
        Decides whether the record has expired.

    Raises
    ------
    InputError
        When it is the record of something else, or its quantities make no pattern.
    """
    if record.kind != "pattern":
        raise InputError(
            "This is not a pattern record.",
            expected='kind = "pattern"', got=f'kind = "{record.kind}"', where=where,
        )  # fmt: skip
    names = ("emission_nm", "frequency_per_um", "phase_step_rad", "phase_step_repeat_rad")
    missing = [n for n in (*names, "pixel_um") if n not in record.quantities]
    if missing:
        raise malformed_record(where, "quantities " + ", ".join(names), f"no {missing[0]}")
    emission, frequency, steps, repeat = (
        np.asarray(record.quantities[n].value, np.float64) for n in names
    )
    right = (
        emission.ndim == 1
        and frequency.shape == (emission.size, *frequency.shape[1:2], 2)
        and steps.ndim == 3
        and steps.shape[:2] == frequency.shape[:2]
        and steps.shape[2] >= 3
        and repeat.shape == steps.shape
    )
    if not right or not emission.size or np.any(emission <= 0) or np.any(repeat < 0):
        shapes = ", ".join(str(a.shape) for a in (emission, frequency, steps, repeat))
        raise malformed_record(where, "shapes (C,), (C, A, 2), (C, A, P) twice", shapes)
    doubts = record_doubts(record, today)
    verdict: Verdict = "weak" if doubts else "ok"
    named = ", ".join(n for n in (record.instrument, record.created[:10]) if n)
    notes = (f"record {source}{f', {named}' if named else ''}", *doubts)
    pixel = float(np.asarray(record.quantities["pixel_um"].value))
    patterns = []
    for c in range(emission.size):
        sd = _sd(record, c, frequency.shape)
        directions = tuple(
            DirectionPattern(
                frequency_per_um=_pair(f), phase_rad=(), modulation=(), intensity=(),
                frequency_sd_per_um=_pair(sd[d]), phase_step_rad=_floats(steps[c, d]),
                phase_step_sd_rad=_floats(np.maximum(repeat[c, d], LEAST_STEP_SD_RAD)),
            )
            for d, f in enumerate(frequency[c])
        )  # fmt: skip
        patterns.append(PatternFit(pixel, (1, 1), directions, "PA", verdict, notes))
    return PatternRecord(_floats(emission), tuple(patterns), record)


def _sd(record: CalibrationRecord, channel: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard deviations of the frequencies of a channel, (A, 2)."""
    sd = record.quantities["frequency_per_um"].sd
    return np.asarray(np.broadcast_to(0.0 if sd is None else np.asarray(sd), shape)[channel])


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
