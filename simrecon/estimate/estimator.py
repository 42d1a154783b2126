"""Fit of the illumination pattern: search, joint fit, errors, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.errors import InputError, UsageError
from simrecon.estimate.acceptance import (
    MAX_OVER_CUTOFF,
    PEAK_OK,
    Evidence,
    coincidence_note,
    coinciding,
    judge,
    peak_found,
)
from simrecon.estimate.frequency import CarrierPeak, CarrierSearch, SearchRegion
from simrecon.estimate.joint import JointFit, coefficient_vector, fit_jointly
from simrecon.estimate.mixing import DirectionState
from simrecon.estimate.noise import measured_noise, predicted_noise
from simrecon.estimate.otf_table import otf_function
from simrecon.estimate.overlap import mismatch_chi2, overlap
from simrecon.estimate.rows import OtfFunction
from simrecon.estimate.search import (
    RING,
    CandidateTest,
    Found,
    agree_on_period,
    carrier_at,
    find_carrier,
    search_region,
)
from simrecon.estimate.uncertainty import DirectionErrors, covariance, direction_errors
from simrecon.estimate.window import FieldWindow, phase_at_origin, wrap
from simrecon.model.axes import parse_order
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict, worst
from simrecon.model.psf import DetectionOTF

TAPER = 0.08
"""Flank of the field window, fraction of the field (at least `TAPER_PX` pixels)."""
TAPER_PX = 12.0
NOISE_TOLERANCE = (0.8, 1.25)
"""Measured over predicted noise outside of which the prediction is rescaled, with a note."""
UNKNOWN_PHASE_SD_RAD = float(np.pi / np.sqrt(3.0))
"""Standard deviation of a phase about which nothing is known (uniform)."""


def estimate_pattern(
    frames_e: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    *,
    variance_e2: np.ndarray | None = None,
    expected_frequency_per_um: float | None = None,
    expected_angles_rad: Sequence[float] | None = None,
    fixed_frequencies_per_um: Sequence[Sequence[float]] | None = None,
    order: str = "PA",
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
    fixed_frequencies_per_um : sequence of (fy, fx), optional
        Frequencies that are known: only phases, intensities and modulations are fitted.
    order : str
        Acquisition order of the file, for the record.

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
    expected = _checked_expectations(frames.shape[0], expected_angles_rad, fixed_frequencies_per_um)
    taper = min(max(TAPER, TAPER_PX / min(frames.shape[-2:])), 0.25)
    window = FieldWindow.on((frames.shape[2], frames.shape[3]), pixel_um, taper)
    tapers = window.tapers()
    spectra = window.transform_windowed(frames[:, None] * tapers[None, :, None])
    variance, noise, notes = _noise(spectra[:, 0], variance_e2, window, otf.cutoff_per_um, frames)
    task = _Task(frames, spectra, variance, noise, otf_function(otf), window, otf.cutoff_per_um)
    search = CarrierSearch(spectra[:, 0], window, otf.cutoff_per_um)
    found = _search(task, search, expected_frequency_per_um, expected, fixed_frequencies_per_um)
    found, settled = agree_on_period(found)
    notes += settled
    fits, evidence = _fit(task, search, found, fixed_frequencies_per_um is not None, notes)
    return _assemble(task, search, found, fits, evidence, order, notes)


@dataclass(frozen=True)
class _Task:
    """Everything about the data that the steps share."""

    frames: np.ndarray
    spectra: np.ndarray
    variance_e2: np.ndarray
    noise: np.ndarray
    otf: OtfFunction
    window: FieldWindow
    cutoff_per_um: float


@dataclass(frozen=True)
class _Fitted:
    """Result of the joint fit for one direction."""

    state: DirectionState
    errors: DirectionErrors
    correlation: float


def checked_frames(frames_e: np.ndarray) -> np.ndarray:
    """Frames as contiguous float32, or the reason why they cannot be fitted.

    Raises
    ------
    InputError
    """
    frames = np.asarray(frames_e)
    if frames.ndim != 4 or frames.shape[1] < 3 or min(frames.shape[-2:]) < 32:
        raise InputError(
            "These frames cannot carry a pattern fit.",
            expected="(directions, phases ≥ 3, Y ≥ 32, X ≥ 32)",
            got=f"shape {tuple(frames.shape)}",
        )
    frames = np.ascontiguousarray(frames, dtype=np.float32)
    for d, p in np.ndindex(*frames.shape[:2]):
        frame = frames[d, p]
        if not np.isfinite(frame).all():
            raise InputError(
                "A raw frame contains NaN or infinity.", where=f"direction {d + 1}, phase {p + 1}"
            )
        if float(np.ptp(frame)) == 0.0:
            raise InputError(
                "A raw frame is constant.",
                expected="an image",
                got=f"{frame.flat[0]:g} everywhere",
                where=f"direction {d + 1}, phase {p + 1}",
                hint="a frame may be missing, or the camera was dark",
            )
    return frames


def _checked_expectations(
    directions: int,
    angles_rad: Sequence[float] | None,
    frequencies: Sequence[Sequence[float]] | None,
) -> list[float | None]:
    for what, values in (("angles", angles_rad), ("frequencies", frequencies)):
        if values is not None and len(values) != directions:
            raise UsageError(
                f"There must be one of the expected {what} per direction.",
                expected=str(directions),
                got=str(len(values)),
                where="--angles",
            )
    return [None] * directions if angles_rad is None else [float(a) for a in angles_rad]


def _noise(
    spectra: np.ndarray,
    variance_e2: np.ndarray | None,
    window: FieldWindow,
    cutoff_per_um: float,
    frames: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Variance maps, their Σ w²σ² per frame (A, P), and notes."""
    measured = measured_noise(spectra, window, cutoff_per_um)
    if variance_e2 is None:
        if measured is None:
            raise InputError(
                "The noise of these frames is not known and cannot be measured.",
                expected="a variance, or pixels fine enough to see beyond the optical cut-off",
                got=f"cut-off {cutoff_per_um:.2f} per µm, Nyquist "
                f"{0.5 / window.padded.pixel_um:.2f} per µm",
                hint="give the camera's gain, offset and read noise",
            )
        area = float((window.wy**2).sum() * (window.wx**2).sum())
        flat = (measured / area).astype(np.float32)
        shape = (*flat.shape, *frames.shape[-2:])
        note = "noise taken from the spectrum beyond the cut-off (no variance was given)"
        return np.broadcast_to(flat[:, :, None, None], shape), measured, [note]
    variance = np.broadcast_to(np.asarray(variance_e2, dtype=np.float32), frames.shape)
    predicted = predicted_noise(variance, window)
    if measured is None:
        return variance, predicted, []
    ratio = float(measured.sum() / max(float(predicted.sum()), 1e-30))
    if NOISE_TOLERANCE[0] <= ratio <= NOISE_TOLERANCE[1]:
        return variance, predicted, []
    note = (
        f"the noise beyond the cut-off is {ratio:.3g} × the predicted one: the camera's numbers do "
        "not fit these data; the measured level was used"
    )
    return variance * np.float32(ratio), predicted * ratio, [note]


