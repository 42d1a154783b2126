"""Affine maps of the sample plane, from one camera or colour to another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Affine2D:
    """``r' = M r + t`` for points (y, x) in µm, counted from the centre of raw pixel (0, 0).

    Attributes
    ----------
    matrix : ((float, float), (float, float))
        M, rows and columns in the order (y, x).
    shift_um : (float, float)
        t.
    """

    matrix: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    shift_um: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        values = np.array([*self.matrix[0], *self.matrix[1], *self.shift_um])
        if values.shape != (6,) or not np.isfinite(values).all() or self.determinant == 0:
            raise ValueError("an affine map needs six finite numbers and an inverse")

    @classmethod
    def of(cls, matrix: np.ndarray, shift_um: np.ndarray) -> Affine2D:
        """From arrays (2, 2) and (2,)."""
        (a, b), (c, d) = (tuple(float(v) for v in row) for row in matrix)
        return cls(((a, b), (c, d)), (float(shift_um[0]), float(shift_um[1])))

    @property
    def determinant(self) -> float:
        """Ratio of areas; negative for a mirror image."""
        (a, b), (c, d) = self.matrix
        return a * d - b * c

    @property
    def magnification(self) -> float:
        """Root of the ratio of areas."""
        return math.sqrt(abs(self.determinant))

    @property
    def rotation_rad(self) -> float:
        """Angle of the nearest rotation, from +x towards +y; of a mirror image that of the rotation
        after left and right are exchanged.
        """
        (a, b), (c, d) = self.matrix
        if self.determinant < 0:
            b, d = -b, -d
        return math.atan2(b - c, a + d)

    def __call__(self, points_um: np.ndarray) -> np.ndarray:
        """Map points (…, 2)."""
        mapped: np.ndarray = np.asarray(points_um) @ np.array(self.matrix).T + self.shift_um
        return mapped

    def inverse(self) -> Affine2D:
        """The map back."""
        back = np.linalg.inv(np.array(self.matrix))
        return Affine2D.of(back, -back @ np.array(self.shift_um))

    def after(self, first: Affine2D) -> Affine2D:
        """The map that does `first`, then this."""
        matrix = np.array(self.matrix)
        return Affine2D.of(
            matrix @ np.array(first.matrix), matrix @ np.array(first.shift_um) + self.shift_um
        )
