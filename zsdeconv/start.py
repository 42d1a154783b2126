"""The classical start of the network: accelerated Richardson–Lucy with a stop found by the data.

Two re-corrupted copies have independent noise, so the iteration that runs on one is judged by
how well its forward model predicts the other: the best stop needs no truth.
"""

from __future__ import annotations

import numpy as np
import torch

from zsdeconv.baselines.richardson_lucy import RichardsonLucy
from zsdeconv.bridge import to_tensor
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.recorrupt import recorrupt

MAX_ITERATIONS = 20
MAX_VOLUME_ITERATIONS = 60
"""Out-of-focus light leaves a volume slowly: light sheets of 10 and 50 e want 24 and 44."""
PATIENCE = 5
"""Iterations without a better prediction after which the search for the best one of a volume ends.
"""
_STOP_ALPHA = 0.5


class ClassicalStart:
    """``start(frames) → object``: a fixed number of accelerated Richardson–Lucy iterations.

    Parameters
    ----------
    measurement, padding
        Problem and field.
    noise : ndarray, shape (F, Y, X)
        One draw of the raw noise, for choosing the number of iterations.
    iterations
        The number itself, instead.
    """

    def __init__(
        self,
        measurement: Measurement,
        padding: Padding,
        noise: np.ndarray | None = None,
        iterations: int | None = None,
    ) -> None:
        self._solver = RichardsonLucy(measurement, padding)
        self._measurement, self._padding = measurement, padding
        if iterations is None:
            assert noise is not None
            iterations = self._choose(noise)
        self.iterations = iterations

    def _choose(self, noise: np.ndarray) -> int:
        """Iteration whose prediction of the independent copy is best (at least 2)."""
        y = self._measurement.frames_e
        data, other = recorrupt(y, noise, _STOP_ALPHA)
        device = self._solver.device
        target = to_tensor(self._padding.frames(other), device)
        inverse = (1.0 / self._measurement.variance_e2).astype(np.float32)
        weights = to_tensor(self._padding.frames(inverse), device)
        volume = self._measurement.dz_um is not None
        most = MAX_VOLUME_ITERATIONS if volume else MAX_ITERATIONS
        errors: list[float] = []
        for f in self._solver.iterate(data, most, accelerate=True):
            errors.append(float((weights * (self._solver.expected(f) - target) ** 2).sum()))
            if volume and len(errors) - 1 - int(np.argmin(errors)) >= PATIENCE:
                break
        return max(2, int(np.argmin(errors)) + 1)

    def __call__(self, frames_e: np.ndarray) -> torch.Tensor:
        """Padded object of frames (F, Y, X), e, on the solver's device."""
        *_, last = self._solver.iterate(frames_e, self.iterations, accelerate=True)
        return last.clone()

    def expected(self, start: torch.Tensor) -> torch.Tensor:
        """Padded frames of such an object."""
        with torch.inference_mode():
            return self._solver.expected(start).clone()
