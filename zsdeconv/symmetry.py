"""The eight symmetry operations of the square, and which of them a noise spectrum allows.

Augmentation must not change the physics: an operation is allowed only when it leaves the
power spectrum of the image's noise (equivalently, the effective OTF) as it is.
"""

from __future__ import annotations

import numpy as np
import torch

from zsdeconv.bridge import to_tensor

OPERATIONS = tuple(range(8))
"""Operation = quarter turns + 4 · (flip of x first)."""


def apply(image: torch.Tensor, operation: int) -> torch.Tensor:
    """Flip x (operations 4–7), then turn by ``operation % 4`` quarters, on the last two axes."""
    if operation >= 4:
        image = torch.flip(image, (-1,))
    turns = operation % 4
    return torch.rot90(image, turns, (-2, -1)) if turns else image


def undo(image: torch.Tensor, operation: int) -> torch.Tensor:
    """Inverse of :func:`apply`."""
    turns = operation % 4
    image = torch.rot90(image, -turns, (-2, -1)) if turns else image
    return torch.flip(image, (-1,)) if operation >= 4 else image


def allowed(power: np.ndarray, tolerance: float = 0.05) -> tuple[int, ...]:
    """Operations that leave a centred square power spectrum unchanged.

    Parameters
    ----------
    power : ndarray, shape (n, n), n odd, centre at n//2
        Power spectrum or OTF modulus.
    tolerance
        Largest accepted ``‖power − operated‖ / ‖power‖``.

    Returns
    -------
    tuple of int
        Always contains the identity and, for real images, the half turn.
    """
    reference = to_tensor(np.asarray(power, dtype=np.float64))
    norm = float(torch.linalg.norm(reference))
    return tuple(
        op
        for op in OPERATIONS
        if float(torch.linalg.norm(apply(reference, op) - reference)) <= tolerance * norm
    )
