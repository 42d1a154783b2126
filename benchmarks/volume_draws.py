"""The variance map of a volume beside what draws of noise scatter by."""

from __future__ import annotations

import numpy as np

from simrecon.recon.operator import Reconstructor


def variance_over_draws(
    operator: Reconstructor, variance_e2: np.ndarray, draws: int, margin_px: int
) -> np.ndarray:
    """Propagated variance over the mean square of `draws` draws, (Z, Y, X) without the border.

    The spread of the draws biases the mean of this ratio, not that of its inverse.
    """
    rng, sigma = np.random.default_rng(0), np.sqrt(variance_e2)
    square = np.zeros(operator.sr_grid.shape)
    for _ in range(draws):
        noise = rng.standard_normal(sigma.shape, np.float32) * sigma
        square += operator.reconstruct(noise).astype(np.float64) ** 2
    inner = slice(margin_px, -margin_px)
    return np.asarray(operator.variance(variance_e2) / (square / draws))[:, inner, inner]
