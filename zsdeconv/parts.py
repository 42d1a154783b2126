"""Pairs of parts: what one part of the raw values shows is judged by values that it does not hold.

The noise of different raw values is independent whatever it is, so that no noise model is needed to
make a pair. A part is shown to the network on the full grid, its gaps filled from their neighbours,
and ``forward(object)`` is compared with the other values at their own places: same grid, PSF and
spacing in training and use. The trained network sees every part in turn, and the mean of its
answers has used all light. Which parts: :mod:`zsdeconv.interleaved` (planes of volumes),
:mod:`zsdeconv.pairs_realigned` (pixels of raw SIM frames).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from simrecon.model.noise import FrameNoise
from zsdeconv.bank import Bank, intensity_scale
from zsdeconv.baselines.richardson_lucy import RichardsonLucy
from zsdeconv.bridge import to_tensor
from zsdeconv.data import PairBatch, PatchSampler
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.start import MAX_ITERATIONS, ClassicalStart

Fill = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Parts:
    """All parts of one measurement, padded, and their classical starts.

    Attributes
    ----------
    bank : Bank
        Fields of the whole measurement; it has no noise draws.
    images, starts : tensor, shape (N, [Z,] Y, X)
        Lifted filled parts, and the starts made from them alone; e.
    targets : sequence of tensor ([Z,] Y, X)
        What the denoised picture of each part is compared with, e.
    variances : tensor, shape (N, [Z,] Y, X)
        Noise variance of that, e²; infinite where it is not compared.
    weights : tensor, shape (N, F, [z,] y, x)
        1/σ² of the raw values that are not in the part, else 0.
    classical : tuple of ClassicalStart
    fill : callable
        ``fill(frames (F, …), part)``: the part on the full grid.
    """

    bank: Bank
    images: torch.Tensor
    starts: torch.Tensor
    targets: Sequence[torch.Tensor]
    variances: torch.Tensor
    weights: torch.Tensor
    classical: tuple[ClassicalStart, ...]
    fill: Fill


def only_shown(measurement: Measurement, shown: np.ndarray) -> Measurement:
    """The measurement of which only some values count: the noise of the others is infinite.

    `shown`, bool, broadcasts against the frames.
    """
    shot = np.where(shown, measurement.noise.shot_e, np.inf)
    return replace(
        measurement,
        noise=FrameNoise(
            measurement.noise.read_variance_e2, np.broadcast_to(shot, measurement.frames_e.shape)
        ),
    )


def chosen_iterations(measurement: Measurement, padding: Padding, shown: np.ndarray) -> int:
    """Iteration of the classical start on a part that predicts the rest best (at least 2)."""
    solver = RichardsonLucy(only_shown(measurement, shown), padding)
    data = measurement.frames_e
    target = to_tensor(padding.frames(data), solver.device)
    weights = (~shown / measurement.variance_e2).astype(np.float32)
    judged = to_tensor(padding.frames(weights), solver.device)
    errors = [
        float((judged * (solver.expected(f) - target) ** 2).sum())
        for f in solver.iterate(data, MAX_ITERATIONS, accelerate=True)
    ]
    return max(2, int(np.argmin(errors)) + 1)


def make_parts(
    measurement: Measurement,
    padding: Padding,
    device: torch.device,
    shown: Sequence[np.ndarray],
    fill: Fill,
    targets: Sequence[np.ndarray],
    variances: Sequence[np.ndarray],
) -> Parts:
    """Fill, lift and start all parts.

    Parameters
    ----------
    shown : sequence of bool ndarray
        For every part the values in it; broadcast against the frames.
    fill
        See :class:`Parts`.
    targets, variances : sequence of ndarray, the image's shape
        See :class:`Parts`; not padded.
    """
    frames, variance = measurement.frames_e, measurement.variance_e2
    iterations = chosen_iterations(measurement, padding, shown[0])
    classical = tuple(
        ClassicalStart(only_shown(measurement, s), padding, iterations=iterations) for s in shown
    )
    filled = [fill(frames, part) for part in range(len(shown))]
    images = [padding.image(np.asarray(measurement.lift(f), np.float32)) for f in filled]
    weights = [padding.frames((~s / variance).astype(np.float32)) for s in shown]
    padded = {id(t): to_tensor(padding.image(t), device) for t in targets}  # one may serve all
    return Parts(
        _whole(measurement, padding, device, iterations),
        to_tensor(np.stack(images), device),
        torch.stack([start(f) for start, f in zip(classical, filled, strict=True)]),
        [padded[id(t)] for t in targets],
        to_tensor(np.stack([padding.image(v.astype(np.float32)) for v in variances]), device),
        to_tensor(np.stack(weights), device),
        classical,
        fill,
    )


def _whole(
    measurement: Measurement, padding: Padding, device: torch.device, iterations: int
) -> Bank:
    """Fields of the whole measurement, without draws of noise."""
    frames, own = measurement.frames_e, measurement.image_variance
    assert own is not None
    classical = ClassicalStart(measurement, padding, iterations=iterations)
    empty = torch.zeros((0, *padding.image_shape), device=device)
    inverse = (1.0 / measurement.variance_e2).astype(np.float32)
    return Bank(
        image=to_tensor(padding.image(measurement.image), device),
        variance=to_tensor(padding.image(own.astype(np.float32)), device),
        noise=empty,
        frames=to_tensor(padding.frames(frames), device),
        weights=to_tensor(padding.frames(inverse), device),
        raw_noise=empty[:, None],
        alphas=(),
        starts=empty,
        start=classical(frames),
        classical=classical,
        scale=intensity_scale(measurement.image, float(own.mean()) ** 0.5),
        padding=padding,
    )


class PartsSampler(PatchSampler):
    """Patches of one part with the values that it does not hold; all parts in turn."""

    def __init__(
        self,
        parts: Parts,
        patch: tuple[int, ...],
        batch: int,
        operations: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(parts.bank, patch, batch, operations, rng)
        self.parts = parts

    def pairs(self) -> PairBatch:
        """Pairs of random places, each with one part as input and then with the opposite one."""
        found: dict[str, list[torch.Tensor]] = {
            name: [] for name in ("image", "start", "target", "raw", "weights", "variance")
        }
        p, part = self.parts, 0
        count = len(p.images)
        origins: list[tuple[int, ...]] = []
        turns: list[int] = []
        for index in range(self.batch):
            if index % 2 == 0:
                place, part = self._place(), int(self.rng.integers(count))
                turn = int(self.rng.choice(self.operations))
            else:
                part = (part + count // 2) % count
            found["image"].append(self._crop(p.images[part], place)[None])
            found["start"].append(self._crop(p.starts[part], place)[None])
            found["target"].append(self._crop(p.targets[part], place)[None])
            found["raw"].append(self._crop_raw(p.bank.frames, place))
            found["weights"].append(self._crop_raw(p.weights[part], place))
            found["variance"].append(self._crop(p.variances[part], place)[None])
            origins.append(self._origin(place))
            turns.append(turn)
        made = {name: torch.stack(parts) for name, parts in found.items()}
        ones = torch.ones((self.batch, *(1,) * (1 + len(self.patch))), device=p.bank.image.device)
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
        """Padded (image, start) of every part of frames (F, …); e."""
        padding, device = self.bank.padding, self.bank.image.device
        made = []
        for part, start in enumerate(self.parts.classical):
            filled = self.parts.fill(frames_e, part)
            image = padding.image(np.asarray(measurement.lift(filled), np.float32))
            made.append((to_tensor(image, device), start(filled)))
        return made
