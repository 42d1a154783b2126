"""Re-corruption: two noisy copies of one measurement whose noises are independent.

With y of noise covariance Σ and z ~ N(0, Σ), the copies ``y + α z`` and ``y − z/α`` have noise
covariances (1+α²)Σ and (1+1/α²)Σ and no covariance with each other: Cov = Σ − Σ = 0
(Recorrupted-to-Recorrupted, Pang et al., CVPR 2021, eq. 5–7). Everything linear that is done
to y can be done to z instead, so a bank of noise draws serves all copies.
"""

from __future__ import annotations

import numpy as np


def draw_noise(variance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One draw z ~ N(0, diag(variance)), float32, of the variance's shape (unit: its root)."""
    z = rng.standard_normal(variance.shape, dtype=np.float32)
    z *= np.sqrt(variance, dtype=np.float32)
    return z


def recorrupt(
    y: np.ndarray, noise: np.ndarray, alpha: float, sign: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The pair ``(y + α·sign·z, y − sign·z/α)``.

    Parameters
    ----------
    y, noise
        Measurement (or its linear image L y) and the draw z (or L z), any equal shape.
    alpha
        Strength, > 0; the second copy gets the reciprocal.
    sign
        +1 or -1: a draw and its mirror image are equally likely.
    """
    return y + (sign * alpha) * noise, y - (sign / alpha) * noise
