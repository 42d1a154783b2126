"""Temporally interleaved pairs: every picture of a movie is judged by the one before or after it.

Neighbouring pictures have independent noise whatever it is: no noise model is needed to make a pair
(the published comparison of this kind is DeepCAD, Li et al., Nat. Methods 18, 1395, 2021, which
maps one half of a movie's frames to the other). What moves from one picture to the next is compared
with where it is then: it comes out where it is on average, smeared. Here the network sees single
pictures in training and use, at their own times, so that it answers for a movie of any length.

The weights of the comparison, and whatever judges the result later (stacking, early stop, held-out
test, χ², uncertainty), use the camera's noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from simrecon.errors import UsageError
from zsdeconv.bank import Bank
from zsdeconv.data import PairBatch, PatchSampler
from zsdeconv.measurement import Measurement


class MovieSampler(PatchSampler):
    """Patches of one picture of a movie with the same places of its neighbour in time.

    Parameters
    ----------
    bank, others
        The picture at place ``(1 + len(others)) // 2`` in time and all others in order of time.
    patch, batch, operations, rng
        See :class:`zsdeconv.data.PatchSampler`.
    """

    def __init__(
        self,
        bank: Bank,
        patch: int | Sequence[int],
        batch: int,
        operations: Sequence[int],
        rng: np.random.Generator,
        others: Sequence[Bank],
    ) -> None:
        super().__init__(bank, patch, batch, operations, rng, others)
        middle = (1 + len(others)) // 2
        self.movie = (*others[:middle], bank, *others[middle:])

    def pairs(self) -> PairBatch:
        """Pairs of random places: one picture judged by its neighbour, then the other way round."""
        shown: list[tuple[Bank, Bank]] = []
        places: list[tuple[int, ...]] = []
        turns: list[int] = []
        for index in range(self.batch):
            if index % 2 == 0:
                first = int(self.rng.integers(len(self.movie) - 1))
                place = self._place()
                turn = int(self.rng.choice(self.operations))
            pair = self.movie[first : first + 2]
            shown.append((pair[index % 2], pair[1 - index % 2]))
            places.append(place)
            turns.append(turn)
        spots = list(zip(shown, places, strict=True))
        ones = torch.ones((self.batch, *(1,) * (1 + len(self.patch))))
        return PairBatch(
            image=torch.stack([self._crop(a.image, p) for (a, _), p in spots])[:, None],
            start=torch.stack([self._crop(a.start, p) for (a, _), p in spots])[:, None],
            target=torch.stack([self._crop(b.image, p) for (_, b), p in spots])[:, None],
            raw_target=torch.stack([self._crop_raw(b.frames, p) for (_, b), p in spots]),
            weights=torch.stack([self._crop_raw(b.weights, p) for (_, b), p in spots]),
            variance=torch.stack([self._crop(b.variance, p) for (_, b), p in spots])[:, None],
            inflation=ones.to(self.bank.image.device),
            origins=[self._origin(p) for p in places],
            operations=turns,
        )


def require_movie(measurement: Measurement, others: Sequence[Measurement]) -> None:
    """Refuse all but plain pictures of one size, at least two.

    Raises
    ------
    UsageError
    """
    shapes = {m.frames_e.shape for m in (measurement, *others)}
    if not others or len(shapes) > 1 or measurement.source != "image":
        sizes = " and ".join(" × ".join(map(str, s[1:])) for s in sorted(shapes))
        raise UsageError(
            "Pairs in time are made of a movie of plain pictures.",
            expected="at least two pictures of one size, in order of time",
            got=f"{1 + len(others)} of kind '{measurement.source}', {sizes} pixels",
            where="pairs",
            hint="zsdeconv train MOVIE --pairs temporal",
        )
