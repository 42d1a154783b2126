"""Separation of frames that belong together into bands, and what each band measures.

Band n of direction d, demodulated (multiplied by ``exp(-2πi n p·r)``), is the object seen
through a shifted OTF: ``B_n(k) = a_n H(k + n p) S(k) + noise`` with ``a_0 = 1`` and
``a_n = modulation_n / 2`` (physics.md §1–3). Only n ≥ 0 are kept: the frames are real, so band
-n is the mirrored conjugate of band n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.errors import QualityError, UsageError
from simrecon.model.grid import AnyGrid, Grid, plane_of
from simrecon.model.local_field import LocalField, undone
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf

MAX_CONDITION = 50.0
"""Largest accepted condition number of a mixing matrix (equal 3-step patterns have 1)."""


def mixing_matrix(*directions: DirectionPattern) -> np.ndarray:
    """Matrix M with ``frame_j = Σ_b M_jb band_b``; complex128, shape (P, 2B + 1).

    Columns are the B bands of n > 0, those of a direction after those of the one before, in the
    middle of their conjugates (mirrored) and band 0: for one direction n = -M…M. ``M_jb = g_j
    exp(i n φ_j)`` (physics.md §2) with the phases on the sample, so that it holds for frames whose
    drift is undone. Modulations are not part of it.

    Parameters
    ----------
    *directions
        Those that light the same frames.
    """
    upper = [
        np.exp(1j * n * np.asarray(d.sample_phase_rad, dtype=np.float64))
        for d in directions
        for n in range(1, len(d.modulation) + 1)
    ]
    gain = np.asarray(directions[0].intensity, dtype=np.float64)
    columns = [np.conj(u) for u in reversed(upper)] + [np.ones(gain.size, np.complex128)] + upper
    return np.asarray(gain[:, None] * np.stack(columns, axis=1))


def condition_numbers(pattern: PatternFit) -> tuple[float, ...]:
    """Condition number of every mixing matrix, one per entry of the frames along A; 1 is best."""
    return tuple(
        float(np.linalg.cond(mixing_matrix(*(pattern.directions[d] for d in one))))
        for one in pattern.frame_sets
    )


def separation_rows(*directions: DirectionPattern) -> np.ndarray:
    """Rows c_b with ``band_b = Σ_j c_bj frame_j``; complex128, shape (B + 1, P).

    Band 0 first, then those of n > 0 as in :func:`mixing_matrix`.

    Raises
    ------
    UsageError
        When there are fewer frames than bands.
    QualityError
        When phases or intensities make the separation ill-conditioned.
    """
    matrix = mixing_matrix(*directions)
    frames, bands = matrix.shape
    if frames < bands:
        orders = len(directions[0].modulation)
        shared = f"{len(directions)} directions at once" if len(directions) > 1 else ""
        raise UsageError(
            "There are not enough phase steps to separate the bands.",
            expected=f"at least {bands} frames per direction for {shared or f'{orders} orders'}",
            got=f"{frames} frames",
        )
    condition = float(np.linalg.cond(matrix))
    if not condition < MAX_CONDITION:
        raise QualityError(
            "The phase steps of a direction are too alike to separate its bands.",
            expected=f"condition number below {MAX_CONDITION:g}",
            got=f"{condition:.3g} for phases "
            + ", ".join(f"{np.degrees(p):.1f}°" for p in directions[0].phase_rad),
            hint="check the frame order (--order) and that every phase step was acquired",
        )
    half = bands // 2
    return np.asarray(np.linalg.pinv(matrix)[half:])


@dataclass(frozen=True)
class Band:
    """One band n ≥ 0 of one direction.

    Attributes
    ----------
    direction, order : int
        Indices d and n; of a band 0 that simultaneous directions share, the first of them.
    frames : int
        Place along A of the frames that hold it.
    carrier_per_um : ndarray, shape (2,)
        n·p_d = [ky, kx], cycles/µm.
    amplitude : float
        a_n (1 for order 0, modulation/2 otherwise).
    weights : ndarray, shape (P,), complex128
        Separation row c_n; for a drifting sample times the phase ``exp(2πi n p·u_j)`` that the
        displacement gives to a demodulated frame (:mod:`.shift`).
    mixing : ndarray, shape (P,), complex128
        ``g_j exp(i n φ_j)`` with the instrument's phases: the band's share of every frame.
    noise_e2 : float
        Noise power of the separated band per raw pixel, e²: ``Σ_j |c_nj|² mean σ²_dj``, times
        what undoing `local` does to it on average.
    local : LocalField or None
        Deviation of the pattern over the field; None for order 0.
    """

    direction: int
    order: int
    carrier_per_um: np.ndarray
    amplitude: float
    weights: np.ndarray
    mixing: np.ndarray
    noise_e2: float
    frames: int
    local: LocalField | None = None

    @property
    def multiplicity(self) -> int:
        """2 for orders that stand for their conjugate too, else 1."""
        return 1 if self.order == 0 else 2

    def transfer(self, otf: DetectionOTF, grid: Grid) -> np.ndarray:
        """``a_n H(k + n p)`` on the DFT frequencies of `grid` (FFT order), float64 or complex."""
        ky, kx = grid.frequencies_per_um()
        values = evaluate_otf(otf, ky + self.carrier_per_um[0], kx + self.carrier_per_um[1])
        return np.asarray(self.amplitude * values)

    def carrier(self, grid: AnyGrid) -> np.ndarray:
        """``exp(2πi n p·r)`` on a plane of `grid`, (Y, X) complex128."""
        y, x = plane_of(grid).positions_um()
        turn_y, turn_x = self.carrier_per_um[0] * y, self.carrier_per_um[1] * x
        return np.asarray(np.exp(2j * np.pi * turn_y) * np.exp(2j * np.pi * turn_x))

    def demodulation(self, grid: AnyGrid) -> np.ndarray:
        """What brings the band of a frame to the object's place and scale, (Y, X) complex128.

        ``exp(-2πi n p·r)``, and the inverse of the local deviation where there is one.
        """
        plain = np.conj(self.carrier(grid))
        light = self.light(grid)
        return plain if light is None else np.asarray(plain * undone(light))

    def light(self, grid: AnyGrid) -> np.ndarray | None:
        """Local deviation of this order on a plane, (Y, X) complex128; None where there is none."""
        if self.local is None:
            return None
        return self.local.at(*plane_of(grid).positions_um(), self.order)


def make_bands(pattern: PatternFit, frame_variance_e2: np.ndarray) -> tuple[Band, ...]:
    """All bands n ≥ 0 of all directions.

    Parameters
    ----------
    pattern
        Fitted pattern.
    frame_variance_e2 : ndarray, shape (A, P)
        Mean noise variance of each frame, e².
    """
    bands = []
    for frames, members in enumerate(pattern.frame_sets):
        rows = separation_rows(*(pattern.directions[d] for d in members))
        noise_e2 = np.abs(rows) ** 2 @ frame_variance_e2[frames]
        upper = [(d, n) for d in members for n in range(1, _orders(pattern, d) + 1)]
        for (d, n), row, noise in zip([(members[0], 0), *upper], rows, noise_e2, strict=True):
            bands.append(_band(pattern.directions[d], d, n, frames, row, float(noise)))
    return tuple(bands)


def zero_and_first(bands: Sequence[Band], direction: int) -> tuple[Band, Band]:
    """Band 0 of the frames that a direction lights, and its band 1."""
    first = next(b for b in bands if b.direction == direction and b.order == 1)
    return next(b for b in bands if b.frames == first.frames and b.order == 0), first


def _orders(pattern: PatternFit, direction: int) -> int:
    return len(pattern.directions[direction].modulation)


def _band(
    direction: DirectionPattern, d: int, n: int, frames: int, row: np.ndarray, noise_e2: float
) -> Band:
    """Band `n` of direction `d`; `row` of the separation and the noise power that it makes."""
    phase = np.asarray(direction.phase_rad, dtype=np.float64)
    turn = np.subtract(direction.sample_phase_rad, direction.phase_rad)
    local = None if n == 0 else direction.local
    if local is not None:
        noise_e2 *= local.mean(lambda c: np.abs(undone(c)) ** 2)
    return Band(
        direction=d,
        order=n,
        frames=frames,
        carrier_per_um=n * np.asarray(direction.frequency_per_um, dtype=np.float64),
        amplitude=1.0 if n == 0 else 0.5 * direction.modulation[n - 1],
        weights=row * np.exp(1j * n * turn),
        mixing=np.asarray(direction.intensity) * np.exp(1j * n * phase),
        noise_e2=noise_e2,
        local=local,
    )
