"""Where a filter is not zero, and how it meets the spectra of raw and super-resolution fields.

A filter of a band lives on the padded SR frequencies, but its OTF ends far inside them; in volumes
little is left. It is kept as the box of frequencies round what is not zero, and only this box is
multiplied. A raw spectrum is periodic on the SR frequencies. Spectra of real SR fields are kept by
half, as :func:`simrecon.backend.rfftn` gives them: the rest follows from ``S(−k) = conj(S(k))``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from simrecon.backend import Array, device_of, namespace, to_numpy

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Piece:
    """A box within a block that is a box in the spectra as well.

    Attributes
    ----------
    block, raw, half : tuple of slice
        The same frequencies in the block, in the raw spectrum and in the half spectrum.
    mirrored : bool
        `half` holds the negative frequencies, in reverse.
    """

    block: Slices
    raw: Slices
    half: Slices
    mirrored: bool


@dataclass(frozen=True)
class SupportBlock:
    """A box of frequencies of the padded SR grid.

    Attributes
    ----------
    start : tuple of int
        Index of the lowest frequency of every axis, negative ones counted from −n/2.
    shape : tuple of int
        Number of frequencies on every axis.
    fine : tuple of int
        Padded SR size.
    raw : tuple of int
        Padded raw size; it divides `fine`.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    fine: tuple[int, ...]
    raw: tuple[int, ...]

    @classmethod
    def whole(cls, fine: tuple[int, ...], raw: tuple[int, ...]) -> SupportBlock:
        """All frequencies in FFT order."""
        return cls((0,) * len(fine), fine, fine, raw)

    def indices(self, axis: int) -> np.ndarray:
        """Places of the block's frequencies in an array in FFT order."""
        return np.asarray((self.start[axis] + np.arange(self.shape[axis])) % self.fine[axis])

    @property
    def half_shape(self) -> tuple[int, ...]:
        """Shape of a half spectrum of the SR field."""
        return (*self.fine[:-1], self.fine[-1] // 2 + 1)

    @cached_property
    def _direct(self) -> tuple[Piece, ...]:
        return tuple(self._pieces(mirrored=False))

    @cached_property
    def _mirrored(self) -> tuple[Piece, ...]:
        return tuple(self._pieces(mirrored=True))

    @cached_property
    def _once(self) -> tuple[Piece, ...]:
        return (*self._direct, *self._pieces(mirrored=True, inner=True))

    def _pieces(self, mirrored: bool, inner: bool = False) -> Iterator[Piece]:
        axes = []
        for axis, (fine, raw) in enumerate(zip(self.fine, self.raw, strict=True)):
            index = self.indices(axis)
            half = -index % fine if mirrored else index
            keep = np.ones(index.size, dtype=bool)
            if axis == len(self.fine) - 1:
                # columns 0 and n/2 hold both signs; `inner` leaves them out
                keep = half <= fine // 2
                if inner:
                    keep &= (half > 0) & (2 * half != fine)
            step = -1 if mirrored else 1
            axes.append(list(_runs(keep, (index % raw, 1), (half, step))))
        for runs in product(*axes):
            block, raw_part, half_part = zip(*runs, strict=True)
            yield Piece(block, raw_part, half_part, mirrored)

    def add_hermitian(self, half: Array, values: Array, raw: Array) -> None:
        """Add ``T(k) + conj(T(−k))`` to a half spectrum, T the block's values times `raw`.

        That is twice the spectrum of the real part of the field whose spectrum is T.
        """
        xp = namespace(half)
        for p in self._direct:
            half[p.half] += values[p.block] * raw[p.raw]
        for p in self._mirrored:
            half[p.half] += xp.conj(xp.flip(values[p.block] * raw[p.raw]))

    def folded(self, half: Array, values: Array) -> Array:
        """Raw spectrum of ``values · S``: the sum of its aliases (decimation in space).

        Parameters
        ----------
        half : array
            Half spectrum of the real SR field S.
        """
        xp = namespace(half)
        raw = xp.zeros(self.raw, dtype=values.dtype, device=device_of(half))
        for p in self._once:
            raw[p.raw] += values[p.block] * _seen(half, p)
        return raw

    def taken(self, half: Array) -> Array:
        """The block of a half spectrum."""
        xp = namespace(half)
        out = xp.empty(self.shape, dtype=half.dtype, device=device_of(half))
        for p in self._once:
            out[p.block] = _seen(half, p)
        return out

    def add_even(self, half: np.ndarray, values: np.ndarray, both: bool) -> None:
        """Add real `values`, with `both` at k and at −k, to the half of an even function."""
        for p in self._direct:
            half[p.half] += values[p.block]
        for p in self._mirrored if both else ():
            half[p.half] += np.flip(values[p.block])

    def united(self, other: SupportBlock) -> SupportBlock:
        """The smallest block that holds both."""
        start, shape = [], []
        for a, n, b, m, fine in zip(
            self.start, self.shape, other.start, other.shape, self.fine, strict=True
        ):
            low, size = min(a, b), max(a + n, b + m) - min(a, b)
            whole = fine in (n, m) or size >= fine
            start.append(0 if whole else low)
            shape.append(fine if whole else size)
        return SupportBlock(tuple(start), tuple(shape), self.fine, self.raw)

    def negated(self) -> SupportBlock:
        """The frequencies of the opposite sign."""
        axes = zip(self.start, self.shape, self.fine, strict=True)
        start = tuple(0 if n == fine else 1 - a - n for a, n, fine in axes)
        return SupportBlock(start, self.shape, self.fine, self.raw)

    def trimmed(self, values: Array, threshold: float) -> tuple[SupportBlock, Array]:
        """The smallest block that holds all `values` above a threshold, and what it holds."""
        xp = namespace(values)
        size = to_numpy(xp.abs(values)) > threshold
        start, keep = [], []
        for axis, first in enumerate(self.start):
            others = tuple(i for i in range(values.ndim) if i != axis)
            used = np.flatnonzero(size.any(axis=others))
            low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
            start.append(first + low)
            keep.append(slice(low, high))
        shape = tuple(k.stop - k.start for k in keep)
        block = SupportBlock(tuple(start), shape, self.fine, self.raw)
        return block, values[tuple(keep)] + 0  # a copy, so that the rest is freed

    def correlated(self, other: SupportBlock, conjugate: bool) -> SupportBlock:
        """Where the product of two kernels, the second one conjugated or not, has its spectrum."""
        start, shape = [], []
        for a, n, b, m, fine in zip(
            self.start, self.shape, other.start, other.shape, self.fine, strict=True
        ):
            low = a - b - m + 1 if conjugate else a + b
            start.append(low if n + m - 1 < fine else 0)
            shape.append(min(n + m - 1, fine))
        return SupportBlock(tuple(start), tuple(shape), self.fine, self.raw)


def _seen(half: Array, piece: Piece) -> Array:
    """A piece of a real field's spectrum, from its half."""
    part = half[piece.half]
    if not piece.mirrored:
        return part
    xp = namespace(half)
    part = xp.flip(part)
    return xp.conj(part) if xp.isdtype(part.dtype, "complex floating") else part


def _runs(keep: np.ndarray, *maps: tuple[np.ndarray, int]) -> Iterator[tuple[slice, ...]]:
    """Ranges of kept positions in which every map goes on by its step; as ranges of them.

    A map of step −1 is given as the rising range that holds it: the caller flips.
    """
    kept = np.flatnonzero(keep)
    if kept.size == 0:
        return
    breaks = np.diff(kept) != 1
    for values, step in maps:
        breaks |= np.diff(values[kept]) != step
    edges = [0, *(np.flatnonzero(breaks) + 1), kept.size]
    for first, stop in pairwise(edges):
        span = kept[first:stop]
        yield tuple(
            slice(int(v.min()), int(v.max()) + 1) for v in (span, *(m[span] for m, _ in maps))
        )


def even_full(half: np.ndarray, fine: tuple[int, ...]) -> np.ndarray:
    """All of an even real function of the frequencies, FFT order, from its half."""
    columns = fine[-1] - half.shape[-1]
    rest = np.flip(half[..., 1 : 1 + columns])
    rest = np.roll(rest, 1, axis=tuple(range(half.ndim - 1)))
    return np.concatenate([half, rest], axis=-1)
