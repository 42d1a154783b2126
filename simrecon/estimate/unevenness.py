"""Smooth differences of brightness over the field between the pattern directions.

Every direction lights the field in its own way (a beam off centre, polarisation). The mean frame
of direction d is ``E_d(r)`` times the mean over all directions, with ln E_d a polynomial of low
degree; what all directions have in common cannot be told from the sample and stays. Dividing the
frames by E_d is linear, and the coefficients are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import legendre

DEGREE = 3
BLOCK_PX = 16
"""Blocks over which direction means are averaged before the logarithm is taken."""


@dataclass(frozen=True)
class Unevenness:
    """ln E_d as Legendre series on the field (−1…1 from edge to edge in y and x).

    Attributes
    ----------
    coefficients : ndarray, shape (A, DEGREE + 1, DEGREE + 1)
        [d, i, j] of L_i(y) L_j(x), 0 where i + j > DEGREE. The constant is 0: the brightness of
        whole frames belongs to the pattern's intensities.
    """

    coefficients: np.ndarray

    @classmethod
    def measure(cls, frames_e: np.ndarray) -> Unevenness:
        """From frames (A, P, Y, X), photo-electrons."""
        means = _block_means(frames_e.mean(axis=1, dtype=np.float64))
        total = means.mean(axis=0)
        shape = total.shape
        y, x = (_positions(n) for n in shape)
        terms = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
        design = np.stack([_basis(i, y)[:, None] * _basis(j, x) for i, j in terms], axis=-1)
        # a block's logarithm has a relative error of 1/√light
        light = np.maximum(total, 0.0)
        seen = light > 0.05 * light.max()
        weight = np.sqrt(light[seen])
        coefficients = np.zeros((means.shape[0], DEGREE + 1, DEGREE + 1))
        for d, mean in enumerate(means):
            ratio = np.log(np.maximum(mean[seen], 1e-6 * light.max()) / light[seen])
            fit = np.linalg.lstsq(design[seen] * weight[:, None], ratio * weight, rcond=None)[0]
            for (i, j), value in zip(terms, fit, strict=True):
                coefficients[d, i, j] = value
        coefficients -= coefficients.mean(axis=0)
        coefficients[:, 0, 0] = 0.0
        return cls(coefficients)

    def factors(self, shape: tuple[int, int]) -> np.ndarray:
        """E_d on the pixels of the field, (A, Y, X) float32, without its constant."""
        y, x = (_positions(n) for n in shape)
        maps = [np.exp(legendre.leggrid2d(y, x, c)) for c in self.coefficients]
        return np.asarray(maps, dtype=np.float32)

    @property
    def rms(self) -> float:
        """Root mean square of E_d − 1 over directions and field."""
        return float(np.sqrt(np.mean((self.factors((64, 64)) - 1.0) ** 2)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready coefficients."""
        return {"rms": round(self.rms, 5), "legendre_log": self.coefficients.tolist()}


def _positions(n: int) -> np.ndarray:
    return (2.0 * np.arange(n) + 1.0) / n - 1.0


def _basis(degree: int, position: np.ndarray) -> np.ndarray:
    return np.asarray(legendre.legval(position, np.eye(degree + 1)[degree]))


def _block_means(images: np.ndarray) -> np.ndarray:
    """Means over equal blocks of about `BLOCK_PX`, (A, BY, BX); what is over is left out."""
    rows, columns = (max(1, n // BLOCK_PX) for n in images.shape[-2:])
    height, width = images.shape[-2] // rows, images.shape[-1] // columns
    cut = images[:, : rows * height, : columns * width]
    return np.asarray(cut.reshape(-1, rows, height, columns, width).mean(axis=(2, 4)))
