"""One small simulated acquisition, reconstructed with its true pattern."""

from __future__ import annotations

import pytest
import torch

from simrecon.config import Settings
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from zsdeconv.pairs_sim import sim_measurement


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def scene():
    """(stack, truth, result, measurement) of 64 × 72 pixels, 100 photons peak."""
    stack, truth = simulate(shape=(64, 72), kind="mixed", peak_e=100.0, background=3.0, seed=4)
    settings = Settings()
    result = reconstruct(stack, settings, pattern=truth.pattern)
    return stack, truth, result, sim_measurement(stack, result, settings)
