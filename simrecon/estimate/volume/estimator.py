"""Fit of the patterns of a volume: search, fit of every direction, errors, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simrecon.backend import serial_blas
from simrecon.errors import InputError
from simrecon.estimate.acceptance import (
    NATS_WEAK,
    Evidence,
    Known,
    coincidence_note,
    coinciding,
    judge,
)
from simrecon.estimate.coverage import coverage
from simrecon.estimate.expectation import Expectation
from simrecon.estimate.task import checked_angles
from simrecon.estimate.volume.assembly import (
    found_pattern,
    no_pattern,
    relative,
    sheet_notes,
    spacings_note,
)
from simrecon.estimate.volume.correlation import disagreeing
from simrecon.estimate.volume.errors import VolumeErrors, direction_errors
from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import VolumeFit, fit_direction
from simrecon.estimate.volume.handedness import (
    LEAST_ASYMMETRY,
    SidesOfZ,
    axial_asymmetry,
    sides_of_z,
    z_direction_note,
)
from simrecon.estimate.volume.search import VolumeFound, find_fundamental, fundamental_at
from simrecon.estimate.volume.sheet import OTFAt, find_offset
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.task import VolumeTask
from simrecon.estimate.window import phase_at_origin
from simrecon.model.axes import parse_order
from simrecon.model.grid import VolumeGrid
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict, worst
from simrecon.model.psf import AnyVolumeOTF, DirectionalVolumeOTF, VolumeOTF, of_direction
from simrecon.recon.part import brightest, shifted

MOST_PLANES, MOST_SIDE_PX = 16, 256
"""The fit uses at most so many planes and pixels a side: enough for 0.01 DFT samples."""
MAX_CONTRAST = 4.0
"""Modulation, relative to the OTF's orders, that no light has; OTF files have brought it to 1.8."""
MAX_SHEET_SD_UM = 0.15
"""Doubt from which on the distance of a sheet is not told: an eighth of its fringes, and more than
what is asked of it (0.1 µm)."""


