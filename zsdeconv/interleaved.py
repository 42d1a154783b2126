"""Pairs of interleaved planes: every other plane of a volume is judged by the planes between.

The planes z, z+2, … and z+1, z+3, … have independent noise whatever it is: no noise model is
needed. In the published method (Qiao, Zeng et al., Nat. Commun. 2024) the network maps the one half
to the other: it learns at twice the plane distance at which it is then applied, and because the
halves show different planes, a second term has to amend the gap. Here it does neither. The input is
one half *on the full grid*, with the planes between filled by the mean of their neighbours, the
object is on the full grid, and ``P ⊛ object`` is compared with the other half *at its own planes*:
same grid, spacing and PSF in training and use, and nothing is compared with another plane.
The trained network sees both halves, one after the other, and the mean of the two answers has used
all light.

What the data cannot judge is ``P ⊛ object`` at the planes of the input itself. A last term
(:func:`zsdeconv.losses.gap_loss`) may tie it there to what the network says when these planes are
hidden from it: the amendment of the gap, without shifting anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from simrecon.errors import InputError
from simrecon.model.noise import FrameNoise
from zsdeconv.bank import Bank, intensity_scale
from zsdeconv.baselines.richardson_lucy import RichardsonLucy
from zsdeconv.bridge import to_tensor
from zsdeconv.data import PairBatch, PatchSampler
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.start import MAX_ITERATIONS, ClassicalStart

MIN_PLANES = 8
"""Fewer planes leave less than four for either half."""


def shown_planes(planes: int, half: int) -> np.ndarray:
    """Mask (Z, 1, 1) of the planes that half 0 or 1 consists of."""
    return np.asarray(np.arange(planes) % 2 == half)[:, None, None]


def filled(volume: np.ndarray, half: int) -> np.ndarray:
    """One half on the full grid: the other planes are the mean of their neighbours.

    Parameters
    ----------
    volume : ndarray, shape (Z, Y, X)
        Its planes of the other half are not used.
    """
    seen = np.asarray(volume[half::2])
    between = np.arange(len(volume))[1 - half :: 2]
    before, after = (between - 1 - half) // 2, (between + 1 - half) // 2
    last = len(seen) - 1
    full = np.empty_like(volume)
    full[half::2] = seen
    full[1 - half :: 2] = 0.5 * (seen[np.clip(before, 0, last)] + seen[np.clip(after, 0, last)])
    # at the two ends of the stack only one neighbour exists: it is counted twice
    ends = (before < 0) | (after > last)
    full[between[ends]] = seen[np.clip(np.where(before < 0, after, before), 0, last)[ends]]
    return full


def half_measurement(measurement: Measurement, half: int) -> Measurement:
    """The measurement of which only one half counts: the other planes' noise is infinite."""
    shape = measurement.frames_e.shape
    shot = np.where(shown_planes(shape[-3], half), measurement.noise.shot_e, np.inf)
    return replace(
        measurement,
        noise=FrameNoise(measurement.noise.read_variance_e2, np.broadcast_to(shot, shape)),
    )


@dataclass(frozen=True)
class Halves:
    """Both halves of a volume, padded, and their classical starts.

    Attributes
    ----------
    bank : Bank
        Fields of the whole volume; it has no noise draws.
    images, starts : tensor, shape (2, Z, Y, X)
        Filled halves and the starts made from them alone.
    weights, variances : tensor, shape (2, Z, Y, X)
        Of what each half is judged by: 1/σ² of the other half's planes, else 0; σ², else infinite.
    classical : tuple of ClassicalStart
    """

    bank: Bank
    images: torch.Tensor
    starts: torch.Tensor
    weights: torch.Tensor
    variances: torch.Tensor
    classical: tuple[ClassicalStart, ClassicalStart]


def _chosen_iterations(measurement: Measurement, padding: Padding, half: int) -> int:
    """Iteration of the classical start whose prediction of the other half is best (at least 2)."""
    solver = RichardsonLucy(half_measurement(measurement, half), padding)
    data = measurement.frames_e
    target = to_tensor(padding.frames(data), solver.device)
    other = shown_planes(data.shape[-3], 1 - half)
    weights = (other / measurement.variance_e2).astype(np.float32)
    judged = to_tensor(padding.frames(weights), solver.device)
    errors = [
        float((judged * (solver.expected(f) - target) ** 2).sum())
        for f in solver.iterate(data, MAX_ITERATIONS, accelerate=True)
    ]
    return max(2, int(np.argmin(errors)) + 1)


