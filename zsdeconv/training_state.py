"""A training on disk, so that a killed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from simrecon.errors import InputError
from zsdeconv import checkpoint
from zsdeconv.config import ZsSettings
from zsdeconv.data import Resimulation
from zsdeconv.training import Training, own_patches


def save_state(run: Training, folder: Path) -> None:
    """Everything that continuing needs, in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"network.{k}": v for k, v in run.network.state_dict().items()}
    tensors |= {f"mean.{k}": v for k, v in run.mean.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in (run.best or {}).items()}
    tensors |= {f"optimiser.{k}": v for k, v in run.optimiser.state().items()}
    for index, r in enumerate(run.resimulations):
        tensors |= {f"resimulation.{index}.{k}": v for k, v in vars(r).items()}
    facts: dict[str, Any] = {
        "settings": run.settings.model_dump(mode="json"),
        "iteration": run.iteration,
        "elapsed_s": run.elapsed_s,
        "history": run.history,
        "looks": run.looks,
        "generator": run.sampler.rng.bit_generator.state,
        "fingerprint": run.fingerprint.to_dict(),
    }
    checkpoint.write_tensors(folder / checkpoint.STATE_FILE, tensors, facts)


def restore_state(run: Training, folder: Path) -> Training:
    """Continue where :func:`save_state` left off; the next steps are those of the first run.

    Of several processes the first goes on with its patches, the others draw new ones.

    Raises
    ------
    InputError
        When the state belongs to other data or another network.
    """
    path = checkpoint.require_state(folder)
    tensors, facts = checkpoint.read_tensors(path)
    _check_inputs(run, facts["fingerprint"], path)
    _check_same(run.settings, facts["settings"], path)
    run.network.load_state_dict(_part(tensors, "network."))
    run.mean.load_state_dict(_part(tensors, "mean."))
    run.optimiser.restore(_part(tensors, "optimiser."))
    fields: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _part(tensors, "resimulation.").items():
        index, _, key = name.partition(".")
        fields.setdefault(int(index), {})[key] = value.to(run.bank.image.device)
    run.resimulations = [Resimulation(**fields[i]) for i in sorted(fields)]
    run.iteration, run.elapsed_s = int(facts["iteration"]), float(facts["elapsed_s"])
    run.history = [(int(i), float(d), float(a)) for i, d, a in facts["history"]]
    run.looks = [(int(i), float(e)) for i, e in facts["looks"]]
    run.best = _part(tensors, "best.") or None
    if run.world.first:
        run.sampler.rng.bit_generator.state = facts["generator"]
    else:
        run.sampler.rng = own_patches(run.settings.seed, run.world, run.iteration)
    return run


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check_inputs(run: Training, saved: Any, path: Path) -> None:
    """Whatever the training sees must be what it saw: no other PSF, camera or pattern."""
    if not isinstance(saved, Mapping):
        raise InputError(
            "The saved training is of an older version, which did not keep what it belongs to.",
            where=str(path), hint="train again, without --resume",
        )  # fmt: skip
    other = run.fingerprint.differences(saved)
    if other:
        raise InputError(
            "The saved training belongs to other data.",
            expected="the same raw file, optics, pattern, camera and settings",
            got=f"other than saved: {', '.join(other)}",
            where=str(path),
            hint="give what it was started with, or train without --resume",
        )


def _check_same(settings: ZsSettings, saved: Mapping[str, Any], path: Path) -> None:
    """Length and device may change between runs; anything else makes another training."""
    free = {"iterations", "budget_s", "device", "draws", "alpha_inference", "uncertainty_draws",
            "held_out_draws", "stacking_draws", "shown_cutoff", "self_ensemble", "tile",
            "checkpoint_s", "probes", "deterministic",
            "companion"}  # fmt: skip
    now = settings.model_dump(mode="json")
    changed = [k for k in now if k not in free and now[k] != saved.get(k)]
    if changed:
        raise InputError(
            "The saved training used other settings.",
            expected=", ".join(f"{k}={saved.get(k)}" for k in changed),
            got=", ".join(f"{k}={now[k]}" for k in changed),
            where=str(path),
        )
