"""Gain from ordinary pictures: block mean against block variance of the noise.

The fallback where nobody took dark and flat frames. The structure is removed by keeping only
spatial frequencies that the optics cannot pass (white noise has its share there); what is left is
the noise, whose variance in a block grows with the block's mean: v = v(0) + gain · mean. The line
is fitted by least absolute deviations, so that a few blocks with left-over structure do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.fft import dctn, idctn
from scipy.ndimage import maximum_filter, median_filter

from simrecon.errors import InputError, QualityError
from simrecon.estimate.noise_colour import LOWEST_PER_PX, NoiseColour

BLOCK_PX = 16
MAX_FRAMES = 60
BLIND_CUTOFF = 0.4
"""Cut-off in cycles per pixel that is assumed when optics and pixel are not given: frames
sampled with at least 2.5 pixels per period of the finest detail."""
EDGE_PER_PX = 0.08
"""Width of the filter's edge: a sharp one would carry the noise of bright places far around."""
MIN_SHARE, MIN_BLOCKS = 0.05, 30
CONTRADICTION_SIGMA = 5.0
HOT_SIGMA, LONELY = 8.0, 0.2
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
MAX_RELATIVE_SD = 0.3
BOOTSTRAPS = 100
ROUNDING_ADU2 = 1.0 / 12.0
OPTICS_UNKNOWN = "Optics not given (--pixel-um --na --emission-nm)"


@dataclass(frozen=True)
class BlockNoise:
    """Means and noise variances of blocks.

    Attributes
    ----------
    mean, variance : ndarray (blocks,)
        ADU, ADU².
    freedom : float
        Degrees of freedom of each variance.
    """

    mean: np.ndarray
    variance: np.ndarray
    freedom: float


@dataclass(frozen=True)
class ImageCamera:
    """A camera estimated from pictures; each number with its standard deviation.

    Attributes
    ----------
    gain, gain_sd : float
        ADU/e.
    offset, offset_sd : float
        ADU; as given (sd 0), or from the crossing of the line.
    read_noise_e, read_noise_sd_e : float
        e; as given (sd 0), or from the crossing of the line.
    blocks : BlockNoise
    notes : tuple of str
        What was assumed.
    """

    gain: float
    gain_sd: float
    offset: float
    offset_sd: float
    read_noise_e: float
    read_noise_sd_e: float
    blocks: BlockNoise
    notes: tuple[str, ...]