def make_halves(measurement: Measurement, padding: Padding, device: torch.device) -> Halves:
    """Split, fill and start both halves.

    Raises
    ------
    InputError
        For fewer than `MIN_PLANES` planes.
    """
    planes = measurement.frames_e.shape[-3]
    if planes < MIN_PLANES:
        raise InputError(
            "The volume has too few planes to be split into two halves.",
            expected=f"at least {MIN_PLANES} planes",
            got=str(planes),
            hint="use --pairs recorrupted",
        )
    iterations = _chosen_iterations(measurement, padding, 0)
    classical = tuple(
        ClassicalStart(half_measurement(measurement, h), padding, iterations=iterations)
        for h in (0, 1)
    )
    whole = ClassicalStart(measurement, padding, iterations=iterations)
    volume, variance = measurement.image, measurement.variance_e2[0]
    images = np.stack([padding.image(filled(volume, h)) for h in (0, 1)])
    judged = [shown_planes(planes, 1 - h) for h in (0, 1)]
    weights = [padding.frames((j / variance).astype(np.float32)) for j in judged]
    variances = [padding.image(np.where(j, variance, np.inf).astype(np.float32)) for j in judged]
    empty = torch.zeros((0, *padding.image_shape), device=device)
    bank = Bank(
        image=to_tensor(padding.image(volume), device),
        variance=to_tensor(padding.image(variance), device),
        noise=empty,
        frames=to_tensor(padding.frames(measurement.frames_e), device),
        weights=to_tensor(padding.frames((1.0 / variance).astype(np.float32))[None], device),
        raw_noise=empty[:, None],
        alphas=(),
        starts=empty,
        start=whole(measurement.frames_e),
        classical=whole,
        scale=intensity_scale(volume, float(variance.mean()) ** 0.5),
        padding=padding,
    )
    return Halves(
        bank,
        to_tensor(images, device),
        torch.stack([c(filled(volume, h)[None]) for h, c in enumerate(classical)]),
        to_tensor(np.stack(weights), device),
        to_tensor(np.stack(variances), device),
        (classical[0], classical[1]),
    )


class InterleavedSampler(PatchSampler):
    """Patches of the one half with those of the other as their target; both in turn."""

    def __init__(
        self,
        halves: Halves,
        patch: tuple[int, ...],
        batch: int,
        operations: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(halves.bank, patch, batch, operations, rng)
        self.halves = halves

    def pairs(self) -> PairBatch:
        """Pairs of random places, each with the one half as input and then with the other."""
        found: dict[str, list[torch.Tensor]] = {
            name: [] for name in ("image", "start", "target", "raw", "weights", "variance")
        }
        h, half = self.halves, 0
        origins: list[tuple[int, ...]] = []
        turns: list[int] = []
        for index in range(self.batch):
            if index % 2 == 0:
                place, half = self._place(), int(self.rng.integers(2))
                turn = int(self.rng.choice(self.operations))
            else:
                half = 1 - half
            target = self._crop(h.bank.frames, place)
            found["image"].append(self._crop(h.images[half], place)[None])
            found["start"].append(self._crop(h.starts[half], place)[None])
            found["target"].append(self._crop(h.bank.image, place)[None])
            found["raw"].append(target)
            found["weights"].append(self._crop(h.weights[half], place)[None])
            found["variance"].append(self._crop(h.variances[half], place)[None])
            origins.append(self._origin(place))
            turns.append(turn)
        made = {name: torch.stack(parts) for name, parts in found.items()}
        ones = torch.ones((self.batch, *(1,) * (1 + len(self.patch))), device=h.bank.image.device)
        return PairBatch(
            image=made["image"],
            start=made["start"],
            target=made["target"],
            raw_target=made["raw"],
            weights=made["weights"],
            variance=made["variance"],
            inflation=ones,
            origins=origins,
            operations=turns,
        )

    def inputs(
        self, measurement: Measurement, frames_e: np.ndarray
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Padded (image, start) of both halves of frames (1, Z, Y, X); e."""
        padding, device = self.bank.padding, self.bank.image.device
        halves = [filled(measurement.lift(frames_e), h) for h in (0, 1)]
        return [
            (to_tensor(padding.image(half), device), start(half[None]))
            for half, start in zip(halves, self.halves.classical, strict=True)
        ]
