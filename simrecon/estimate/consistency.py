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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simrecon.estimate.mixing import BANDS, DirectionState, unmixing
from simrecon.estimate.window import FieldWindow

OtfFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``H(ky, kx)`` of equal-shaped frequency arrays in cycles/µm."""


@dataclass(frozen=True)
class HalfPlane:
    """Samples of the object's spectrum that enter the fit, one half plane, in blocks.

    Attributes
    ----------
    index, mirrored : ndarray (K,), intp
        Flat positions of k and −k in the padded DFT.
    ky, kx : ndarray (K,)
        Frequencies, cycles/µm.
    ring : ndarray (K,), intp
        Radius in DFT samples.
    block_start : ndarray, intp
        First sample of each square block (samples are sorted by block).
    """

    index: np.ndarray
    mirrored: np.ndarray
    ky: np.ndarray
    kx: np.ndarray
    ring: np.ndarray
    block_start: np.ndarray

    @classmethod
    def within(
        cls, window: FieldWindow, radius_per_um: float, exclude: int = 2, block: int = 8
    ) -> HalfPlane:
        """Samples with ``exclude`` < |k| (in DFT samples) and |k| ≤ `radius_per_um`."""
        ny, nx = window.padded.shape
        ky, kx = window.padded.frequencies_per_um()
        iy, ix = np.round(ky * ny * window.padded.pixel_um), np.round(
            kx * nx * window.padded.pixel_um
        )
        keep = (ix > 0) | ((ix == 0) & (iy > 0))
        keep = keep & (np.hypot(ky, kx) <= radius_per_um) & (np.hypot(iy, ix) > exclude)
        keep &= (np.abs(iy) < ny / 2) & (np.abs(ix) < nx / 2)
        row, column = np.nonzero(keep)
        sy = iy[row, 0].astype(np.intp)
        sx = ix[0, column].astype(np.intp)
        label = (sy // block + ny) * (nx + ny) + sx // block
        order = np.argsort(label, kind="stable")
        sy, sx, label = sy[order], sx[order], label[order]
        start = np.concatenate([[0], np.nonzero(np.diff(label))[0] + 1])
        return cls(
            index=(sy % ny) * nx + sx % nx,
            mirrored=(-sy % ny) * nx + (-sx % nx),
            ky=sy / (ny * window.padded.pixel_um),
            kx=sx / (nx * window.padded.pixel_um),
            ring=np.round(np.hypot(sy, sx)).astype(np.intp),
            block_start=start,
        )


@dataclass(frozen=True)
class Gram:
    """The frozen quadratic form of all detected directions.

    Attributes
    ----------
    matrix : ndarray (R, R), complex128, Hermitian
        J's matrix with the expected noise subtracted.
    rows : ndarray (R, K), complex64
        Demodulated frames: per band the P frames, then for ±1 the two derivative images.
    noise : ndarray (R, R), complex128
        What was subtracted.
    gains : ndarray (B, K), complex64
        G_i of all B = 3·D bands.
    band_noise : ndarray (B,)
        N_i of the normalised bands.
    weight : ndarray (K,), float32
        ρ(k), between 0 and 1.
    band_of_row : ndarray (R,), intp
    coefficients : ndarray (R,), complex128
        Unmixing at which the weights were frozen (0 on derivative rows).
    """

    matrix: np.ndarray
    rows: np.ndarray
    noise: np.ndarray
    gains: np.ndarray
    band_noise: np.ndarray
    weight: np.ndarray
    band_of_row: np.ndarray
    coefficients: np.ndarray

    def bands(self) -> np.ndarray:
        """y_i at the frozen unmixing, (B, K) complex64."""
        return band_sum(self.rows, self.coefficients, self.band_of_row)

    def projected(self, bands: np.ndarray) -> np.ndarray:
        """``ρ A y`` for bands y (B, K), complex64: zero where the bands agree."""
        inverse = (1.0 / self.band_noise).astype(np.float32)[:, None]
        density = np.maximum(np.sum(np.abs(self.gains) ** 2 * inverse, axis=0), 1e-30)
        estimate = np.sum(np.conj(self.gains) * bands * inverse, axis=0) / density
        support = np.abs(self.gains) > 0
        result: np.ndarray = (bands - self.gains * estimate) * (inverse * self.weight) * support
        return result


def band_sum(rows: np.ndarray, coefficients: np.ndarray, band_of_row: np.ndarray) -> np.ndarray:
    """Bands from rows: (B, K) complex64."""
    select = np.zeros((int(band_of_row.max()) + 1, rows.shape[0]), dtype=np.complex64)
    select[band_of_row, np.arange(rows.shape[0])] = coefficients
    product: np.ndarray = select @ rows
    return product


def rows_per_direction(phases: int) -> int:
    """P rows for order 0 and P + 2 for each of ±1."""
    return 3 * phases + 4


def band_rows(direction: int, band: int, phases: int) -> slice:
    """Rows of one band (index into :data:`BANDS`) of one direction, derivatives included."""
    start = direction * rows_per_direction(phases)
    edges = (0, phases, 2 * phases + 2, 3 * phases + 4)
    return slice(start + edges[band], start + edges[band + 1])


def demodulated_rows(
    frames: np.ndarray,
    taper_spectra: np.ndarray,
    state: DirectionState,
    window: FieldWindow,
    half: HalfPlane,
    slopes: np.ndarray,
) -> np.ndarray:
    """Rows of one direction, (3P + 4, K) complex64.

    A window does not commute with the OTF: to first order
    ``F{w·(h⊛S)} = H·F{w S} − ∇H·F{∇w S}/2πi``. The second term biases the frequency by some
    0.007 DFT samples at 512²; it is removed with the frames windowed by ∇w.

    The derivative rows are ``(y − y_c)·Y`` and ``(x − x_c)·Y`` with Y the order-±1 band at the
    current unmixing; a small frequency step δp adds ``−2πi b δp·(those rows)`` to the band.

    Parameters
    ----------
    frames : ndarray (P, Y, X)
    taper_spectra : ndarray (3, P, KY, KX)
        Transforms of the frames times w, ∂w/∂y, ∂w/∂x.
    state, window, half
    slopes : ndarray (3, 2, K)
        ``∇H/H`` at ``k + b p`` for the three bands, in µm (:func:`log_slopes`).
    """
    phases = frames.shape[0]
    carrier = window.carrier((state.frequency_per_um[0], state.frequency_per_um[1]))
    shifted = frames * carrier
    tapers = window.tapers()
    plus = window.transform_windowed(tapers[:, None] * shifted).reshape(3, phases, -1)
    c = unmixing(state.parameters, phases)[1].astype(np.complex64)
    band = np.tensordot(c, shifted, axes=1) * tapers[0]
    moments = np.stack(
        [
            band * window.y_um[:, None].astype(np.float32),
            band * window.x_um[None, :].astype(np.float32),
        ]
    )
    derivative = window.transform_windowed(moments).reshape(2, -1)
    zero = taper_spectra.reshape(3, phases, -1)[..., half.index]
    first = plus[..., half.index]
    second = np.conj(plus[..., half.mirrored])
    return np.concatenate(
        [
            _commuted(zero, slopes[0]),
            _commuted(first, slopes[1]),
            derivative[:, half.index],
            _commuted(second, slopes[2]),
            np.conj(derivative[:, half.mirrored]),
        ]
    )


def _commuted(spectra: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """``F + ∇H/H · F^∇w / 2πi``: (P, K) from the three windowed transforms (3, P, K)."""
    factor = (slopes / (2j * np.pi)).astype(np.complex64)
    corrected: np.ndarray = spectra[0] + factor[0] * spectra[1] + factor[1] * spectra[2]
    return corrected


def log_slopes(
    otf: OtfFunction, state: DirectionState, window: FieldWindow, half: HalfPlane, floor: float
) -> np.ndarray:
    """``∇H/H`` at ``k + b p`` of the three bands, (3, 2, K), µm; 0 where \|H\| < `floor`."""
    fy, fx = state.frequency_per_um
    step = 0.5 / min(window.padded.extent_um)
    result = []
    for b in BANDS:
        ky, kx = half.ky + b * fy, half.kx + b * fx
        value = otf(ky, kx)
        seen = np.abs(value) >= floor
        safe = np.where(seen, value, 1.0)
        dy = (otf(ky + step, kx) - otf(ky - step, kx)) / (2 * step)
        dx = (otf(ky, kx + step) - otf(ky, kx - step)) / (2 * step)
        result.append(np.stack([np.where(seen, dy / safe, 0.0), np.where(seen, dx / safe, 0.0)]))
    return np.array(result)


def noise_moments(
    variance_e2: np.ndarray, frequency_per_um: np.ndarray, window: FieldWindow
) -> np.ndarray:
    """``Σ_r w² σ² (1, y, x, y², yx, x²) exp(−2πi n p·r)``, n = 0, 1, 2: (P, 3, 6) complex128."""
    left, right = [], []
    for n in range(3):
        ey = window.wy**2 * np.exp(-2j * np.pi * n * frequency_per_um[0] * window.y_um)
        ex = window.wx**2 * np.exp(-2j * np.pi * n * frequency_per_um[1] * window.x_um)
        left += [ey * window.y_um**power for power in range(3)]
        right += [ex * window.x_um**power for power in range(3)]
    ey_all, ex_all = np.array(left).astype(np.complex64), np.array(right).astype(np.complex64)
    table = ey_all @ (variance_e2 @ ex_all.T)
    powers = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    return np.stack(
        [
            np.stack([table[:, 3 * n + py, 3 * n + px] for py, px in powers], axis=-1)
            for n in range(3)
        ],
        axis=1,
    ).astype(np.complex128)


def row_noise(moments: np.ndarray, unmix: np.ndarray) -> np.ndarray:
    """Expected ``conj(row) row'`` of one direction from noise, (3P + 4, 3P + 4) complex128."""
    phases = moments.shape[0]
    first = unmix[1]

    def lag(n: int, power: int) -> np.ndarray:
        value = moments[:, abs(n), power]
        return value if n >= 0 else np.conj(value)

    size = rows_per_direction(phases)
    result = np.zeros((size, size), dtype=np.complex128)
    for i, b in enumerate(BANDS):
        ci = first if b >= 0 else np.conj(first)
        ri = band_rows(0, i, phases)
        for k, b2 in enumerate(BANDS):
            ck = first if b2 >= 0 else np.conj(first)
            rk = band_rows(0, k, phases)
            n = b2 - b
            block = result[ri, rk]
            block[:phases, :phases] = np.diag(lag(n, 0))
            if i:
                for d in range(2):
                    block[phases + d, :phases] = np.conj(ci) * lag(n, 1 + d)
            if k:
                for d in range(2):
                    block[:phases, phases + d] = ck * lag(n, 1 + d)
            if i and k:
                for d in range(2):
                    for d2 in range(2):
                        total = np.sum(np.conj(ci) * ck * lag(n, 3 + d + d2))
                        block[phases + d, phases + d2] = total
    return result