@serial_blas
def estimate_volume_pattern(
    frames_e: np.ndarray,
    grid: VolumeGrid,
    otf: AnyVolumeOTF,
    *,
    variance_e2: np.ndarray | float | None = None,
    expected_frequency_per_um: float | None = None,
    expected_angles_rad: Sequence[float] | None = None,
    fixed_frequencies_per_um: Sequence[Sequence[float]] | None = None,
    order: str = "PZA",
    otf_at: OTFAt | None = None,
    sheet_offset_um: float | None = None,
    phase_step_um: float | None = None,
) -> PatternFit:
    """Fundamental, phases, intensities and contrast of all orders of every direction.

    All orders of a direction share one fundamental and one phase per frame; their bands are
    compared with their own axial structure at all axial frequencies at once (physics.md §2, §5).

    Parameters
    ----------
    frames_e : ndarray (A, P, Z, Y, X), float32
        Photo-electrons, offset removed; at least 2M + 1 phases for the M orders of the OTF.
    grid : VolumeGrid
        Of one acquisition, skewed for a stage scan.
    otf : VolumeOTF or DirectionalVolumeOTF
        With orders 0…M.
    variance_e2 : ndarray (A, P, Z, Y, X), number or None
        Noise variance of the voxels, e². None: photon noise, the frames themselves (only sums over
        the field count).
    expected_frequency_per_um : float, optional
        Of the *fundamental*; narrows the search to ±12 %.
    expected_angles_rad : sequence of float, optional
        Direction atan2(fy, fx) of each frequency vector (modulo π); narrows it to ±0.12. Where an
        expectation leads to a failure everything is searched; a note then says what was wrong.
    fixed_frequencies_per_um : sequence of (fy, fx), optional
        Fundamentals that are known: the rest is fitted.
    order : str
        Acquisition order of the file, for the record.
    otf_at : callable, optional
        OTFs with a light sheet at a distance from the focal plane, µm; `otf` is that of distance 0.
    sheet_offset_um : float, optional
        That distance where it is known, positive deeper. None: it is found.
    phase_step_um : float, optional
        Distance by which the pattern moves from frame to frame: a start for the phases.

    Returns
    -------
    PatternFit
        Modulations relative to the OTF's orders; phases at pixel (0, 0).

    Raises
    ------
    InputError
        For frames that cannot be fitted (wrong shape, NaN, constant, too few phases).
    """
    frames = _checked(frames_e, grid, otf)
    parse_order(order)
    angles = checked_angles(frames.shape[0], expected_angles_rad, fixed_frequencies_per_um)
    expected = Expectation(expected_frequency_per_um, angles)
    part = _part(frames)
    variance = _variance(frames, variance_e2)[part]
    sheet = (otf_at, sheet_offset_um, phase_step_um)
    frames, whole = np.ascontiguousarray(frames[part]), grid.shape[1:]
    tasks = _tasks(frames, variance, replace(grid, shape=frames.shape[2:]), otf, sheet)
    patterns, notes = _expected_or_free(tasks, frames, variance, expected, fixed_frequencies_per_um)
    sides = _sides(tasks, frames, variance, patterns)
    patterns = relative(patterns, frames, tasks[0].field)
    verdicts: list[Verdict] = [p.verdict for p in patterns]
    verdict = worst([*verdicts, "weak"] if sides is not None and sides.preferred < 0 else verdicts)
    pairs = coinciding([np.array(p.frequency_per_um) for p in patterns])
    if pairs and fixed_frequencies_per_um is None:
        notes.insert(0, coincidence_note(pairs, len(patterns)))
        verdict = "failed"
    notes = [spacings_note(patterns, tasks[0].orders), *sheet_notes(patterns), *notes]
    if otf_at is None:
        notes.append(z_direction_note(otf, sides))
    fit = PatternFit(
        pixel_um=grid.pixel_um,
        shape=(frames.shape[3], frames.shape[4]),
        directions=tuple(patterns),
        order=order,
        verdict=verdict,
        notes=tuple(notes),
    )
    # phases back to pixel (0, 0) of the whole field
    return shifted(fit, (-part[3].start, -part[4].start), whole)


def _tasks(
    frames: np.ndarray,
    variance: np.ndarray,
    grid: VolumeGrid,
    otf: AnyVolumeOTF,
    sheet: tuple[OTFAt | None, float | None, float | None],
) -> list[VolumeTask]:
    """What the fits of the directions share, and their OTFs."""
    field, projected = (VolumeField.on(grid, otf, projected=p) for p in (False, True))
    seen = coverage(frames.sum(axis=2), variance.sum(axis=2), grid.pixel_um, otf.cutoff_per_um)
    return [
        VolumeTask(field, projected, of_direction(otf, d), otf.orders - 1, seen, *sheet)
        for d in range(len(frames))
    ]


def _expected_or_free(
    tasks: Sequence[VolumeTask],
    frames: np.ndarray,
    variance: np.ndarray,
    expected: Expectation,
    fixed_per_um: Sequence[Sequence[float]] | None,
) -> tuple[list[DirectionPattern], list[str]]:
    """All directions; where an expectation leads to a failure everything is searched."""
    patterns, notes = _directions(tasks, frames, variance, expected, fixed_per_um)
    if fixed_per_um is not None:
        return patterns, notes
    lost = _failed(patterns)
    if lost and expected.given:
        free = _directions(tasks, frames, variance, expected.none, None)
        if _failed(free[0]) < lost:
            patterns, notes = free
    good = {
        d: np.array(p.frequency_per_um) for d, p in enumerate(patterns) if p.verdict != "failed"
    }
    return patterns, [*expected.corrections(good), *notes]


