"""How well the separated bands agree where they overlap: a quadratic form in the mixing.

After demodulation every band of every direction measures the same object, ``y_i = G_i S + n_i``
with ``G_i(k) = H(k + b p_d)`` and noise power N_i. Eliminating the unknown S(k) leaves

    J = Σ_k ρ(k) Σ_ii' y_i* A_ii' y_i',   A_ii' = δ_ii'/N_i − G_i G_i'* / (N_i N_i' Σ|G|²/N)

the noise-weighted sum of all pairwise overlap mismatches: order 0 against ±1 (Gustafsson 2000,
J. Microsc. 198:82, without the division by the OTF), orders 0 of different directions, and ±1
across directions. With the weights frozen J is a quadratic form in the unmixing coefficients,
whose matrix is a weighted Gram matrix of the demodulated frames. Its expectation from noise alone
is known and subtracted, so that modulation and phases come out unbiased.

Out-of-focus light is in order 0 only, at low frequencies. There (|k| below `SEPARATE` × cut-off)
orders 0 are compared among themselves and orders ±1 among themselves, but not with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.noise import row_noise
from simrecon.estimate.rows import HalfPlane, band_rows, rows_per_direction

SEPARATE = 0.12
"""Fraction of the cut-off below which order 0 is not compared with orders ±1."""


RING_WIDTH = 4
EXCESS_IGNORED = 1.3


@dataclass(frozen=True)
class Group:
    """Bands that are compared with each other at a set of frequencies.

    Attributes
    ----------
    samples : slice or ndarray of intp
        Which of the K samples.
    gains : ndarray (B, k), complex64
        G_i, 0 for the bands that stay out.
    inverse : ndarray (B, k), float32
        Weights 1/(N_i f_i): f_i ≥ 1 where a band disagrees with the others beyond its noise.
    density : ndarray (k,), float32
        Σ|G_i|²/(N_i f_i) (1 where nothing is seen).
    weight : ndarray (k,), float32
        ρ: signal/(signal + noise) of the common estimate; 0 where fewer than two bands overlap.
    """

    samples: slice | np.ndarray
    gains: np.ndarray
    inverse: np.ndarray
    density: np.ndarray
    weight: np.ndarray

    def estimate(self, bands: np.ndarray) -> np.ndarray:
        """Best estimate of S from bands y (B, k), (k,) complex64."""
        matched = np.sum(np.conj(self.gains) * bands * self.inverse, axis=0)
        result: np.ndarray = matched / self.density
        return result

    def mismatch(self, bands: np.ndarray) -> np.ndarray:
        """``ρ A y``, (B, k) complex64: zero where the bands agree."""
        support = (np.abs(self.gains) > 0) * self.weight
        residual = bands - self.gains * self.estimate(bands)
        result: np.ndarray = residual * support * self.inverse
        return result


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
        Demodulated frames: per band the P frames, then for ±1 the two derivative images.
    bands : ndarray (B, K), complex64
        y_i at the frozen unmixing.
    band_noise : ndarray (B,)
        N_i.
    band_of_row : ndarray (R,), intp
    groups : tuple of Group
    """

    matrix: np.ndarray
    noise: np.ndarray
    rows: np.ndarray
    bands: np.ndarray
    band_noise: np.ndarray
    band_of_row: np.ndarray
    groups: tuple[Group, ...]

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
            part = group.mismatch(self.bands[:, group.samples])
            total[:, group.samples] += part
        return total


def build_gram(
    rows: np.ndarray,
    states: list[DirectionState],
    moments: list[np.ndarray],
    gains: np.ndarray,
    half: HalfPlane,
    separate_px: float,
    coupled: bool = True,
) -> Gram:
    """Freeze the weights at `states` and form J's matrix.

    Parameters
    ----------
    rows : ndarray (R, K), complex64
        :func:`demodulated_rows` of all directions, stacked.
    states : list of DirectionState
    moments : list of ndarray (P, 3, 6)
        :func:`noise_moments` per direction.
    gains : ndarray (3D, K)
        :func:`band_gains`.
    half : HalfPlane
    separate_px : float
        Radius, DFT samples, inside which order 0 and orders ±1 are not compared.
    coupled : bool
        False compares every direction with itself only.
    """
    phases = states[0].phase_rad.size
    unmix = [unmixing(s.parameters, phases) for s in states]
    band_noise = np.concatenate(
        [np.abs(c) ** 2 @ m[:, 0, 0].real for c, m in zip(unmix, moments, strict=True)]
    )
    band_of_row, coefficients = _layout(unmix, phases)
    select = np.zeros((band_noise.size, rows.shape[0]), dtype=np.complex64)
    select[band_of_row, np.arange(rows.shape[0])] = coefficients
    bands = select @ rows
    groups = _groups(bands, gains, band_noise, half, separate_px, coupled)
    matrix = np.zeros((rows.shape[0],) * 2, dtype=np.complex128)
    total = np.zeros((band_noise.size,) * 2, dtype=np.complex128)
    for group in groups:
        _accumulate(group, rows, band_of_row, matrix, total)
    noise = np.zeros_like(matrix)
    size = rows_per_direction(phases)
    for d, (m, c) in enumerate(zip(moments, unmix, strict=True)):
        one = slice(d * size, (d + 1) * size)
        own = band_of_row[one]
        noise[one, one] = row_noise(m, c) * total[np.ix_(own, own)]
    return Gram(matrix - noise, noise, rows, bands, band_noise, band_of_row, groups)


