"""Losses: data terms in units of noise, and the priors.

Every data term is divided by its expected value for a perfect estimate, so that it ends near 1
at any light level and any re-corruption strength. Squared residuals throughout: the identity
behind re-corruption holds for squares only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from zsdeconv.config import LossKind
from zsdeconv.data import PairBatch
from zsdeconv.measurement import Forward, zooms
from zsdeconv.psf_layer import PsfLayer


class DataTerm(Protocol):
    """Compares an object with the independent copy of the data."""

    def __call__(self, objects: torch.Tensor, batch: PairBatch, margin: Margins) -> torch.Tensor:
        """Mean squared residual in units of its noise; `margin` image pixels are left out."""
        ...


Margins = int | Sequence[int]


def _inner(tensor: torch.Tensor, margins: Margins) -> torch.Tensor:
    """Without borders: of the last two axes for one number, else of the last ``len(margins)``."""
    widths = (margins, margins) if isinstance(margins, int) else margins
    return tensor[(..., *(slice(m, -m or None) for m in widths))]


class RawLikelihood:
    """Gaussian likelihood of the re-corrupted raw frames: ‖(forward(f) − ỹ)/σ‖².

    The noise is independent from pixel to pixel with known variance, so every band is weighted
    as the optics say and nothing has to be whitened (physics.md §6). Where the frames of the whole
    classical start are known, a patch only has to explain what it changes: light from outside it,
    which in volumes comes from far, is that of the start.

    Parameters
    ----------
    forwards
        One for all patches, or one for every measurement that they are cut from.
    zoom
        Image pixels per raw pixel.
    """

    def __init__(self, forwards: Sequence[Forward], zoom: int) -> None:
        self._forwards, self._zoom = tuple(forwards), zoom

    def _frames(self, objects: torch.Tensor, batch: PairBatch) -> torch.Tensor:
        """Expected frames of patches, each with the light of its own measurement."""
        if len(self._forwards) == 1:
            return self._forwards[0](objects, batch.origins)
        places = zip(batch.pictures, objects[:, None], batch.origins, strict=True)
        return torch.cat([self._forwards[p](o, [origin]) for p, o, origin in places])

    def __call__(self, objects: torch.Tensor, batch: PairBatch, margin: Margins) -> torch.Tensor:
        """Mean of the squared residuals over their variances."""
        if batch.expected is None:
            residual = self._frames(objects, batch) - batch.raw_target
        else:
            change = self._frames(objects - batch.start, batch)
            residual = change + (batch.expected - batch.raw_target)
        widths = (margin, margin) if isinstance(margin, int) else margin
        raw_margin = [
            -(-m // q) for m, q in zip(widths, zooms(self._zoom, len(widths)), strict=True)
        ]
        weights = _inner(batch.weights, raw_margin)
        squares = _inner(residual**2, raw_margin) * (weights / batch.inflation)
        return squares.sum() / torch.clamp((weights > 0).sum(), min=1)


class ImageResidual:
    """Residual of the image, ``P ⊛ f − x̃``: plain, divided by the local variance, or whitened.

    Parameters
    ----------
    psf
        Effective PSF P.
    kind
        ``l2``: divided by the mean variance. ``variance``: by the local one. ``whitened``: also
        filtered to a white spectrum first.
    whitening : ndarray, optional
        Kernel of that filter, centred on n//2, that gives the noise unit variance on average.
    """

    def __init__(self, psf: PsfLayer, kind: LossKind, whitening: np.ndarray | None = None) -> None:
        self._psf, self._kind = psf, kind
        self._filter = None if whitening is None else PsfLayer(whitening)

    def __call__(self, objects: torch.Tensor, batch: PairBatch, margin: Margins) -> torch.Tensor:
        """Mean of the squared residuals in units of the image's noise."""
        residual = self._psf(objects) - batch.target
        mean = batch.variance.mean()
        if self._kind == "l2":
            squares = residual**2 / mean
        elif self._filter is None:
            squares = residual**2 / batch.variance
        else:
            squares = self._filter(residual) ** 2 * (mean / batch.variance)
        return _inner(squares / batch.inflation, margin).mean()


