"""How much of the low-frequency light is not modulated: light from outside the focus.

Separated by the pattern, order 0 holds all light and order 1 only what is modulated. At low object
frequencies, where out-of-focus light lives, their ratio over the ratio of their transfers,

    c = ⟨B₀ T₁, B₁ T₀⟩ / ⟨B₀ T₁, B₀ T₁⟩   (noise power subtracted),

is the share of the light that follows the pattern: 1 for a thin sample. A uniform background is not
counted (the mean is taken away): it disturbs nothing but the zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.recon.band_overlap import HANN_SPREAD, BandOverlap
from simrecon.recon.bands import make_bands, zero_and_first
from simrecon.recon.part import brightest, shifted
from simrecon.recon.shift import frames_at_rest

SIDE_PX = 256
HIGHEST_PER_UM = 0.6
"""The fit of the pattern compares order 0 with order 1 above 0.12 × cut-off, about here."""
SHARE, SDS = 0.25, 3.0
"""Unmodulated share that counts as out-of-focus light, and its least distance from 0 in sd.

Measured (256², 100 and 1000 e, four kinds of object, two seeds): without haze −0.24 to 0.11, with
haze of 1 and 3 times the signal 0.30 to 0.95."""


@dataclass(frozen=True)
class OutOfFocus:
    """Unmodulated share of the structured light at low frequencies.

    Attributes
    ----------
    share : float
        0 for a thin sample, 1 when nothing follows the pattern.
    sd : float
    """

    share: float
    sd: float

    @property
    def detected(self) -> bool:
        """Whether it is more than an imperfect OTF explains."""
        return self.share > SHARE and self.share > SDS * self.sd


def out_of_focus(
    frames_e: np.ndarray, variance_e2: np.ndarray, pattern: PatternFit, otf: DetectionOTF
) -> OutOfFocus | None:
    """Measure the unmodulated share on the brightest part of the field.

    Parameters
    ----------
    frames_e, variance_e2 : ndarray, shape (A, P, Y, X)

    Returns
    -------
    OutOfFocus or None
        None when the orders hold no signal there.
    """
    rows, columns = brightest(frames_e.mean(axis=(0, 1)), SIDE_PX)
    shape = rows.stop - rows.start, columns.stop - columns.start
    frames = frames_at_rest(frames_e, pattern)[..., rows, columns]
    local = shifted(pattern.at_rest(), (rows.start, columns.start), shape)
    noise = variance_e2[..., rows, columns].mean(axis=(2, 3), dtype=np.float64)
    grid = Grid(shape, pattern.pixel_um)
    bands = make_bands(local, noise)
    power, cross, random = 0.0, 0.0, 0.0
    low = np.hypot(*grid.frequencies_per_um())
    low = (low < HIGHEST_PER_UM) & (low > 1.5 / (max(shape) * grid.pixel_um))
    for d in range(len(pattern.directions)):
        zero, one = zero_and_first(bands, d)
        overlap = BandOverlap.of(frames[zero.frames], zero, one, otf, grid, low, both_means=True)
        weight = overlap.weight
        power += overlap.power(weight)
        cross += overlap.cross(weight).real
        random += overlap.random(weight)
    if power <= 0:
        return None
    return OutOfFocus(1.0 - cross / power, HANN_SPREAD * float(np.sqrt(random)) / power)