def _column(values: np.ndarray) -> np.ndarray:
    column: np.ndarray = values.astype(np.float32)[:, None]
    return column


def _layout(unmix: list[np.ndarray], phases: int) -> tuple[np.ndarray, np.ndarray]:
    """Band of every row, and the unmixing coefficients (0 on derivative rows)."""
    size = rows_per_direction(phases)
    band_of_row = np.empty(len(unmix) * size, dtype=np.intp)
    coefficients = np.zeros(len(unmix) * size, dtype=np.complex128)
    for d, c in enumerate(unmix):
        for i in range(len(BANDS)):
            block = band_rows(d, i, phases)
            band_of_row[block] = len(BANDS) * d + i
            coefficients[block.start : block.start + phases] = c[i]
    return band_of_row, coefficients


def _groups(
    bands: np.ndarray,
    gains: np.ndarray,
    band_noise: np.ndarray,
    half: HalfPlane,
    separate_px: float,
    coupled: bool,
) -> tuple[Group, ...]:
    """All bands together outside the low frequencies; orders 0 and ±1 apart inside.

    Not coupled: one group per direction, without the low frequencies of orders ±1.
    """
    low = half.ring <= separate_px
    side = np.arange(band_noise.size) % len(BANDS) != 0
    common = np.where(side[:, None] & low[None, :], 0, gains)
    if not coupled:
        direction = np.arange(band_noise.size) // len(BANDS)
        return tuple(
            _group(
                bands,
                np.where((direction == d)[:, None], common, 0),
                band_noise,
                half.ring,
                slice(None),
            )
            for d in range(band_noise.size // len(BANDS))
        )
    groups = [_group(bands, common, band_noise, half.ring, slice(None))]
    if low.any():
        samples = np.nonzero(low)[0]
        apart = np.where(side[:, None], gains[:, samples], 0)
        groups.append(_group(bands[:, samples], apart, band_noise, half.ring[samples], samples))
    return tuple(groups)


def _group(
    bands: np.ndarray,
    gains: np.ndarray,
    band_noise: np.ndarray,
    ring: np.ndarray,
    samples: slice | np.ndarray,
) -> Group:
    plain = np.broadcast_to(1.0 / _column(band_noise), bands.shape)
    excess = _disagreement(bands, gains, plain, ring)
    inverse = plain / excess
    power = np.abs(gains) ** 2
    density = np.sum(power * inverse, axis=0)
    seen = density > 0
    density = np.where(seen, density, 1.0).astype(np.float32)
    matched = np.sum(np.conj(gains) * bands * inverse, axis=0)
    above = np.bincount(ring, np.abs(matched) ** 2 - density * seen)
    norm = np.bincount(ring, density.astype(np.float64) ** 2 * seen)
    signal = np.maximum(above / np.maximum(norm, 1e-300), 0.0)
    ratio = signal[ring] * density
    overlap = np.sum(power > 0, axis=0) >= 2
    weight = np.where(overlap, ratio / (1.0 + ratio), 0.0).astype(np.float32)
    return Group(samples, gains, inverse.astype(np.float32), density, weight)


def _disagreement(
    bands: np.ndarray, gains: np.ndarray, inverse: np.ndarray, ring: np.ndarray
) -> np.ndarray:
    """f_i(k) ≥ 1: residual power of band i against all others over what noise explains.

    Averaged over rings of `RING_WIDTH` samples. Drift, uneven illumination, out-of-focus light or
    a wrong OTF show here, mostly at low frequencies; without this they would outweigh all the
    rest. Below `EXCESS_IGNORED` it stays 1.
    """
    power = np.abs(gains) ** 2 * inverse
    density = np.sum(power, axis=0)
    matched = np.sum(np.conj(gains) * bands * inverse, axis=0)
    coarse = ring // RING_WIDTH
    result = np.ones(bands.shape, dtype=np.float32)
    for i in range(bands.shape[0]):
        rest = density - power[i]
        seen = (power[i] > 0) & (rest > 1e-3 * density)
        if not seen.any():
            continue
        safe = np.where(seen, rest, 1.0)
        others = (matched - np.conj(gains[i]) * bands[i] * inverse[i]) / safe
        residual = np.abs(bands[i] - gains[i] * others) ** 2 * seen
        noise = (1.0 / inverse[i] + np.abs(gains[i]) ** 2 / safe) * seen
        level = np.bincount(coarse, residual) / np.maximum(np.bincount(coarse, noise), 1e-300)
        level = np.where(level > EXCESS_IGNORED, level, 1.0)
        result[i] = level[coarse]
    return result


def _accumulate(
    group: Group,
    rows: np.ndarray,
    band_of_row: np.ndarray,
    matrix: np.ndarray,
    total: np.ndarray,
) -> None:
    """Add a group to J's matrix (R, R) and to Σ_k ρ A (B, B)."""
    part = rows[:, group.samples]
    root = np.sqrt(group.weight)
    factors = np.conj(group.gains) * (root / np.sqrt(group.density)) * group.inverse
    weighted = part * factors.astype(np.complex64)[band_of_row]
    matrix -= np.conj(weighted) @ weighted.T
    total -= np.conj(factors) @ factors.T
    for i in range(total.shape[0]):
        own = np.nonzero(band_of_row == i)[0]
        support = root * np.sqrt(group.inverse[i]) * (np.abs(group.gains[i]) > 0)
        seen = part[own] * support
        matrix[np.ix_(own, own)] += np.conj(seen) @ seen.T
        total[i, i] += np.sum(support**2, dtype=np.float64)
