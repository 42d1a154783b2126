"""Fit of the illumination pattern: search, joint fit, errors, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from simrecon.backend import serial_blas
from simrecon.estimate.acceptance import Evidence, Known, judge
from simrecon.estimate.agreement import agree, clear, look_again, shared_carriers
from simrecon.estimate.assembly import Fitted, assemble
from simrecon.estimate.coherence import CoherenceTest
from simrecon.estimate.conditioning import conditioned
from simrecon.estimate.expectation import Expectation
from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.joint import JointFit, fit_jointly
from simrecon.estimate.local_pattern import Correction, Deviation, LocalChoice, find_deviation
from simrecon.estimate.overlap import mismatch_chi2, overlaps
from simrecon.estimate.prior import KnownSteps
from simrecon.estimate.search import Found, carrier_at, find_carrier, search_region
from simrecon.estimate.separation import leaks_of
from simrecon.estimate.task import FitTask, checked_angles, checked_frames
from simrecon.estimate.uncertainty import covariance, direction_errors
from simrecon.model.axes import parse_order
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.threads import on_all_cores, side_by_side


@serial_blas
def estimate_pattern(
    frames_e: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    *,
    variance_e2: np.ndarray | None = None,
    expected_frequency_per_um: float | None = None,
    expected_angles_rad: Sequence[float] | None = None,
    fixed_frequencies_per_um: Sequence[Sequence[float]] | None = None,
    known_steps: Sequence[KnownSteps | None] | None = None,
    order: str = "PA",
    local: LocalChoice = "auto",
) -> PatternFit:
    """Frequency, phases, intensities and modulation of every direction, with errors and verdicts.

    Parameters
    ----------
    frames_e : ndarray (A, P, Y, X), float32
        Photo-electrons, offset removed; at least three phases.
    pixel_um : float
        Raw pixel pitch, µm.
    otf : RadialOTF or GridOTF
        Detection OTF as the camera sees it.
    variance_e2 : ndarray (A, P, Y, X), optional
        Noise variance of every pixel, e². None: taken as white, from the spectrum beyond the
        cut-off. A given variance that disagrees with that spectrum is rescaled, with a note.
    expected_frequency_per_um : float, optional
        Narrows the search to ±12 % round it.
    expected_angles_rad : sequence of float, optional
        Direction atan2(fy, fx) of each frequency vector (modulo π); narrows the search to ±0.12.
        Where an expectation leads to a failure the whole ring is searched without it; what was
        wrong is then said in a note.
    fixed_frequencies_per_um : sequence of (fy, fx), optional
        Frequencies that are known: only phases, intensities and modulations are fitted.
    known_steps : sequence of KnownSteps or None
        Phase steps that are known too: of the phases only one per direction is then free, the
        others as far as the steps are uncertain. Used with `fixed_frequencies_per_um`.
    order : str
        Acquisition order of the file, for the record.
    local : {"auto", "off", "on"}
        Whether the pattern may vary over the field: where it significantly does, never, or always.
        See :mod:`.local_pattern` for what frequency, phase and modulation then mean.

    Returns
    -------
    PatternFit
        Phases at pixel (0, 0); mean intensity 1. A direction without a detectable carrier is
        ``failed`` and carries the standard deviations of ignorance.

    Raises
    ------
    InputError
        For frames that cannot be fitted at all (wrong shape, NaN, constant).
    """
    frames = checked_frames(frames_e)
    parse_order(order)
    angles = checked_angles(frames.shape[0], expected_angles_rad, fixed_frequencies_per_um)
    expected = Expectation(expected_frequency_per_um, angles)
    task, notes = FitTask.of(frames, pixel_um, otf, variance_e2, even=True)
    search = CarrierSearch(task.spectra, task.window, otf.cutoff_per_um)
    fixed = fixed_frequencies_per_um
    found, shared, settled = _search(task, search, expected, fixed, known_steps)
    if expected.given and fixed is None and not all(map(clear, found)):
        free = _search(task, search, expected.none, None)
        if sum(map(clear, free[0])) > sum(map(clear, found)):
            found, shared, settled = free
    said: list[str] = []
    fits, evidence = _fit(task, found, fixed is not None, said)
    deviations: dict[int, Deviation] = {}
    if local != "off" and fits:
        insist = dict.fromkeys(fits, local == "on")
        deviations = _deviations(task, fits, fixed is not None, insist)
    while deviations:
        told: list[str] = []
        again = _fit_locally(task, found, fits, deviations, fixed is not None, told)
        worse = [d for d in deviations if _rank(again[1][d]) == 2 and _rank(evidence[d]) < 2]
        if not worse:
            (fits, evidence, deviations), said = again, told
            break
        deviations = {d: one for d, one in deviations.items() if d not in worse}
        settled += [f"direction {d + 1}: fails with a local pattern: not used" for d in worse]
    if fixed is None:
        good = [d for d in fits if judge(evidence[d])[0] != "failed"]
        notes += expected.corrections({d: fits[d].state.frequency_per_um for d in good})
    notes += settled + said
    return assemble(task, search, found, fits, evidence, shared, order, notes, deviations)


def _deviations(
    task: FitTask, fits: Mapping[int, Fitted], fixed: bool, insist: Mapping[int, bool]
) -> dict[int, Deviation]:
    """Directions whose pattern varies over the field, of those in `insist`."""

    def deviation(d: int) -> Deviation | None:
        return find_deviation(
            task.images,
            d,
            fits[d].state,
            task.variance_e2[d],
            insist=insist[d],
            fit_frequency=not fixed,
        )

    found = zip(insist, on_all_cores(deviation, list(insist)), strict=True)
    return {d: one for d, one in found if one is not None}


def _fit_locally(
    task: FitTask,
    found: list[Found],
    fits: dict[int, Fitted],
    deviations: dict[int, Deviation],
    fixed: bool,
    notes: list[str],
) -> tuple[dict[int, Fitted], dict[int, Evidence], dict[int, Deviation]]:
    """Fit again with the deviations undone, then measure them once more under that fit."""
    corrections = {d: Correction.of(one, task.images) for d, one in deviations.items()}
    light = {d: one.light for d, one in corrections.items()}
    even = replace(task, images=replace(task.images, light=light))
    start = list(found)
    for d, one in fits.items():
        state = deviations[d].state if d in deviations else one.state
        gain = corrections[d].gain if d in corrections else 1.0
        state = replace(state, modulation=state.modulation / gain)
        start[d] = found[d].starting_at(state)
    again, evidence = _fit(even, start, fixed, notes)
    for d, correction in corrections.items():
        if d in again:
            again[d] = _rescaled(again[d], correction.gain)
            evidence[d] = replace(
                evidence[d],
                modulation=again[d].state.modulation,
                modulation_sd=again[d].errors.modulation,
            )
    deviations = deviations | _deviations(
        task, again, fixed, {d: True for d in deviations if d in again}
    )
    told = {d: replace(again[d], state=one.state) for d, one in deviations.items() if d in again}
    return again | told, evidence, deviations


def _rescaled(fitted: Fitted, gain: float) -> Fitted:
    """Modulation of the pattern from that of a fit that saw it divided by `gain`."""
    return replace(
        fitted,
        state=replace(fitted.state, modulation=fitted.state.modulation * gain),
        errors=replace(fitted.errors, modulation=fitted.errors.modulation * gain),
    )


def _search(
    task: FitTask,
    search: CarrierSearch,
    expected: Expectation,
    fixed: Sequence[Sequence[float]] | None,
    steps: Sequence[KnownSteps | None] | None = None,
) -> tuple[list[Found], list[tuple[int, int]], list[str]]:
    """Carriers, pairs of directions that share one, and notes."""
    test = CoherenceTest(task.images, task.noise)
    if fixed is not None:
        known = steps or [None] * len(fixed)
        return [carrier_at(search, test, d, f, known[d]) for d, f in enumerate(fixed)], [], []

    def carrier(d: int) -> Found:
        angle = expected.angles_rad[d]
        region = search_region(task.cutoff_per_um, expected.frequency_per_um, angle)
        told: Known = "nothing" if angle is None else "angle"
        return find_carrier(search, test, d, region, told)

    found, settled = agree(on_all_cores(carrier, range(len(expected.angles_rad))))
    shared = shared_carriers(search, found)
    if shared:
        return found, shared, settled
    found, guided = look_again(search, test, found)
    return found, [], settled + guided


def _fit(
    task: FitTask, found: list[Found], fixed: bool, notes: list[str]
) -> tuple[dict[int, Fitted], dict[int, Evidence]]:
    """Joint fit of the usable directions; those that fail are left out and the rest refitted."""
    usable = [d for d, f in enumerate(found) if f.usable]
    evidence: dict[int, Evidence] = {}
    while usable:
        fit, fitted = _fit_usable(task, found, usable, fixed)
        lost = []
        for d, one in fitted.items():
            evidence[d] = _evidence(task, found[d], one)
            if judge(evidence[d])[0] == "failed":
                lost.append(d)
        if not lost:
            _describe(fit, notes)
            return fitted, evidence
        if len(lost) == len(usable):
            _describe(fit, notes)
            return _rescue(task, found, fixed, fitted, evidence, notes)
        kept = [d for d in usable if d not in lost]
        again, refitted = _fit_usable(task, found, kept, fixed)
        again_evidence = {d: _evidence(task, found[d], refitted[d]) for d in kept}
        if any(_rank(again_evidence[d]) > _rank(evidence[d]) for d in kept):
            # The lost directions' orders 0 still tell of the object: without them it is worse.
            _describe(fit, notes)
            return fitted, evidence
        refitted.update({d: fitted[d] for d in lost})
        evidence.update(again_evidence)
        _describe(again, notes)
        return refitted, evidence
    return {}, evidence


def _rescue(
    task: FitTask,
    found: list[Found],
    fixed: bool,
    fitted: dict[int, Fitted],
    evidence: dict[int, Evidence],
    notes: list[str],
) -> tuple[dict[int, Fitted], dict[int, Evidence]]:
    """Directions that all failed together, each on its own: doubtful ones may spoil a good one."""
    if len(fitted) == 1:
        return fitted, evidence
    alone: list[int] = []
    for d in fitted:
        _, one = _fit_usable(task, found, [d], fixed)
        tried = _evidence(task, found[d], one[d])
        if judge(tried)[0] != "failed":
            fitted, evidence = {**fitted, d: one[d]}, {**evidence, d: tried}
            alone.append(d)
    if alone:
        which = ", ".join(str(d + 1) for d in alone)
        notes.append(f"direction(s) {which} fitted alone: with the others the fit failed")
    return fitted, evidence


def _rank(evidence: Evidence) -> int:
    """0 for ok, 1 for weak, 2 for failed."""
    return ("ok", "weak", "failed").index(judge(evidence)[0])


def _fit_usable(
    task: FitTask, found: list[Found], usable: list[int], fixed: bool
) -> tuple[JointFit, dict[int, Fitted]]:
    states = [found[d].state for d in usable]
    mean = float(np.mean([s.intensity for s in states]))
    states = [replace(s, intensity=s.intensity / mean) for s in states]
    variance = [task.variance_e2[d] for d in usable]
    fit = fit_jointly(
        task.images.only(usable),
        variance,
        states,
        fit_frequency=not fixed,
        steps=[found[d].steps for d in usable],
    )
    average = np.mean([v.mean(axis=0) for v in variance], axis=0)
    matrix, leaks = side_by_side(
        lambda: covariance(
            fit.gram, fit.frozen, fit.images, average, fit.prior, fit_frequency=not fixed
        ),
        lambda: leaks_of(fit.images, fit.states, fit.noise),
    )
    correlation = [one.correlation for one in overlaps(fit.gram)]
    states, matrix = conditioned(fit.states, matrix, leaks)
    errors = direction_errors(matrix, states)
    # Intensities are relative to all frames of the stack, also those that could not be fitted.
    fitted = {
        d: Fitted(
            replace(state, intensity=state.intensity * mean),
            replace(error, intensity=error.intensity * mean),
            correlation[n],
        )
        for n, (d, state, error) in enumerate(zip(usable, states, errors, strict=True))
    }
    return fit, fitted


def _describe(fit: JointFit, notes: list[str]) -> None:
    c = fit.gram.model.of_states(fit.frozen)
    notes.append(f"band overlap: mismatch {mismatch_chi2(fit.gram, c):.2f} × noise")
    if not fit.gram.coupled:
        notes.append(
            "the directions show different objects (drift, uneven illumination or polarisation): "
            "each was fitted to itself"
        )
    if not fit.converged:
        notes.append(f"the fit was still moving at its end (last step {fit.last_step_px:.1g})")


def _evidence(task: FitTask, found: Found, fitted: Fitted) -> Evidence:
    length = np.array(task.window.padded.extent_um)
    moved = (fitted.state.frequency_per_um - found.state.frequency_per_um) * length
    spread = fitted.errors.frequency_per_um * length
    return Evidence(
        nats=found.evidence,
        rivalry=found.rivalry,
        settled=found.settled,
        known=found.known,
        correlation=fitted.correlation,
        modulation=fitted.state.modulation,
        modulation_sd=fitted.errors.modulation,
        frequency_sd_px=float(np.hypot(*spread)),
        moved_px=float(np.hypot(*moved)),
        coverage=task.coverage,
        over_cutoff=float(np.hypot(*fitted.state.frequency_per_um)) / task.cutoff_per_um,
    )