def _sides(
    tasks: Sequence[VolumeTask],
    frames: np.ndarray,
    variance: np.ndarray,
    patterns: Sequence[DirectionPattern],
) -> SidesOfZ | None:
    """Both directions of z on the clearest pattern, where the OTF is told and can settle them."""
    found = [d for d, p in enumerate(patterns) if p.verdict != "failed"]
    if not found or tasks[0].otf_at is not None:
        return None
    best = max(found, key=lambda d: patterns[d].evidence_nats or 0.0)
    task, p = tasks[best], patterns[best]
    if axial_asymmetry(task.otf) < LEAST_ASYMMETRY:
        return None
    # phases at the centre of the field again
    centre = -phase_at_origin(np.zeros(1), p.frequency_per_um, task.field.window)
    state = VolumeState(
        np.array(p.frequency_per_um), np.array(p.phase_rad) + centre,
        np.array(p.intensity), np.array(p.modulation),
    )  # fmt: skip
    return sides_of_z(frames[best], variance[best], task.field, task.otf, state)


def _part(frames: np.ndarray) -> tuple[slice, slice, slice, slice, slice]:
    """The planes with the most contrast and the brightest part of the field."""
    every = slice(None)
    planes = frames.mean(axis=(0, 1), dtype=np.float64)
    count = min(MOST_PLANES, len(planes))
    contrast = np.convolve(planes.std(axis=(1, 2)), np.ones(count), "valid")
    first = int(np.argmax(contrast))
    rows, columns = brightest(planes[first : first + count].mean(axis=0), MOST_SIDE_PX)
    return every, every, slice(first, first + count), rows, columns


def _checked(frames_e: np.ndarray, grid: VolumeGrid, otf: AnyVolumeOTF) -> np.ndarray:
    if frames_e.ndim != 5 or tuple(frames_e.shape[2:]) != grid.shape:
        raise InputError(
            "The frames are not volumes on their grid.",
            expected=f"(A, P, *{grid.shape})",
            got=str(tuple(frames_e.shape)),
        )
    if isinstance(otf, DirectionalVolumeOTF) and len(otf.directions) != len(frames_e):
        raise InputError(
            "There must be one OTF for all directions, or one for each.",
            expected=f"1 or {len(frames_e)}",
            got=str(len(otf.directions)),
            where="--otf",
        )
    if otf.orders < 2:
        raise InputError(
            "The OTF has no order above 0: nothing carries the pattern.",
            expected="orders 0 and 1, or 0, 1 and 2",
            got=f"{otf.orders} order",
        )
    least = 2 * otf.orders - 1
    if frames_e.shape[1] < least:
        raise InputError(
            "There are not enough phase steps for the orders of the OTF.",
            expected=f"at least {least} phases for {otf.orders - 1} orders",
            got=f"{frames_e.shape[1]} phases",
            hint="three-phase sets need an OTF with one order (two beams, or a lattice of two)",
        )
    frames = np.ascontiguousarray(frames_e, dtype=np.float32)
    if not np.isfinite(frames).all():
        raise InputError("The frames contain NaN or infinite values.")
    if float(np.ptp(frames)) == 0.0:
        raise InputError("All frames are constant: there is no pattern to fit.")
    return frames


def _variance(frames: np.ndarray, variance_e2: np.ndarray | float | None) -> np.ndarray:
    if variance_e2 is None:
        return np.asarray(np.maximum(frames, 1e-6))
    return np.broadcast_to(np.asarray(variance_e2, dtype=np.float32), frames.shape)


def _directions(
    tasks: Sequence[VolumeTask],
    frames: np.ndarray,
    variance: np.ndarray,
    expected: Expectation,
    fixed_per_um: Sequence[Sequence[float]] | None,
) -> tuple[list[DirectionPattern], list[str]]:
    """All directions, each by itself, and why some are not ok."""
    patterns, notes = [], list[str]()
    for d, angle in enumerate(expected.angles_rad):
        fixed = None if fixed_per_um is None else fixed_per_um[d]
        one, reasons = _direction(
            tasks[d],
            frames[d],
            variance[d],
            expected.frequency_per_um,
            angle,
            fixed,
        )
        patterns.append(one)
        if reasons:
            notes.append(f"direction {d + 1} {one.verdict}: " + "; ".join(reasons))
    return patterns, notes


