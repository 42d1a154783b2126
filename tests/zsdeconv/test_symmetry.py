from __future__ import annotations

import numpy as np
import pytest
import torch

from zsdeconv import symmetry


@pytest.mark.parametrize("operation", symmetry.OPERATIONS)
def test_undo(operation):
    image = torch.arange(12.0).reshape(3, 4)
    back = symmetry.undo(symmetry.apply(image, operation), operation)
    assert torch.equal(back, image)


def test_operations_are_all_different():
    image = torch.arange(16.0).reshape(4, 4)
    seen = {tuple(symmetry.apply(image, op).ravel().tolist()) for op in symmetry.OPERATIONS}
    assert len(seen) == 8


def _ellipse(ratio, angle):
    y, x = np.mgrid[-15:16, -15:16].astype(float)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return np.exp(-(u**2 + (v * ratio) ** 2) / 50)


def test_allowed_operations_follow_the_spectrum():
    assert symmetry.allowed(_ellipse(1.0, 0.0)) == symmetry.OPERATIONS
    assert set(symmetry.allowed(_ellipse(1.6, 0.0))) == {0, 2, 4, 6}  # flips, half turn
    assert set(symmetry.allowed(_ellipse(1.6, 0.4))) == {0, 2}  # half turn only
