"""Which spots are single, whole, well exposed, quiet beads; every other one with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibration.psf.crops import MARGIN_PX
from calibration.psf.detect import Spot, fit_gaussian
from calibration.psf.expected import Expected
from calibration.psf.settings import BeadSetup, PsfSettings
from calibration.psf.width import FWHM_PER_SIGMA

NEIGHBOUR_RESPONSE = 0.1
"""A neighbour of a tenth of a bead's light moves its centre by 2.5 % of the FWHM from one FWHM
away, by 0.5 % from 1.5 (benchmarks/bench_psf.py)."""
LEAST_DEPTH = 0.75
"""Axial FWHM that must be in the stack on both sides of the focus; and planes: two for the window,
one lost in sub-plane shifts."""
LEAST_PLANES = 3
HALO_RESPONSE = 0.05
"""Spots this dim beside a bead are mostly crossings of defocus rings, not beads."""
HOT_SIGMA_PX = 0.45
"""No optical spot is narrower: the pixel's own width is 0.29 px rms, and a PSF comes on top."""
SMALL, LARGE = 0.6, 1.35
"""Range of the width relative to the median spot. With fewer than three spots nothing is usual:
SMALL holds against the optics, and too wide a bead is left to the check of the scale."""
ELONGATION = 1.3
DRIFT = 0.5
"""Lateral FWHM that a bead may move within one axial FWHM. One aberration alone does not move the
centre; astigmatism and coma of together 0.1 wave rms move it by 0.31 (benchmarks/bench_psf.py)."""


@dataclass(frozen=True)
class Judged:
    """A spot with the reason why it is no good bead; empty: accepted."""

    spot: Spot
    reason: str = ""
    kind: str = ""

    def rejected(self, kind: str, reason: str) -> Judged:
        """The same spot, rejected."""
        return replace(self, kind=kind, reason=reason)


def screen(
    stacks: list[np.ndarray],
    spots: list[Spot],
    setup: BeadSetup,
    settings: PsfSettings,
    expected: Expected,
    half_px: int,
    saturation: float | None,
) -> list[Judged]:
    """Judge each spot, in the order given."""
    widths = [s for s in spots if s.snr >= settings.min_snr and _sigma(s) >= HOT_SIGMA_PX]
    reference, largest = expected.lateral_um / setup.pixel_um / FWHM_PER_SIGMA, np.inf
    if len(widths) >= 3:
        reference = float(np.median([_sigma(s) for s in widths]))
        largest = LARGE * reference
    judge = Judge(stacks, spots, setup, settings, expected, half_px, saturation, reference, largest)
    return [judge(spot) for spot in spots]


def _sigma(spot: Spot) -> float:
    sigma = float(np.sqrt(spot.sigma_px[0] * spot.sigma_px[1]))
    return sigma if np.isfinite(sigma) else 0.0


