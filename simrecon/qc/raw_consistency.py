"""Do the raw frames agree with the pattern? Judged without the estimator.

Two numbers per direction, both on the brightest part of the field (at most 256 pixels a side):

``chi2``
    The frames against ``forward(unapodised MMSE picture)`` in units of their noise, mean over the
    frequencies that the optics pass; 1 is noise alone, less means that the picture took some of it
    up. ``chi2_unmodulated`` is the same for the mean of all frames instead of the model: what a
    pattern has to explain.
``agreement``
    c = ⟨B₀ T₁, B₁ T₀⟩ / ⟨B₀ T₁, B₀ T₁⟩, noise power subtracted, over the frequencies that the
    separated band 0 and the demodulated band 1 both reach (T: their transfers under the pattern).
    With the right pattern both hold the same object and c = 1; a phase error φ turns c by −φ, a
    modulation k times too large gives 1/k, a wrong frequency makes it small. Its distance from 1
    is |ln c|.

Measured (280 × 300 px, six simulations of filaments, mixed, rings and blobs at 30, 100, 200 and
1000 e, modulations 0.85, 0.7, 0.55): |ln c| of the true pattern 0.01-0.19 and of the fitted one
0.01-0.16 (above 0.07 only at 30 e); phases off by 1 rad 0.97-1.12, by 2 rad 1.97-2.11; frequency
× 1.03 1.15-3.2; modulation 2.0 0.81-1.32, 5.0 1.74-2.23, halved 0.46-0.81, −0.5 above 3; one frame
of three off by 1 rad 0.26-0.51. chi2 of the true pattern 0.68-0.92; at 1000 e on filaments
(unmodulated 5-15) 2.6-3.5 for phases off by 1 rad, 5.8-9.4 by 2 rad, 2.3-3.2 for one wrong frame,
4.3-6.4 for the frequency, 22-30 for modulation 5.0. At 30 e chi2 says next to nothing (0.93-1.46
for all wrong patterns), so there c decides alone. On
fields of 96 to 256 px with six kinds of object no true pattern failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.model.grid import Grid
from simrecon.model.pattern import PatternFit, Verdict, worst
from simrecon.model.psf import DetectionOTF
from simrecon.recon.band_overlap import HANN_SPREAD, BandOverlap
from simrecon.recon.bands import Band, zero_and_first
from simrecon.recon.noise_floor import hann_window
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.part import brightest, shifted
from simrecon.recon.shift import frames_at_rest

MAX_SIDE_PX = 256
DISTANCE_WEAK, DISTANCE_FAILED = 0.3, 0.7
"""Limits on |ln c| after c has moved towards 1 by three standard deviations."""
MAX_AGREEMENT_SD = 0.33
CHI2_NOTED = 1.3
UNEXPLAINED_WEAK = 0.2
"""Limit on (chi2 − 1)/(chi2_unmodulated − 1) where chi2 is above 1.3. Never more than weak: an
imperfect OTF or noise model also raises chi2 (2.2-2.5 on a stretched recording with c = 0.95)."""
NOISE_DOUBT = 0.05
"""Relative error of the noise variance; it counts where noise is most of the power."""
_LOWEST_PER_UM = 0.3
_MIN_SAMPLES = 50


@dataclass(frozen=True)
class DirectionConsistency:
    """Agreement of one direction's frames with the pattern.

    Attributes
    ----------
    chi2, chi2_unmodulated : float
    agreement : complex or None
        None when the bands do not overlap or hold no signal there.
    agreement_sd : float or None
        Standard deviation of c.
    """

    chi2: float
    chi2_unmodulated: float
    agreement: complex | None
    agreement_sd: float | None

    @property
    def distance(self) -> float | None:
        """|ln c|: 0 for the right pattern."""
        return None if self.agreement is None else float(abs(np.log(self.agreement + 1e-12)))

    @property
    def least_distance(self) -> float | None:
        """|ln c| after c has moved towards 1 by three standard deviations."""
        if self.agreement is None or self.agreement_sd is None:
            return None
        off = self.agreement - 1.0
        left = max(0.0, 1.0 - 3.0 * self.agreement_sd / max(abs(off), 1e-12))
        return float(abs(np.log(1.0 + off * left + 1e-12)))

    @property
    def unexplained(self) -> float:
        """Share of the modulation that the pattern leaves unexplained; 0 while chi2 is good."""
        if self.chi2 <= CHI2_NOTED:
            return 0.0
        return (self.chi2 - 1.0) / max(self.chi2_unmodulated - 1.0, 1e-3)

    @property
    def measurable(self) -> bool:
        """False where there is too little signal to say anything about the pattern."""
        return self.agreement_sd is not None and self.agreement_sd <= MAX_AGREEMENT_SD

    @property
    def verdict(self) -> Verdict:
        """The worse of what c and chi2 say; an unreadable c is weak."""
        beyond = self.least_distance
        if beyond is None or not self.measurable:
            return "weak"
        if beyond > DISTANCE_FAILED:
            return "failed"
        return "weak" if beyond > DISTANCE_WEAK or self.unexplained > UNEXPLAINED_WEAK else "ok"

    def to_dict(self) -> dict[str, float | str | None]:
        """JSON-ready numbers."""
        c = self.agreement
        return {
            "chi2": round(self.chi2, 4),
            "chi2_unmodulated": round(self.chi2_unmodulated, 4),
            "agreement_modulus": None if c is None else round(abs(c), 4),
            "agreement_phase_rad": None if c is None else round(float(np.angle(c)), 4),
            "agreement_sd": None if self.agreement_sd is None else round(self.agreement_sd, 4),
            "verdict": self.verdict,
        }


class RawConsistency:
    """Check of frames against one frozen pattern; build once, apply to every plane.

    Parameters
    ----------
    pattern, otf, grid
        What the reconstruction used.
    regularization
        Of the reconstruction.
    frames_e, variance_e2 : ndarray, shape (A, P, Y, X)
        Choose the part of the field and the noise weights.
    """

    def __init__(
        self,
        pattern: PatternFit,
        otf: DetectionOTF,
        grid: Grid,
        regularization: Regularization,
        frames_e: np.ndarray,
        variance_e2: np.ndarray,
    ) -> None:
        self._part = brightest(frames_e.mean(axis=(0, 1)), MAX_SIDE_PX)
        y0, x0 = self._part[0].start, self._part[1].start
        shape = (self._part[0].stop - y0, self._part[1].stop - x0)
        self._pattern = pattern
        local = shifted(pattern.at_rest(), (y0, x0), shape)
        self._grid = Grid(shape, grid.pixel_um, grid.offset_um)
        noise = variance_e2[..., self._part[0], self._part[1]].mean(axis=(2, 3), dtype=np.float64)
        self._operator = Reconstructor(
            local,
            otf,
            self._grid,
            frame_variance_e2=noise,
            regularization=regularization,
            apodization_kind="none",
        )

    def __call__(
        self, frames_e: np.ndarray, variance_e2: np.ndarray
    ) -> tuple[DirectionConsistency, ...]:
        """Numbers of one acquisition, direction by direction."""
        at_rest = frames_at_rest(frames_e, self._pattern)
        frames = at_rest[..., self._part[0], self._part[1]]
        variance = variance_e2[..., self._part[0], self._part[1]]
        operator = self._operator
        modelled = np.asarray(operator.forward(operator.reconstruct(frames)))
        mean = frames.mean(axis=(2, 3), keepdims=True)
        share = mean / np.where(mean == 0, 1, mean).mean(axis=1, keepdims=True)
        flat = share * frames.mean(axis=1, keepdims=True)
        out = []
        for direction in range(len(self._pattern.directions)):
            zero, one = zero_and_first(operator.bands, direction)
            d = zero.frames
            agreement = self._agreement(frames[d], zero, one)
            c, sd = (None, None) if agreement is None else agreement
            out.append(
                DirectionConsistency(
                    self._chi2(frames[d] - modelled[d], variance[d]),
                    self._chi2(frames[d] - flat[d], variance[d]),
                    c,
                    sd,
                )
            )
        return tuple(out)

    def _chi2(self, residual: np.ndarray, variance: np.ndarray) -> float:
        window = hann_window(*self._grid.shape).astype(np.float64)
        ky, kx = self._grid.frequencies_per_um()
        passed = np.hypot(ky, kx) < 0.95 * self._operator.otf.cutoff_per_um
        power = np.abs(np.fft.fft2(residual / np.sqrt(variance) * window)) ** 2
        return float(power[:, passed].mean() / np.sum(window**2))

    def _agreement(self, frames: np.ndarray, zero: Band, one: Band) -> tuple[complex, float] | None:
        """The ratio c and its standard deviation."""
        grid, otf = self._grid, self._operator.otf
        ky, kx = grid.frequencies_per_um()
        near, far = (
            np.hypot(ky, kx),
            np.hypot(ky + one.carrier_per_um[0], kx + one.carrier_per_um[1]),
        )
        both = (np.maximum(near, far) < 0.95 * otf.cutoff_per_um) & (
            np.minimum(near, far) > _LOWEST_PER_UM
        )
        both &= np.abs(zero.transfer(otf, grid)) > 0.02
        if one.amplitude == 0 or np.count_nonzero(both) < _MIN_SAMPLES:
            return None
        overlap = BandOverlap.of(frames, zero, one, otf, grid, both)
        weight = overlap.weight
        power = overlap.power(weight)
        if power <= 0:
            return None
        random = overlap.random(weight) / power**2
        doubt = NOISE_DOUBT * float(np.sum(weight * overlap.noise_x)) / power
        spread = float(np.hypot(HANN_SPREAD * np.sqrt(random), doubt))
        return overlap.cross(weight) / power, spread


def judge(
    found: Sequence[DirectionConsistency], pattern: PatternFit, *, to_confirm: bool
) -> tuple[Verdict, str]:
    """Verdict on one acquisition, and what is wrong.

    Parameters
    ----------
    found
        From :class:`RawConsistency`.
    pattern
        A direction that its own fit already doubts is at most weak here.
    to_confirm
        True for a pattern that did not come from these frames: then too little signal to confirm
        it is weak. A fit to the frames has its own verdict on that.
    """
    verdicts: list[Verdict] = []
    texts = []
    for number, (d, fitted) in enumerate(zip(found, pattern.directions, strict=True), 1):
        verdict = d.verdict
        if verdict == "ok" or not (to_confirm or d.measurable):
            continue
        verdicts.append("weak" if fitted.verdict != "ok" else verdict)
        c = d.agreement
        if c is None or not d.measurable:
            texts.append(f"direction {number} has too little signal to confirm the pattern")
        else:
            texts.append(
                f"direction {number}: band 1 is {abs(c):.2f} times what the pattern predicts, "
                f"turned by {np.degrees(np.angle(c)):.0f}°, chi2 {d.chi2:.2f}"
            )
    return worst([*verdicts, "ok"]), "; ".join(texts)
