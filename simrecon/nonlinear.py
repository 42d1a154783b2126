"""The pipeline's branch for methods that are no linear operator: tv, hessian, rl."""

from __future__ import annotations

from typing import Any

import numpy as np

from simrecon import backend
from simrecon.config import ReconstructionSettings
from simrecon.model.noise import FrameNoise
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
    data : Acquisition
        Where the strength is chosen.
    device : Device
        Of the operator.
    """

    def __init__(
        self,
        operator: Reconstructor,
        settings: ReconstructionSettings,
        data: Acquisition,
        device: backend.Device,
    ) -> None:
        assert settings.method != "wiener"
        self._device = device
        self._solver = IterativeSolver(
            operator,
            settings.method,
            factor=settings.regularization_factor,
            max_iterations=settings.max_iterations,
        )
        self._strength = self._solver.tune(*self._arrays(data))

    def __call__(self, data: Acquisition) -> tuple[np.ndarray, dict[str, Any]]:
        """Picture (qY, qX), float32, and the JSON-ready numbers of its making."""
        solution = self._solver.solve(*self._arrays(data), self._strength)
        return backend.to_numpy(solution.image), self._numbers(solution)

    def _arrays(self, data: Acquisition) -> tuple[backend.Array, backend.Array, FrameNoise]:
        def moved(values: np.ndarray) -> backend.Array:
            full = np.broadcast_to(values, data.frames_e.shape)
            return backend.to_device(full.astype(np.float32), self._device)

        return moved(data.frames_e), moved(data.variance_e2), data.noise.map(moved)

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