def _search(
    task: _Task,
    search: CarrierSearch,
    expected_frequency: float | None,
    expected_angles: list[float | None],
    fixed: Sequence[Sequence[float]] | None,
) -> list[Found]:
    if fixed is not None:
        return [carrier_at(search, d, f) for d, f in enumerate(fixed)]
    test = CandidateTest(task.spectra[:, 0], task.noise, task.otf, task.window, task.cutoff_per_um)
    return [
        find_carrier(
            search, test, task.frames, d, search_region(task.cutoff_per_um, expected_frequency, a)
        )
        for d, a in enumerate(expected_angles)
    ]


def _fit(
    task: _Task, search: CarrierSearch, found: list[Found], fixed: bool, notes: list[str]
) -> tuple[dict[int, _Fitted], dict[int, Evidence]]:
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
        if not lost or len(lost) == len(usable):
            _describe(fit, notes)
            return fitted, evidence
        kept = [d for d in usable if d not in lost]
        again, refitted = _fit_usable(task, found, kept, fixed)
        refitted.update({d: fitted[d] for d in lost})
        evidence.update({d: _evidence(task, found[d], refitted[d]) for d in kept})
        _describe(again, notes)
        return refitted, evidence
    return {}, evidence


def _fit_usable(
    task: _Task, found: list[Found], usable: list[int], fixed: bool
) -> tuple[JointFit, dict[int, _Fitted]]:
    states = [found[d].state for d in usable]
    mean = float(np.mean([s.intensity for s in states]))
    states = [replace(s, intensity=s.intensity / mean) for s in states]
    fit = fit_jointly(
        task.frames[usable],
        task.spectra[usable],
        task.variance_e2[usable],
        states,
        task.otf,
        task.window,
        cutoff_per_um=task.cutoff_per_um,
        fit_frequency=not fixed,
    )
    average = task.variance_e2[usable].mean(axis=(0, 1))
    matrix = covariance(
        fit.gram, fit.frozen, fit.half, task.window, average, fit_frequency=not fixed
    )
    errors = direction_errors(matrix, fit.frozen)
    # Intensities are relative to all frames of the stack, also those that could not be fitted.
    fitted = {
        d: _Fitted(
            replace(state, intensity=state.intensity * mean),
            replace(error, intensity=error.intensity * mean),
            overlap(fit.gram, n).correlation,
        )
        for n, (d, state, error) in enumerate(zip(usable, fit.states, errors, strict=True))
    }
    return fit, fitted