@dataclass(frozen=True)
class Judge:
    """The tests, and what they need: all spots, the window's half side, usual and largest sigma."""

    stacks: list[np.ndarray]
    spots: list[Spot]
    setup: BeadSetup
    settings: PsfSettings
    expected: Expected
    half_px: int
    saturation: float | None
    reference_px: float
    largest_px: float

    def __call__(self, spot: Spot) -> Judged:
        """Verdict of the first test that fails."""
        judged = Judged(spot)
        tests = (self._halo, self._dim, self._border, self._axial, self._saturated,
                 self._neighbours, self._size, self._drift)  # fmt: skip
        for test in tests:
            found = test(spot)
            if found is not None:
                return judged.rejected(*found)
        return judged

    def _halo(self, spot: Spot) -> tuple[str, str] | None:
        for other in self.spots:
            apart = np.subtract(other.position_px[1:], spot.position_px[1:])
            near = other.stack == spot.stack and np.max(np.abs(apart)) <= 2 * self.half_px
            if near and spot.response < HALO_RESPONSE * other.response:
                percent = 100.0 * spot.response / other.response
                return "halo", f"{percent:.1f} % of a bead {np.hypot(*apart):.0f} px away"
        return None

    def _border(self, spot: Spot) -> tuple[str, str] | None:
        shape = self.stacks[spot.stack].shape[1:]
        need = self.half_px + MARGIN_PX
        room = min(min(round(p), n - 1 - round(p))
                   for p, n in zip(spot.position_px[1:], shape, strict=True))  # fmt: skip
        if room >= need:
            return None
        return "border", f"{room} px from the border, {need} px needed"

    def _axial(self, spot: Spot) -> tuple[str, str] | None:
        planes = self.stacks[spot.stack].shape[0]
        if planes == 1 or self.setup.dz_um is None:
            return None
        room = min(spot.position_px[0], planes - 1 - spot.position_px[0]) * self.setup.dz_um
        need = max(LEAST_DEPTH * self.expected.axial_um, LEAST_PLANES * self.setup.dz_um)
        if room >= need:
            return None
        return "range", f"focus {room:.2f} µm from the end of the stack, {need:.2f} µm needed"

    def _saturated(self, spot: Spot) -> tuple[str, str] | None:
        if self.saturation is None:
            return None
        core = self._region(spot, self.expected.lateral_um)
        count = int(np.count_nonzero(core >= self.saturation))
        if count == 0:
            return None
        return "saturated", f"{count} voxels at {self.saturation:g} counts"

    def _dim(self, spot: Spot) -> tuple[str, str] | None:
        if spot.snr >= self.settings.min_snr:
            return None
        return "dim", f"signal {spot.snr:.1f} times the noise, {self.settings.min_snr:g} needed"

    def _neighbours(self, spot: Spot) -> tuple[str, str] | None:
        own = self.expected.lateral_um / self.setup.pixel_um
        for other in self.spots:
            if other is spot or other.stack != spot.stack:
                continue
            apart = np.subtract(other.position_px[1:], spot.position_px[1:])
            if np.max(np.abs(apart)) > self.half_px + own:
                continue
            above = abs(other.position_px[0] - spot.position_px[0]) * (self.setup.dz_um or 0.0)
            same = np.hypot(*apart) < own and above > 0.5 * self.expected.axial_um
            if same and other.response < spot.response:
                continue  # a second focus of the same, aberrated bead
            if other.response > NEIGHBOUR_RESPONSE * spot.response:
                distance = float(np.hypot(*apart)) * self.setup.pixel_um
                return "touching", f"another spot {distance:.2f} µm away"
        return None

    def _size(self, spot: Spot) -> tuple[str, str] | None:
        sigma = _sigma(spot)
        to_nm = 1e3 * self.setup.pixel_um * FWHM_PER_SIGMA
        if sigma < max(HOT_SIGMA_PX, SMALL * self.reference_px):
            text = "no spot fits" if sigma == 0 else f"FWHM {sigma * to_nm:.0f} nm"
            return "small", f"{text}: a hot pixel or a cosmic ray"
        if sigma > self.largest_px:
            usual = f"{self.reference_px * to_nm:.0f} nm is usual"
            return "large", f"FWHM {sigma * to_nm:.0f} nm where {usual}: an aggregate"
        ratio = max(spot.sigma_px) / min(spot.sigma_px)
        if ratio > ELONGATION:
            return "touching", f"elongated {ratio:.2f} times in focus: two beads"
        return None

    def _drift(self, spot: Spot) -> tuple[str, str] | None:
        moved = self.sideways_um(spot)
        if moved is None or moved <= DRIFT * self.expected.lateral_um:
            return None
        return "drift", f"moves {1e3 * moved:.0f} nm sideways within the depth of focus"

    def sideways_um(self, spot: Spot) -> float | None:
        """How far the spot's centre moves within one axial FWHM; None where it cannot be told."""
        stack = self.stacks[spot.stack]
        if self.setup.dz_um is None or stack.shape[0] < 3:
            return None
        z0, y0, x0 = (round(p) for p in spot.position_px)
        reach = max(1, int(0.5 * self.expected.axial_um / self.setup.dz_um))
        planes = [z for z in range(z0 - reach, z0 + reach + 1) if 0 <= z < stack.shape[0]]
        places = []
        for z in planes:
            dy, dx, sigma, _ = fit_gaussian(stack[z], y0, x0, self.reference_px)
            if np.isfinite(sigma):
                places.append((z * self.setup.dz_um, dy, dx))
        if len(places) < 3:
            return None
        z, *offsets = np.array(places).T
        slope = np.hypot(*(np.polyfit(z, o, 1)[0] for o in offsets)) * self.setup.pixel_um
        return float(slope * self.expected.axial_um)

    def _region(self, spot: Spot, radius_um: float) -> np.ndarray:
        half = max(1, round(radius_um / self.setup.pixel_um))
        y, x = (round(p) for p in spot.position_px[1:])
        stack = self.stacks[spot.stack]
        return stack[:, max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