def block_noise(
    frames: Iterable[np.ndarray], cutoff_per_px: float, colour: NoiseColour | None = None
) -> BlockNoise:
    """Mean and noise variance of every 16 × 16 block of (at most 60) frames.

    Parameters
    ----------
    frames
        Counts, shape (Y, X).
    cutoff_per_px : float
        Radius in cycles per pixel beyond which the optics pass nothing.
    colour
        Spectrum of the noise; None: white.

    Raises
    ------
    InputError
        When too little of the spectrum lies beyond the cut-off, or there are too few blocks.
    """
    means, variances, share = [], [], 1.0
    for frame in islice(frames, MAX_FRAMES):
        ny, nx = (n // BLOCK_PX * BLOCK_PX for n in frame.shape)
        counts = frame[:ny, :nx].astype(np.float64)
        if not counts.size:
            continue
        ky, kx = (np.arange(n) / (2.0 * n) for n in counts.shape)
        radius = np.hypot(ky[:, None], kx[None, :])
        passed = np.clip((radius - cutoff_per_px) / EDGE_PER_PX, 0.0, 1.0)
        spectrum = 1.0 if colour is None else colour.spectrum(ky[:, None], kx[None, :])
        share = float(np.mean(passed**2 * spectrum) / np.mean(spectrum))
        if share < MIN_SHARE:
            raise InputError(
                "The frames are sampled too coarsely to tell noise from structure.",
                expected=f"at least {100 * MIN_SHARE:g} % of all frequencies beyond the cut-off",
                got=f"{100 * share:.1f} % beyond {cutoff_per_px:.3g} cycles per pixel",
                hint="take dark and flat frames: --dark, --flat",
            )
        noise = _filtered(counts, passed)
        hot = _hot(counts, noise)
        if hot.any():
            counts = np.where(hot, median_filter(counts, size=3, mode="mirror"), counts)
            noise = _filtered(counts, passed)
        means.append(_blocks(counts))
        variances.append(_blocks(noise**2) / share)
    mean = np.concatenate(means) if means else np.zeros(0)
    if mean.size < MIN_BLOCKS:
        raise InputError(
            "The frames are too small.",
            expected=f"at least {MIN_BLOCKS} blocks of {BLOCK_PX} × {BLOCK_PX} pixels",
            got=str(mean.size),
        )
    return BlockNoise(mean, np.concatenate(variances), BLOCK_PX**2 * share)


def _filtered(counts: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Frame multiplied by `passed` in the cosine spectrum, which has no edges to leak from."""
    return np.asarray(idctn(passed * dctn(counts, norm="ortho"), norm="ortho"))


def _hot(counts: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Hot pixels: beyond eight robust sigma of their block, and alone.

    The neighbours of the brightest pixel of a bead have a third of its height or more, in any
    frame that the optics fill; those of a hot pixel have none.
    """
    around = median_filter(counts, footprint=_RING, mode="mirror")
    far = median_filter(counts, size=7, mode="mirror")
    alone = (around - far) < LONELY * (counts - far)
    size = np.abs(noise)
    ny, nx = (n // BLOCK_PX for n in noise.shape)
    typical = np.median(size.reshape(ny, BLOCK_PX, nx, BLOCK_PX), axis=(1, 3)) / 0.6745
    limit = HOT_SIGMA * np.kron(typical, np.ones((BLOCK_PX, BLOCK_PX)))
    return np.asarray(alone & (size > limit) & (size == maximum_filter(size, size=3)))


def _blocks(image: np.ndarray) -> np.ndarray:
    """Means of blocks, flat; the sides of the image are multiples of the block's."""
    ny, nx = (n // BLOCK_PX for n in image.shape)
    return np.asarray(image.reshape(ny, BLOCK_PX, nx, BLOCK_PX).mean(axis=(1, 3))).ravel()


def line_of_least_absolutes(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of y(x), each residual in units of the line itself.

    Iteratively reweighted least squares; noise variances have errors in proportion to themselves.
    """
    weight = np.ones_like(y)
    intercept, slope = 0.0, 0.0
    floor = 1e-3 * float(np.median(np.abs(y)))
    for _ in range(60):
        w = weight / weight.sum()
        mx, my = float(w @ x), float(w @ y)
        spread = float(w @ (x - mx) ** 2)
        slope = float(w @ ((x - mx) * (y - my))) / max(spread, 1e-300)
        intercept = my - slope * mx
        line = intercept + slope * x
        size = np.maximum(line, 0.1 * float(np.median(y)))
        weight = 1.0 / (size * np.maximum(np.abs(y - line), floor))
    return intercept, slope


def gain_of_known_camera(light: np.ndarray, variance: np.ndarray, read_e: float) -> float:
    """Median over the blocks of the gain that solves variance = gain · light + gain² · read².

    Parameters
    ----------
    light, variance : ndarray (blocks,)
        Mean above the offset, ADU; noise variance, ADU².
    """
    root = np.sqrt(light**2 + 4.0 * read_e**2 * np.maximum(variance, 0.0))
    lit = root + light > 0
    return float(np.median(2.0 * variance[lit] / (root + light)[lit]))


def camera_from_images(
    frames: Iterable[np.ndarray],
    *,
    cutoff_per_px: float | None = None,
    offset: float | None = None,
    read_noise_e: float | None = None,
    colour: NoiseColour | None = None,
    seed: int = 0,
    blind_because: str = OPTICS_UNKNOWN,
) -> ImageCamera:
    """Estimate the gain, and what is not given of offset and read noise, from pictures.

    Parameters
    ----------
    frames
        Counts, shape (Y, X); structure and brightness should vary within them.
    cutoff_per_px
        2 · NA · pixel / wavelength; None: 0.4 assumed.
    offset, read_noise_e
        ADU and e, when known. With one of them the other one follows from the crossing of the line;
        with neither, zero read noise is assumed, and the offset comes out too low by gain · read².
    colour
        Spectrum of noise that is not white (:func:`simrecon.estimate.noise_colour.noise_colour`).
    seed
        Of the bootstrap over blocks that gives the errors.
    blind_because
        Why there is no `cutoff_per_px`; begins the note that says what was assumed.

    Raises
    ------
    InputError
        Frames that cannot be used.
    QualityError
        When the gain has an error above 30 %, or is not positive.
    """
    blind = BLIND_CUTOFF if colour is None else LOWEST_PER_PX
    blocks = block_noise(frames, 1.05 * (cutoff_per_px or blind), colour)
    bias = (1.0 - 2.0 / (9.0 * blocks.freedom)) ** 3  # median over mean of chi-square
    mean, variance = blocks.mean, blocks.variance / bias - ROUNDING_ADU2
    rng = np.random.default_rng(seed)
    fits = [_solve(mean, variance, offset, read_noise_e)]
    for _ in range(BOOTSTRAPS):
        chosen = rng.integers(0, mean.size, mean.size)
        fits.append(_solve(mean[chosen], variance[chosen], offset, read_noise_e))
    gain, found_offset, read = fits[0]
    sds = np.std(np.array(fits[1:]), axis=0)
    if not gain > 0 or sds[0] > MAX_RELATIVE_SD * gain:
        raise QualityError(
            "The gain cannot be seen in these pictures.",
            expected=f"an error below {100 * MAX_RELATIVE_SD:g} %",
            got=f"{gain:.3g} ± {sds[0]:.2g} ADU/e from {mean.size} blocks of "
            f"{mean.min():.5g} to {mean.max():.5g} ADU",
            hint="give more frames, with bright and dark places; better: --dark and --flat",
        )
    notes = _notes(gain, found_offset, offset, read_noise_e)
    if cutoff_per_px is None:
        notes += (
            f"{blind_because}: no structure finer than {1 / BLIND_CUTOFF:g} pixels assumed; finer "
            "structure counts as noise.",
        )
    if offset is not None and read_noise_e is not None:
        notes += _contradiction(mean, variance, gain, rng)
    return ImageCamera(
        gain, float(sds[0]), found_offset, float(sds[1]), read, float(sds[2]), blocks, notes
    )


def _solve(
    mean: np.ndarray, variance: np.ndarray, offset: float | None, read_e: float | None
) -> tuple[float, float, float]:
    """Gain, offset and read noise of the line, given what is known."""
    if offset is not None and read_e is not None:
        return gain_of_known_camera(mean - offset, variance, read_e), offset, read_e
    intercept, gain = line_of_least_absolutes(mean, variance)
    if gain <= 0:
        return gain, 0.0, 0.0
    if offset is not None:
        read = np.sqrt(max(intercept + gain * offset, 0.0)) / gain
        return gain, offset, float(read)
    known = read_e or 0.0
    return gain, (gain**2 * known**2 - intercept) / gain, known


def _contradiction(
    mean: np.ndarray, variance: np.ndarray, gain: float, rng: np.random.Generator
) -> tuple[str, ...]:
    """A note when the blocks' own line says another gain than the given offset and read noise."""
    chosen = rng.integers(0, mean.size, (BOOTSTRAPS // 3, mean.size))
    sd = float(np.std([line_of_least_absolutes(mean[c], variance[c])[1] for c in chosen]))
    free = line_of_least_absolutes(mean, variance)[1]
    if abs(free - gain) < CONTRADICTION_SIGMA * sd:
        return ()
    return (
        f"The given offset and read noise do not fit: without them the gain is {free:.4g} ± "
        f"{sd:.2g} ADU/e. Another read-out mode, or no raw counts?",
    )


def _notes(
    gain: float, found: float, offset: float | None, read_e: float | None
) -> tuple[str, ...]:
    notes = ["From ordinary pictures: no maps, no hot pixels, no test of linearity."]
    if offset is None and read_e is None:
        notes.append(
            f"Offset and read noise not given: {found:.4g} ADU is where the noise vanishes; the "
            f"true offset is higher by {gain:.3g} ADU times the square of the read noise in e. The "
            "variance is right, zero is not (--offset)."
        )
    return tuple(notes)