def _describe(fit: JointFit, notes: list[str]) -> None:
    phases = fit.frozen[0].phase_rad.size
    c = coefficient_vector(
        [s.parameters for s in fit.frozen],
        np.zeros((len(fit.frozen), 2)),
        [0.5 * s.modulation for s in fit.frozen],
        phases,
    )
    notes.append(f"band overlap: mismatch {mismatch_chi2(fit.gram, c):.2f} × noise")
    if not fit.gram.coupled:
        notes.append(
            "the directions show different objects (drift, uneven illumination or polarisation): "
            "each was fitted to itself"
        )
    if not fit.converged:
        notes.append(f"the fit was still moving at its end (last step {fit.last_step_px:.1g})")


def _evidence(task: _Task, found: Found, fitted: _Fitted) -> Evidence:
    length = np.array(task.window.padded.extent_um)
    moved = (fitted.state.frequency_per_um - found.state.frequency_per_um) * length
    spread = fitted.errors.frequency_per_um * length
    return Evidence(
        peak_to_background=found.peak.peak_to_background,
        expected=found.sector,
        given=found.given,
        correlation=fitted.correlation,
        modulation=fitted.state.modulation,
        modulation_sd=fitted.errors.modulation,
        frequency_sd_px=float(np.hypot(*spread)),
        moved_px=float(np.hypot(*moved)),
        over_cutoff=float(np.hypot(*fitted.state.frequency_per_um)) / task.cutoff_per_um,
    )


def _assemble(
    task: _Task,
    search: CarrierSearch,
    found: list[Found],
    fits: dict[int, _Fitted],
    evidence: dict[int, Evidence],
    order: str,
    notes: list[str],
) -> PatternFit:
    directions: list[DirectionPattern] = []
    for d, one in enumerate(found):
        if d in fits:
            verdict, reasons = judge(evidence[d])
            directions.append(_fitted_pattern(task, one, fits[d], verdict))
        else:
            directions.append(_unfitted_pattern(task, one))
            reasons = [_why_not(one), *_outside(search, d, task.cutoff_per_um)]
        if reasons:
            notes.append(f"direction {d + 1} {directions[-1].verdict}: " + "; ".join(reasons))
    pairs = coinciding([_seen_at(one, d in fits) for d, one in enumerate(found)])
    if pairs:
        notes.insert(0, coincidence_note(pairs, len(directions)))
        for d in {d for pair in pairs for d in pair}:
            directions[d] = replace(directions[d], verdict="failed")
    overall: Verdict = worst([d.verdict for d in directions])
    return PatternFit(
        pixel_um=task.window.padded.pixel_um,
        shape=(task.frames.shape[2], task.frames.shape[3]),
        directions=tuple(directions),
        order=order,
        verdict=overall,
        notes=tuple(notes),
    )


