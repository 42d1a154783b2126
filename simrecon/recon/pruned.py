"""Transforms between a box of frequencies and a box of positions, without the zeros round them.

Axis after axis: what an axis does not need is never transformed along the next one, and volumes go
plane by plane after their first axis. Kernels are small and their spectra bounded, so that not much
of a full transform is left to do, in time and in memory.
"""

from __future__ import annotations

import numpy as np

from simrecon.backend import Array, device_of, fft_along, ifft_along, namespace, to_numpy
from simrecon.recon.support import SupportBlock


def window(fine: tuple[int, ...], half_width: tuple[int, ...]) -> SupportBlock:
    """Positions up to a distance from 0 on every axis; all of an axis that is not longer."""
    start, shape = [], []
    for n, half in zip(fine, half_width, strict=True):
        whole = 2 * half + 1 >= n
        start.append(0 if whole else -half)
        shape.append(n if whole else 2 * half + 1)
    return SupportBlock(tuple(start), tuple(shape), fine, fine)


def to_field(block: SupportBlock, values: Array, place: SupportBlock) -> Array:
    """Inverse transform of a block of frequencies at a box of positions."""
    return _transformed(values, block, place, inverse=True)


def to_spectrum(place: SupportBlock, field: Array, block: SupportBlock) -> Array:
    """Transform of a field that is zero outside a box of positions, on a block of frequencies."""
    return _transformed(field, place, block, inverse=False)


def axis_energy(block: SupportBlock, values: Array, axis: int) -> np.ndarray:
    """``Σ |field|²`` over all other axes, up to a factor, at every position of one axis; host."""
    xp = namespace(values)
    rows = xp.reshape(xp.moveaxis(values, axis, 0), (block.shape[axis], -1))
    n = block.fine[axis]
    field = ifft_along(_spread(rows, 0, block.start[axis] % n, n), 0)
    return np.asarray(to_numpy(xp.sum(xp.abs(field) ** 2, axis=1)), dtype=np.float64)


def _transformed(array: Array, source: SupportBlock, target: SupportBlock, inverse: bool) -> Array:
    xp = namespace(array)
    if array.ndim == 2:
        for axis in (0, 1):
            array = _along(array, axis, source, target, axis, inverse)
        return array
    array = _along(array, 0, source, target, 0, inverse)
    out = xp.empty(target.shape, dtype=array.dtype, device=device_of(array))
    for i in range(target.shape[0]):
        plane = array[i, ...]
        for axis in (0, 1):
            plane = _along(plane, axis, source, target, axis + 1, inverse)
        out[i, ...] = plane
    return out


def _along(
    array: Array,
    axis: int,
    source: SupportBlock,
    target: SupportBlock,
    box_axis: int,
    inverse: bool,
) -> Array:
    """One axis: zeros are put in, it is transformed, and what is not asked for is left out."""
    n = source.fine[box_axis]
    full = _spread(array, axis, source.start[box_axis] % n, n)
    full = ifft_along(full, axis) if inverse else fft_along(full, axis)
    return _cut(full, axis, target.start[box_axis] % n, target.shape[box_axis])


def _at(ndim: int, axis: int, first: int, stop: int) -> tuple[slice, ...]:
    return tuple(slice(first, stop) if i == axis else slice(None) for i in range(ndim))


def _spread(array: Array, axis: int, start: int, n: int) -> Array:
    size = array.shape[axis]
    if size == n and start == 0:
        return array
    xp = namespace(array)
    shape = tuple(n if i == axis else s for i, s in enumerate(array.shape))
    out = xp.zeros(shape, dtype=array.dtype, device=device_of(array))
    first = min(size, n - start)
    out[_at(array.ndim, axis, start, start + first)] = array[_at(array.ndim, axis, 0, first)]
    if first < size:
        out[_at(array.ndim, axis, 0, size - first)] = array[_at(array.ndim, axis, first, size)]
    return out


def _cut(array: Array, axis: int, start: int, size: int) -> Array:
    n = array.shape[axis]
    first = min(size, n - start)
    part = array[_at(array.ndim, axis, start, start + first)]
    if first == size:
        return part
    rest = array[_at(array.ndim, axis, 0, size - first)]
    return namespace(array).concat([part, rest], axis=axis)
