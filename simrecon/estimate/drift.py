"""Rigid drift of the sample between frames: found, tested against none, corrected.

Every frame is measured against what the other directions predict (:mod:`.displacement`); the
displacements are tested and smoothed over the time of acquisition (:mod:`.smoothing`); the pattern
is fitted again to frames at rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from simrecon.estimate.displacement import Regression, Scores, predict
from simrecon.estimate.smoothing import smooth_over_time
from simrecon.estimate.window import tukey, wrap
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern, PatternFit, worst
from simrecon.model.psf import DetectionOTF
from simrecon.recon.part import brightest, shifted
from simrecon.recon.shift import frames_at_rest

SIDE_PX = 192
"""The drift is measured on the brightest part of the field, at most so large."""
SYSTEMATIC_PX = 0.01
"""What an imperfect OTF or pattern leaves; added to every standard deviation in quadrature."""
EVIDENCE = 20.0
"""Smallest evidence for drift."""
LEAST_PX = 0.06
"""Smallest rms displacement that is corrected; half a pixel between directions costs 0.1 dB."""
REFIT_PX, SETTLED_PX, ROUNDS = 0.2, 0.03, 8
"""Steps below the first bring a new fit of the pattern, steps below the second the end."""
LARGE_PX = 3.0
"""Largest displacement from the mean that was tried in simulation; more is weak."""
NON_RIGID_PX, NON_RIGID_CHI2 = 0.2, 4.0
"""Parts of the field that move by more than this against the whole, beyond this many variances."""
_TAPER = 0.2
_TILES = 3

Refit = Callable[[np.ndarray, PatternFit], PatternFit]


DRIFT_NOTE = "the sample moved during the acquisition"
"""How the note on a corrected drift begins."""


@dataclass(frozen=True)
class Drift:
    """Displacements of all frames.

    Attributes
    ----------
    drift_um, sd_um : ndarray, shape (A, P, 2)
        (y, x) from the mean place, with standard deviations.
    evidence : float
        Twice the log-likelihood ratio of drift against none.
    non_rigid_um : float
        Motion of parts of the field against the whole, rms beyond its noise; 0: not significant.
    """

    drift_um: np.ndarray
    sd_um: np.ndarray
    evidence: float
    non_rigid_um: float

    def significant(self, pixel_um: float) -> bool:
        """Whether it is there and large enough to matter."""
        rms = float(np.sqrt(np.mean(np.sum(self.drift_um**2, axis=-1))))
        return self.evidence > EVIDENCE and rms > LEAST_PX * pixel_um


def correct_drift(
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    fit: PatternFit,
    otf: DetectionOTF,
    refit: Refit | None,
) -> PatternFit:
    """A fit with the drift of its frames, or the same fit where nothing moved.

    Parameters
    ----------
    frames_e, variance_e2 : ndarray, shape (A, P, Y, X)
    fit : PatternFit
        Of these frames, or of others of the same instrument; without drift.
    refit : callable or None
        Fits the pattern of frames at rest, given the moving pattern that they had; None: the
        instrument's phases are known and stay.

    Returns
    -------
    PatternFit
        With `drift_um`, a note, and at most ``weak`` for motion that is large or not rigid.
    """
    if len(fit.directions) < 2 or fit.verdict == "failed":
        return fit
    found = measure_drift(frames_e, variance_e2, fit, otf)
    if not found.significant(fit.pixel_um):
        return fit
    current, refitted, settled = _attached(fit, found), 0, False
    for _ in range(ROUNDS):
        found = measure_drift(frames_e, variance_e2, current, otf)
        step = float(np.abs(found.drift_um - _drift_of(current)).max())
        current = _attached(current, found)
        settled = step < SETTLED_PX * fit.pixel_um
        if settled and (refitted or refit is None):
            break
        if refit is not None and step < REFIT_PX * fit.pixel_um:
            again = refit(frames_at_rest(frames_e, current), current)
            if again.verdict == "failed":
                return _judged(current, found, settled=False)
            current, refitted = _attached(_of_instrument(again, current), found), refitted + 1
    return _judged(current, found, settled)


def without_drift(pattern: PatternFit) -> PatternFit:
    """The instrument's pattern, for frames whose own motion is not known yet.

    Unlike :meth:`PatternFit.at_rest`, whose phases are those on a sample that had moved.
    """
    if not pattern.drifting:
        return pattern
    directions = tuple(replace(d, drift_um=(), drift_sd_um=()) for d in pattern.directions)
    notes = tuple(n for n in pattern.notes if not n.startswith(DRIFT_NOTE))
    return replace(pattern, directions=directions, notes=notes)


def measure_drift(
    frames_e: np.ndarray, variance_e2: np.ndarray, pattern: PatternFit, otf: DetectionOTF
) -> Drift:
    """Displacements of all frames given a pattern (and a drift to start from)."""
    scores = _scores(frames_e, variance_e2, pattern, otf)
    count = len(pattern.directions)
    relative = np.array([[s.shift_um for s in one] for one in scores])
    variance = np.array([[np.diag(s.covariance_um2) for s in one] for one in scores])
    variance += (SYSTEMATIC_PX * pattern.pixel_um) ** 2
    mean = relative.mean(axis=1, keepdims=True)
    # A direction is measured against the mean of the others, not of all.
    measured = _drift_of(pattern) + relative - mean / count
    sequence = _acquisition_order(pattern)
    walk = smooth_over_time(measured.reshape(-1, 2)[sequence], variance.reshape(-1, 2)[sequence])
    back, shape = np.argsort(sequence), measured.shape
    return Drift(
        walk.position_um[back].reshape(shape),
        walk.sd_um[back].reshape(shape),
        walk.evidence,
        _non_rigid_um(scores, pattern.pixel_um),
    )


def _scores(
    frames_e: np.ndarray, variance_e2: np.ndarray, pattern: PatternFit, otf: DetectionOTF
) -> list[list[Scores]]:
    """Evidence on the displacement of every frame, direction by direction."""
    rows, columns = brightest(frames_e.mean(axis=(0, 1)), SIDE_PX)
    shape = rows.stop - rows.start, columns.stop - columns.start
    frames = frames_at_rest(frames_e, pattern)[..., rows, columns]
    local = shifted(pattern.at_rest(), (rows.start, columns.start), shape)
    noise = variance_e2[..., rows, columns].mean(axis=(2, 3), dtype=np.float64)
    window = tukey(shape[0], _TAPER)[:, None] * tukey(shape[1], _TAPER)
    regression = Regression(window, pattern.pixel_um, otf.cutoff_per_um)
    templates = predict(frames, noise, local, otf, Grid(shape, pattern.pixel_um))
    return [
        regression(one, np.asarray(d.phase_rad), t)
        for one, d, t in zip(frames, local.directions, templates, strict=True)
    ]


def _non_rigid_um(scores: list[list[Scores]], pixel_um: float) -> float:
    """Motion of parts of the field against the whole, µm rms; 0 when not significant."""
    moved, expected = [], []
    for one in scores:
        score = np.sum([s.blocks for s in one], axis=0)
        matrix = np.sum([s.block_matrix for s in one], axis=0)
        for y in np.array_split(np.arange(score.shape[1]), _TILES):
            for x in np.array_split(np.arange(score.shape[2]), _TILES):
                if y.size * x.size < 4:
                    return 0.0
                part = score[:, y[:, None], x].reshape(2, -1)
                inner = matrix[:, :, y[:, None], x].reshape(2, 2, -1)
                inverse = np.linalg.pinv(inner.sum(axis=-1), hermitian=True)
                shift = inverse @ part.sum(axis=1)
                left = part - np.einsum("ijb,j->ib", inner, shift)
                moved.append(float(shift @ shift))
                expected.append(float(np.trace(inverse @ (left @ left.T) @ inverse)))
    power, noise = np.array(moved), np.maximum(expected, 1e-30)
    beyond = float(np.sum((power - noise) / noise) / np.sum(1.0 / noise))
    certain = float(np.median(power / noise)) > NON_RIGID_CHI2
    return float(np.sqrt(beyond)) if certain and beyond > (NON_RIGID_PX * pixel_um) ** 2 else 0.0


def _attached(pattern: PatternFit, drift: Drift) -> PatternFit:
    """The pattern with another drift; its phases are the instrument's and stay."""
    directions = tuple(
        replace(d, drift_um=_vectors(u), drift_sd_um=_vectors(s))
        for d, u, s in zip(pattern.directions, drift.drift_um, drift.sd_um, strict=True)
    )
    return replace(pattern, directions=directions)


