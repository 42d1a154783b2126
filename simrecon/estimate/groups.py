"""Bands that are compared with each other, and the weights of the comparison.

Out-of-focus light is in order 0 only, at low frequencies. There (|k| below `SEPARATE` × cut-off)
orders 0 are compared among themselves and orders ±1 among themselves, but not with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.half_plane import HalfPlane
from simrecon.estimate.mixing import BANDS
from simrecon.threads import on_all_cores

SEPARATE = 0.12
"""Fraction of the cut-off below which order 0 is not compared with orders ±1."""
RING_WIDTH = 4
EXCESS_IGNORED = 1.3
CHUNK = 4096
"""Samples taken at a time: what is made of so many stays in the cache."""


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
    common = gains.copy()
    common[np.ix_(side, low)] = 0
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
    plain = 1.0 / _column(band_noise)
    disagreement = _disagreement(bands, gains, plain, ring).astype(np.float32)
    inverse, overlap = np.empty(bands.shape, np.float32), np.empty(ring.shape, bool)
    density, matched = np.empty(ring.shape, np.float32), np.empty(ring.shape, np.complex64)
    rings = int(ring.max(initial=0)) + 1

    def weigh(start: int) -> np.ndarray:
        c = slice(start, start + CHUNK)
        signal, power = np.conj(gains[:, c]) * bands[:, c], np.abs(gains[:, c]) ** 2
        inverse[:, c] = plain / disagreement[:, ring[c] // RING_WIDTH]
        total = np.sum(power * inverse[:, c], axis=0)
        seen = total > 0
        density[c] = np.where(seen, total, 1.0)
        matched[c] = np.sum(signal * inverse[:, c], axis=0)
        overlap[c] = np.sum(power > 0, axis=0) >= 2
        above = np.bincount(ring[c], np.abs(matched[c]) ** 2 - density[c] * seen, rings)
        norm = np.bincount(ring[c], density[c].astype(np.float64) ** 2 * seen, rings)
        return np.stack([above, norm])

    above, norm = sum(on_all_cores(weigh, range(0, ring.size, CHUNK)), np.zeros((2, rings)))
    object_power = np.maximum(above / np.maximum(norm, 1e-300), 0.0)
    ratio = object_power[ring] * density
    weight = np.where(overlap, ratio / (1.0 + ratio), 0.0).astype(np.float32)
    return Group(samples, gains, inverse, density, matched, weight)


def _disagreement(
    bands: np.ndarray, gains: np.ndarray, inverse: np.ndarray, ring: np.ndarray
) -> np.ndarray:
    """f_i ≥ 1 (B, rings): residual power of band i against all others over what noise explains.

    Averaged over rings of `RING_WIDTH` samples. Drift, uneven illumination, out-of-focus light or
    a wrong OTF show here, mostly at low frequencies; without this they would outweigh all the
    rest. Below `EXCESS_IGNORED` it stays 1. `inverse` is 1/N_i, (B, 1).
    """
    rings = int(ring.max(initial=0)) // RING_WIDTH + 1

    def compare(start: int) -> np.ndarray:
        c = slice(start, start + CHUNK)
        coarse, y, g = ring[c] // RING_WIDTH, bands[:, c], gains[:, c]
        signal, power = np.conj(g) * y * inverse, np.abs(g) ** 2 * inverse
        density, matched = np.sum(power, axis=0), np.sum(signal, axis=0)
        rest = density - power
        seen = (power > 0) & (rest > 1e-3 * density)
        safe = np.where(seen, rest, np.float32(1.0))
        others = (matched - signal) / safe
        residual = np.abs(y - g * others) ** 2 * seen
        noise = (1.0 / inverse + power / inverse / safe) * seen
        sums = [[np.bincount(coarse, v, rings) for v in two] for two in (residual, noise)]
        return np.array(sums)

    parts = on_all_cores(compare, range(0, ring.size, CHUNK))
    residual, noise = sum(parts, np.zeros((2, len(bands), rings)))
    level = residual / np.maximum(noise, 1e-300)
    return np.where(level > EXCESS_IGNORED, level, 1.0)
