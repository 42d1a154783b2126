"""Classical deconvolution of one picture or volume, with a stop that needs no truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import get_args

import numpy as np
from scipy.signal import fftconvolve

from simrecon.errors import UsageError
from zsdeconv.baselines.blur import Blur, checked_psf
from zsdeconv.baselines.lucy import LucyStep, Momentum, lucy_steps
from zsdeconv.baselines.sparse import SPARSITY, STRENGTH, estimated_background, sparse_image
from zsdeconv.baselines.stop import Stop, StopRule, chi2, discrepancy_stop, held_out_stop
from zsdeconv.psf_checks import centred_psf
from zsdeconv.recorrupt import draw_noise, recorrupt

MOST_ITERATIONS = 100
_ALPHA = 0.5
_FLOOR = 0.02


@dataclass(frozen=True)
class Deconvolved:
    """A deconvolved picture and why it was left there.

    Attributes
    ----------
    image : ndarray, float32
        The object, photo-electrons per pixel, not negative, background included.
    chi2 : float
        Mean of (y − A f)²/variance over the pixels: 1 when the picture is explained.
    iterations : int
    reason : str
        Why it stopped, one sentence.
    scores : tuple of float
        What the stopping rule looked at, per iteration; empty for a given number.
    background_e : float
        What sparse deconvolution took for background; 0 for Richardson–Lucy.
    """

    image: np.ndarray
    chi2: float
    iterations: int
    reason: str
    scores: tuple[float, ...]
    background_e: float = 0.0


def predicted_variance(
    image_e: np.ndarray, psf: np.ndarray, read_variance_e2: np.ndarray | float, used: np.ndarray
) -> np.ndarray:
    """Noise variance of every pixel, from the picture smoothed by its own PSF (e², float32).

    Never from the noisy pixel itself (physics.md §4), and not below 2 % of its mean.
    """
    around = [((n - 1) // 2, n // 2) for n in psf.shape]
    light, seen = (
        fftconvolve(np.pad(a, around, mode="symmetric"), psf, "valid")
        for a in (np.where(used, image_e, 0.0).astype(np.float32), used.astype(np.float32))
    )
    smooth = light / np.maximum(seen, 1e-3)
    variance = np.maximum(smooth, 0.0) + read_variance_e2
    least = max(_FLOOR * float(np.mean(variance[used], dtype=np.float64)), 1e-6)
    return np.asarray(np.maximum(variance, least), dtype=np.float32)


class _Task:
    """A picture with its noise, and two independent copies of it."""

    def __init__(
        self,
        image_e: np.ndarray,
        psf: np.ndarray,
        read_variance_e2: np.ndarray | float,
        bad: np.ndarray | None,
    ) -> None:
        y = np.asarray(image_e, dtype=np.float32)
        kernel = checked_psf(centred_psf(psf, y.ndim), y.ndim)
        used = np.ones(y.shape, bool) if bad is None else ~np.broadcast_to(bad, y.shape)
        self.image = np.where(used, y, 0.0).astype(np.float32)
        self.read = np.nan_to_num(np.asarray(read_variance_e2, np.float32))
        self.variance = predicted_variance(self.image, kernel, self.read, used)
        self.weight = None if bad is None else used.astype(np.float32)
        self.blur = Blur(kernel, y.shape, self.weight)
        self._noise_share = float(np.sum(kernel.astype(np.float64) ** 2))

    def copies(self, seed: int, excess: float) -> tuple[np.ndarray, np.ndarray]:
        noise = draw_noise(excess * self.variance, np.random.default_rng(seed))
        return recorrupt(self.image, noise, _ALPHA)

    def chi2(self, seen_e: np.ndarray) -> float:
        variance = np.maximum(seen_e, 0.0) + self.read
        return chi2(self.image, seen_e, variance, self.weight)

    def discrepancy(self, seen_e: np.ndarray) -> float:
        """Power of the residual over that of the noise, both filtered by Aᵀ."""
        weight = 1.0 if self.weight is None else self.weight
        residual = self.blur.transpose((self.image - seen_e) * weight)
        variance = (np.maximum(seen_e, 0.0) + self.read) * weight
        power = np.sum(residual**2, dtype=np.float64)
        return float(power / (self._noise_share * np.sum(variance, dtype=np.float64)))

    def distance(self, other_e: np.ndarray, seen_e: np.ndarray) -> float:
        return chi2(other_e, seen_e, self.variance, self.weight)


Start = Callable[[np.ndarray, float], Iterator[LucyStep]]
"""Iterations for a copy of the picture whose noise variance is a factor larger."""


def _stopped(task: _Task, start: Start, stop: StopRule | int, most: int, seed: int) -> Stop:
    if isinstance(stop, int):
        if stop < 1:
            raise UsageError("At least one iteration is needed.", got=str(stop))
        return Stop(stop, f"{stop} iterations, as asked", ())
    if stop not in get_args(StopRule):
        raise UsageError("Unknown stop rule.", expected=str(get_args(StopRule)), got=str(stop))
    found: Stop | None = None
    excess = 1.0
    if stop == "discrepancy":
        found = discrepancy_stop(start(task.image, 1.0), lambda s: task.discrepancy(s.seen), most)
        if found.reached:
            return found
        excess = min(found.scores)  # the noise is larger than stated: draw it as large as it looks
    one, other = task.copies(seed, excess)
    noisier = 1.0 + excess * _ALPHA**2
    held_out = held_out_stop(start(one, noisier), lambda s: task.distance(other, s.seen), most)
    return held_out if found is None else held_out.after(found)


def richardson_lucy(
    image_e: np.ndarray,
    psf: np.ndarray,
    *,
    read_variance_e2: np.ndarray | float = 0.0,
    bad: np.ndarray | None = None,
    stop: StopRule | int = "discrepancy",
    momentum: Momentum = "biggs",
    tv: float = 0.0,
    most: int = MOST_ITERATIONS,
    seed: int = 0,
) -> Deconvolved:
    """Richardson–Lucy with boundary weights, acceleration and a stop found by the data.

    Parameters
    ----------
    image_e : ndarray, (Y, X) or (Z, Y, X)
        Photo-electrons, background included.
    psf : ndarray, same number of axes
        On the picture's grid, centred on n//2.
    read_variance_e2 : float or ndarray
        Variance of the read noise, e².
    bad : ndarray of bool or None
        Pixels that are not used.
    stop : {"discrepancy", "held-out"} or int
        See :mod:`zsdeconv.baselines.stop`; a number: exactly so many iterations. Where the residual
        stays larger than the noise, the held-out rule decides instead.
    momentum, tv
        See :func:`zsdeconv.baselines.lucy.lucy_steps`.
    most
        Largest number of iterations that a rule may choose.
    seed
        Of the re-corrupted copies.
    """
    task = _Task(image_e, psf, read_variance_e2, bad)

    def start(copy_e: np.ndarray, factor: float) -> Iterator[LucyStep]:
        read = task.read + (factor - 1.0) * task.variance
        return lucy_steps(copy_e, task.blur, read_variance_e2=read, momentum=momentum, tv=tv)

    found = _stopped(task, start, stop, most, seed)
    return _finished(task, start(task.image, 1.0), found, 0.0)


def sparse_deconvolution(
    image_e: np.ndarray,
    psf: np.ndarray,
    *,
    read_variance_e2: np.ndarray | float = 0.0,
    bad: np.ndarray | None = None,
    strength: float = STRENGTH,
    sparsity: float = SPARSITY,
    continuity: float = 1.0,
    background_e: float | None = None,
    stop: StopRule | int = "held-out",
    most: int = MOST_ITERATIONS,
    seed: int = 0,
) -> Deconvolved:
    """Sparse, continuous picture first, then Richardson–Lucy on it.

    Parameters
    ----------
    image_e, psf, read_variance_e2, bad, stop, most, seed
        As :func:`richardson_lucy`. A picture (T, Y, X) with a PSF of two axes is a movie: the
        first step joins its frames, the second takes each by itself.
    strength, sparsity, continuity, background_e
        See :func:`zsdeconv.baselines.sparse.sparse_image`.
    """
    lateral = np.asarray(psf)
    movie = np.ndim(image_e) == 3 and lateral.ndim == 2
    task = _Task(image_e, lateral[None] if movie else lateral, read_variance_e2, bad)
    base = estimated_background(task.image) if background_e is None else float(background_e)

    def start(copy_e: np.ndarray, factor: float) -> Iterator[LucyStep]:
        variance = factor * task.variance
        if task.weight is not None:
            variance = np.where(task.weight > 0, variance, np.float32(np.inf))
        sparse = sparse_image(
            copy_e, variance, strength=strength, sparsity=sparsity, continuity=continuity,
            background_e=base,
        )  # fmt: skip
        for step in lucy_steps(sparse + 1e-6, task.blur):
            yield LucyStep(step.iteration, step.image, step.seen + np.float32(base))

    found = _stopped(task, start, stop, most, seed)
    return _finished(task, start(task.image, 1.0), found, base)


def _finished(task: _Task, steps: Iterator[LucyStep], stop: Stop, base: float) -> Deconvolved:
    step = next(islice(steps, stop.iterations - 1, None))
    image = np.asarray(step.image + np.float32(base), dtype=np.float32)
    return Deconvolved(image, task.chi2(step.seen), stop.iterations, stop.reason, stop.scores, base)
