"""Transforms of boxes against full transforms of what is zero outside them."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.backend import to_numpy
from simrecon.recon.padding import MirrorPadding
from simrecon.recon.pruned import axis_energy, to_field, to_spectrum, window
from simrecon.recon.support import SupportBlock


def full(block: SupportBlock, values: np.ndarray) -> np.ndarray:
    out = np.zeros(block.fine, complex)
    out[np.ix_(*(block.indices(axis) for axis in range(len(block.fine))))] = values
    return out


@pytest.mark.parametrize(
    ("fine", "start", "shape", "half"),
    [
        ((12, 15), (-3, 2), (7, 6), (2, 20)),
        ((6, 12, 9), (0, -5, -4), (6, 8, 3), (6, 3, 2)),
        ((5, 8, 10), (-2, 6, 4), (3, 4, 6), (1, 3, 4)),
    ],
)
def test_boxes_give_what_full_transforms_give(fine, start, shape, half, to_library):
    block, place = SupportBlock(start, shape, fine, fine), window(fine, half)
    rng = np.random.default_rng(0)
    values = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    at = np.ix_(*(place.indices(axis) for axis in range(len(fine))))
    field = to_numpy(to_field(block, to_library(values), place))
    assert np.allclose(field, np.fft.ifftn(full(block, values))[at], atol=1e-6)
    everywhere = np.fft.ifftn(full(block, values))
    for axis in range(len(fine)):
        others = tuple(i for i in range(len(fine)) if i != axis)
        energy = np.sum(np.abs(everywhere) ** 2, axis=others)
        found = axis_energy(block, to_library(values), axis)
        assert np.allclose(found / found.sum(), energy / energy.sum(), atol=1e-5)
    there = np.ix_(*(block.indices(axis) for axis in range(len(fine))))
    spectrum = to_numpy(to_spectrum(place, to_library(field), block))
    assert np.allclose(spectrum, np.fft.fftn(full(place, field))[there], atol=1e-5)


def test_rims_of_a_block_are_cut_and_signs_turned(to_library):
    block = SupportBlock((-3, 2, -1), (5, 4, 3), (9, 8, 7), (9, 8, 7))
    values = np.full(block.shape, 1e-4, np.complex64)
    values[1:3, 2:, 1] = 1j
    kept, inner = block.trimmed(to_library(values), 1e-3)
    assert (kept.start, kept.shape) == ((-2, 4, 0), (2, 2, 1))
    assert np.array_equal(to_numpy(inner), values[1:3, 2:, 1:2])
    for axis, n in enumerate(block.fine):
        assert set(block.negated().indices(axis)) == set(-block.indices(axis) % n)


def test_spectrum_of_an_extended_field(to_library):
    for shape, margin in (((3, 8, 9), (7, 2, 3)), ((8, 9), (2, 3))):
        padding = MirrorPadding.around(shape, margin)
        field = np.random.default_rng(1).normal(size=shape).astype(np.complex64)
        found = to_numpy(padding.spectrum(to_library(field)))
        assert np.allclose(found, np.fft.fftn(padding.extend(field)), atol=1e-3)
