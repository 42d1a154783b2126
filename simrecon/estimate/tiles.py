"""Local ratio of the orders 1 and 0 of a direction: is the pattern the same everywhere?

Filtered with each other's transfer, ``x = T_1 ⊛ y_0`` and ``y = T_0 ⊛ y_1`` are the same picture of
the object where orders 0 and 1 overlap, and ``y = c x`` with c the local deviation of the pattern
(:mod:`simrecon.model.local_field`). The filters act on the whole field, so that tiles need no
transform and no correction for their edges; they are whitened, so that the noise of ``y − x`` is
white inside the overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.estimate.gains import FLOOR, SLOPE_STEP_SAMPLES, OtfFunction
from simrecon.estimate.groups import SEPARATE
from simrecon.estimate.mixing import DirectionState, unmixing
from simrecon.estimate.noise import predicted_noise
from simrecon.estimate.rows import BandImages

PITCH_OVER_CUTOFF = 7.0
"""Distance of tile centres times the cut-off: some seven widths of the PSF."""
MAX_INTERVALS, MIN_INTERVALS = 16, 2
MAX_SD = 0.35
"""A tile has signal when its c is better known than this."""


@dataclass(frozen=True)
class Tiles:
    """Overlapping tiles of one direction; weights are hats that add up to 1 everywhere.

    Attributes
    ----------
    y_um, x_um : ndarray (NY,), (NX,)
        Tile centres from the centre of the field, border to border.
    ratio : ndarray (NY, NX), complex128
        c of every tile, relative to the fitted modulation and phase; 0 without signal.
    covariance : ndarray (N, N), float64
        ``E[δ_a δ_b*]`` of c from noise, tiles in C order; infinite variance without signal.
    light : ndarray (NY, NX)
        Power of the object in the overlap, noise subtracted; without the weight of the frames.
    place_um : ndarray (N, 2)
        Where the light of a tile lies on average (y, x): what its c belongs to.
    """

    y_um: np.ndarray
    x_um: np.ndarray
    ratio: np.ndarray
    covariance: np.ndarray
    light: np.ndarray
    place_um: np.ndarray

    @property
    def lit(self) -> np.ndarray:
        """Which tiles have signal, (N,) bool."""
        return np.asarray(np.diag(self.covariance) < MAX_SD**2)

    @property
    def pitch_um(self) -> float:
        """Larger distance of neighbouring tiles."""
        return float(max(self.y_um[1] - self.y_um[0], self.x_um[1] - self.x_um[0]))

    @property
    def blur_um2(self) -> float:
        """Variance of a tile's weight along one axis: a sixth of the squared pitch for a hat."""
        steps = np.array([self.y_um[1] - self.y_um[0], self.x_um[1] - self.x_um[0]])
        return float(np.mean(steps**2)) / 6.0

    @property
    def nodes_um(self) -> np.ndarray:
        """Tile centres (N, 2) in C order."""
        return np.stack(np.meshgrid(self.y_um, self.x_um, indexing="ij"), axis=-1).reshape(-1, 2)


def measure_tiles(
    images: BandImages, direction: int, state: DirectionState, variance_e2: np.ndarray
) -> Tiles | None:
    """Tiles of one direction under the pattern `state`; None for a field of too few tiles.

    Parameters
    ----------
    images : BandImages
    direction : int
    state : DirectionState
    variance_e2 : ndarray (P, Y, X)
        Noise variance of the direction's frames, e².
    """
    window, cutoff = images.field.window, images.field.cutoff_per_um
    extent = (window.wy.size * window.padded.pixel_um, window.wx.size * window.padded.pixel_um)
    intervals = [int(min(e * cutoff / PITCH_OVER_CUTOFF, MAX_INTERVALS)) for e in extent]
    if min(intervals) < MIN_INTERVALS:
        return None
    x, y, noise_x = _same_picture(images, direction, state, predicted_noise(variance_e2, window))
    centres, hats = [], []
    for count, positions, span in zip(
        intervals,
        (images.field.y_um, images.field.x_um),
        (window.y_um, window.x_um),
        strict=True,
    ):
        centres.append(np.linspace(span[0], span[-1], count + 1))
        step = centres[-1][1] - centres[-1][0]
        distance = np.abs(positions - centres[-1][:, None]) / step
        inside = (positions >= span[0]) & (positions <= span[-1])
        hats.append(np.maximum(1.0 - distance, 0.0) * inside)
    share = _noise_share(images, variance_e2)
    hy, hx = hats
    power = (np.abs(x) ** 2).astype(np.float64)
    signal = power - noise_x * share
    light = hy @ signal @ hx.T
    cross = hy @ (np.conj(x) * y) @ hx.T
    spread = power * share / share.size
    moments = np.einsum(
        "apy,yx,bqx->abpq",
        hy[:, None] * hy[None],
        spread,
        hx[:, None] * hx[None],
        optimize=True,
    )
    size = light.size
    variance = moments.reshape(size, size)
    safe = np.where(light > 0, light, 1.0)
    covariance = variance / np.outer(safe, safe)
    covariance[np.diag_indices(size)] = np.where(light.ravel() > 0, np.diag(covariance), np.inf)
    weight = np.maximum(hy @ power @ hx.T, 1e-30)
    place = np.stack(
        [
            (hy * images.field.y_um) @ power @ hx.T / weight,
            hy @ power @ (hx * images.field.x_um).T / weight,
        ],
        axis=-1,
    )
    ratio = np.where(light > 0, cross / safe, 0.0)
    if window.weight is not None:
        light = hy @ (signal / _sampled(images, window.weight**2, 1.0)) @ hx.T
    return Tiles(centres[0], centres[1], ratio, covariance, light, place.reshape(-1, 2))


