"""How well the separated bands agree where they overlap: a quadratic form in the mixing.

After demodulation every band of every direction measures the same object, ``y_i = G_i S + n_i``
with ``G_i(k) = H(k + b p_d)`` and noise power N_i. Eliminating the unknown S(k) leaves

    J = Σ_k ρ(k) Σ_ii' y_i* A_ii' y_i',   A_ii' = δ_ii'/N_i − G_i G_i'* / (N_i N_i' Σ|G|²/N)

the noise-weighted sum of all pairwise overlap mismatches: order 0 against ±1 (Gustafsson 2000,
J. Microsc. 198:82, without the division by the OTF), orders 0 of different directions, and ±1
across directions. With the weights frozen J is a quadratic form in the unmixing coefficients,
whose matrix is a weighted Gram matrix of the demodulated frames. Its expectation from noise alone
is known and subtracted, so that modulation and phases come out unbiased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import cherk

from simrecon.estimate.coefficients import RowModel
from simrecon.estimate.groups import CHUNK, Group, band_groups
from simrecon.estimate.half_plane import HalfPlane
from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.noise import row_noise
from simrecon.estimate.redundancy import Redundancy
from simrecon.estimate.rows import band_rows, rows_per_direction
from simrecon.threads import on_all_cores


@dataclass(frozen=True)
class Demodulated:
    """Rows of all directions and what is known about them.

    Attributes
    ----------
    rows : ndarray (R, K), complex64
        :meth:`BandImages.rows` of all directions, stacked.
    states : list of DirectionState
        Where they were demodulated.
    moments : list of ndarray (P, 3, 6)
        :func:`noise_moments` per direction.
    """

    rows: np.ndarray
    states: list[DirectionState]
    moments: list[np.ndarray]


@dataclass(frozen=True)
class Gram:
    """The frozen quadratic form of all detected directions.

    Attributes
    ----------
    matrix : ndarray (R, R), complex128, Hermitian
        J's matrix with the expected noise subtracted.
    noise : ndarray (R, R), complex128
        What was subtracted.
    rows : ndarray (R, K), complex64
        Demodulated frames: per band the P frames, then for ±1 the two derivative rows.
    bands : ndarray (B, K), complex64
        y_i at the frozen unmixing.
    band_noise : ndarray (B,)
        N_i.
    band_of_row : ndarray (R,), intp
    states : list of DirectionState
        Where the rows were demodulated.
    spread : list of ndarray
        Covariance of the noise of each direction's rows.
    groups : tuple of Group
    model : RowModel
    redundancy : Redundancy or None
        For more than three phases.
    """

    matrix: np.ndarray
    noise: np.ndarray
    rows: np.ndarray
    bands: np.ndarray
    band_noise: np.ndarray
    band_of_row: np.ndarray
    states: list[DirectionState]
    spread: list[np.ndarray]
    groups: tuple[Group, ...]
    model: RowModel
    redundancy: Redundancy | None = None

    @property
    def coupled(self) -> bool:
        """Whether directions are compared with each other."""
        return self.band_noise.size == len(BANDS) or len(self.groups) <= 2

    def common_group(self, direction: int) -> Group:
        """The group in which orders 0 and ±1 of `direction` are compared."""
        return self.groups[0 if self.coupled else direction]

    def zero_order_disagreement(self) -> float:
        """Power in which each order 0 differs from the others' prediction, over its own power.

        Noise is subtracted from both: 0 when all directions show the same object.
        """
        group = self.groups[0]
        zero = range(0, self.band_noise.size, len(BANDS))
        differing, signal = 0.0, 0.0
        for i in zero:
            rest = [n for n in zero if n != i]
            if not rest:
                return 0.0
            inverse = (1.0 / self.band_noise[rest]).astype(np.float32)[:, None]
            density = np.sum(np.abs(group.gains[rest]) ** 2 * inverse, axis=0)
            seen = (density > 0) & (np.abs(group.gains[i]) > 0)
            safe = np.where(seen, density, 1.0)
            bands = self.bands[:, group.samples]
            others = np.sum(np.conj(group.gains[rest]) * bands[rest] * inverse, axis=0) / safe
            residual = np.abs(bands[i] - group.gains[i] * others) ** 2
            doubt = self.band_noise[i] + np.abs(group.gains[i]) ** 2 / safe
            differing += float(np.sum((residual - doubt)[seen], dtype=np.float64))
            own = np.abs(bands[i]) ** 2 - self.band_noise[i]
            signal += float(np.sum(own[seen], dtype=np.float64))
        return max(differing, 0.0) / max(signal, 1e-30) if signal > 0 else 0.0

    def mismatch(self) -> np.ndarray:
        """``ρ A y`` summed over the groups, (B, K) complex64."""
        total = np.zeros_like(self.bands)
        for group in self.groups:
            total[:, group.samples] += group.mismatch(self.bands[:, group.samples])
        return total


def build_gram(
    demodulated: Demodulated,
    states: Sequence[DirectionState],
    gains: np.ndarray,
    half: HalfPlane,
    separate_px: float,
    coupled: bool = True,
    redundancy: Redundancy | None = None,
) -> Gram:
    """Freeze the weights at `states` and form J's matrix.

    Parameters
    ----------
    demodulated : Demodulated
    states : sequence of DirectionState
        At most a fraction of a DFT sample from where the rows were demodulated.
    gains : ndarray (3D, K)
        :func:`band_gains`.
    half : HalfPlane
    separate_px : float
        Radius, DFT samples, inside which order 0 and orders ±1 are not compared.
    coupled : bool
        False compares every direction with itself only.
    redundancy : Redundancy, optional
    """
    rows, moments = demodulated.rows, demodulated.moments
    model = RowModel.at(demodulated.states)
    phases = model.phases
    unmix = [unmixing(s.parameters, phases) for s in states]
    band_noise = np.concatenate(
        [np.abs(c) ** 2 @ m[:, 0, 0].real for c, m in zip(unmix, moments, strict=True)]
    )
    band_of_row = _band_of_row(len(states), phases)
    coefficients = model.of_states(states).astype(np.complex64)
    bands = np.empty((band_noise.size, rows.shape[1]), dtype=np.complex64)

    def unmix_band(i: int) -> None:
        block = band_rows(i // len(BANDS), i % len(BANDS), phases)
        np.matmul(coefficients[block], rows[block], out=bands[i])

    on_all_cores(unmix_band, range(band_noise.size))
    groups = band_groups(bands, gains, band_noise, half, separate_px, coupled)
    matrix = np.zeros((rows.shape[0],) * 2, dtype=np.complex128)
    total = np.zeros((band_noise.size,) * 2, dtype=np.complex128)
    for group in groups:
        _accumulate(group, rows, phases, matrix, total)
    matrix += np.conj(np.triu(matrix, 1)).T
    noise = np.zeros_like(matrix)
    size = rows_per_direction(phases)
    spread = [
        row_noise(m, unmixing(made.parameters, phases))
        for m, made in zip(moments, demodulated.states, strict=True)
    ]
    for d, own_noise in enumerate(spread):
        one = slice(d * size, (d + 1) * size)
        own = band_of_row[one]
        noise[one, one] = own_noise * total[np.ix_(own, own)]
    matrix -= noise
    return Gram(
        matrix,
        noise,
        rows,
        bands,
        band_noise,
        band_of_row,
        demodulated.states,
        spread,
        groups,
        model,
        redundancy,
    )


def _band_of_row(directions: int, phases: int) -> np.ndarray:
    """Index of every row's band, (R,)."""
    one = np.repeat(np.arange(len(BANDS)), [phases, phases + 2, phases + 2])
    return (np.arange(directions)[:, None] * len(BANDS) + one).ravel()


