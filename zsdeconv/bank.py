"""The noise bank: draws of raw noise, each lifted once, that all training pairs share.

By linearity of the lift, ``lift(y + α z) = x + α n`` with n = lift(z): one lift per draw, and
strength, sign and crop stay free for every patch (physics.md §6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from simrecon.result import Progress, no_progress
from zsdeconv.bridge import to_tensor
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.recorrupt import recorrupt
from zsdeconv.start import ClassicalStart

_VARIANCE_SMOOTHING = 4.0


@dataclass(frozen=True)
class Bank:
    """Everything that training patches are cut from; tensors on one device, padded fields.

    Attributes
    ----------
    image, variance : tensor, shape (Y, X)
        The network's input and its noise variance, e and e².
    noise : tensor, shape (K, Y, X)
        Lifted draws n.
    frames, weights : tensor, shape (F, y, x)
        Raw frames and 1/σ² (zero outside the field).
    raw_noise : tensor, shape (K, F, y, x)
        The draws z.
    alphas : tuple of float
        Strength with which each draw is used, log-spaced.
    starts : tensor, shape (K, 2, Y, X)
        Classical starts of the input copies ``y + α z`` and ``y − α z``.
    expected : tensor or None, shape (K, 2, F, z, y, x)
        Of volumes: the frames that the forward model expects of `starts`. What a patch of a volume
        shows is for a large part light from outside the patch.
    start : tensor, shape (Y, X)
        Classical start of the frames themselves.
    classical : ClassicalStart
        What made them.
    scale : float
        The network sees values divided by this; outputs are multiplied by it.
    padding : Padding
    withheld : ndarray of bool or None, shape (y, x)
        Raw pixels that are nobody's target: their weight is 0 and their variance infinite.
    """

    image: torch.Tensor
    variance: torch.Tensor
    noise: torch.Tensor
    frames: torch.Tensor
    weights: torch.Tensor
    raw_noise: torch.Tensor
    alphas: tuple[float, ...]
    starts: torch.Tensor
    start: torch.Tensor
    classical: ClassicalStart
    scale: float
    padding: Padding
    expected: torch.Tensor | None = None
    withheld: np.ndarray | None = None

    @property
    def sigma(self) -> float:
        """Root of the mean variance of the image, e."""
        shown = self.variance[torch.isfinite(self.variance)]
        return float(np.sqrt(float(shown.mean())))

    @property
    def draws(self) -> int:
        """Number of draws K."""
        return int(self.noise.shape[0])


def intensity_scale(image: np.ndarray, sigma: float) -> float:
    """99.5th percentile of the image, but at least five noise sigmas; e."""
    return float(max(np.percentile(image, 99.5), 5.0 * sigma, 1e-6))


def make_bank(
    measurement: Measurement,
    padding: Padding,
    draws: int,
    alpha: tuple[float, float],
    rng: np.random.Generator,
    device: torch.device,
    progress: Progress = no_progress,
    start_iterations: int | None = None,
    withheld: float = 0.0,
) -> Bank:
    """Draw and lift the noise of `measurement`, and pad everything.

    `start_iterations` of the classical start; None: as many as the data want. `withheld`: share of
    the raw pixels that are nobody's target.
    """
    noise, raw, starts = [], [], []
    alphas = np.exp(np.linspace(np.log(alpha[0]), np.log(alpha[1]), draws))
    z = measurement.draw_noise(rng)
    progress("noise bank", 0, draws)
    classical = ClassicalStart(measurement, padding, z, start_iterations)
    for k in range(draws):
        z = measurement.draw_noise(rng)
        noise.append(padding.image(measurement.lift(z)))
        raw.append(padding.frames(z))
        pair = (recorrupt(measurement.frames_e, z, float(alphas[k]), sign)[0] for sign in (1, -1))
        starts.append(torch.stack([classical(copy.astype(np.float32)) for copy in pair]))
        progress("noise bank", k + 1, draws)
    expected = None
    if measurement.dz_um is not None:
        frames = [torch.stack([classical.expected(f) for f in pair]) for pair in starts]
        expected = torch.stack(frames)
    lifted = np.stack(noise).astype(np.float32)
    variance = measurement.image_variance
    if variance is None:
        variance = padding.crop_image((lifted**2).mean(axis=0))
        variance = gaussian_filter(variance, _VARIANCE_SMOOTHING)
    padded = padding.image(np.asarray(variance, dtype=np.float32))
    sigma = float(padded.mean()) ** 0.5
    padded = np.maximum(padded, 1e-3 * float(padded.mean()))
    weights = (1.0 / measurement.variance_e2).astype(np.float32)
    hidden = None
    if withheld > 0:
        hidden = rng.random(weights.shape[1:]) < withheld
        weights[:, hidden] = 0.0
        finer = hidden.repeat(padding.zoom, 0).repeat(padding.zoom, 1)
        padded[padding.image(finer)] = np.inf
    return Bank(
        image=to_tensor(padding.image(measurement.image), device),
        variance=to_tensor(padded, device),
        noise=to_tensor(lifted, device),
        frames=to_tensor(padding.frames(measurement.frames_e), device),
        weights=to_tensor(padding.frames(weights), device),
        raw_noise=to_tensor(np.stack(raw), device),
        alphas=tuple(float(a) for a in alphas),
        starts=torch.stack(starts),
        start=classical(measurement.frames_e),
        classical=classical,
        scale=intensity_scale(measurement.image, sigma),
        padding=padding,
        expected=expected,
        withheld=hidden,
    )
