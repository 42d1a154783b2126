"""Camera calibration from dark and flat stacks: the measurement behind ``simcal camera``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from calibration.camera_checks import (
    check_dark,
    light_in_dark,
    refuse_lit_dark,
    usable_levels,
)
from calibration.camera_results import CameraMeasurement, camera_maps, judge, results
from calibration.emva1288 import fixed_pattern, line_noise_e
from calibration.flat_levels import (
    FlatLevel,
    Frames,
    Tick,
    Watch,
    frame_count,
    iterate,
    measure_levels,
    stack_files,
    unwatched,
)
from calibration.moments import measure
from calibration.photon_transfer import fit_photon_transfer, level_of
from calibration.pixel_mask import dark_mask, dead_mask, describe_mask
from calibration.record import check_record, dated
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.io import CalibrationRecord
from simrecon.provenance import describe_files, versions
from simrecon.result import Progress


def measure_camera(
    dark: Frames,
    flats: Sequence[Frames],
    exposures: Sequence[float] | None = None,
    progress: Progress | None = None,
) -> CameraMeasurement:
    """Stream the stacks and fit the photon transfer; see :func:`calibrate_camera`."""
    where = ", ".join(p.name for p in stack_files(dark)[:3]) or "dark"
    watch = unwatched if progress is None else _watch(progress)
    darks = measure(iterate(dark), watch("dark frames", frame_count([dark])))
    check_dark(darks, where)
    found = measure_levels(flats, darks, watch)
    if exposures is not None:
        _check_exposures(found, flats, exposures)
    mask = dark_mask(darks)
    usable = usable_levels(found, darks, mask == 0)
    levels = [level_of(f.moments, darks, f.name) for f in usable.levels]
    mask |= dead_mask(levels[-1].signal, levels[-1].variance)
    good = mask == 0
    if good.mean() < 0.5:
        raise InputError(
            "More than half of the pixels are hot, noisy or dead.",
            got=str(describe_mask(mask)),
            where=where,
            hint="is the dark stack a dark stack, and are the flats evenly lit?",
        )
    light = light_in_dark(darks, levels[0].signal, levels[-1].signal, good)
    refuse_lit_dark(light, float(np.sqrt(np.median(darks.variance))), where)
    transfer = fit_photon_transfer(darks, levels, good)
    if not transfer.gain > 0:
        raise QualityError(
            "The variance does not grow with the light: no gain can be measured.",
            got=f"slope {transfer.gain:.4g} ± {transfer.gain_sd:.2g} ADU/e",
            hint="are the flats raw counts, neither averaged nor denoised?",
        )
    brightest = usable.levels[-1].moments
    pattern = fixed_pattern(darks, brightest, transfer.gain) | line_noise_e(darks, transfer.gain)
    used = None if exposures is None else np.array([exposures[f.stack] for f in usable.levels])
    return CameraMeasurement(
        darks, levels, transfer, mask, brightest, light, pattern, used, usable.notes
    )


def _watch(progress: Progress) -> Watch:
    """Progress of a stage, frame by frame."""

    def start(stage: str, total: int) -> Tick:
        done = itertools.count(1)
        return lambda: progress(stage, number := next(done), max(number, total))

    return start


def _check_exposures(
    levels: list[FlatLevel], flats: Sequence[Frames], exposures: Sequence[float]
) -> None:
    stacks = sorted(level.stack for level in levels)
    if len(exposures) != len(flats) or stacks != list(range(len(flats))) or min(exposures) <= 0:
        raise UsageError(
            "Exposures do not belong to the flat stacks.",
            expected=f"one positive exposure per --flat ({len(flats)}), each stack of one level",
            got=f"{len(exposures)} exposures, {len(levels)} levels",
            where="--exposure-ms",
        )


def calibrate_camera(
    dark: Frames,
    flats: Sequence[Frames],
    *,
    instrument: str = "",
    conditions: Mapping[str, Any] | None = None,
    valid_days: float | None = 365.0,
    exposures: Sequence[float] | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> tuple[CalibrationRecord, CameraMeasurement]:
    """Measure offset, gain and read noise of each pixel from dark and flat frames.

    Parameters
    ----------
    dark
        Frames without light: file, folder, glob, list of files, or an array (N, Y, X).
    flats
        Stacks with even, steady light, one per level; or one stack whose light varies. They must
        cover at least two levels that differ by a factor of 1.3.
    instrument, conditions
        What was measured, and what the numbers hold for (exposure, read-out mode, temperature).
    valid_days
        After so many days the record asks to be measured again; None: never.
    exposures
        One number per flat stack, proportional to its light: adds the linearity of the response.
    command
        For provenance.
    progress
        Called with stage, done, total.

    Returns
    -------
    CalibrationRecord, CameraMeasurement
        The record, and what the report draws.

    Raises
    ------
    InputError
        Stacks that cannot calibrate a camera, with the reason.
    QualityError
        Numbers that no camera has.
    """
    found = measure_camera(dark, flats, exposures, progress)
    verdict, notes = judge(found)
    files = [p for stack in (dark, *flats) for p in stack_files(stack)]
    record = CalibrationRecord(
        kind="camera",
        quantities=camera_maps(found),
        instrument=instrument,
        **dated(valid_days),
        conditions=dict(conditions or {}),
        results=results(found),
        sources=tuple(describe_files(list(dict.fromkeys(files)))),
        provenance={"versions": versions(), "command": command, "method": "photon transfer"},
        notes=notes,
        verdict=verdict,
    )
    judged = check_record(record)
    if judged.verdict == "failed":
        raise QualityError(
            "What was measured is not plausible for a camera.",
            got=" ".join(judged.notes),
            hint="are the stacks raw counts, and is the dark stack dark?",
        )
    return record, found
