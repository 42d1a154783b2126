"""A direction whose frequency is vouched for but whose phases the data cannot tell: known steps.

With the steps, given or 2π/P, taken for granted and intensities from the frames' sums, one global
phase and the modulation are left. Both follow from the overlap of the separated bands: with
``B_1(k) = a H(k + p) S(k)`` and ``B_0(k) = H(k) S(k)``, least squares give
``a = Σ B_1 H (B_0 H_p)* / Σ |B_0 H_p|²``, the noise taken off the denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simrecon.backend import fft2
from simrecon.model.grid import Grid
from simrecon.model.pattern import DirectionPattern
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf
from simrecon.recon.bands import separation_rows

MAX_MODULATION = 1.0


@dataclass(frozen=True)
class _Overlap:
    amplitude: complex
    sd: float

    @property
    def significance(self) -> float:
        return abs(self.amplitude) / max(self.sd, 1e-30)


def nominal_direction(
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    guess: DirectionPattern,
    mean_e: float,
    *,
    steps_rad: Sequence[float] = (),
) -> DirectionPattern:
    """Pattern of one direction with known or equal phase steps at the frequency of `guess`.

    Parameters
    ----------
    frames_e, variance_e2 : ndarray, shape (P, Y, X)
        Photo-electrons and their noise variance.
    pixel_um : float
        Raw pixel pitch.
    otf : DetectionOTF
    guess : DirectionPattern
        Its frequency and its verdict are kept.
    mean_e : float
        Mean of all frames of the stack, e: the unit of the intensities.
    steps_rad : sequence of float
        Known steps, one per frame; empty: equal ones.

    Returns
    -------
    DirectionPattern
        Phases at the centre of pixel (0, 0); the sense of equal steps is the one with the clearer
        band overlap. The modulation, in 0…1, is taken one standard deviation low: too much
        trust in a band that the data hardly show would amplify its noise.
    """
    phases = frames_e.shape[0]
    intensity = _relative_brightness(frames_e) * frames_e.mean(dtype=np.float64) / mean_e
    guess = replace(guess, intensity=tuple(float(g) for g in intensity))
    best: tuple[_Overlap, np.ndarray] | None = None
    equal = 2.0 * np.pi * np.arange(phases) / phases
    for steps in [np.asarray(steps_rad)] if steps_rad else [equal, -equal]:
        trial = replace(guess, phase_rad=tuple(float(s) for s in steps), modulation=(1.0,))
        found = _overlap(frames_e, variance_e2, pixel_um, otf, trial)
        if best is None or found.significance > best[0].significance:
            best = (found, steps)
    assert best is not None
    overlap, steps = best
    phase = np.angle(np.exp(1j * (steps + np.angle(overlap.amplitude))))
    sd = float(min(1.0 / max(overlap.significance, 1e-6), np.pi / np.sqrt(3.0)))
    modulation = float(np.clip(2.0 * (abs(overlap.amplitude) - overlap.sd), 0.0, MAX_MODULATION))
    return replace(
        guess,
        phase_rad=tuple(float(p) for p in phase),
        phase_sd_rad=(sd,) * phases,
        modulation=(modulation,),
        modulation_sd=(float(min(2.0 * overlap.sd, 1.0)),),
    )


def _overlap(
    frames_e: np.ndarray,
    variance_e2: np.ndarray,
    pixel_um: float,
    otf: DetectionOTF,
    trial: DirectionPattern,
) -> _Overlap:
    """Complex amplitude a of the first band and its standard deviation."""
    grid = Grid((frames_e.shape[1], frames_e.shape[2]), pixel_um)
    y, x = grid.positions_um()
    fy, fx = trial.frequency_per_um
    window = _window(grid.shape)
    rows = separation_rows(trial)  # (2, P): bands 0 and 1
    bands = np.tensordot(rows, frames_e - _background(frames_e), axes=1) * window
    carrier = np.exp(-2j * np.pi * (fy * y + fx * x))
    b0, b1 = fft2(bands[0]), fft2(bands[1] * carrier)
    power = np.einsum("p,yx,pyx->", np.ones(len(frames_e)), window**2, variance_e2) / len(frames_e)
    n0, n1 = (float(np.sum(np.abs(r) ** 2)) * float(power) for r in rows)
    ky, kx = grid.frequencies_per_um()
    h0, h1 = evaluate_otf(otf, ky, kx), evaluate_otf(otf, ky + fy, kx + fx)
    use = (np.abs(h0) > 0.02) & (np.abs(h1) > 0.02) & (np.hypot(ky, kx) > 4.0 / max(grid.extent_um))
    model = (b0 * h1)[use]
    numerator = np.sum((b1 * h0)[use] * np.conj(model))
    raw = float(np.sum(np.abs(model) ** 2))
    debiased = max(raw - n0 * float(np.sum(np.abs(h1[use]) ** 2)), 0.05 * raw)
    sd = float(np.sqrt(n1 * np.sum(np.abs(h0[use] * model) ** 2))) / debiased
    return _Overlap(complex(numerator / debiased), sd)


def _window(shape: tuple[int, int]) -> np.ndarray:
    return np.hanning(shape[0] + 2)[1:-1, None] * np.hanning(shape[1] + 2)[None, 1:-1]


def _relative_brightness(frames_e: np.ndarray) -> np.ndarray:
    """Brightness of each frame over their mean; a smooth window keeps stripes out of the sums."""
    window = _window((frames_e.shape[1], frames_e.shape[2]))
    sums = np.einsum("pyx,yx->p", frames_e, window)
    return np.asarray(sums / sums.mean())


def _background(frames_e: np.ndarray) -> np.ndarray:
    """Mean of each frame: it would leak from k = 0 through the window."""
    return np.asarray(frames_e.mean(axis=(1, 2), keepdims=True))
