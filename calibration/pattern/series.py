"""One direction of one channel over all acquisitions: aligned, screened, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.pattern.statistics import Mean, combine
from simrecon.estimate.window import wrap
from simrecon.model.pattern import DirectionPattern, PatternFit, Verdict

OTHER_SPACING, OTHER_ANGLE_RAD = 0.02, np.deg2rad(1.5)
"""A carrier that differs by more from that of most acquisitions is another one (a peak of the
sample, another setting of the instrument). Instruments drift by less than 0.1 % and 0.1°."""


@dataclass(frozen=True)
class Entry:
    """One acquisition of this direction, its frequency on the side of the first one's.

    Attributes
    ----------
    direction : DirectionPattern
    centre_phase_rad : ndarray (P,)
        Phases at the centre of the field.
    reason : str
        Why it is left out; empty: used.
    """

    direction: DirectionPattern
    centre_phase_rad: np.ndarray
    reason: str = ""

    @property
    def used(self) -> bool:
        """Whether it counts."""
        return not self.reason

    @property
    def frequency(self) -> np.ndarray:
        """(2,), cycles/µm."""
        return np.array(self.direction.frequency_per_um)

    @property
    def frequency_sd(self) -> np.ndarray:
        """(2,)."""
        return np.array(self.direction.frequency_sd_per_um)


@dataclass(frozen=True)
class Series:
    """A direction over all acquisitions.

    Attributes
    ----------
    entries : tuple of Entry
        In the order of acquisition.
    frequency : Mean
        (2,), cycles/µm.
    period_um, angle_rad, modulation : Mean
        Numbers.
    step_rad : Mean
        (P,), up to a common phase; the first is 0.
    intensity : Mean
        (P,), relative to the mean of the direction.
    common_phase_rad : ndarray (N,)
        Phase of each used acquisition at its field centre, relative to the first one's, unwrapped.
    """

    entries: tuple[Entry, ...]
    frequency: Mean
    period_um: Mean
    angle_rad: Mean
    modulation: Mean
    step_rad: Mean
    intensity: Mean
    common_phase_rad: np.ndarray

    @property
    def used(self) -> list[Entry]:
        """Entries that count."""
        return [e for e in self.entries if e.used]

    @property
    def steps_rad(self) -> np.ndarray:
        """From each frame to the next, the last to the first, in 0…2π."""
        return np.asarray(np.diff([*self.step_rad.value, self.step_rad.value[0]]) % (2 * np.pi))

    @property
    def step_error_rad(self) -> float:
        """Rms deviation of the steps from equal ones, of either sense."""
        count = self.step_rad.value.size
        both = [wrap(self.steps_rad - s * 2 * np.pi / count) for s in (1, -1)]
        return float(min(np.sqrt(np.mean(b**2)) for b in both))


def series(fits: Sequence[PatternFit], direction: int) -> Series | None:
    """One direction of the fits of one channel; None when no acquisition is usable."""
    entries = _aligned([_entry(fit, direction) for fit in fits])
    used = [e for e in entries if e.used]
    if not used:
        return None
    sd = np.array([e.frequency_sd for e in used])
    vectors = np.array([e.frequency for e in used])
    frequency = combine(vectors, sd)
    radius = np.hypot(*vectors.T)
    along, across = vectors / radius[:, None], vectors[:, ::-1] * [1.0, -1.0] / radius[:, None]
    radial_sd = np.hypot(*(along * sd).T)
    angular_sd = np.hypot(*(across * sd).T) / radius
    reference = np.arctan2(*vectors[0])
    angle = reference + wrap(np.arctan2(*vectors.T) - reference)
    steps, common = _steps(used)
    return Series(
        tuple(entries), frequency, combine(1.0 / radius, radial_sd / radius**2),
        combine(angle, angular_sd),
        combine([e.direction.modulation[0] for e in used],
                [e.direction.modulation_sd[0] for e in used]),
        steps,
        combine(*_intensities(used)), common,
    )  # fmt: skip


def _entry(fit: PatternFit, direction: int) -> Entry:
    d = fit.directions[direction]
    centre = 0.5 * fit.pixel_um * (np.array(fit.shape) - 1)
    turn = 2 * np.pi * float(np.dot(d.frequency_per_um, centre))
    phase = np.asarray(wrap(np.asarray(d.phase_rad) + turn))
    return Entry(d, phase, "no carrier" if d.verdict == "failed" else "")


def _aligned(entries: list[Entry]) -> list[Entry]:
    """All on one side of the origin; carriers unlike those of most are left out."""
    good = [e for e in entries if e.used]
    if not good:
        return entries
    rank: dict[Verdict, int] = {"ok": 0, "weak": 1, "failed": 2}
    best = [e for e in good if e.direction.verdict == "ok"] or good
    typical = max(best, key=lambda e: sum(_alike(e, other) for other in best))
    first = min((e for e in best if _alike(typical, e)), key=lambda e: rank[e.direction.verdict])
    out = []
    for e in entries:
        if np.dot(e.frequency, first.frequency) < 0:
            e = _turned(e)
        if e.used and not _alike(first, e):
            d = e.direction
            e = replace(e, reason=f"another carrier ({1e3 * d.period_um:.1f} nm, "
                        f"{np.degrees(d.angle_rad):.1f}°)")  # fmt: skip
        out.append(e)
    return out


def _turned(entry: Entry) -> Entry:
    """The same pattern described by −p: phases change their signs."""
    d = entry.direction
    fy, fx = d.frequency_per_um
    turned = replace(d, frequency_per_um=(-fy, -fx), phase_rad=tuple(-p for p in d.phase_rad))
    return replace(entry, direction=turned, centre_phase_rad=wrap(-entry.centre_phase_rad))


def _alike(first: Entry, second: Entry) -> bool:
    a, b = first.frequency, second.frequency
    if np.dot(a, b) < 0:
        b = -b
    ratio = np.hypot(*a) / np.hypot(*b)
    turn = abs(wrap(np.arctan2(*a) - np.arctan2(*b)))
    allowed = 3.0 * (np.hypot(*first.frequency_sd) + np.hypot(*second.frequency_sd)) / np.hypot(*a)
    return bool(abs(np.log(ratio)) < OTHER_SPACING + allowed and turn < OTHER_ANGLE_RAD + allowed)


def _steps(used: list[Entry]) -> tuple[Mean, np.ndarray]:
    """Mean phases up to a common one, and the common phase of every acquisition."""
    phase = np.array([e.centre_phase_rad for e in used])
    count = phase.shape[1]
    # the common phase takes one of P parts of the phases' variance with it
    share = np.sqrt((count - 1) / count)
    sd = share * np.array([e.direction.phase_sd_rad for e in used])
    weight = 1.0 / sd**2
    typical = phase[0].copy()
    for _ in range(4):
        common = np.angle(np.sum(weight * np.exp(1j * (phase - typical)), axis=1))
        mean = combine(wrap(phase - common[:, None] - typical), sd)
        typical = typical + mean.value
    value = wrap(typical - typical[0])
    return Mean(value, mean.sd, mean.between, mean.count), np.unwrap(common - common[0])


def _intensities(used: list[Entry]) -> tuple[np.ndarray, np.ndarray]:
    """Brightness of each frame over its direction's mean, with errors, (N, P) each."""
    value = np.array([e.direction.intensity for e in used])
    sd = [e.direction.intensity_sd or (1e-3,) * value.shape[1] for e in used]
    level = value.mean(axis=1, keepdims=True)
    return value / level, np.array(sd) / level
