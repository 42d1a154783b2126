"""The pipeline's branch for methods that are no linear operator: tv, hessian, rl."""

from __future__ import annotations

from typing import Any

import numpy as np

from simrecon import backend
from simrecon.config import ReconstructionSettings
from simrecon.preparation import Acquisition
from simrecon.recon.operator import Reconstructor
from simrecon.recon.solver import IterativeSolver, Solution

CURVE_POINTS = 50
"""Most points of the objective's curve that go into the report."""


class NonLinearPicture:
    """Solver with a strength chosen on one acquisition; apply it to every plane.

    Parameters
    ----------
    operator : Reconstructor
        Forward model and linear starting point.
    settings : ReconstructionSettings
        Its method, factor and number of iterations.
    read_variance_e2 : ndarray, a number or a map (Y, X)
        Read noise, e².
    data : Acquisition
        Where the strength is chosen.
    device : Device
        Of the operator.
    """

    def __init__(
        self,
        operator: Reconstructor,
        settings: ReconstructionSettings,
        read_variance_e2: np.ndarray,
        data: Acquisition,
        device: backend.Device,
    ) -> None:
        assert settings.method != "wiener"
        self._read, self._device = read_variance_e2, device
        self._solver = IterativeSolver(
            operator,
            settings.method,
            factor=settings.regularization_factor,
            max_iterations=settings.max_iterations,
        )
        frames, variance, read = self._arrays(data)
        self._strength = self._solver.tune(frames, variance, read)

    def __call__(self, data: Acquisition) -> tuple[np.ndarray, dict[str, Any]]:
        """Picture (qY, qX), float32, and the JSON-ready numbers of its making."""
        frames, variance, read = self._arrays(data)
        solution = self._solver.solve(frames, variance, read, self._strength)
        return backend.to_numpy(solution.image), self._numbers(solution)

    def _arrays(self, data: Acquisition) -> tuple[backend.Array, backend.Array, backend.Array]:
        read = np.broadcast_to(self._read, data.frames_e.shape)
        frames, variance, read = (
            backend.to_device(a.astype(np.float32), self._device)
            for a in (data.frames_e, data.variance_e2, read)
        )
        return frames, variance, read

    def _numbers(self, solution: Solution) -> dict[str, Any]:
        estimate, strength = solution.estimate, self._strength
        curve = estimate.objective[:: max(1, -(-len(estimate.objective) // CURVE_POINTS))]
        return {
            "method": self._solver.method,
            "strength_auto": strength.value,
            "strength_factor": self._solver.factor,
            "misfit": round(strength.misfit, 4),
            "held_out_chi2": [list(pair) for pair in strength.tried],
            "degrees_of_freedom": round(strength.degrees_of_freedom, 5),
            "chi2": round(solution.chi2, 4),
            "chi2_reduced": round(solution.chi2_reduced, 4),
            "iterations": estimate.iterations,
            "stopped": estimate.reason,
            "objective": [*curve, estimate.objective[-1]],
        }
