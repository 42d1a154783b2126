"""An affine map through matched beads, and how far it can be trusted.

Weighted least squares. Leaving bead i out and predicting it gives the residual e_i / (1 − h_i),
h_i its leverage (Cook and Weisberg, Residuals and Influence in Regression, 1982, chapter 2): no
bead is judged by a map that it helped to make.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simrecon.model.affine import Affine2D

LEAST_BEADS = 6
"""Three make a map, and nothing is then left to check it; six leave as many again."""


@dataclass(frozen=True)
class AffineFit:
    """A map and its errors.

    Attributes
    ----------
    affine : Affine2D
    covariance : ndarray, shape (3, 3)
        Of (1, y − ȳ, x − x̄) in each row of the map; that of both rows is equal.
    centre_um : ndarray, shape (2,)
        (ȳ, x̄), weighted.
    points_um, residual_um, left_out_um : ndarray, shape (N, 2)
        Beads in the moving channel; target minus map; the same of maps without that bead.
    sd_um : ndarray, shape (N,)
        Of each coordinate of a pair.
    chi2 : float
        Reduced.
    """

    affine: Affine2D
    covariance: np.ndarray
    centre_um: np.ndarray
    points_um: np.ndarray
    residual_um: np.ndarray
    left_out_um: np.ndarray
    sd_um: np.ndarray
    chi2: float

    @property
    def count(self) -> int:
        """Number of beads."""
        return int(self.sd_um.size)

    @property
    def residual_nm(self) -> float:
        """Rms distance of beads that were left out, nm: localisation errors of both included."""
        return 1e3 * float(np.sqrt(np.mean(np.sum(self.left_out_um**2, axis=1))))

    @property
    def residual_sd_nm(self) -> float:
        """Standard error of `residual_nm`, by the scatter of the squares."""
        squares = np.sum(self.left_out_um**2, axis=1)
        return 0.5e3 * float(squares.std(ddof=1) / np.sqrt(self.count * squares.mean()))

    def error_nm(self, points_um: np.ndarray) -> np.ndarray:
        """Standard deviation of mapped points (…, 2), both coordinates together, nm."""
        away = np.asarray(points_um) - self.centre_um
        design = np.concatenate([np.ones((*away.shape[:-1], 1)), away], axis=-1)
        variance = np.einsum("...i,ij,...j->...", design, self.covariance, design)
        return np.asarray(1e3 * np.sqrt(2.0 * variance))


def fit_affine(moving_um: np.ndarray, target_um: np.ndarray, sd_um: np.ndarray) -> AffineFit:
    """The map that brings points (N, 2) onto others, weighted by 1/sd².

    Errors are widened by the root of the reduced χ² where that exceeds 1.
    """
    weight = 1.0 / sd_um**2
    centre = np.average(moving_um, axis=0, weights=weight)
    design = np.column_stack([np.ones(len(moving_um)), moving_um - centre])
    normal = np.linalg.pinv(design.T @ (weight[:, None] * design), hermitian=True)
    rows = normal @ design.T @ (weight[:, None] * target_um)
    residual = target_um - design @ rows
    leverage = weight * np.einsum("ni,ij,nj->n", design, normal, design)
    left_out = residual / np.maximum(1.0 - leverage, 1e-6)[:, None]
    free = max(2 * len(sd_um) - 6, 1)
    chi2 = float(np.sum(weight[:, None] * residual**2)) / free
    matrix = rows[1:].T
    affine = Affine2D.of(matrix, rows[0] - matrix @ centre)
    return AffineFit(affine, normal * max(chi2, 1.0), centre, moving_um, residual, left_out, sd_um,
                     chi2)  # fmt: skip


def robust_radius(fit: AffineFit) -> float:
    """Distance beyond which a pair is none: four robust sd of the residuals, at least those that
    the localisation errors give, µm.
    """
    distance = np.hypot(*fit.residual_um.T)
    sigma = float(np.median(distance)) / np.sqrt(2.0 * np.log(2.0))  # of a Rayleigh distribution
    return float(4.0 * max(sigma, float(np.median(fit.sd_um))))
