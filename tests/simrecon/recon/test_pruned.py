"""Transforms of boxes against full transforms of what is zero outside them."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.backend import to_numpy
from simrecon.recon.pruned import to_field, to_spectrum, window
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
    there = np.ix_(*(block.indices(axis) for axis in range(len(fine))))
    spectrum = to_numpy(to_spectrum(place, to_library(field), block))
    assert np.allclose(spectrum, np.fft.fftn(full(place, field))[there], atol=1e-5)
