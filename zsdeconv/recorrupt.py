"""Re-corruption: two noisy copies of one measurement whose noises are independent.

With y of noise covariance Σ and z ~ N(0, Σ), the copies ``y + α z`` and ``y − z/α`` have noise
covariances (1+α²)Σ and (1+1/α²)Σ and no covariance with each other: Cov = Σ − Σ = 0
(Recorrupted-to-Recorrupted, Pang et al., CVPR 2021, eq. 5–7). Everything linear that is done
to y can be done to z instead, so a bank of noise draws serves all copies.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import oaconvolve


def draw_noise(
    variance: np.ndarray, rng: np.random.Generator, kernel: np.ndarray | None = None
) -> np.ndarray:
    """One draw of noise, float32, of the variance's shape (…, Y, X) (unit: its root).

    Without `kernel`, z ~ N(0, diag(variance)). With one (odd sides, sum of squares 1), white noise
    is filtered by it before it gets the variance: noise that neighbouring pixels share.
    """
    if kernel is None:
        z = rng.standard_normal(variance.shape, dtype=np.float32)
    else:
        wider = [n + k - 1 for n, k in zip(variance.shape[-2:], kernel.shape, strict=True)]
        white = rng.standard_normal((*variance.shape[:-2], *wider), dtype=np.float32)
        filters = kernel.astype(np.float32).reshape((1,) * (variance.ndim - 2) + kernel.shape)
        z = oaconvolve(white, filters, "valid", axes=(-2, -1)).astype(np.float32)
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