def whitening_kernel(noise: np.ndarray, effective: np.ndarray, size: int) -> np.ndarray:
    """Kernel that whitens the image's noise inside the OTF's support, to unit variance.

    Parameters
    ----------
    noise : ndarray, shape (K, Y, X)
        Lifted noise draws.
    effective : ndarray, shape (n, n)
        Effective PSF.
    size
        Size of the kernel, odd.

    Returns
    -------
    ndarray, shape (size, size)
        Zero response where the effective OTF is below 0.1 % of its maximum.
    """
    n = size
    power = np.zeros((n, n))
    count = 0
    for field in noise:
        for y in range(0, field.shape[0] - n + 1, n):
            for x in range(0, field.shape[1] - n + 1, n):
                power += np.abs(np.fft.fft2(field[y : y + n, x : x + n])) ** 2 / n**2
                count += 1
    power /= max(count, 1)
    padded = np.zeros((n, n))
    rows = (np.arange(effective.shape[0]) - effective.shape[0] // 2) % n
    columns = (np.arange(effective.shape[1]) - effective.shape[1] // 2) % n
    np.add.at(padded, (rows[:, None], columns[None, :]), effective)
    transfer = np.abs(np.fft.fft2(padded))
    response = 1.0 / np.sqrt(power + 1e-3 * power.max())
    response[transfer < 1e-3 * transfer.max()] = 0.0
    gain = np.mean(response**2 * power)
    kernel = np.fft.fftshift(np.real(np.fft.ifft2(response / np.sqrt(gain))))
    return np.asarray(kernel)


def denoising_loss(denoised: torch.Tensor, batch: PairBatch, margin: Margins) -> torch.Tensor:
    """Squared difference to the independent copy, in units of its local noise."""
    squares = (denoised - batch.target) ** 2 / (batch.variance * batch.inflation)
    judged = _inner(torch.isfinite(batch.variance), margin).sum()  # others have no variance
    return _inner(squares, margin).sum() / torch.clamp(judged, min=1)


def gap_loss(predicted: torch.Tensor, batch: PairBatch, margin: Margins) -> torch.Tensor:
    """Squared difference of both interleaved halves' predictions, where the input showed planes.

    Parameters
    ----------
    predicted : tensor, shape (B, 1, Z, Y, X)
        ``P ⊛ object``; patches 2i and 2i + 1 are the same place with either half as input.
    batch
        What they were made from; its weights are 0 at the planes that a half showed.
    margin
        Borders left out.

    Notes
    -----
    The prediction of the other half, from which these planes were hidden, is held fixed: its error
    does not know their noise, so that the network cannot learn to pass it on.
    """
    swapped = torch.arange(len(predicted), device=predicted.device) ^ 1
    weights = batch.weights[swapped]
    squares = weights * (predicted - predicted[swapped].detach()) ** 2
    return _inner(squares, margin).sum() / torch.clamp((_inner(weights, margin) > 0).sum(), min=1)


def resimulation_loss(
    restored: torch.Tensor, truth: torch.Tensor, sigma: float, margin: Margins
) -> torch.Tensor:
    """Squared error in the object domain, relative to the image's mean noise variance.

    The robust equivariant-imaging term (Chen, Tachella & Davies, CVPR 2022, eq. 9) with the
    present estimate held fixed: it teaches the inverse of the known optics under the known
    noise at all frequencies, also those that the data term hardly sees.
    """
    return _inner((restored - truth) ** 2, margin).mean() / sigma**2


def total_variation(
    objects: torch.Tensor, sigma: float, steps: Sequence[float] = (1.0, 1.0)
) -> torch.Tensor:
    """Mean absolute first differences over `sigma`, summed over the last ``len(steps)`` axes.

    `steps` are the pitches of these axes relative to the finest: differences along z of a volume
    are divided by how much further its planes are apart.
    """
    found = objects.new_zeros(())
    for axis, step in zip(range(-len(steps), 0), steps, strict=True):
        found = found + objects.diff(dim=axis).abs().mean() / step
    return found / sigma


def hessian_l1(
    objects: torch.Tensor, sigma: float, steps: Sequence[float] = (1.0, 1.0)
) -> torch.Tensor:
    """Mean absolute second differences over `sigma`: pure ones and twice the mixed ones.

    `steps` as in :func:`total_variation`.
    """
    axes, found = range(-len(steps), 0), objects.new_zeros(())
    for first, one in zip(axes, steps, strict=True):
        found = found + objects.diff(n=2, dim=first).abs().mean() / one**2
        for second, other in zip(axes, steps, strict=True):
            if second > first:
                mixed = objects.diff(dim=first).diff(dim=second)
                found = found + 2 * mixed.abs().mean() / (one * other)
    return found / sigma
