"""Training patches: crops of re-corrupted pairs, and of re-simulated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zsdeconv import symmetry
from zsdeconv.bank import Bank
from zsdeconv.psf_layer import PsfLayer


@dataclass(frozen=True)
class PairBatch:
    """Independent copies of the same places; fields in e, B patches.

    Attributes
    ----------
    image : tensor, shape (B, 1, Y, X)
        Input copies ``x + α n``.
    target : tensor, same shape
        Their partners ``x − n/α``.
    raw_target, weights : tensor, shape (B, F, y, x)
        ``y − z/α`` and 1/σ².
    variance : tensor, shape (B, 1, Y, X)
        Noise variance of x.
    inflation : tensor, shape (B, 1, 1, 1)
        Variance of the target relative to that of x or y: 1 + 1/α².
    origins : list of (int, int)
        Positions for the forward model, image pixels.
    operations : list of int
        Symmetry operation under which the network sees each patch.
    """

    image: torch.Tensor
    target: torch.Tensor
    raw_target: torch.Tensor
    weights: torch.Tensor
    variance: torch.Tensor
    inflation: torch.Tensor
    origins: list[tuple[int, int]]
    operations: list[int]


class PatchSampler:
    """Draws batches; all its randomness comes from one generator, whose state is saved.

    Parameters
    ----------
    bank
        Fields to cut from.
    patch, batch
        Patch size in image pixels (a multiple of the zoom) and patches per batch.
    alpha
        Range of the re-corruption strength; log-uniform.
    operations
        Symmetry operations that the noise spectrum allows.
    rng
        Generator of positions, draws, signs and strengths.
    """

    def __init__(
        self,
        bank: Bank,
        patch: int,
        batch: int,
        alpha: tuple[float, float],
        operations: Sequence[int],
        rng: np.random.Generator,
    ) -> None:
        self.bank, self.patch, self.batch, self.rng = bank, patch, batch, rng
        self._log_alpha = (float(np.log(alpha[0])), float(np.log(alpha[1])))
        self._operations = tuple(operations)

    def _place(self) -> tuple[int, int]:
        zoom = self.bank.padding.zoom
        ny, nx = self.bank.padding.image_shape
        y = int(self.rng.integers(0, (ny - self.patch) // zoom + 1)) * zoom
        x = int(self.rng.integers(0, (nx - self.patch) // zoom + 1)) * zoom
        return y, x

    def _alpha(self) -> float:
        return float(np.exp(self.rng.uniform(*self._log_alpha)))

    def _crop(self, field: torch.Tensor, place: tuple[int, int], zoom: int = 1) -> torch.Tensor:
        y, x, n = place[0] // zoom, place[1] // zoom, self.patch // zoom
        return field[..., y : y + n, x : x + n]

    def pairs(self) -> PairBatch:
        """Re-corrupted pairs of random places."""
        bank, zoom = self.bank, self.bank.padding.zoom
        inputs, targets, raws, weights, variances = [], [], [], [], []
        origins, inflation = [], []
        oy, ox = bank.padding.origin
        for _ in range(self.batch):
            place, k = self._place(), int(self.rng.integers(bank.draws))
            alpha = self._alpha()
            sign = 1.0 if self.rng.integers(2) else -1.0
            x, n = self._crop(bank.image, place), self._crop(bank.noise[k], place)
            inputs.append(x + (sign * alpha) * n)
            targets.append(x - (sign / alpha) * n)
            y = self._crop(bank.frames, place, zoom)
            raws.append(y - (sign / alpha) * self._crop(bank.raw_noise[k], place, zoom))
            weights.append(self._crop(bank.weights, place, zoom))
            variances.append(self._crop(bank.variance, place))
            origins.append((place[0] + oy, place[1] + ox))
            inflation.append(1.0 + alpha**-2)
        turns = [int(i) for i in self.rng.choice(self._operations, self.batch)]
        device = bank.image.device
        return PairBatch(
            image=torch.stack(inputs)[:, None],
            target=torch.stack(targets)[:, None],
            raw_target=torch.stack(raws),
            weights=torch.stack(weights),
            variance=torch.stack(variances)[:, None],
            inflation=torch.tensor(inflation, device=device).view(-1, 1, 1, 1),
            origins=origins,
            operations=turns,
        )

    def resimulated(
        self, estimate: torch.Tensor, psf: PsfLayer
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images simulated from the present estimate, turned, with fresh noise; and the truth.

        Parameters
        ----------
        estimate : tensor, shape of the padded image
            Object that plays the truth, e. Any of the eight operations may turn it: the optics
            and the noise stay as they are, only the object changes (equivariant imaging).
        psf
            Effective PSF of the image.

        Returns
        -------
        (image, object) : tensors, shape (B, 1, Y, X), e
        """
        bank = self.bank
        images, objects = [], []
        for _ in range(self.batch):
            place, elsewhere = self._place(), self._place()
            operation, k = int(self.rng.integers(8)), int(self.rng.integers(bank.draws))
            strength = (1.0 + self._alpha() ** 2) ** 0.5
            truth = symmetry.apply(self._crop(estimate, place), operation)
            variance = symmetry.apply(self._crop(bank.variance, place), operation)
            ratio = torch.sqrt(variance / self._crop(bank.variance, elsewhere))
            noise = strength * ratio * self._crop(bank.noise[k], elsewhere)
            images.append(psf(truth) + noise)
            objects.append(truth)
        return torch.stack(images)[:, None], torch.stack(objects)[:, None]
