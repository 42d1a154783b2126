"""Pattern of frames with several carriers: search, fit, errors and verdicts, set by set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.backend import serial_blas
from simrecon.errors import UsageError
from simrecon.estimate.acceptance import Known, coincidence_note, coinciding
from simrecon.estimate.assembly import UNKNOWN_PHASE_SD_RAD
from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.carriers.evidence import set_evidence
from simrecon.estimate.carriers.set_errors import set_errors
from simrecon.estimate.carriers.set_fit import SetFit, fit_set
from simrecon.estimate.carriers.set_search import SetFound, SetSearch
from simrecon.estimate.carriers.set_verdict import FundamentalVerdict, judge_fundamental, usable
from simrecon.estimate.expectation import Expectation
from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.search import RING
from simrecon.estimate.task import FitTask, checked_angles, checked_frames
from simrecon.estimate.window import phase_at_origin
from simrecon.model.axes import parse_order
from simrecon.model.pattern import DirectionPattern, PatternFit, worst
from simrecon.model.psf import DetectionOTF

SAME_PERIOD = 0.03
"""Directions of one instrument have periods that differ by no more than this."""
LEAST_START, MOST_START = 0.02, 2.0
TURNED_NATS = 6.0


@dataclass(frozen=True)
class CarrierMode:
    """What a mode says about the carriers.

    Attributes
    ----------
    orders : int
        Harmonics of every fundamental.
    simultaneous : int
        Directions that share their frames; 1: none do.
    strongest : int
        The order that is usually the strongest, and the highest that the light itself holds.
    """

    orders: int
    simultaneous: int = 1
    strongest: int = 1

    def carriers(self, phases: int) -> CarrierSet:
        """The set of one entry along A."""
        if self.simultaneous > 1:
            return CarrierSet.simultaneous(self.simultaneous, phases)
        return CarrierSet.harmonics(self.orders, phases)


@serial_blas
def estimate_carriers(
    frames_e: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    mode: CarrierMode,
    *,
    variance_e2: np.ndarray | None = None,
    expected_frequency_per_um: float | None = None,
    expected_angles_rad: Sequence[float] | None = None,
    fixed_frequencies_per_um: Sequence[Sequence[float]] | None = None,
    order: str = "PA",
) -> PatternFit:
    """Fundamentals, phases, intensities and the modulation of every order, with errors.

    Parameters
    ----------
    frames_e : ndarray (A, P, Y, X), float32
        Photo-electrons, offset removed.
    pixel_um, otf, variance_e2, order
        As for :func:`simrecon.estimate.estimate_pattern`.
    mode : CarrierMode
    expected_frequency_per_um : float, optional
        Of the *fundamental*; narrows the search to ±12 %.
    expected_angles_rad : sequence of float, optional
        Directions of the fundamentals, one per direction; not used for simultaneous ones.
    fixed_frequencies_per_um : sequence of (fy, fx), optional
        Fundamentals that are known.

    Returns
    -------
    PatternFit
        Every entry along A is fitted by itself. Orders that the data do not show are left out
        above the last that they show, with a note and at most the verdict "weak".

    Raises
    ------
    InputError, UsageError
        For frames that cannot be fitted at all, or too few of them.
    """
    frames = checked_frames(frames_e)
    parse_order(order)
    sets, phases = frames.shape[:2]
    carriers = mode.carriers(phases)
    if phases < carriers.bands or (mode.simultaneous > 1 and sets != 1):
        raise UsageError(
            "There are not enough frames to separate the carriers.",
            expected=f"{carriers.bands} or more phases"
            + (", one direction" if mode.simultaneous > 1 else ""),
            got=f"{sets} × {phases}",
            where="--mode, --angles, --phases",
        )
    directions = mode.simultaneous if mode.simultaneous > 1 else sets
    angles = checked_angles(directions, expected_angles_rad, fixed_frequencies_per_um)
    task, notes = FitTask.of(frames, pixel_um, otf, variance_e2)
    search = SetSearch(
        task,
        CarrierSearch(task.spectra, task.window, task.cutoff_per_um),
        carriers,
        mode.strongest,
        expected_frequency_per_um,
    )
    fixed = fixed_frequencies_per_um
    made: list[DirectionPattern] = []
    for a in range(sets):
        found, known = _found(search, mode, a, angles, fixed)
        own, said = _fit_one(search, mode, a, found, known, len(made))
        made += own
        notes += said
    if fixed is None:
        notes += _corrections(made, expected_frequency_per_um, angles, mode)
    return _assembled(made, task, mode, order, notes)


def _found(
    search: SetSearch,
    mode: CarrierMode,
    frames: int,
    angles: Sequence[float | None],
    fixed: Sequence[Sequence[float]] | None,
) -> tuple[SetFound, Known]:
    """Start values of one set, and what was known beforehand."""
    if mode.simultaneous > 1:
        if fixed is None:
            return search.simultaneous(frames), "nothing"
        given = [(float(fy), float(fx)) for fy, fx in fixed]
        return search.simultaneous_at(frames, given), "frequency"
    if fixed is not None:
        fy, fx = fixed[frames]
        return search.harmonics_at(frames, (float(fy), float(fx))), "frequency"
    angle = angles[frames]
    found = search.harmonics(frames, angle)
    known: Known = "nothing" if angle is None else "angle"
    narrowed = angle is not None or search.expected_per_um is not None
    if narrowed and not usable(found, known):
        wide = replace(search, expected_per_um=None).harmonics(frames, None)
        if usable(wide, "nothing"):
            return wide, "nothing"
    return found, known


def _start(carriers: CarrierSet, found: SetFound) -> SetState:
    """Start values with the phases and modulations that the evidence tells."""
    state, evidence = found.best.state, found.best.evidence
    phase = state.phase_rad.copy()
    ratio = evidence.ratio.copy()
    for f in range(carriers.fundamentals):
        own = [c for c, (g, _) in enumerate(carriers.carriers) if g == f]
        seen = [c for c in own if evidence.nats[c] >= TURNED_NATS]
        if seen:
            order = carriers.carriers[seen[0]][1]
            turn = float(np.angle(ratio[seen[0]])) / order
            phase[f] += turn
            for c in own:
                ratio[c] *= np.exp(-1j * carriers.carriers[c][1] * turn)
    size = np.clip(0.5 * np.abs(ratio), LEAST_START, MOST_START)
    sign = np.where(ratio.real < 0, -1.0, 1.0)
    first = np.array([order == 1 for _, order in carriers.carriers])
    lamp = state.intensity / state.intensity.mean()
    return replace(
        state, phase_rad=phase, intensity=lamp, modulation=np.where(first, 1.0, sign) * size
    )


def _fit_one(
    search: SetSearch, mode: CarrierMode, frames: int, found: SetFound, known: Known, first: int
) -> tuple[list[DirectionPattern], list[str]]:
    """Directions of one set of frames (numbered from `first`), and notes."""
    task, carriers = search.task, search.carriers
    brightness = float(found.best.state.intensity.mean())
    if not usable(found, known) or carriers.condition(found.best.state) > 40.0:
        return _unfitted(task, mode, found, first)
    fixed = known == "frequency"
    variance = task.variance_e2[frames]
    start = _start(carriers, found)
    fit = fit_set(carriers, start, task.images, frames, variance, fit_frequency=not fixed)
    deviation = set_errors(fit, variance.mean(axis=0), fit_frequency=not fixed)
    length = np.array(task.window.padded.extent_um)
    final = set_evidence(carriers, fit.state, task.images, frames, task.noise[frames])
    made, notes = [], []
    for f in range(carriers.fundamentals):
        verdict = judge_fundamental(
            carriers, found, fit, deviation, final.nats, f, known, task.coverage,
            task.cutoff_per_um, length,
            mode.strongest,
        )  # fmt: skip
        made.append(_direction(task, carriers, found, fit, deviation, f, verdict, brightness))
        name = f"direction {first + f + 1}"
        if verdict.reasons:
            notes.append(f"{name} {verdict.verdict}: " + "; ".join(verdict.reasons))
    chi2 = fit.gram.mismatch_chi2(fit.frozen)
    notes.append(f"band overlap of frames {frames + 1}: mismatch {chi2:.2f} × noise")
    return made, notes


def _direction(
    task: FitTask,
    carriers: CarrierSet,
    found: SetFound,
    fit: SetFit,
    deviation: np.ndarray,
    f: int,
    verdict: FundamentalVerdict,
    brightness: float,
) -> DirectionPattern:
    """One fundamental of a fitted set in the form of the project."""
    state, p = fit.state, carriers.phases
    fy, fx = (float(v) for v in state.frequency_per_um[f])
    sd_phase = deviation[carriers.parameters_of("phase")][f * p : (f + 1) * p]
    sd_f = deviation[carriers.parameters_of("frequency")][2 * f : 2 * f + 2]
    own = [c for c, (g, _) in enumerate(carriers.carriers) if g == f][: verdict.confirmed]
    m = state.modulation[own]
    sd_ln = deviation[carriers.parameters_of("modulation")][own]
    peak = found.best.peaks[f]
    return DirectionPattern(
        frequency_per_um=(fy, fx),
        frequency_sd_per_um=(float(sd_f[0]), float(sd_f[1])),
        phase_rad=_floats(phase_at_origin(state.phase_rad[f], (fy, fx), task.window)),
        phase_sd_rad=_floats(np.minimum(sd_phase, UNKNOWN_PHASE_SD_RAD)),
        modulation=_floats(m),
        modulation_sd=_floats(np.minimum(np.abs(m) * sd_ln, 1.0)),
        intensity=_floats(brightness * state.intensity),
        intensity_sd=_floats(brightness * deviation[carriers.parameters_of("intensity")]),
        correlation=_floats(np.array([abs(fit.gram.overlap(c).correlation) for c in own])),
        verdict=verdict.verdict,
        peak_to_background=float(peak.peak_to_background),
        evidence_nats=float(found.best.evidence.nats[own].sum()),
        rivalry=float(found.rivalry),
    )


def _unfitted(
    task: FitTask, mode: CarrierMode, found: SetFound, first: int
) -> tuple[list[DirectionPattern], list[str]]:
    """Directions without usable carriers: the best guess with errors that say so."""
    state, ring = found.best.state, RING[1] * task.cutoff_per_um
    made = []
    for f, (fy, fx) in enumerate(state.frequency_per_um):
        phases = state.phase_rad.shape[1]
        frequency = (float(fy), float(fx))
        made.append(
            DirectionPattern(
                frequency_per_um=frequency,
                frequency_sd_per_um=(ring, ring),
                phase_rad=_floats(phase_at_origin(state.phase_rad[f], frequency, task.window)),
                phase_sd_rad=(UNKNOWN_PHASE_SD_RAD,) * phases,
                modulation=(0.0,) * mode.orders,
                modulation_sd=(1.0,) * mode.orders,
                intensity=_floats(state.intensity),
                intensity_sd=(0.05,) * phases,
                correlation=(0.0,) * mode.orders,
                verdict="failed",
                peak_to_background=float(found.best.peaks[f].peak_to_background),
                evidence_nats=found.best.evidence.total,
                rivalry=float(found.rivalry),
            )
        )
    text = (
        "no carrier found, or phases too alike to separate its bands (the likeliest has an "
        f"evidence of {found.best.evidence.total:.1f} nats)"
    )
    return made, [f"direction {first + f + 1} failed: {text}" for f in range(len(made))]


def _corrections(
    made: Sequence[DirectionPattern],
    expected: float | None,
    angles: Sequence[float | None],
    mode: CarrierMode,
) -> list[str]:
    """What differs from what was expected."""
    good = {
        d: np.array(one.frequency_per_um) for d, one in enumerate(made) if one.verdict != "failed"
    }
    shown = [None] * len(made) if mode.simultaneous > 1 else list(angles)
    return Expectation(expected, shown).corrections(good)


def _assembled(
    made: list[DirectionPattern], task: FitTask, mode: CarrierMode, order: str, notes: list[str]
) -> PatternFit:
    """The whole pattern, with what its directions say about each other."""
    mean = float(np.mean([d.intensity for d in made]))
    made = [replace(d, intensity=tuple(g / mean for g in d.intensity)) for d in made]
    live = [d for d, one in enumerate(made) if one.verdict != "failed"]
    vectors = [np.array(made[d].frequency_per_um) for d in live]
    pairs = [(live[i], live[j]) for i, j in coinciding(vectors)]
    if pairs:
        notes.insert(0, coincidence_note(pairs, len(made)))
        for d in {d for pair in pairs for d in pair}:
            made[d] = replace(made[d], verdict="failed")
    verdict = worst([d.verdict for d in made])
    radii = np.array([np.hypot(*v) for v in vectors])
    if radii.size > 1 and radii.max() > (1 + SAME_PERIOD) * radii.min():
        listed = ", ".join(f"{1e3 / r:.1f}" for r in radii)
        notes.append(f"the directions have different periods ({listed} nm): one may be wrong")
        verdict = worst([verdict, "weak"])
    finest = max(len(d.modulation) for d in made)
    if radii.size and mode.orders > 1:
        period = 1e3 / float(np.median(radii))
        notes.append(
            f"period of the fundamental {period:.1f} nm, of the finest order ({finest}) "
            f"{period / finest:.1f} nm"
        )
    return PatternFit(
        pixel_um=task.window.padded.pixel_um,
        shape=(task.window.wy.size, task.window.wx.size),
        directions=tuple(made),
        order=order,
        verdict=verdict,
        notes=tuple(notes),
        simultaneous=mode.simultaneous > 1,
    )


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in np.asarray(values).ravel())
