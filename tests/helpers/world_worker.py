"""A training of a few steps, as torchrun starts it: the weights go to ``FOLDER/RANK.npz``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from zsdeconv import Measurement, ZsSettings, image_measurement
from zsdeconv.train import fit
from zsdeconv.training import Training, prepare

SETTINGS = ZsSettings(
    width=4, patch=48, batch=2, bank=2, iterations=4, resimulation=0.0, precision="float32",
    withheld=0.1, device="cpu", seed=5,
)  # fmt: skip


def picture() -> Measurement:
    """A small picture of bars."""
    rng = np.random.default_rng(0)
    truth = np.full((72, 80), 5.0)
    truth[::9, 20:60] += 200.0
    y, x = np.mgrid[-3:4, -3:4]
    psf = np.exp(-(x**2 + y**2) / 4.0)
    clean = image_measurement(truth, 1.0, psf, 0.05).predict(truth)[0]
    return image_measurement(rng.poisson(clean).astype(np.float32), clean, psf, 0.05)


def weights(run: Training) -> dict[str, np.ndarray]:
    """Of the network."""
    return {k: v.detach().numpy() for k, v in run.network.state_dict().items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    trained = fit(prepare(picture(), SETTINGS, torch.device("cpu")), folder / "state")
    np.savez(folder / f"{trained.world.rank}.npz", **weights(trained))
    trained.world.leave()
