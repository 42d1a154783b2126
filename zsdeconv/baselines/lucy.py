"""Richardson–Lucy deconvolution of one image or volume, accelerated, with total variation.

    f ← f · Aᵀ[ w c⁺ / u ] / ( Aᵀ[ w (1 + c⁻ / u) ] − λ div(∇f/|∇f|) ),
    u = A f + r,  c = y + r

A and w are those of :class:`zsdeconv.baselines.blur.Blur`; r is the read noise's variance, added
to both sides so that c is nearly Poisson (Snyder et al., JOSA A 12, 272, 1995); where read noise
makes a count negative, its part moves to the denominator, as in
:mod:`simrecon.recon.richardson_lucy`. The TV term is that of Dey et al., Microsc. Res. Tech. 69,
260, 2006, eq. 14.

Acceleration extrapolates along the last step: by the quotient of Biggs & Andrews (Appl. Opt. 36,
1766, 1997, eq. 8–10), or by the growing factor of the scaled heavy ball (Wang & Miller, IEEE TIP
23, 848, 2014). An extrapolation that loses likelihood is taken back and starts anew.

:mod:`zsdeconv.baselines.richardson_lucy` is the same iteration in torch for any forward model (raw
SIM frames; the start of a network).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from simrecon.errors import InputError, UsageError
from zsdeconv.baselines.blur import Blur

Momentum = Literal["none", "biggs", "heavy-ball"]
_FLOOR = 1e-4
"""Smallest value of estimate and prediction over the mean of the picture."""
_LARGEST_PULL = 0.98
_LARGEST_TV_SHARE = 0.9


@dataclass(frozen=True)
class LucyStep:
    """The state after one iteration.

    Attributes
    ----------
    iteration : int
        From 1.
    image : ndarray
        The estimate on the camera's field, photo-electrons; a view of the next iteration's start,
        valid until then.
    seen : ndarray
        What the camera expects of it (or of the point extrapolated from it).
    """

    iteration: int
    image: np.ndarray
    seen: np.ndarray


def lucy_steps(
    image_e: np.ndarray,
    blur: Blur,
    *,
    read_variance_e2: np.ndarray | float = 0.0,
    momentum: Momentum = "biggs",
    tv: float = 0.0,
) -> Iterator[LucyStep]:
    """Yield the estimates, from a flat picture on, without end.

    Parameters
    ----------
    image_e : ndarray, (Y, X) or (Z, Y, X)
        Photo-electrons with their background; noise may make them negative.
    blur
        For this picture's shape.
    read_variance_e2 : float or ndarray
        Variance of the read noise, e².
    momentum : {"biggs", "heavy-ball", "none"}
    tv
        Strength of the total variation, in units of the gradient's noise: λ is tv times the
        standard deviation that photon noise of a pixel of mean light gives the gradient of the
        likelihood. 0: none; 0.1 to 0.5 are usual.

    Raises
    ------
    UsageError
        For a shape that is not the blur's, a negative strength, an unknown momentum.
    InputError
        For values that are not finite, or a picture without light.
    """
    y = np.asarray(image_e, dtype=np.float32)
    if y.shape != blur.shape or tv < 0 or momentum not in get_args(Momentum):
        raise UsageError(
            "Richardson–Lucy cannot start.",
            expected=f"a picture of shape {blur.shape}, tv >= 0, one of {get_args(Momentum)}",
            got=f"{y.shape}, {tv}, {momentum}",
        )
    used = y if blur.weight is None else np.where(blur.weight > 0, y, 0)
    if not np.isfinite(used).all():
        raise InputError("The picture holds NaN or infinite values.", where="image")
    mean = float(used.mean(dtype=np.float64))
    if not mean > 0:
        raise InputError(
            "The picture holds no light.",
            expected="a positive mean after the camera offset is taken off",
            got=f"mean {mean:.3g} e",
            where="image",
            hint="is the camera offset right?",
        )
    return _steps(
        _Problem(used, blur, np.asarray(read_variance_e2, np.float32), mean, tv), momentum
    )


class _Problem:
    """One picture: its multiplicative step and its likelihood."""

    def __init__(self, y: np.ndarray, blur: Blur, read: np.ndarray, mean: float, tv: float) -> None:
        self.blur, self.read, self.mean = blur, read, mean
        counts = y + read
        self._positive = np.maximum(counts, 0.0)
        self._negative = np.maximum(-counts, 0.0) if counts.min() < 0 else None
        self._counts = counts
        self._least = np.float32(_FLOOR * mean)
        power = float(np.sum(blur.transpose(_impulse(blur.shape)) ** 2, dtype=np.float64))
        self._lambda = tv * (power / (mean + float(np.mean(read)))) ** 0.5

    def seen(self, point: np.ndarray) -> np.ndarray:
        """A f, which is u − r."""
        return self.blur(point)

    def safe(self, seen: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(seen + self.read, self._least))

    def step(self, point: np.ndarray, seen: np.ndarray) -> np.ndarray:
        u = self.safe(seen)
        ratio = self._positive / u
        if self.blur.weight is not None:
            ratio *= self.blur.weight
        up = self.blur.transpose(ratio)
        down = self.blur.sensitivity
        if self._negative is not None:
            extra = self._negative / u
            if self.blur.weight is not None:
                extra *= self.blur.weight
            down = down + np.maximum(self.blur.transpose(extra), 0.0)
        if self._lambda > 0:
            pull = self._lambda * curvature(point, float(self._least))
            down = down - np.clip(pull, -_LARGEST_TV_SHARE * down, _LARGEST_TV_SHARE * down)
        return np.asarray(np.maximum(point * np.maximum(up, 0.0) / down, self._least))

    def objective(self, seen: np.ndarray) -> float:
        u = self.safe(seen)
        terms = u - self._counts * np.log(u)
        if self.blur.weight is not None:
            terms *= self.blur.weight
        return float(terms.sum(dtype=np.float64))

    def extrapolated(self, here: np.ndarray, old: np.ndarray, pull: float) -> np.ndarray:
        return np.asarray(np.maximum(here + np.float32(pull) * (here - old), self._least))


def _steps(problem: _Problem, momentum: Momentum) -> Iterator[LucyStep]:
    old = here = point = np.full(problem.blur.field, problem.mean, np.float32)
    seen = problem.seen(point)
    last = problem.objective(seen)
    step = old_step = np.zeros_like(here)
    since, iteration = 0, 0
    while True:
        iteration, since = iteration + 1, since + 1
        old, here = here, problem.step(point, seen)
        old_step, step = step, here - point
        pull = _pull(momentum, step, old_step, since)
        point = problem.extrapolated(here, old, pull) if pull > 0 else here
        seen = problem.seen(point)
        value = problem.objective(seen)
        if pull > 0 and value > last:
            point, since = here, 0
            seen = problem.seen(point)
            value = problem.objective(seen)
        last = value
        yield LucyStep(iteration, problem.blur.crop(here), seen)


def _pull(momentum: Momentum, step: np.ndarray, old_step: np.ndarray, since: int) -> float:
    if momentum == "none" or since < 2:
        return 0.0
    if momentum == "heavy-ball":
        return min((since - 1.0) / (since + 2.0), _LARGEST_PULL)
    below = float(np.vdot(old_step, old_step))
    return (
        min(max(float(np.vdot(step, old_step)) / below, 0.0), _LARGEST_PULL) if below > 0 else 0.0
    )


def curvature(image: np.ndarray, least: float) -> np.ndarray:
    """div(∇f/|∇f|), differences forward and backward, nothing across the border."""
    slopes = [np.diff(image, axis=a, append=np.take(image, [-1], a)) for a in range(image.ndim)]
    length = np.sqrt(sum(s * s for s in slopes) + np.float32(least) ** 2)
    out = np.zeros_like(image)
    for axis, slope in enumerate(slopes):
        out += np.diff(slope / length, axis=axis, prepend=np.float32(0.0))
    return out


def _impulse(shape: tuple[int, ...]) -> np.ndarray:
    spot = np.zeros(shape, np.float32)
    spot[tuple(n // 2 for n in shape)] = 1.0
    return spot
