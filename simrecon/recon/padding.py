"""Mirror extension of the field to a fast FFT size, with its adjoint.

The mirror planes are the outer *edges* of the border pixels (half-sample symmetry), so the
extension of the raw grid and of a zoomed grid over the same field describe the same object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.backend import Array, device_of, fast_length, like, namespace


def _mirror_index(n: int, before: int, total: int) -> np.ndarray:
    """Source index of each sample of an axis of length n extended to `total`."""
    i = np.arange(total) - before
    i = np.mod(i, 2 * n)
    return np.where(i < n, i, 2 * n - 1 - i)


@dataclass(frozen=True)
class MirrorPadding:
    """Extension of fields of `shape` by at least `margin` pixels on every side.

    Attributes
    ----------
    shape : (int, int)
        Field size (Y, X).
    margin : int
        Pixels added before the field; at least as many follow it.
    padded : (int, int)
        Extended size: lengths whose FFT is fast.
    """

    shape: tuple[int, int]
    margin: int
    padded: tuple[int, int]

    @classmethod
    def around(cls, shape: tuple[int, int], margin: int) -> MirrorPadding:
        """Padding of at least `margin` pixels, rounded up to fast FFT lengths."""
        sizes = tuple(fast_length(n + 2 * margin) for n in shape)
        return cls(shape, margin, (sizes[0], sizes[1]))

    def zoomed(self, zoom: int) -> MirrorPadding:
        """The same extension on a grid of integer `zoom` over the same field."""
        ny, nx = self.shape
        py, px = self.padded
        return MirrorPadding((ny * zoom, nx * zoom), self.margin * zoom, (py * zoom, px * zoom))

    def extend(self, field: Array) -> Array:
        """Mirror-extend the last two axes from `shape` to `padded`."""
        xp = namespace(field)
        for axis, n, total in zip((-2, -1), self.shape, self.padded, strict=True):
            index = like(_mirror_index(n, self.margin, total), field)
            field = xp.take(field, index, axis=field.ndim + axis)
        return field

    def crop(self, extended: Array) -> Array:
        """The field inside an extended array (a view where the library allows)."""
        m, (ny, nx) = self.margin, self.shape
        return extended[..., m : m + ny, m : m + nx]

    def embed(self, field: Array) -> Array:
        """Zero-filled extension: the adjoint of :meth:`crop`."""
        xp = namespace(field)
        lead = tuple(field.shape[:-2])
        out = xp.zeros(lead + self.padded, dtype=field.dtype, device=device_of(field))
        m, (ny, nx) = self.margin, self.shape
        out[..., m : m + ny, m : m + nx] = field
        return out

    def gather(self, extended: Array) -> Array:
        """Adjoint of :meth:`extend`: add every mirror image back onto its source."""
        for axis, n, total in zip((-2, -1), self.shape, self.padded, strict=True):
            extended = _gather_axis(extended, axis, n, self.margin, total)
        return extended


def _gather_axis(array: Array, axis: int, n: int, before: int, total: int) -> Array:
    """Fold one axis of length `total` back to n by summing alternating mirror segments."""
    xp = namespace(array)
    array = xp.moveaxis(array, axis, 0)
    out = xp.zeros((n, *array.shape[1:]), dtype=array.dtype, device=device_of(array))
    start = 0
    while start < total:
        # [start, stop) lies in one mirror segment of the periodic extension
        offset = (start - before) % (2 * n)
        segment_end = n if offset < n else 2 * n
        length = min(segment_end - offset, total - start)
        piece = array[start : start + length, ...]
        if offset < n:
            out[offset : offset + length, ...] += piece
        else:
            low = 2 * n - offset - length
            out[low : low + length, ...] += xp.flip(piece, axis=0)
        start += length
    return xp.moveaxis(out, 0, axis)