def _of_instrument(at_rest: PatternFit, moving: PatternFit) -> PatternFit:
    """A fit to frames at rest with the phases that the instrument had."""
    directions: list[DirectionPattern] = []
    for d, m in zip(at_rest.directions, moving.directions, strict=True):
        turn = 2 * np.pi * np.asarray(m.drift_um) @ np.asarray(d.frequency_per_um)
        phase = wrap(np.asarray(d.phase_rad) - turn)
        directions.append(replace(d, phase_rad=tuple(float(p) for p in phase)))
    return replace(at_rest, directions=tuple(directions))


def _drift_of(pattern: PatternFit) -> np.ndarray:
    still = ((0.0, 0.0),)
    return np.array([d.drift_um or still * len(d.phase_rad) for d in pattern.directions])


def _acquisition_order(pattern: PatternFit) -> np.ndarray:
    """Flat indices (direction · P + phase) in the order of acquisition."""
    shape = len(pattern.directions), len(pattern.directions[0].phase_rad)
    index = np.arange(shape[0] * shape[1]).reshape(shape)
    phase_first = pattern.order.find("P") < pattern.order.find("A")
    return (index if phase_first else index.T).ravel()


def _vectors(values: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(y), float(x)) for y, x in values)


def _judged(pattern: PatternFit, found: Drift, settled: bool) -> PatternFit:
    """Verdict and the sentence for the user."""
    pixel = pattern.pixel_um
    size = float(np.hypot(found.drift_um[..., 0], found.drift_um[..., 1]).max())
    note = (
        f"{DRIFT_NOTE}: up to {1e3 * size:.0f} nm ({size / pixel:.2f} "
        "px) from its mean place; corrected frame by frame"
    )
    doubts = []
    if size > LARGE_PX * pixel:
        doubts.append(f"that is more than {LARGE_PX:g} px")
    if not settled:
        doubts.append("the estimate did not settle")
    if found.non_rigid_um > 0:
        doubts.append(
            f"parts of the field moved differently ({1e3 * found.non_rigid_um:.0f} nm rms), which "
            "is not corrected"
        )
    if doubts:
        note += "; doubtful: " + ", ".join(doubts)
    verdict = worst([pattern.verdict, "weak"]) if doubts else pattern.verdict
    return replace(pattern, verdict=verdict, notes=(*pattern.notes, note))
