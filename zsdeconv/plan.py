"""Predicted time and memory of an enhancement, told before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from simrecon.backend import usable_cores
from simrecon.model.stack import SimStack
from zsdeconv.bridge import select_device, select_precision, torch_device
from zsdeconv.config import ZsSettings, field_factor

_BASE_GB = 0.65
_S_PER_STEP_PIXEL = {"compact": 4.2e-6, "unet_paper": 5.0e-5}
_BFLOAT16_GAIN = 1.7
_S_PER_INFERENCE_PIXEL = {"compact": 2.5e-6, "unet_paper": 1.8e-5}
_S_PER_LIFTED_PIXEL = 1.3e-6
_S_PER_START_PIXEL = 4e-8 * 20  # per frame: twenty iterations of the classical start


@dataclass(frozen=True)
class Plan:
    """Expected cost.

    Attributes
    ----------
    training_s, total_s : float
        Time limit (or estimate) of the training, and estimate of everything.
    memory_gb : float
        Estimated peak resident memory.
    exact : bool
        The training time is a limit that is kept, not an estimate.
    """

    training_s: float
    total_s: float
    memory_gb: float
    exact: bool

    def to_text(self) -> str:
        """One line for people."""
        word = "limited to" if self.exact else "about"
        return (
            f"plan: training {word} {self.training_s:.0f} s, in all about {self.total_s:.0f} s, "
            f"about {self.memory_gb:.1f} GB of memory"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def plan(stack: SimStack, settings: ZsSettings, zoom: int = 2) -> Plan:
    """Predict time and memory on this machine's cores for one acquisition."""
    frames = stack.directions * stack.phases
    ny, nx = stack.grid.shape
    raw = (ny + 40) * (nx + 40)
    image = raw * zoom**2
    doubled = 2.0 if settings.resimulation > 0 else 1.0
    cores = usable_cores()
    per_step = _S_PER_STEP_PIXEL[settings.network] * settings.batch * settings.patch**2 * doubled
    per_step *= (settings.width / 32.0) ** 1.5 / cores
    device = torch_device(select_device(settings.device))
    if select_precision(settings.precision, device) == torch.bfloat16:
        per_step /= _BFLOAT16_GAIN
    limit = settings.time_limit_s
    wanted = settings.iterations * per_step if settings.iterations else float("inf")
    training = min(wanted, limit) if limit else wanted
    draws = min(settings.bank, max(4, round(settings.bank / field_factor(ny * nx * zoom**2))))
    passes = 1 + 2 * settings.uncertainty_draws + 2 * settings.held_out_draws
    turns = 2 if settings.self_ensemble else 1
    inference = passes * turns * _S_PER_INFERENCE_PIXEL[settings.network]
    lifts = draws + 1 + passes
    starts = 2 * draws + 2 + passes + 2 * settings.held_out_draws
    linear = lifts * _S_PER_LIFTED_PIXEL + starts * frames * _S_PER_START_PIXEL
    extra = image * (linear + inference)
    floats = draws * (3 * image + frames * raw) + 14 * image + (6 * frames) * image
    patch_floats = settings.batch * doubled * settings.patch**2 * 60.0 * settings.width / 8
    memory = _BASE_GB + 8e-9 * (floats + patch_floats)
    exact = limit is not None and wanted >= limit
    return Plan(training, training + extra / cores + 8.0, memory, exact)