def _same_picture(
    images: BandImages, direction: int, state: DirectionState, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Orders 0 and 1 as the same picture (MY, MX), and the mean noise power in the first."""
    field, half = images.field, images.half
    c = unmixing(state.parameters, noise.size)[:2].astype(np.complex64)
    noise_zero, noise_one = np.abs(c) ** 2 @ noise
    (fy, fx), cutoff, low = state.frequency_per_um, field.cutoff_per_um, SEPARATE
    place = np.concatenate([half.index, half.mirrored])
    ky, kx = np.concatenate([half.ky, -half.ky]), np.concatenate([half.kx, -half.kx])
    first, second = np.hypot(ky, kx), np.hypot(ky + fy, kx + fx)
    both = (np.maximum(first, second) < cutoff) & (np.minimum(first, second) > low * cutoff)
    near, far = images.otf(ky, kx), images.otf(ky + fy, kx + fx)
    used = np.nonzero(both & (np.abs(near) > FLOOR) & (np.abs(far) > FLOOR))[0]
    place, ky, kx, near, far = (a[used] for a in (place, ky, kx, near, far))
    white = 1.0 / np.sqrt(np.abs(near) ** 2 * noise_one + np.abs(far) ** 2 * noise_zero)
    zero = c[0] @ images.zero_corrected[direction]
    tapered = images.separated(direction, c[1])
    one = field.transform(tapered * field.carrier(state.frequency_per_um))[:, place]
    step = SLOPE_STEP_SAMPLES / min(field.window.padded.extent_um)
    one = _commuted(one, images.otf, (ky + fy, kx + fx), far, step)
    pictures = np.zeros((2, field.shape[0] * field.shape[1]), dtype=np.complex64)
    pictures[0, place] = np.concatenate([zero, np.conj(zero)])[used] * far * white
    pictures[1, place] = one * near * white
    x, y = field.inverse(pictures)
    noise_x = float(np.sum(np.abs(far * white) ** 2)) * noise_zero / x.size**2
    return x, y, noise_x


def _commuted(
    spectra: np.ndarray,
    otf: OtfFunction,
    at: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    step: float,
) -> np.ndarray:
    """Spectrum (K,) as if the window had been there before the optics, to first order.

    ``F + ∇H/H · F^∇w / 2πi`` (:mod:`.rows`) from the spectra (3, K) of the images times w, ∂w/∂y,
    ∂w/∂x; `values` are H at the frequencies `at`.
    """
    (ky, kx), total = at, spectra[0]
    for spectrum, dy, dx in ((spectra[1], step, 0.0), (spectra[2], 0.0, step)):
        slope = (otf(ky + dy, kx + dx) - otf(ky - dy, kx - dx)) / (2 * step * values)
        total = total + slope * spectrum / 2j / np.pi
    return np.asarray(total)


def _noise_share(images: BandImages, variance_e2: np.ndarray) -> np.ndarray:
    """Relative noise variance of windowed frames over the coarse grid, mean 1."""
    window = images.field.window
    weighted = variance_e2.mean(axis=0) * window.wy[:, None] ** 2 * window.wx[None, :] ** 2
    weighted = _sampled(images, weighted, 0.0)
    return np.asarray(weighted / weighted.mean(), dtype=np.float64)


def _sampled(images: BandImages, raw: np.ndarray, outside: float) -> np.ndarray:
    """An image of the raw grid (Y, X) at the nearest samples of the coarse one, (MY, MX)."""
    window = images.field.window
    for axis, positions, span in (
        (0, images.field.y_um, window.y_um),
        (1, images.field.x_um, window.x_um),
    ):
        index = np.rint((positions - span[0]) / window.padded.pixel_um).astype(int)
        inside = np.expand_dims(index < span.size, 1 - axis)
        raw = np.take(raw, np.minimum(index, span.size - 1), axis=axis)
        raw = np.where(inside, raw, outside)
    return raw
