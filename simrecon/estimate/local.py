"""Smooth field of the local deviation of a pattern, by Gaussian-process regression of the tiles.

c is a constant plus a smooth complex field of standard deviation τ and correlation length ℓ, seen
through the noise of the tiles and a scatter ν that neighbours do not share (an imperfect OTF makes
c depend a little on the object). τ, ℓ and ν are those of the largest marginal likelihood
(Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, eq. 2.25-2.26 and 5.8; for
circular complex noise). A tile shows the mean of c over its area, and the regression knows it.
Tiles without signal take no part and get their value from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from scipy.linalg import solve_triangular

from simrecon.estimate.tiles import Tiles
from simrecon.threads import on_all_cores

LENGTHS = (1.0, 1.5, 2.2, 3.3, 5.0, 8.0)
"""Correlation lengths tried, in pitches of the tiles."""
AMPLITUDES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SCATTERS = (0.01, 0.03, 0.06, 0.12, 0.25)
MIN_TILES = 6
REJECTED = 12.0
"""|left-out residual|² over its variance beyond which a tile is an outlier: exp(-12) = 6e-6."""
MAX_REJECTED = 0.25
ROUNDS = 3
BORDER = 1e200
"""More than any squared residual over its variance."""


@dataclass(frozen=True)
class SmoothField:
    """A fitted field.

    Attributes
    ----------
    values : ndarray (NY, NX), complex128
        c at the tile centres, the constant included.
    sd : ndarray (NY, NX)
        Posterior standard deviation of the smooth part.
    gain : float
        Twice the logarithm of the likelihood over that of a constant c.
    rms : float
        Light-weighted rms deviation of c from its mean, over that mean's rms modulus.
    used, rejected : int
        Tiles with signal, and outliers among them.
    """

    values: np.ndarray
    sd: np.ndarray
    gain: float
    rms: float
    used: int
    rejected: int


@dataclass(frozen=True)
class _Regression:
    """Solution for one choice of (ℓ, τ, ν).

    Attributes
    ----------
    likelihood : float
    mean : complex
    white : ndarray (n,), complex128
        ``L⁻¹ (c − mean)`` with L the factor.
    factor : ndarray (n, n)
        Lower Cholesky factor of the covariance.
    """

    likelihood: float
    mean: complex
    white: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, ratio: np.ndarray, covariance: np.ndarray) -> _Regression:
        """Marginal likelihood with the constant profiled out.

        Parameters
        ----------
        ratio : ndarray (n,)
        covariance : ndarray (n, n)
        """
        n = ratio.size
        # One more row for every right side: the factorisation solves for them on its way.
        framed = np.zeros((n + 3, n + 3))
        framed[:n, :n] = covariance
        framed[n, :n], framed[n + 1, :n], framed[n + 2, :n] = 1.0, ratio.real, ratio.imag
        framed[range(n, n + 3), range(n, n + 3)] = BORDER
        factor = np.linalg.cholesky(framed)
        ones, real, imaginary = factor[n:, :n]
        mean = complex(ones @ real, ones @ imaginary) / float(ones @ ones)
        white = real + 1j * imaginary - mean * ones
        log_determinant = 2.0 * float(np.sum(np.log(np.diag(factor)[:n])))
        misfit = float(np.real(np.vdot(white, white)))
        return cls(-misfit - log_determinant, mean, white, factor[:n, :n])

    @property
    def alpha(self) -> np.ndarray:
        """The covariance's inverse times ``c − mean``, (n,) complex128."""
        both = np.stack([self.white.real, self.white.imag], axis=1)
        real, imaginary = solve_triangular(self.factor, both, lower=True, trans=1).T
        return np.asarray(real + 1j * imaginary)


