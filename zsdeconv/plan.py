"""Predicted time and memory of an enhancement: before it starts, and from its first steps."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from simrecon.model.stack import SimStack
from zsdeconv.bridge import select_device, select_precision, threads, torch_device
from zsdeconv.config import ZsSettings, field_factor

_BASE_GB = 0.65
_S_PER_STEP_PIXEL = {
    "compact": 4.2e-6, "unet_paper": 5.0e-5, "dfcan": 4.1e-4, "rln": 7.5e-6,
    "compact3d": 9.0e-6, "rcan3d": 1.4e-4, "unet3d": 2.6e-4, "rln3d": 2.4e-5,
}  # fmt: skip
_BFLOAT16_GAIN = 1.7
_MARGIN_PLANES = 8
_S_PER_INFERENCE_PIXEL = {
    "compact": 2.5e-6, "unet_paper": 1.8e-5, "dfcan": 1.4e-4, "rln": 2.3e-6,
    "compact3d": 2.4e-6, "rcan3d": 4.4e-5, "unet3d": 7.4e-5, "rln3d": 8.0e-6,
}  # fmt: skip
_S_PER_LIFTED_PIXEL = 1.3e-6
_S_PER_START_PIXEL = 4e-8 * 20  # per frame: twenty iterations of the classical start
_S_START_UP = 8.0


@dataclass(frozen=True)
class Plan:
    """Expected cost.

    Attributes
    ----------
    step_s : float
        One step, before re-simulation starts.
    steps : int
        Steps that the training makes.
    training_s, before_s, after_s : float
        Time limit (or estimate) of the training, and of what comes before and after it.
    memory_gb : float
        Estimated peak resident memory.
    exact : bool
        The training time is a limit that is kept, not an estimate.
    timed_steps : int
        Steps of this very training that `step_s` was measured over; 0: typical of two cores.
    """

    step_s: float
    steps: int
    training_s: float
    before_s: float
    after_s: float
    memory_gb: float
    exact: bool
    timed_steps: int = 0

    @property
    def total_s(self) -> float:
        """Everything."""
        return self.before_s + self.training_s + self.after_s

    def to_text(self) -> str:
        """One line for people."""
        word = "limited to" if self.exact else "about"
        training = f"training {word} {self.training_s:.0f} s (about {self.steps} steps)"
        if self.timed_steps:
            return (
                f"the first {self.timed_steps} steps took {self.step_s:.2f} s each: "
                f"{training}, then about {self.after_s:.0f} s"
            )
        return (
            f"plan: {training}, in all about {self.total_s:.0f} s, "
            f"about {self.memory_gb:.1f} GB of memory"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "total_s": self.total_s}


def plan(stack: SimStack, settings: ZsSettings, zoom: int = 2, pictures: int = 1) -> Plan:
    """Predict time and memory on this machine's cores: acquisitions of planes, or volumes."""
    planes = (int(stack.data.shape[4]),) if settings.of_volumes else ()
    shape = (*planes, *stack.grid.shape)
    return planned(settings, stack.directions * stack.phases, shape, zoom, pictures)


def planned(
    settings: ZsSettings, frames: int, shape: tuple[int, ...], zoom: int, pictures: int = 1
) -> Plan:
    """The plan for `pictures` of `frames` raw frames of `shape` (of a volume: Z, Y, X) each."""
    *planes, ny, nx = shape
    thick = planes[0] + 2 * _MARGIN_PLANES if planes else 1
    raw = thick * (ny + 40) * (nx + 40)
    image, cores = raw * zoom**2, threads()
    field = math.prod(shape) * zoom**2
    draws = min(settings.bank, max(4, round(settings.bank / field_factor(field))))
    every = draws + (pictures - 1) * max(2, draws // 2)
    checks = 4 * settings.held_out_draws
    probes = 2 if settings.probes and not planes else 0
    passes = 1 + settings.uncertainty_draws + 2 * settings.stacking_draws + probes
    turns = 2 if settings.self_ensemble else 1
    start = frames * _S_PER_START_PIXEL * (2.0 if planes else 1.0)  # volumes want 24 to 44
    inference = turns * _S_PER_INFERENCE_PIXEL[settings.network] + _S_PER_LIFTED_PIXEL + start
    before = image * (every * _S_PER_LIFTED_PIXEL + (2 * every + 2) * start) / cores
    after = image * ((passes + checks / 2) * inference + checks / 2 * start) / cores
    step_s = _typical_step_s(settings, thick) / cores
    seconds, steps, exact = _training(settings, step_s)
    floats = every * (3 * image + frames * raw) + pictures * 14 * image + (6 * frames) * image
    patch_floats = settings.batch * _dearer(settings) * _patch_values(settings, thick) * 60.0
    # twice the float32 arrays and a quarter more: 1.18 of 1.39 GB at 256², 2.02 of 2.09 at 512²
    memory = _BASE_GB + 1e-8 * (floats + patch_floats * settings.width / 8)
    return Plan(step_s, steps, seconds, before + _S_START_UP, after, memory, exact)


def timed(expected: Plan, settings: ZsSettings, step_s: float, steps: int) -> Plan:
    """The plan again, from the measured time of the first `steps` steps.

    What comes after the training is work of the same kind: it scales with them.
    """
    seconds, count, exact = _training(settings, step_s)
    pace = step_s / expected.step_s
    return Plan(
        step_s, count, seconds, expected.before_s * pace, expected.after_s * pace,
        expected.memory_gb, exact, steps,
    )  # fmt: skip


def _training(settings: ZsSettings, step_s: float) -> tuple[float, int, bool]:
    """Seconds, steps, and whether the seconds are a limit; steps are dearer after the warm-up."""
    early, dearer = settings.warmup, _dearer(settings)
    wanted = float("inf")
    if settings.iterations:
        wanted = settings.iterations * step_s * (early + (1.0 - early) * dearer)
    limit = settings.time_limit_s
    if limit is None or wanted < limit:
        assert settings.iterations is not None
        return wanted, settings.iterations, False
    return limit, round(limit / step_s * (early + (1.0 - early) / dearer)), True


def _dearer(settings: ZsSettings) -> float:
    """Cost of a step with re-simulated patches over one without."""
    return 2.0 if settings.resimulation > 0 else 1.0


def _patch_values(settings: ZsSettings, thick: int) -> int:
    """Values of one training patch, of a volume of so many planes with its surroundings."""
    return settings.patch**2 * (min(settings.patch_planes, thick) if settings.of_volumes else 1)


def _typical_step_s(settings: ZsSettings, thick: int) -> float:
    """One step before re-simulation on one ordinary core, s."""
    step_s: float = (
        _S_PER_STEP_PIXEL[settings.network] * settings.batch * _patch_values(settings, thick)
    )
    step_s *= (settings.width / 32.0) ** 1.5
    device = torch_device(select_device(settings.device))
    if select_precision(settings.precision, device) == torch.bfloat16:
        step_s /= _BFLOAT16_GAIN
    return step_s