def band_gains(
    otf: OtfFunction, states: list[DirectionState], half: HalfPlane, floor: float = 0.02
) -> np.ndarray:
    """``G_i(k) = H(k + b p_d)`` of all bands, (3D, K) complex64; below `floor` set to 0."""
    gains = []
    for state in states:
        fy, fx = state.frequency_per_um
        for b in BANDS:
            value = otf(half.ky + b * fy, half.kx + b * fx)
            gains.append(np.where(np.abs(value) < floor, 0.0, value))
    return np.array(gains).astype(np.complex64)


def build_gram(
    rows: np.ndarray,
    states: list[DirectionState],
    moments: list[np.ndarray],
    gains: np.ndarray,
    half: HalfPlane,
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
    """
    phases = states[0].phase_rad.size
    unmix = [unmixing(s.parameters, phases) for s in states]
    band_noise = np.concatenate(
        [
            [np.sum(np.abs(c[i]) ** 2 * m[:, 0, 0].real) for i in range(len(BANDS))]
            for c, m in zip(unmix, moments, strict=True)
        ]
    )
    size = rows_per_direction(phases)
    band_of_row = np.empty(rows.shape[0], dtype=np.intp)
    coefficients = np.zeros(rows.shape[0], dtype=np.complex128)
    for d, c in enumerate(unmix):
        for i in range(len(BANDS)):
            block = band_rows(d, i, phases)
            band_of_row[block] = len(BANDS) * d + i
            coefficients[block.start : block.start + phases] = c[i]
    density, weight = _weights(rows, coefficients, band_of_row, gains, band_noise, half)
    root = np.sqrt(weight)
    factors = np.conj(gains) * (root / np.sqrt(density)) / band_noise[:, None]
    weighted = rows * factors.astype(np.complex64)[band_of_row]
    matrix = -(np.conj(weighted) @ weighted.T).astype(np.complex128)
    inner = (np.conj(factors) @ factors.T).astype(np.complex128)
    total = -inner
    for i in range(band_noise.size):
        own = np.nonzero(band_of_row == i)[0]
        seen = rows[own] * (root * (np.abs(gains[i]) > 0))
        matrix[np.ix_(own, own)] += np.conj(seen) @ seen.T / band_noise[i]
        total[i, i] += np.sum(weight * (np.abs(gains[i]) > 0)) / band_noise[i]
    noise = np.zeros_like(matrix)
    for d, (m, c) in enumerate(zip(moments, unmix, strict=True)):
        one = slice(d * size, (d + 1) * size)
        bands = band_of_row[one]
        noise[one, one] = row_noise(m, c) * total[np.ix_(bands, bands)]
    return Gram(
        matrix=matrix - noise,
        rows=rows,
        noise=noise,
        gains=gains,
        band_noise=band_noise,
        weight=weight.astype(np.float32),
        band_of_row=band_of_row,
        coefficients=coefficients,
    )


def _weights(
    rows: np.ndarray,
    coefficients: np.ndarray,
    band_of_row: np.ndarray,
    gains: np.ndarray,
    band_noise: np.ndarray,
    half: HalfPlane,
) -> tuple[np.ndarray, np.ndarray]:
    """Σ|G|²/N and ρ = signal/(signal + noise) of the best estimate of S, both (K,) float32."""
    inverse = (1.0 / band_noise).astype(np.float32)[:, None]
    bands = band_sum(rows, coefficients, band_of_row)
    density = np.sum(np.abs(gains) ** 2 * inverse, axis=0)
    seen = density > 0
    density = np.where(seen, density, 1.0).astype(np.float32)
    matched = np.sum(np.conj(gains) * bands * inverse, axis=0)
    excess = np.bincount(half.ring, np.abs(matched) ** 2 - density * seen)
    norm = np.bincount(half.ring, density**2 * seen)
    power = np.maximum(excess / np.maximum(norm, 1e-30), 0.0)
    ratio = power[half.ring] * density
    overlap = np.sum(np.abs(gains) > 0, axis=0) >= 2
    weight = np.where(seen & overlap, ratio / (1.0 + ratio), 0.0)
    return density, weight.astype(np.float32)
