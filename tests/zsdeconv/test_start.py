"""How many iterations the classical start takes: as many as an independent copy wants."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zsdeconv import start
from zsdeconv.start import MAX_ITERATIONS, PATIENCE, ClassicalStart


class Solver:
    """Predicts an empty copy best after `best` iterations."""

    device = torch.device("cpu")

    def __init__(self, best: int) -> None:
        self.best, self.made = best, 0

    def iterate(self, data, iterations, *, accelerate):
        for step in range(1, iterations + 1):
            self.made = step
            yield torch.tensor(float(step))

    def expected(self, f):
        return torch.abs(f - self.best).expand(1, 4, 4)


@pytest.mark.parametrize(
    ("dz_um", "best", "chosen", "made"),
    [
        (None, 7, 7, MAX_ITERATIONS),
        (None, 30, MAX_ITERATIONS, MAX_ITERATIONS),
        (0.2, 30, 30, 30 + PATIENCE),
        (0.2, 1, 2, 1 + PATIENCE),
        (0.2, 1000, start.MAX_VOLUME_ITERATIONS, start.MAX_VOLUME_ITERATIONS),
    ],
)
def test_volumes_may_take_more_iterations_than_planes(monkeypatch, dz_um, best, chosen, made):
    solver = Solver(best)
    monkeypatch.setattr(start, "RichardsonLucy", lambda measurement, padding: solver)
    empty = np.zeros((1, 4, 4), np.float32)
    measurement = SimpleNamespace(frames_e=empty, variance_e2=empty + 1.0, dz_um=dz_um)
    padding = SimpleNamespace(frames=lambda frames: frames)
    assert ClassicalStart(measurement, padding, noise=empty).iterations == chosen
    assert solver.made == made
