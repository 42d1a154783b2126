"""Bands that are compared with each other, and the weights of the comparison.

Out-of-focus light is in order 0 only, at low frequencies. There (|k| below `SEPARATE` × cut-off)
orders 0 are compared among themselves and orders ±1 among themselves, but not with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.backend import on_all_cores
from simrecon.estimate.half_plane import HalfPlane
from simrecon.estimate.mixing import BANDS

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
    matched : ndarray (k,), complex64
        Σ conj(G_i) y_i/(N_i f_i): over `density` the best estimate of S.
    weight : ndarray (k,), float32
        ρ: signal/(signal + noise) of the common estimate; 0 where fewer than two bands overlap.
    """

    samples: slice | np.ndarray
    gains: np.ndarray
    inverse: np.ndarray
    density: np.ndarray
    matched: np.ndarray
    weight: np.ndarray

    def mismatch(self, bands: np.ndarray) -> np.ndarray:
        """``ρ A y`` of the group's bands y, (B, k) complex64: zero where they agree."""
        support = (self.gains != 0) * self.weight
        residual = bands - self.gains * (self.matched / self.density)
        result: np.ndarray = residual * support * self.inverse
        return result


def _column(values: np.ndarray) -> np.ndarray:
    column: np.ndarray = values.astype(np.float32)[:, None]
    return column


def band_groups(
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
            group_of_bands(
                bands,
                np.where((direction == d)[:, None], common, 0),
                band_noise,
                half.ring,
                slice(None),
            )
            for d in range(band_noise.size // len(BANDS))
        )
    groups = [group_of_bands(bands, common, band_noise, half.ring, slice(None))]
    if low.any():
        samples = np.nonzero(low)[0]
        apart = np.where(side[:, None], gains[:, samples], 0)
        groups.append(
            group_of_bands(bands[:, samples], apart, band_noise, half.ring[samples], samples)
        )
    return tuple(groups)


def group_of_bands(
    bands: np.ndarray,
    gains: np.ndarray,
    band_noise: np.ndarray,
    ring: np.ndarray,
    samples: slice | np.ndarray,
) -> Group:
    """Freeze weights of any bands (B, k) with gains and noise, at samples of these rings."""
    plain = np.broadcast_to(1.0 / _column(band_noise), bands.shape)
    signal, power = np.conj(gains) * bands, np.abs(gains) ** 2
    inverse = plain / _disagreement(bands, gains, signal, power, plain, ring)
    density = np.sum(power * inverse, axis=0)
    seen = density > 0
    density = np.where(seen, density, 1.0).astype(np.float32)
    matched = np.sum(signal * inverse, axis=0)
    above = np.bincount(ring, np.abs(matched) ** 2 - density * seen)
    norm = np.bincount(ring, density.astype(np.float64) ** 2 * seen)
    object_power = np.maximum(above / np.maximum(norm, 1e-300), 0.0)
    ratio = object_power[ring] * density
    overlap = np.sum(power > 0, axis=0) >= 2
    weight = np.where(overlap, ratio / (1.0 + ratio), 0.0).astype(np.float32)
    return Group(samples, gains, inverse, density, matched, weight)


def _disagreement(
    bands: np.ndarray,
    gains: np.ndarray,
    signal: np.ndarray,
    power: np.ndarray,
    inverse: np.ndarray,
    ring: np.ndarray,
) -> np.ndarray:
    """f_i(k) ≥ 1: residual power of band i against all others over what noise explains.

    Averaged over rings of `RING_WIDTH` samples. Drift, uneven illumination, out-of-focus light or
    a wrong OTF show here, mostly at low frequencies; without this they would outweigh all the
    rest. Below `EXCESS_IGNORED` it stays 1. `signal` is ``conj(G_i) y_i`` and `power` ``|G_i|²``.
    """
    signal, power = signal * inverse, power * inverse
    density, matched = np.sum(power, axis=0), np.sum(signal, axis=0)
    coarse = ring // RING_WIDTH
    result = np.ones(bands.shape, dtype=np.float32)

    def compare(i: int) -> None:
        rest = density - power[i]
        seen = (power[i] > 0) & (rest > 1e-3 * density)
        if not seen.any():
            return
        safe = np.where(seen, rest, 1.0)
        others = (matched - signal[i]) / safe
        residual = np.abs(bands[i] - gains[i] * others) ** 2 * seen
        noise = (1.0 / inverse[i] + np.abs(gains[i]) ** 2 / safe) * seen
        level = np.bincount(coarse, residual) / np.maximum(np.bincount(coarse, noise), 1e-300)
        level = np.where(level > EXCESS_IGNORED, level, 1.0)
        result[i] = level[coarse]

    on_all_cores(compare, range(len(bands)))
    return result