def _seen_at(found: Found, fitted: bool) -> np.ndarray:
    """Where the search saw a carrier; 0 when it saw none."""
    clear = fitted or peak_found(found.peak.peak_to_background, found.sector)
    return np.array(found.peak.frequency_per_um) if clear and not found.given else np.zeros(2)


def _fitted_pattern(
    task: _Task, found: Found, fitted: _Fitted, verdict: Verdict
) -> DirectionPattern:
    state, errors = fitted.state, fitted.errors
    frequency = (float(state.frequency_per_um[0]), float(state.frequency_per_um[1]))
    return DirectionPattern(
        frequency_per_um=frequency,
        frequency_sd_per_um=_pair(errors.frequency_per_um),
        phase_rad=_floats(phase_at_origin(state.phase_rad, frequency, task.window)),
        phase_sd_rad=_floats(np.minimum(errors.phase_rad, UNKNOWN_PHASE_SD_RAD)),
        modulation=(float(state.modulation),),
        modulation_sd=(float(errors.modulation),),
        intensity=_floats(state.intensity),
        intensity_sd=_floats(errors.intensity),
        correlation=(float(fitted.correlation),),
        verdict=verdict,
        peak_to_background=float(found.peak.peak_to_background),
    )


def _unfitted_pattern(task: _Task, found: Found) -> DirectionPattern:
    """A direction without a usable carrier: the best guess with errors that say so."""
    frequency = found.peak.frequency_per_um
    phases = found.state.phase_rad.size
    ring = RING[1] * task.cutoff_per_um
    return DirectionPattern(
        frequency_per_um=frequency,
        frequency_sd_per_um=(ring, ring),
        phase_rad=_floats(phase_at_origin(found.state.phase_rad, frequency, task.window)),
        phase_sd_rad=(UNKNOWN_PHASE_SD_RAD,) * phases,
        modulation=(0.0,),
        modulation_sd=(1.0,),
        intensity=_floats(found.state.intensity),
        intensity_sd=(0.05,) * phases,
        correlation=(0.0,),
        verdict="failed",
        peak_to_background=float(found.peak.peak_to_background),
    )


def _why_not(found: Found) -> str:
    ratio = found.peak.peak_to_background
    if ratio >= PEAK_OK:
        steps = np.degrees(wrap(np.diff(found.state.phase_rad)))
        listed = ", ".join(f"{s:.0f}°" for s in steps)
        return f"the phase steps ({listed}) are too alike to separate the bands"
    return (
        f"no carrier found (highest peak {ratio:.1f} robust sigmas above its background, which "
        "noise alone can do)"
    )


def _outside(search: CarrierSearch, direction: int, cutoff_per_um: float) -> list[str]:
    """A clear peak beyond the search ring tells of wrong optical constants."""
    nyquist = 0.5 / search.window.padded.pixel_um
    if RING[1] * cutoff_per_um >= nyquist:
        return []
    wide = CarrierSearch(search.spectra, search.window, None)
    peak: CarrierPeak = wide.peaks(direction, SearchRegion(RING[1] * cutoff_per_um, nyquist))[0]
    if peak.peak_to_background < PEAK_OK:
        return []
    period_nm = 1e3 / float(np.hypot(*peak.frequency_per_um))
    return [
        f"a clear pattern of period {period_nm:.0f} nm lies outside the OTF (cut-off "
        f"{1e3 / cutoff_per_um:.0f} nm; usable up to {MAX_OVER_CUTOFF:g} × that frequency): check "
        "NA, wavelengths and pixel size"
    ]


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in np.asarray(values).ravel())


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])
