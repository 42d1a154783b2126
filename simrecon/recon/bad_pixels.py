"""Dead and hot pixels: replaced, before L, by what their neighbours say; linear, with variance.

L weights whole frames, not pixels, so a pixel without information must be filled in. A raw frame
holds nothing beyond the optical cut-off and is sampled finer than that, so a missing pixel follows
from its neighbours, stripes of the pattern included: ordinary kriging (best linear unbiased
prediction, weights of sum 1; Cressie, Statistics for Spatial Data, 1993, eq. 3.2.16) with the
covariance that the OTF gives, ``F⁻¹{|H|²}``.

The filled pixel's noise is that of its neighbours, v = Σ wᵢ² σᵢ², and correlated with theirs. A
variance map without correlations must make up for that: kernels of L are band-limited like the
frames, so Σ wᵢ K(r, i) ≈ K(r, b), and with ``v = Σ wᵢ² σᵢ² + 2 Σ wᵢ σᵢ²`` the sum Σ K² v is that of
the correlated noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.errors import InputError
from simrecon.model.psf import DetectionOTF
from simrecon.physics.otf import evaluate_otf

RADIUS_PX = 3
WIDE_RADIUS_PX = 8
FEWEST_NEIGHBOURS = 8
MOST_BAD = 0.1
"""Largest share of bad pixels that is filled in."""
_TABLE = 64


@dataclass(frozen=True)
class BadPixels:
    """How every bad pixel follows from its neighbours.

    Attributes
    ----------
    pixels : ndarray (n,), intp
        Flat indices of the bad pixels in a frame.
    neighbours : ndarray (n, k), intp
        Flat indices of the good pixels used.
    weights : ndarray (n, k), float32
        Rows of sum 1; 0 in unused places.
    """

    pixels: np.ndarray
    neighbours: np.ndarray
    weights: np.ndarray

    def fill(self, frames: np.ndarray) -> np.ndarray:
        """Frames (..., Y, X) with the bad pixels replaced; a copy."""
        return self._replaced(frames, self.weights)

    def fill_variance(self, variance_e2: np.ndarray) -> np.ndarray:
        """Variances (..., Y, X) that go with :meth:`fill`; a copy.

        At least the filled pixel's own: next to a noisy pixel of negative weight the sum that
        accounts for the correlations can be negative, which is no noise to weigh a pixel with.
        """
        own = self._replaced(variance_e2, self.weights**2)
        with_neighbours = self._replaced(variance_e2, self.weights**2 + 2.0 * self.weights)
        return np.asarray(np.maximum(own, with_neighbours))

    def _replaced(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        flat = np.array(images).reshape(-1, images.shape[-2] * images.shape[-1])
        flat[:, self.pixels] = np.sum(flat[:, self.neighbours] * weights, axis=-1)
        return flat.reshape(images.shape)


def bad_pixels(
    mask: np.ndarray, otf: DetectionOTF, pixel_um: float, noise_to_signal: float
) -> BadPixels:
    """Weights for every bad pixel.

    Parameters
    ----------
    mask : ndarray (Y, X), bool
        True where a pixel is bad.
    otf : DetectionOTF
    pixel_um : float
    noise_to_signal : float
        Noise variance of a pixel over the variance of the signal.

    Raises
    ------
    InputError
        When more than a tenth of the pixels are bad, or one has too few good neighbours.
    """
    share = float(mask.mean())
    if share > MOST_BAD:
        raise InputError(
            "Too many pixels of the camera are bad.",
            expected=f"at most {100 * MOST_BAD:g} %",
            got=f"{100 * share:.3g} % are NaN or extremely noisy in the maps",
            where="camera maps",
        )
    covariance = _covariance(otf, pixel_um)
    ratio = float(np.clip(noise_to_signal, 1e-3, 1e2))
    known: dict[bytes, np.ndarray] = {}
    found = [_neighbours(mask, int(y), int(x), covariance, ratio, known)
             for y, x in zip(*np.nonzero(mask), strict=True)]  # fmt: skip
    most = max(len(index) for index, _ in found)
    pixels = np.flatnonzero(mask)
    neighbours = np.repeat(np.flatnonzero(~mask)[:1], len(pixels) * most).reshape(-1, most)
    weights = np.zeros(neighbours.shape, np.float32)
    for row, (index, weight) in enumerate(found):
        neighbours[row, : len(index)] = index
        weights[row, : len(index)] = weight
    return BadPixels(pixels, neighbours, weights)


def _covariance(otf: DetectionOTF, pixel_um: float) -> np.ndarray:
    """Covariance of the frames over its value at 0, table of lags (y, x) modulo its size."""
    k = np.fft.fftfreq(_TABLE, pixel_um)
    table = np.fft.ifft2(np.abs(evaluate_otf(otf, k[:, None], k[None, :])) ** 2).real
    return np.asarray(table / table[0, 0])


def _neighbours(
    mask: np.ndarray,
    y: int,
    x: int,
    covariance: np.ndarray,
    ratio: float,
    known: dict[bytes, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices and weights of the good pixels near (y, x)."""
    for radius in (RADIUS_PX, WIDE_RADIUS_PX):
        dy, dx = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
        near = np.hypot(dy, dx) < radius + 0.7
        rows, columns = y + dy, x + dx
        near &= (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        near[near] = ~mask[rows[near], columns[near]]
        if np.count_nonzero(near) >= FEWEST_NEIGHBOURS:
            break
    else:
        raise InputError(
            "A bad pixel of the camera has hardly any good neighbours.",
            expected=f"{FEWEST_NEIGHBOURS} good pixels within {WIDE_RADIUS_PX} px",
            got=f"{np.count_nonzero(near)} about row {y}, column {x}",
            where="camera maps",
        )
    key = near.tobytes()
    if key not in known:
        known[key] = _kriging(dy[near], dx[near], covariance, ratio)
    return np.asarray(rows[near] * mask.shape[1] + columns[near]), known[key]


def _kriging(dy: np.ndarray, dx: np.ndarray, covariance: np.ndarray, ratio: float) -> np.ndarray:
    """Weights of neighbours at (dy, dx) for the value at (0, 0)."""
    n = len(dy)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = covariance[dy[:, None] - dy, dx[:, None] - dx] + ratio * np.eye(n)
    system[n, n] = 0.0
    right = np.append(covariance[dy, dx], 1.0)
    return np.asarray(np.linalg.solve(system, right)[:n], dtype=np.float32)
