"""Displacements read as a random walk in time: smoothed, and tested against rest.

    z ~ N(0, q K + Σ),   K_ij = min(i, j),   all with their mean taken away,

z the measured displacements in the order of acquisition, Σ their variances. The step variance q is
fitted by maximum likelihood; twice the gain of log-likelihood over q = 0 is the evidence of motion.
The estimate is the posterior mean: it follows bright frames one by one and smooths dim ones over
time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Walk:
    """Smoothed displacements.

    Attributes
    ----------
    position_um, sd_um : ndarray, shape (N, 2)
        Posterior mean (of mean 0) and standard deviation.
    evidence : float
        Twice the log-likelihood ratio of motion against none.
    """

    position_um: np.ndarray
    sd_um: np.ndarray
    evidence: float


def smooth_over_time(measured_um: np.ndarray, variance_um2: np.ndarray) -> Walk:
    """Random walk through displacements (N, 2) in the order of acquisition."""
    n = measured_um.shape[0]
    index = np.arange(1, n + 1)
    basis = np.linalg.svd(np.eye(n) - 1.0 / n)[0][:, : n - 1]  # of all that has mean 0
    prior = basis.T @ np.minimum(index[:, None], index[None, :]).astype(np.float64) @ basis
    data = [basis.T @ z for z in measured_um.T]
    noise = [(basis.T * v) @ basis for v in variance_um2.T]

    def log_likelihood(step: float) -> float:
        total = 0.0
        for z, sigma in zip(data, noise, strict=True):
            full = step * prior + sigma
            total -= 0.5 * (float(np.linalg.slogdet(full)[1]) + float(z @ np.linalg.solve(full, z)))
        return total

    scale = float(np.mean(variance_um2)) + float(np.mean(measured_um**2))
    steps = scale * np.geomspace(1e-4, 30.0, 60)
    likelihoods = [log_likelihood(s) for s in steps]
    best = float(steps[int(np.argmax(likelihoods))])
    position, sd = np.zeros(measured_um.shape), np.zeros(measured_um.shape)
    for axis, (z, sigma) in enumerate(zip(data, noise, strict=True)):
        gain = best * prior @ np.linalg.inv(best * prior + sigma)
        position[:, axis] = basis @ (gain @ z)
        left = basis @ (best * prior - gain @ (best * prior)) @ basis.T
        sd[:, axis] = np.sqrt(np.maximum(np.diag(left), 0.0))
    return Walk(position, sd, 2.0 * (max(likelihoods) - log_likelihood(0.0)))
