"""Mirror extension of the field to a fast FFT size, with its adjoint.

The mirror planes are the outer *edges* of the border samples (half-sample symmetry), so the
extension of the raw grid and of a zoomed grid over the same field describe the same object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simrecon.backend import Array, device_of, fast_length, fft_along, fftn, like, namespace


def _mirror_index(n: int, before: int, total: int) -> np.ndarray:
    """Source index of each sample of an axis of length n extended to `total`."""
    i = np.arange(total) - before
    i = np.mod(i, 2 * n)
    return np.where(i < n, i, 2 * n - 1 - i)


@dataclass(frozen=True)
class MirrorPadding:
    """Extension of fields of `shape` by at least `margin` samples on every side.

    Attributes
    ----------
    shape : tuple of int
        Field size (Y, X) or (Z, Y, X): the last axes of what is extended.
    margin : tuple of int
        Samples added before the field on every axis; at least as many follow it. They may be more
        than the field has: few planes are mirrored again and again.
    padded : tuple of int
        Extended size: lengths whose FFT is fast.
    """

    shape: tuple[int, ...]
    margin: tuple[int, ...]
    padded: tuple[int, ...]

    @classmethod
    def around(cls, shape: Sequence[int], margin: int | Sequence[int]) -> MirrorPadding:
        """Padding of at least `margin` samples, rounded up to fast FFT lengths."""
        margins = (margin,) * len(shape) if isinstance(margin, int) else tuple(margin)
        sizes = [fast_length(n + 2 * m) for n, m in zip(shape, margins, strict=True)]
        return cls(tuple(shape), margins, tuple(sizes))

    def zoomed(self, zoom: int) -> MirrorPadding:
        """The same extension on a grid of integer lateral `zoom` over the same field."""

        def fine(sizes: tuple[int, ...]) -> tuple[int, ...]:
            return (*sizes[:-2], sizes[-2] * zoom, sizes[-1] * zoom)

        return MirrorPadding(fine(self.shape), fine(self.margin), fine(self.padded))

    def source(self, axis: int) -> np.ndarray:
        """Index within the field of every sample of an extended axis."""
        return _mirror_index(self.shape[axis], self.margin[axis], self.padded[axis])

    @property
    def _inner(self) -> tuple[slice, ...]:
        return tuple(slice(m, m + n) for m, n in zip(self.margin, self.shape, strict=True))

    def extend(self, field: Array) -> Array:
        """Mirror-extend the last axes from `shape` to `padded`."""
        xp = namespace(field)
        lead = tuple(field.shape[: field.ndim - len(self.shape)])
        out = xp.empty(lead + self.padded, dtype=field.dtype, device=device_of(field))
        known = list(self._inner)
        out[(..., *known)] = field
        for axis, (n, m, total) in enumerate(
            zip(self.shape, self.margin, self.padded, strict=True)
        ):
            for place, source, flipped in _mirror_segments(n, m, total):
                target, origin = list(known), list(known)
                target[axis], origin[axis] = place, source
                part = out[(..., *origin)]
                if flipped:
                    part = xp.flip(part, axis=axis - len(self.shape))
                out[(..., *target)] = part
            known[axis] = slice(0, total)
        return out

    def spectrum(self, field: Array) -> Array:
        """Transform of the extended field; mirrored planes of a volume are not made before that."""
        axes = len(self.shape)
        if axes == 2:
            return fftn(self.extend(field), 2)
        lateral = MirrorPadding(self.shape[1:], self.margin[1:], self.padded[1:])
        axial = MirrorPadding((*self.shape[:1],), self.margin[:1], self.padded[:1])
        planes = fftn(lateral.extend(field), 2)
        xp = namespace(field)
        full = xp.take(planes, like(axial.source(0), field, xp.int64), axis=0)
        return fft_along(full, 0)

    def crop(self, extended: Array) -> Array:
        """The field inside an extended array (a view where the library allows)."""
        return extended[(..., *self._inner)]

    def embed(self, field: Array) -> Array:
        """Zero-filled extension: the adjoint of :meth:`crop`."""
        xp = namespace(field)
        lead = tuple(field.shape[: field.ndim - len(self.shape)])
        out = xp.zeros(lead + self.padded, dtype=field.dtype, device=device_of(field))
        out[(..., *self._inner)] = field
        return out

    def gather(self, extended: Array) -> Array:
        """Adjoint of :meth:`extend`: add every mirror image back onto its source."""
        first = extended.ndim - len(self.shape)
        for axis, (n, m, total) in enumerate(
            zip(self.shape, self.margin, self.padded, strict=True), first
        ):
            extended = _gather_axis(extended, axis, n, m, total)
        return extended


def _mirror_segments(n: int, before: int, total: int) -> Iterator[tuple[slice, slice, bool]]:
    """Where an extended axis repeats its inside: place, source in the extended axis, flipped."""
    start = 0
    while start < total:
        offset = (start - before) % (2 * n)
        flipped = offset >= n
        length = min((2 * n if flipped else n) - offset, total - start)
        first = before + (2 * n - offset - length if flipped else offset)
        if start != before:
            yield slice(start, start + length), slice(first, first + length), flipped
        start += length


def _gather_axis(array: Array, axis: int, n: int, before: int, total: int) -> Array:
    """Fold one axis of length `total` back to n by summing alternating mirror segments."""
    xp = namespace(array)
    array = xp.moveaxis(array, axis, 0)
    out = xp.zeros((n, *array.shape[1:]), dtype=array.dtype, device=device_of(array))
    inner = slice(before, before + n)
    out[...] = array[inner, ...]
    for place, source, flipped in _mirror_segments(n, before, total):
        piece = array[place, ...]
        piece = xp.flip(piece, axis=0) if flipped else piece
        out[source.start - before : source.stop - before, ...] += piece
    return xp.moveaxis(out, 0, axis)
