"""Training patches: crops of re-corrupted pairs, and of re-simulated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from zsdeconv import symmetry
from zsdeconv.bank import Bank
from zsdeconv.bridge import to_host, to_tensor
from zsdeconv.measurement import Measurement


@dataclass(frozen=True)
class PairBatch:
    """Independent copies of the same places; fields in e, B patches.

    Attributes
    ----------
    image : tensor, shape (B, 1, Y, X)
        Input copies ``x + α n``.
    start : tensor, same shape
        Classical starts of the input copies.
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
    expected : tensor or None, shape of `raw_target`
        Frames of the whole classical starts; None: a patch's frames follow from the patch.
    pictures : list of int
        Which of several measurements each patch is from.
    """

    image: torch.Tensor
    start: torch.Tensor
    target: torch.Tensor
    raw_target: torch.Tensor
    weights: torch.Tensor
    variance: torch.Tensor
    inflation: torch.Tensor
    origins: Sequence[tuple[int, ...]]
    operations: list[int]
    expected: torch.Tensor | None = None
    pictures: Sequence[int] = ()


@dataclass(frozen=True)
class Resimulation:
    """A whole measurement simulated from an estimate: padded fields, e."""

    image: torch.Tensor
    start: torch.Tensor
    truth: torch.Tensor


class PatchSampler:
    """Draws batches; all its randomness comes from one generator, whose state is saved.

    Parameters
    ----------
    bank, others
        Fields to cut from; with several pictures, places are as likely in all of them.
    patch, batch
        Patch size in image pixels (multiples of the zoom; one number: along all axes) and patches
        per batch.
    operations
        Symmetry operations that the noise spectrum allows.
    rng
        Generator of positions, draws and operations.
    """

    def __init__(
        self,
        bank: Bank,
        patch: int | Sequence[int],
        batch: int,
        operations: Sequence[int],
        rng: np.random.Generator,
        others: Sequence[Bank] = (),
    ) -> None:
        axes = len(bank.padding.shape)
        self.bank, self.banks, self.batch, self.rng = bank, (bank, *others), batch, rng
        self.patch = (patch,) * axes if isinstance(patch, int) else tuple(patch)
        self.operations = tuple(operations)
        sizes = np.array([float(np.prod(b.padding.image_shape)) for b in self.banks])
        self._share = sizes / sizes.sum()

    def _picture(self) -> int:
        """One of the pictures, by their size."""
        several = len(self.banks) > 1
        return int(self.rng.choice(len(self.banks), p=self._share)) if several else 0

    def _place(self, shape: Sequence[int] | None = None) -> tuple[int, ...]:
        """A patch in a padded field of this shape (None: that of `bank`)."""
        padding = self.bank.padding
        sizes = zip(shape or padding.image_shape, self.patch, padding.zooms, strict=True)
        return tuple(int(self.rng.integers(0, (n - p) // q + 1)) * q for n, p, q in sizes)

    def _crop(self, field: torch.Tensor, place: tuple[int, ...]) -> torch.Tensor:
        """The patch at `place` of a field on the image's grid."""
        for axis, (first, size) in enumerate(zip(place, self.patch, strict=True)):
            field = field.narrow(axis - len(place), first, size)
        return field

    def _crop_raw(self, field: torch.Tensor, place: tuple[int, ...]) -> torch.Tensor:
        """The same patch of frames."""
        sizes = zip(place, self.patch, self.bank.padding.zooms, strict=True)
        for axis, (first, size, q) in enumerate(sizes):
            field = field.narrow(axis - len(place), first // q, size // q)
        return field

    def _origin(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """Position of a patch for the forward model."""
        return tuple(i + o for i, o in zip(place, self.bank.padding.origin, strict=True))

    def pairs(self) -> PairBatch:
        """Re-corrupted pairs of random places, each with a draw and then with its mirror image.

        What the network does to the copies ``x ± α n`` is alike, so the noise ``∓ n/α`` of their
        targets largely cancels in the gradient: what is left is what depends on the draw.
        """
        inputs, starts, targets, raws, weights, variances = [], [], [], [], [], []
        origins, inflation, turns, expected, pictures = [], [], [], [], []
        for index in range(self.batch):
            if index % 2 == 0:
                picture = self._picture()
                bank = self.banks[picture]
                place = self._place(bank.padding.image_shape)
                k = int(self.rng.integers(bank.draws))
                turn, mirrored = int(self.rng.choice(self.operations)), int(self.rng.integers(2))
            else:
                mirrored = 1 - mirrored
            alpha, sign = bank.alphas[k], 1 - 2 * mirrored
            x, n = self._crop(bank.image, place), sign * self._crop(bank.noise[k], place)
            inputs.append(x + alpha * n)
            targets.append(x - n / alpha)
            y, z = (self._crop_raw(f, place) for f in (bank.frames, bank.raw_noise[k]))
            raws.append(y - (sign / alpha) * z)
            starts.append(self._crop(bank.starts[k, mirrored], place))
            if bank.expected is not None:
                expected.append(self._crop_raw(bank.expected[k, mirrored], place))
            weights.append(self._crop_raw(bank.weights, place))
            variances.append(self._crop(bank.variance, place))
            origins.append(self._origin(place))
            pictures.append(picture)
            inflation.append(1.0 + alpha**-2)
            turns.append(turn)
        device = bank.image.device
        return PairBatch(
            image=torch.stack(inputs)[:, None],
            start=torch.stack(starts)[:, None],
            target=torch.stack(targets)[:, None],
            raw_target=torch.stack(raws),
            weights=torch.stack(weights),
            variance=torch.stack(variances)[:, None],
            inflation=torch.tensor(inflation, device=device).view(
                -1, *(1,) * (1 + len(self.patch))
            ),
            origins=origins,
            operations=turns,
            expected=torch.stack(expected) if expected else None,
            pictures=pictures,
        )

    def inputs(
        self, measurement: Measurement, frames_e: np.ndarray
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Padded (image, start) of frames as the trained network sees them; e."""
        image = self.bank.padding.image(measurement.lift(frames_e))
        return [(to_tensor(image, self.bank.image.device), self.bank.classical(frames_e))]

    def resimulated(
        self, fields: Sequence[Resimulation]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Patches (image, start, truth) of shape (B, 1, Y, X) from re-simulated fields."""
        images, starts, truths = [], [], []
        for _ in range(self.batch):
            field = fields[int(self.rng.integers(len(fields)))]
            place = self._place(field.image.shape)
            images.append(self._crop(field.image, place))
            starts.append(self._crop(field.start, place))
            truths.append(self._crop(field.truth, place))
        return tuple(torch.stack(t)[:, None] for t in (images, starts, truths))  # type: ignore[return-value]


def resimulate(
    measurement: Measurement, bank: Bank, estimate: np.ndarray, rng: np.random.Generator
) -> Resimulation:
    """Simulate the whole measurement of a turned estimate: frames, noise, lift, start.

    Any operation that keeps the field's shape may turn the object: optics, pattern and noise
    stay as they are (equivariant imaging). The noise is as strong as that of training inputs.

    Parameters
    ----------
    estimate : ndarray, shape (Y, X)
        Object that plays the truth, e, on the image's grid, unpadded.
    """
    square = estimate.shape[0] == estimate.shape[1]
    operation = int(rng.choice(symmetry.OPERATIONS if square else (0, 2, 4, 6)))
    turned = symmetry.apply(to_tensor(estimate), operation)
    truth = np.ascontiguousarray(to_host(turned))
    expected = measurement.predict(truth)
    alpha = bank.alphas[int(rng.integers(bank.draws))]
    variance = (1.0 + alpha**2) * measurement.expected_variance(expected)
    frames = (expected + measurement.draw_noise(rng, variance)).astype(np.float32)
    device, padding = bank.image.device, bank.padding
    return Resimulation(
        image=to_tensor(padding.image(measurement.lift(frames)), device),
        start=bank.classical(frames),
        truth=to_tensor(padding.image(truth), device),
    )