def smooth_field(tiles: Tiles, least_gain: float = -np.inf) -> SmoothField | None:
    """The most likely smooth field.

    None when too few tiles have signal or agree, or when the gain is less than `least_gain`.
    """
    kept = np.nonzero(tiles.lit)[0]
    lit = kept.size
    for remaining in reversed(range(ROUNDS)):
        if kept.size < max(MIN_TILES, (1.0 - MAX_REJECTED) * lit):
            return None
        best, length_um, amplitude, flat = _most_likely(tiles, kept)
        inverse = solve_triangular(best.factor, np.eye(kept.size), lower=True)
        left_out = np.abs(best.alpha) ** 2 / np.sum(inverse**2, axis=0)
        good = left_out < REJECTED
        if good.all() or not remaining:
            break
        kept = kept[good]
    gain = 2.0 * (best.likelihood - flat)
    if gain < least_gain:
        return None
    blur = tiles.blur_um2
    cross = amplitude**2 * _kernel(tiles.nodes_um, tiles.place_um[kept], length_um, blur)
    values = best.mean + cross @ best.alpha
    explained = np.sum(solve_triangular(best.factor, cross.T, lower=True) ** 2, axis=0)
    sd = np.sqrt(np.maximum(amplitude**2 - explained, 0.0))
    shape = tiles.ratio.shape
    light = np.maximum(tiles.light.ravel(), 0.0) * tiles.lit
    deviation = np.sum(light * np.abs(values - best.mean) ** 2)
    rms = float(np.sqrt(deviation / max(np.sum(light * np.abs(values) ** 2), 1e-30)))
    return SmoothField(
        values.reshape(shape),
        sd.reshape(shape),
        gain,
        rms,
        lit,
        lit - kept.size,
    )


def _most_likely(tiles: Tiles, kept: np.ndarray) -> tuple[_Regression, float, float, float]:
    """Best regression of the tiles `kept`, its ℓ (µm) and τ, and the likelihood of a constant.

    Some choices, then the best ℓ and the best τ and ν in turn; only the former where none of them
    is better than a constant.
    """
    ratio, place = tiles.ratio.ravel()[kept], tiles.place_um[kept]
    noise, diagonal = tiles.covariance[np.ix_(kept, kept)], np.diag_indices(kept.size)

    @cache
    def kernel(pitches: float) -> np.ndarray:
        return _kernel(place, place, pitches * tiles.pitch_um, 2.0 * tiles.blur_um2)

    def tried(
        lengths: Sequence[float], amplitudes: Sequence[float], scatters: Sequence[float]
    ) -> _Choice:
        kernels = {pitches: kernel(pitches) for pitches in lengths}

        def choice(values: tuple[float, float, float]) -> _Choice:
            pitches, amplitude, scatter = values
            covariance = noise + amplitude**2 * kernels[pitches]
            covariance[diagonal] += scatter**2
            return _Choice(_Regression.of(ratio, covariance), pitches, amplitude, scatter)

        choices = on_all_cores(choice, list(product(lengths, amplitudes, scatters)))
        return max(choices, key=lambda choice: choice.regression.likelihood)

    flat = tried(LENGTHS[:1], (0.0,), SCATTERS).regression.likelihood
    best = tried(LENGTHS[1::3], AMPLITUDES[::2], SCATTERS[::2])
    last = -np.inf
    while best.regression.likelihood > max(flat, last):
        last = best.regression.likelihood
        best = tried(LENGTHS, (best.amplitude,), (best.scatter,))
        best = tried((best.pitches,), AMPLITUDES, SCATTERS)
    return best.regression, best.pitches * tiles.pitch_um, best.amplitude, flat


@dataclass(frozen=True)
class _Choice:
    """A regression and its ℓ (pitches), τ and ν."""

    regression: _Regression
    pitches: float
    amplitude: float
    scatter: float


def _kernel(
    first_um: np.ndarray, second_um: np.ndarray, length_um: float, blur_um2: float
) -> np.ndarray:
    """Covariance (n, m) of the smooth field of unit variance between places (n, 2) and (m, 2).

    `blur_um2` is the variance, along one axis, of what the field is averaged with at both places
    together: 0 for points, that of a tile for a point and a tile.
    """
    square = length_um**2 + blur_um2
    (y1, x1), (y2, x2) = first_um.T, second_um.T
    distance = (y1[:, None] - y2) ** 2 + (x1[:, None] - x2) ** 2
    return np.asarray(length_um**2 / square * np.exp(-0.5 * distance / square))