def _accumulate(
    group: Group, rows: np.ndarray, phases: int, matrix: np.ndarray, total: np.ndarray
) -> None:
    """Add a group to the upper triangle of J's matrix (R, R) and to Σ_k ρ A (B, B)."""
    part = rows[:, group.samples]

    def contribution(start: int) -> tuple[np.ndarray, np.ndarray]:
        chunk = slice(start, start + CHUNK)
        gains, inverse, root = (
            group.gains[:, chunk],
            group.inverse[:, chunk],
            np.sqrt(group.weight[chunk]),
        )
        factors = np.conj(gains) * (root / np.sqrt(group.density[chunk])) * inverse
        support = root * np.sqrt(inverse) * (gains != 0)
        piece = part[:, chunk]
        weighted = np.empty_like(piece)
        result = np.zeros(matrix.shape, dtype=np.complex64)
        for i in range(total.shape[0]):
            own = band_rows(i // len(BANDS), i % len(BANDS), phases)
            if support[i].any():
                result[own, own] = _upper_power(piece[own] * support[i])
            np.multiply(piece[own], factors[i], out=weighted[own])
        result -= _upper_power(weighted)
        expected = -(np.conj(factors) @ factors.T).astype(np.complex128)
        expected[np.diag_indices_from(expected)] += np.sum(support**2, axis=1, dtype=np.float64)
        return result, expected

    for one, expected in on_all_cores(contribution, range(0, group.weight.size, CHUNK)):
        matrix += one
        total += expected


def _upper_power(rows: np.ndarray) -> np.ndarray:
    """Upper triangle of ``conj(rows) @ rows.T``, (n, n) complex64; rows (n, k) complex64."""
    upper: np.ndarray = cherk(1.0, rows.T, trans=2)
    return upper