def _failed(patterns: Sequence[DirectionPattern]) -> int:
    return sum(p.verdict == "failed" for p in patterns)


def _direction(
    task: VolumeTask,
    frames: np.ndarray,
    variance: np.ndarray,
    expected_per_um: float | None,
    angle_rad: float | None,
    fixed: Sequence[float] | None,
) -> tuple[DirectionPattern, list[str]]:
    """One direction and the reasons why it is not ok."""
    known: Known = "nothing" if angle_rad is None else "angle"
    if fixed is not None:
        known = "frequency"

    def search(otfs: Sequence[VolumeOTF]) -> VolumeFound:
        what = (frames, variance, task.field, task.projected, otfs, task.orders)
        step_um = task.phase_step_um
        if fixed is not None:
            return fundamental_at(*what, fixed, phase_step_um=step_um)
        return find_fundamental(
            *what, expected_per_um=expected_per_um, angle_rad=angle_rad, phase_step_um=step_um
        )

    found, sheet, told = search(task.possible()), None, list[str]()
    free = fixed is None
    if task.otf_at is not None and found.readings:
        sheet = find_offset(
            frames, variance, task.field, task.otf_at, found.best.state,
            known_um=task.sheet_offset_um, fit_frequency=free,
        )  # fmt: skip
        if sheet.sd_um < MAX_SHEET_SD_UM:
            task = replace(task, otf=task.otf_at(sheet.offset_um))
            found = search([task.otf])
        else:
            sheet = None
            told.append("the distance of the sheet from the focal plane cannot be told: 0 taken")
    if not found.readings or found.best.nats < NATS_WEAK[known]:
        return no_pattern(task, frames, found), [*told, "no carrier found in any order"]
    start = found.best.state if sheet is None else sheet.state
    fit = fit_direction(frames, variance, task.field, task.otf, start, fit_frequency=free)
    errors = direction_errors(fit, task.field, variance.mean(axis=(0, 1)), fit_frequency=free)
    evidence = _evidence(task, found, start, fit, errors, known)
    verdict, reasons = judge(evidence)
    odd = disagreeing(fit.correlations, fit.state.modulation)
    verdict = worst([verdict, "weak"]) if odd else verdict
    reasons = [*told, *reasons, *odd]
    most = float(fit.state.modulation.max())
    if most > MAX_CONTRAST:
        verdict = "failed"
        reasons.append(f"a contrast of {most:.1f} (no light has more than {MAX_CONTRAST:g})")
    return found_pattern(task, found, fit, errors, verdict, sheet), reasons


def _evidence(
    task: VolumeTask,
    found: VolumeFound,
    start: VolumeState,
    fit: VolumeFit,
    errors: VolumeErrors,
    known: Known,
) -> Evidence:
    """Figures of the order that the data show best; the fundamental belongs to all of them."""
    length = np.array(task.field.window.padded.extent_um)
    moved = (fit.state.frequency_per_um - start.frequency_per_um) * length
    best = int(np.argmax([one.significance for one in fit.correlations]))
    size = float(np.hypot(*fit.state.frequency_per_um))
    sd_px = float(np.hypot(*(errors.frequency_per_um * length)))
    return Evidence(
        nats=found.best.nats,
        rivalry=found.rivalry,
        settled=False,
        known=known,
        correlation=fit.correlations[best].value,
        # a measured OTF carries a contrast of its own: above 1 says nothing here
        modulation=min(float(fit.state.modulation[best]), 1.0),
        modulation_sd=float(errors.modulation[best]),
        frequency_sd_px=sd_px,
        moved_px=float(np.hypot(*moved)),
        coverage=task.coverage,
        over_cutoff=task.orders * size / task.otf.cutoff_per_um,
    )
