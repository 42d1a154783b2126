"""How far to believe a pattern measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.pattern.series import Series
from calibration.pattern.statistics import drift
from calibration.record import worst
from simrecon.errors import QualityError
from simrecon.estimate.acceptance import FREQUENCY_SD_OK_PX, MODULATION_OK
from simrecon.model.optics import Optics
from simrecon.model.pattern import Verdict

FINEST = 0.95
"""Period over λ_ex/2n below which no objective can make it (a margin for wavelengths)."""
COARSE, UNSEEN = 2.2, 0.55
"""Periods above the first, in diffraction limits λ_em/2NA, are of no use (sectioning is best at 2);
they are believed only where λ_ex/2NA_ex says so too. Periods above `SUSPECT` limits are refused as
well where the spectrum ends below the second share of the cut-off, at least in objects."""
SUSPECT = 1.5
NOMINAL = 0.1
"""Relative difference from λ_ex/2NA_ex, where both are known, that is doubted."""
STEP_REPEAT_RAD = np.deg2rad(5.0)
"""Phase steps that repeat no better cannot be told to a reconstruction. At 5° the first order of
one direction leaves 4 % of order zero behind (Gustafsson's separation, linearised). Chosen."""
SPACING_STABILITY, ANGLE_STABILITY_RAD = 2e-3, np.deg2rad(0.1)
"""Between acquisitions; one DFT sample of 256 pixels of 65 nm at 200 nm is 1.2 % and 0.7°, and
0.2 of it is what a reconstruction bears. Chosen."""


def check_period(
    optics: Optics, directions: Sequence[Series], pixel_um: float, reached: float | None
) -> None:
    """Refuse periods that light cannot have, and those of a pixel size that is wrong.

    `reached` is the highest frequency with signal over the cut-off; None: not known.

    Raises
    ------
    QualityError
    """
    excitation_um = 1e-3 * (optics.excitation_nm or 0.85 * optics.emission_nm)
    finest = excitation_um / (2.0 * optics.immersion_index)
    for number, one in enumerate(directions, 1):
        orders = len(one.used[0].direction.modulation)  # limits are those of the finest order
        period = float(one.period_um.value) / max(orders, 1)
        if period < FINEST * finest:
            raise QualityError(
                f"Direction {number} has a period that this light cannot make.",
                expected=f"at least {1e3 * finest:.0f} nm: λ_ex / 2n",
                got=f"{1e3 * period:.1f} nm with pixels of {1e3 * pixel_um:.1f} nm",
                where="--pixel-um",
                hint="check the pixel size (magnification, binning) and the wavelengths",
            )
        limit, nominal = 0.5e-3 * optics.emission_nm / optics.na, optics.pattern_frequency_per_um
        meant = nominal is not None and abs(period * nominal - 1.0) <= NOMINAL
        empty = reached is not None and reached < UNSEEN and period > SUSPECT * limit
        if (period > COARSE * limit or empty) and not meant:
            seen = "" if reached is None else f"; signal up to {reached:.2f} of the cut-off"
            raise QualityError(
                f"The period of direction {number} is far above what these optics resolve.",
                expected=f"about {1e3 * limit:.0f} to {2e3 * limit:.0f} nm (λ_em / 2NA "
                f"{1e3 * limit:.0f} nm)",
                got=f"{1e3 * period:.1f} nm with pixels of {1e3 * pixel_um:.1f} nm{seen}",
                where="--pixel-um",
                hint="check the pixel size (magnification, binning), --na and the wavelengths; if "
                "the pattern is meant to be so coarse, give --excitation-nm and --excitation-na",
            )


def overall(
    channels: Sequence[tuple[Optics, Sequence[Series]]], extent_um: np.ndarray
) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict on all channels, and the notes that explain it."""
    verdicts: list[Verdict] = ["ok"]
    notes: list[str] = []
    for c, (optics, directions) in enumerate(channels):
        for d, one in enumerate(directions, 1):
            name = f"direction {d}" if len(channels) == 1 else f"channel {c}, direction {d}"
            for text in _doubts(optics, one, extent_um):
                verdicts.append("weak")
                notes.append(f"{name}: {text}")
            for text in _remarks(one):
                notes.append(f"{name}: {text}")
    return worst(*verdicts), tuple(notes)


def _doubts(optics: Optics, one: Series, extent_um: np.ndarray) -> list[str]:
    found = []
    used, every = len(one.used), len(one.entries)
    if used == 1:
        found.append("one usable acquisition only: nothing tells how well the pattern repeats")
    elif used < 0.5 * every:
        found.append(f"only {used} of {every} acquisitions are usable")
    spread = float(np.hypot(*(one.frequency.sd * extent_um)))
    if spread > FREQUENCY_SD_OK_PX:
        found.append(f"frequency uncertain by {spread:.3f} DFT samples of this field "
                     f"(ok to {FREQUENCY_SD_OK_PX:g})")  # fmt: skip
    if float(one.modulation.value) < MODULATION_OK:
        found.append(f"modulation {float(one.modulation.value):.3f} (ok from {MODULATION_OK:g})")
    repeat = float(np.sqrt(np.mean(one.step_rad.between**2)))
    if repeat > STEP_REPEAT_RAD:
        found.append(f"phase steps repeat to {np.degrees(repeat):.1f}° only")
    spacing = float(one.period_um.between / one.period_um.value)
    if spacing > SPACING_STABILITY:
        found.append(f"the spacing varies by {100 * spacing:.2f} % between acquisitions")
    if float(one.angle_rad.between) > ANGLE_STABILITY_RAD:
        turn = np.degrees(float(one.angle_rad.between))
        found.append(f"the angle varies by {turn:.2f}° between acquisitions")
    period = float(one.period_um.value)
    nominal = optics.pattern_frequency_per_um
    if nominal is not None and abs(period * nominal - 1.0) > NOMINAL:
        found.append(f"{1e3 * period:.1f} nm, where λ_ex / 2NA_ex is {1e3 / nominal:.1f} nm")
    return found


def _remarks(one: Series) -> list[str]:
    """What a user should know and no verdict follows from."""
    found = []
    reasons = [e.reason for e in one.entries if e.reason]
    if reasons:
        found.append(f"{len(reasons)} acquisition(s) left out: {', '.join(dict.fromkeys(reasons))}")
    for name, unit, values, sd in trends(one):
        line = drift(np.array([i for i, e in enumerate(one.entries) if e.used], float), values, sd)
        if line is not None and line.significant:
            found.append(f"{name} drifts by {line.total:+.3g} {unit} from the first acquisition to "
                         "the last")  # fmt: skip
    local = [e for e in one.used if e.direction.local is not None]
    if local:
        most = max(e.direction.local.summary()["max_phase_deviation_deg"] for e in local
                   if e.direction.local is not None)  # fmt: skip
        found.append(f"the pattern varies over the field in {len(local)} of {len(one.used)} "
                     f"acquisitions (phase up to {most:.0f}°)")  # fmt: skip
    return found


def trends(one: Series) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """Name, unit, values and errors of what may drift, over the used acquisitions."""
    used = one.used
    vector = np.array([e.frequency for e in used])
    sd = np.array([e.frequency_sd for e in used])
    radius = np.hypot(*vector.T)
    period = 1e3 / radius
    radial = np.hypot(*(vector * sd).T) / radius
    angle = np.degrees(np.unwrap(np.arctan2(*vector.T), period=np.pi))
    turn = np.degrees(np.hypot(*(vector[:, ::-1] * sd).T) / radius**2)
    away = np.array([e.centre_phase_rad for e in used]) - one.step_rad.value
    away = np.angle(np.exp(1j * (away - one.common_phase_rad[:, None])))
    away = np.angle(np.exp(1j * (away - np.angle(np.exp(1j * away).mean(axis=1))[:, None])))
    count = away.shape[1]
    # one number for the steps of an acquisition: along the pattern in which they differ most
    basis = np.linalg.svd(away, full_matrices=False)[2][0]
    step_sd = np.array([np.mean(e.direction.phase_sd_rad) for e in used])
    return [
        ("spacing", "nm", period, period * radial / radius),
        ("angle", "°", angle, turn),
        ("modulation", "", np.array([e.direction.modulation[0] for e in used]),
         np.array([e.direction.modulation_sd[0] for e in used])),
        ("phase steps", "°", np.degrees(away @ basis) / np.sqrt(count), np.degrees(step_sd)),
    ]  # fmt: skip
