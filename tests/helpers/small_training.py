"""A training of a small picture by the program ``zsdeconv image``, in processes of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import torch
import world_worker

from zsdeconv.checkpoint import MODEL_FILE, STATE_FILE, read_tensors

OPTICS = ("--pixel-um", "0.05", "--na", "1.4", "--emission-nm", "525", "--gain", "2",
          "--offset", "100", "--read-noise-e", "1", "--device", "cpu")  # fmt: skip
QUICK = {"width": 4, "patch": 48, "bank": 2, "uncertainty_draws": 0, "stacking_draws": 0,
         "held_out_draws": 0, "probes": "false", "withheld": 0}  # fmt: skip


def write_picture(folder: Path) -> Path:
    """The picture of `world_worker` as a camera file."""
    path = folder / "picture.tif"
    counts = 2.0 * world_worker.picture().frames_e[0] + 100.0
    tifffile.imwrite(path, counts.round().astype(np.uint16))
    return path


def arguments(picture: Path, output: Path, *more: str, **settings: object) -> list[str]:
    """Of python: the command, with settings for a training of seconds."""
    chosen = (f"--set=zsdeconv.{k}={v}" for k, v in {**QUICK, **settings}.items())
    return ["-m", "zsdeconv.cli", "image", str(picture), "-o", str(output), *OPTICS, *chosen, *more]


def state(output: Path) -> dict[str, object]:
    """Facts of the training that is saved there."""
    return read_tensors(output / "model" / STATE_FILE)[1]


def model(output: Path) -> torch.Tensor:
    """All weights of the model that is there."""
    tensors = read_tensors(output / "model" / MODEL_FILE)[0]
    return torch.cat([tensors[k].ravel().double() for k in sorted(tensors)])
