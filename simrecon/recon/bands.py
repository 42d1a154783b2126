"""Separation of the frames of a direction into bands, and what each band measures.

Band n of direction d, demodulated (multiplied by ``exp(-2πi n p·r)``), is the object seen
through a shifted OTF: ``B_n(k) = a_n H(k + n p) S(k) + noise`` with ``a_0 = 1`` and
``a_n = modulation_n / 2`` (physics.md §1–3). Only n ≥ 0 are kept: the frames are real, so band
-n is the mirrored conjugate of band n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import QualityError, UsageError
from simrecon.model.grid import Grid
from simrecon.model.local_field import LocalField, undone
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf, open_support

MAX_CONDITION = 50.0
"""Largest accepted condition number of a mixing matrix (equal 3-step patterns have 1)."""


def mixing_matrix(direction: DirectionPattern) -> np.ndarray:
    """Matrix M with ``frame_j = Σ_n M_jn band_n``, n = -M…M; complex128, shape (P, 2M+1).

    ``M_jn = g_j exp(i n φ_j)`` (physics.md §2) with the phases on the sample, so that it holds for
    frames whose drift is undone. Modulations are not part of it.
    """
    orders = np.arange(-len(direction.modulation), len(direction.modulation) + 1)
    phase = np.asarray(direction.sample_phase_rad, dtype=np.float64)
    gain = np.asarray(direction.intensity, dtype=np.float64)
    return np.asarray(gain[:, None] * np.exp(1j * phase[:, None] * orders[None, :]))


def separation_rows(direction: DirectionPattern) -> np.ndarray:
    """Rows c_n, n = 0…M, with ``band_n = Σ_j c_nj frame_j``; complex128, shape (M+1, P).

    Raises
    ------
    UsageError
        When there are fewer frames than bands.
    QualityError
        When phases or intensities make the separation ill-conditioned.
    """
    matrix = mixing_matrix(direction)
    frames, bands = matrix.shape
    if frames < bands:
        raise UsageError(
            "There are not enough phase steps to separate the bands.",
            expected=f"at least {bands} frames per direction for {len(direction.modulation)} "
            "orders",
            got=f"{frames} frames",
        )
    condition = float(np.linalg.cond(matrix))
    if not condition < MAX_CONDITION:
        raise QualityError(
            "The phase steps of a direction are too alike to separate its bands.",
            expected=f"condition number below {MAX_CONDITION:g}",
            got=f"{condition:.3g} for phases "
            + ", ".join(f"{np.degrees(p):.1f}°" for p in direction.phase_rad),
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
        Indices d and n.
    carrier_per_um : ndarray, shape (2,)
        n·p_d = [ky, kx], cycles/µm.
    amplitude : float
        a_n (1 for order 0, modulation/2 otherwise).
    weights : ndarray, shape (P,), complex128
        Separation row c_n; for a drifting sample times the phase ``exp(2πi n p·u_j)`` that the
        displacement gives to a demodulated frame (:mod:`.shift`).
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
    noise_e2: float
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

    def transfer_block(
        self, otf: DetectionOTF, grid: Grid
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """:meth:`transfer` without its zeros: row indices, column indices, values on their grid."""
        ky, kx = grid.frequencies_per_um()
        ky, kx = ky + self.carrier_per_um[0], kx + self.carrier_per_um[1]
        rows, columns = open_support(otf, ky, kx)
        values = evaluate_otf(otf, ky[rows], kx[:, columns])
        return rows, columns, np.asarray(self.amplitude * values)

    def carrier(self, grid: Grid) -> np.ndarray:
        """``exp(2πi n p·r)`` on `grid`, (Y, X) complex128."""
        y, x = grid.positions_um()
        turn_y, turn_x = self.carrier_per_um[0] * y, self.carrier_per_um[1] * x
        return np.asarray(np.exp(2j * np.pi * turn_y) * np.exp(2j * np.pi * turn_x))

    def demodulation(self, grid: Grid) -> np.ndarray:
        """What brings the band of a frame to the object's place and scale, (Y, X) complex128.

        ``exp(-2πi n p·r)``, and the inverse of the local deviation where there is one.
        """
        plain = np.conj(self.carrier(grid))
        light = self.light(grid)
        return plain if light is None else np.asarray(plain * undone(light))

    def light(self, grid: Grid) -> np.ndarray | None:
        """Local deviation of this order on `grid`, (Y, X) complex128; None where there is none."""
        return None if self.local is None else self.local.at(*grid.positions_um(), self.order)


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
    for d, direction in enumerate(pattern.directions):
        rows = separation_rows(direction)
        turn = np.subtract(direction.sample_phase_rad, direction.phase_rad)
        raised = 1.0
        if direction.local is not None:
            raised = direction.local.mean(lambda c: np.abs(undone(c)) ** 2)
        for n, row in enumerate(rows):
            noise_e2 = float(np.sum(np.abs(row) ** 2 * frame_variance_e2[d]))
            bands.append(
                Band(
                    direction=d,
                    order=n,
                    carrier_per_um=n * np.asarray(direction.frequency_per_um, dtype=np.float64),
                    amplitude=1.0 if n == 0 else 0.5 * direction.modulation[n - 1],
                    weights=row * np.exp(1j * n * turn),
                    noise_e2=noise_e2 if n == 0 else noise_e2 * raised,
                    local=None if n == 0 else direction.local,
                )
            )
    return tuple(bands)
