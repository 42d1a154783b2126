"""When to stop, and how far to believe a bead measurement."""

from __future__ import annotations

from collections import Counter

import numpy as np

from calibration.psf.align import Aligned
from calibration.psf.beadsize import bead_note
from calibration.psf.expected import Expected
from calibration.psf.fit import PupilFit
from calibration.psf.noise import NoiseModel
from calibration.psf.screen import Judged
from calibration.psf.settings import BeadSetup
from calibration.psf.width import FWHM_PER_SIGMA, Widths
from calibration.record import worst
from simrecon.errors import QualityError
from simrecon.model.pattern import Verdict

NARROW, WIDE = 0.75, 1.6
"""Lateral FWHM over the theoretical one outside which a wrong scale is the only explanation: no
aberration makes a spot narrower, and the engine refuses OTFs 1.6 times too narrow."""
BROAD_NOTED = 1.2
BRIGHT = 0.3
"""Spots of at least this part of the strongest response are asked what was wrong."""


def check_scale(judged: list[Judged], setup: BeadSetup, expected: Expected) -> None:
    """Refuse to go on without beads, or with beads whose width these optics cannot give.

    Raises
    ------
    QualityError
    """
    good = [b for b in judged if not b.kind]
    if not good:
        counts = Counter(b.kind for b in judged)
        raise QualityError(
            "No bead passed the screening.",
            got=", ".join(f"{n} {REASONS[kind]}" for kind, n in counts.items()),
            where="; ".join(_place(b) for b in judged[:5]),
            hint=_advice(judged),
        )
    sigma = np.median([np.sqrt(b.spot.sigma_px[0] * b.spot.sigma_px[1]) for b in good])
    width = float(sigma * FWHM_PER_SIGMA * setup.pixel_um)
    ratio = width / expected.lateral_um
    if NARROW <= ratio <= WIDE:
        return
    text = "far below the diffraction limit" if ratio < 1 else "far above what these optics give"
    raise QualityError(
        f"The beads are {1e3 * width:.0f} nm wide (FWHM), {text}.",
        expected=f"about {1e3 * expected.lateral_um:.0f} nm for NA {setup.optics.na:g}, "
        f"{setup.optics.emission_nm:g} nm, beads of {1e3 * setup.bead_um:.0f} nm and pixels of "
        f"{1e3 * setup.pixel_um:.0f} nm",
        got=f"{ratio:.2f} times that, {len(good)} beads",
        where="--pixel-um",
        hint=f"pixels of {1e3 * setup.pixel_um / ratio:.0f} nm would fit; check the pixel size "
        "(magnification, binning), --na, --emission-nm and --bead-nm",
    )


REASONS = {
    "border": "too near to the border", "range": "out of the axial range", "dim": "too dim",
    "saturated": "saturated", "touching": "touching", "small": "too small (hot pixels)",
    "large": "too large (aggregates)", "drift": "drifting", "shape": "unlike the others",
    "halo": "in the halo of a brighter bead",
}  # fmt: skip
"""What each kind of rejection means."""


def _place(bead: Judged) -> str:
    z, y, x = bead.spot.position_px
    return f"z {z:.0f} y {y:.0f} x {x:.0f}: {bead.reason}"


def _advice(judged: list[Judged]) -> str:
    """What to do about the usual fault of the bright spots; faint ones are mostly no beads."""
    seen = [b for b in judged if b.kind in _ADVICE]
    if not seen:
        return "look at the stack in a viewer"
    bright = BRIGHT * max(b.spot.response for b in seen)
    kinds = Counter(b.kind for b in seen if b.spot.response >= bright)
    return _ADVICE[kinds.most_common(1)[0][0]]


_ADVICE = {
    "saturated": "less light or a shorter exposure",
    "dim": "more light, or lower --min-snr",
    "touching": "dilute the beads, or give a smaller --window-um",
    "border": "give a smaller --window-um",
    "range": "record more planes above and below the beads",
    "small": "check --pixel-um: spots of one pixel are no beads",
    "large": "dilute the beads; check --pixel-um, --na and --emission-nm",
    "drift": "let the stage settle, and check that it moves along the optical axis",
}


def overall(
    setup: BeadSetup,
    expected: Expected,
    widths: Widths,
    noise: NoiseModel,
    aligned: Aligned,
    fit: PupilFit | None,
) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict on a measurement, and the notes that explain it."""
    notes: list[str] = []
    verdicts: list[Verdict] = []
    size_verdict, size_text = bead_note(setup)
    verdicts.append(size_verdict)
    if size_text:
        notes.append(size_text)
    if len(aligned.chi2) == 1:
        verdicts.append("weak")
        notes.append("One bead only: nothing tells it from a defect, and widths have no error.")
    wide = float(np.sqrt(widths.gaussian[1] * widths.gaussian[2])) / expected.lateral_um
    if wide > BROAD_NOTED:
        verdicts.append("weak")
        notes.append(f"The beads are {wide:.2f} times as wide as the optics promise.")
    if noise.gain == 0:
        verdicts.append("weak")
        notes.append(f"The noise of bright voxels is not known ({noise.source}).")
    nyquist = 0.5 / setup.optics.cutoff_per_um
    if setup.pixel_um > nyquist:
        notes.append(
            f"Pixels of {1e3 * setup.pixel_um:.0f} nm undersample the PSF "
            f"({1e3 * nyquist:.0f} nm would do); sub-pixel shifts are approximate."
        )
    if fit is not None:
        verdicts.append(fit.verdict)
        notes.append(f"Pupil fit: {fit.note}")
    elif aligned.mean.shape[0] == 1:
        notes.append("A single plane does not tell a pupil: no fit.")
    return worst(*verdicts), tuple(notes)
