"""Zero-shot training: a network, one measurement, and the time one is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simrecon.errors import InputError
from simrecon.provenance import sha256_array
from simrecon.result import Progress, no_progress
from zsdeconv import checkpoint, losses, symmetry
from zsdeconv.bank import Bank, make_bank
from zsdeconv.bridge import to_host
from zsdeconv.config import ZsSettings, field_factor
from zsdeconv.data import PatchSampler, Resimulation, resimulate
from zsdeconv.infer import apply_network
from zsdeconv.interrupt import deferred_interrupt
from zsdeconv.measurement import Measurement, Padding
from zsdeconv.models import CompactNet, PaperUnet, build_network
from zsdeconv.psf_layer import PsfLayer

Network = CompactNet | PaperUnet
_WARMUP_STEPS = 20
_GRADIENT_NORM = 1.0
_KEPT_RESIMULATIONS = 3
_FIRST_SAVE_S = 5.0


@dataclass
class Training:
    """A run: network, its running mean, optimiser, generator and counters.

    Attributes
    ----------
    network, mean
        The trained network and the exponential mean of its weights (the one that is used).
    bank
        Data.
    iteration, elapsed_s
        Progress so far, earlier runs of a resumed training included.
    history
        (iteration, data term, re-simulation term) now and then.
    """

    settings: ZsSettings
    measurement: Measurement
    bank: Bank
    network: Network
    mean: Network
    optimiser: torch.optim.Adam
    sampler: PatchSampler
    term: losses.DataTerm
    psf: PsfLayer
    fingerprint: str
    iteration: int = 0
    elapsed_s: float = 0.0
    history: list[tuple[int, float, float]] = field(default_factory=list)
    resimulations: list[Resimulation] = field(default_factory=list)

    @property
    def fraction(self) -> float:
        """How much of the schedule is over, 0…1, by steps or by time, whichever is further."""
        by_steps = self.iteration / self.settings.iterations if self.settings.iterations else 0.0
        limit = self.settings.time_limit_s
        by_time = self.elapsed_s / limit if limit else 0.0
        return min(1.0, max(by_steps, by_time))


def patch_size(settings: ZsSettings, zoom: int, multiple: int) -> tuple[int, int]:
    """The patch rounded down to what network and zoom allow, and that unit."""
    unit = int(np.lcm(multiple, 2 * zoom))
    return max(unit, settings.patch // unit * unit), unit


def bank_size(settings: ZsSettings, measurement: Measurement) -> int:
    """Draws kept: large fields hold more patches, so fewer draws say as much."""
    factor = field_factor(int(np.prod(measurement.image_shape)))
    return min(settings.bank, max(6, round(settings.bank / factor)))


def refresh_steps(run: Training) -> int:
    """Steps between re-simulations: in proportion to what one costs."""
    pixels = int(np.prod(run.measurement.image_shape))
    return round(run.settings.refresh * field_factor(pixels))


def prepare(
    measurement: Measurement,
    settings: ZsSettings,
    device: torch.device,
    progress: Progress = no_progress,
) -> Training:
    """Build network, noise bank and optimiser; everything random follows from the seed."""
    torch.manual_seed(settings.seed)
    network = build_network(settings).to(device)
    mean = build_network(settings).to(device)
    mean.load_state_dict(network.state_dict())
    patch, unit = patch_size(settings, measurement.zoom, network.multiple)
    frame_shape = (measurement.frames_e.shape[1], measurement.frames_e.shape[2])
    padding = Padding.around(frame_shape, measurement.zoom, unit, least=patch)
    noise_rng, patch_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(2)
    )
    bank = make_bank(
        measurement,
        padding,
        bank_size(settings, measurement),
        settings.alpha,
        noise_rng,
        device,
        progress,
    )
    measurement.forward.prepare(padding.origin, padding.image_shape)
    operations = symmetry.allowed(noise_spectrum(bank))
    sampler = PatchSampler(bank, patch, settings.batch, operations, patch_rng)
    psf = PsfLayer(measurement.effective_psf)
    return Training(
        settings=settings,
        measurement=measurement,
        bank=bank,
        network=network,
        mean=mean,
        optimiser=torch.optim.Adam(network.parameters(), lr=settings.lr, betas=(0.9, 0.99)),
        sampler=sampler,
        term=_data_term(measurement, settings, bank, psf),
        psf=psf,
        fingerprint=sha256_array(measurement.frames_e),
    )


def noise_spectrum(bank: Bank, size: int = 63) -> np.ndarray:
    """Mean power spectrum of the image's noise, (size, size), centred."""
    power = np.zeros((size, size))
    for field_ in to_host(bank.noise):
        for y in range(0, field_.shape[0] - size + 1, size):
            for x in range(0, field_.shape[1] - size + 1, size):
                power += np.abs(np.fft.fft2(field_[y : y + size, x : x + size])) ** 2
    return np.asarray(np.fft.fftshift(power))


def _data_term(
    measurement: Measurement, settings: ZsSettings, bank: Bank, psf: PsfLayer
) -> losses.DataTerm:
    if settings.loss == "raw":
        return losses.RawLikelihood(measurement.forward, measurement.zoom)
    kernel = None
    if settings.loss == "whitened":
        noise = to_host(bank.noise)
        kernel = losses.whitening_kernel(noise, measurement.effective_psf, 63)
    return losses.ImageResidual(psf, settings.loss, kernel)


def _set_rate(run: Training) -> None:
    s = run.settings
    cosine = 0.5 * (1.0 + np.cos(np.pi * run.fraction))
    rate = s.lr_final + (s.lr - s.lr_final) * cosine
    rate *= min(1.0, (run.iteration + 1) / _WARMUP_STEPS)
    for group in run.optimiser.param_groups:
        group["lr"] = float(rate)


def _total_loss(run: Training) -> tuple[torch.Tensor, float, float]:
    """One batch: the loss, and for the log its data and re-simulation terms."""
    s, scale = run.settings, run.bank.scale
    batch = run.sampler.pairs()
    seen = [symmetry.apply(i, op) for i, op in zip(batch.image, batch.operations, strict=True)]
    images = torch.stack(seen)
    seen = [symmetry.apply(i, op) for i, op in zip(batch.start, batch.operations, strict=True)]
    starts = torch.stack(seen)
    truth = None
    if s.resimulation > 0 and run.fraction >= s.warmup:
        if not run.resimulations or run.iteration % refresh_steps(run) == 0:
            _refresh(run)
        simulated, begun, truth = run.sampler.resimulated(run.resimulations)
        images, starts = torch.cat((images, simulated)), torch.cat((starts, begun))
    denoised, objects = run.network(images / scale, starts / scale)
    n = len(batch.operations)
    back = [symmetry.undo(d, op) for d, op in zip(denoised[:n], batch.operations, strict=True)]
    stage1 = torch.stack(back) * scale
    back = [symmetry.undo(f, op) for f, op in zip(objects[:n], batch.operations, strict=True)]
    stage2 = torch.stack(back) * scale
    data = run.term(_at_image_grid(stage2, s), batch, s.margin)
    loss = s.mu * losses.denoising_loss(stage1, batch, s.margin) + (1.0 - s.mu) * data
    sigma = run.bank.sigma
    again = 0.0
    if truth is not None:
        restored = _at_image_grid(objects[n:], s) * scale
        term = losses.resimulation_loss(restored, truth, sigma, s.margin)
        loss, again = loss + s.resimulation * term, float(term.detach())
    if s.tv_weight > 0:
        loss = loss + s.tv_weight * losses.total_variation(stage2, sigma)
    if s.hessian_weight > 0:
        loss = loss + s.hessian_weight * losses.hessian_l1(stage2, sigma)
    return loss, float(data.detach()), again


def _refresh(run: Training) -> None:
    """Replace the oldest re-simulation by one of the present estimate."""
    s, bank = run.settings, run.bank
    objects = apply_network(run.mean, bank.image, bank.start, bank.scale, s.tile)[1]
    estimate = bank.padding.crop_image(to_host(_at_image_grid(objects, s)))
    new = resimulate(run.measurement, bank, estimate, run.sampler.rng)
    run.resimulations = [*run.resimulations[1 - _KEPT_RESIMULATIONS :], new]


def _at_image_grid(objects: torch.Tensor, settings: ZsSettings) -> torch.Tensor:
    """Mean over 2 × 2 pixels when the object grid is finer than the image's."""
    if not settings.upsample:
        return objects
    lead = objects.shape[:-2]
    flat = objects.reshape(-1, 1, *objects.shape[-2:])
    pooled = torch.nn.functional.avg_pool2d(flat, 2)
    return pooled.reshape(*lead, *pooled.shape[-2:])


def step(run: Training) -> tuple[float, float]:
    """One optimiser step; returns the data and re-simulation terms.

    Raises
    ------
    InputError
        When the loss is not finite.
    """
    start = time.perf_counter()
    _set_rate(run)
    run.optimiser.zero_grad(set_to_none=True)
    loss, data, again = _total_loss(run)
    if not bool(torch.isfinite(loss)):
        raise InputError(
            "Training diverged: the loss is not finite.",
            got=f"{float(loss.detach())} at iteration {run.iteration}",
            hint="lower lr, or check the variances of the frames",
        )
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), _GRADIENT_NORM)
    run.optimiser.step()
    run.iteration += 1
    decay = min(run.settings.ema, run.iteration / (run.iteration + 9.0))
    with torch.no_grad():
        for kept, new in zip(run.mean.parameters(), run.network.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)
    run.elapsed_s += time.perf_counter() - start
    return data, again


def fit(run: Training, folder: Path | None = None, progress: Progress = no_progress) -> Training:
    """Train to the end of the schedule, saving the state in `folder` now and then.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, between two steps and with the state saved; the message says where.
    """
    try:
        with deferred_interrupt() as check:
            _steps(run, folder, progress, check)
    except KeyboardInterrupt:
        if folder is None:
            raise
        save_state(run, folder)
        raise KeyboardInterrupt(
            f"Interrupted at step {run.iteration}. The training is saved in "
            f"{folder / checkpoint.STATE_FILE}; 'zsdeconv sim … --resume' with the same "
            "frames, settings and folder goes on."
        ) from None
    if folder is not None:
        save_state(run, folder)
    return run


def _steps(
    run: Training, folder: Path | None, progress: Progress, check: Callable[[], None]
) -> None:
    """The steps of :func:`fit`; the state is saved soon after the first ones, then regularly."""
    due = time.monotonic() + min(_FIRST_SAVE_S, run.settings.checkpoint_s)
    recent: list[tuple[float, float]] = []
    progress("train", *_position(run))
    while run.fraction < 1.0:
        check()
        recent.append(step(run))
        if len(recent) >= 20 or run.fraction >= 1.0:
            data, again = (float(np.mean(v)) for v in zip(*recent, strict=True))
            run.history.append((run.iteration, data, again))
            recent.clear()
            progress("train", *_position(run), f"step {run.iteration}, loss {data:.4f}")
        if folder is not None and time.monotonic() > due:
            save_state(run, folder)
            due = time.monotonic() + run.settings.checkpoint_s


def _position(run: Training) -> tuple[int, int]:
    total = run.settings.iterations or round(run.settings.time_limit_s or 0)
    return round(run.fraction * total), total


def save_state(run: Training, folder: Path) -> None:
    """Everything that continuing needs, in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"network.{k}": v for k, v in run.network.state_dict().items()}
    tensors |= {f"mean.{k}": v for k, v in run.mean.state_dict().items()}
    for index, state in run.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{key}": v for key, v in state.items()}
    for index, r in enumerate(run.resimulations):
        tensors |= {f"resimulation.{index}.{k}": v for k, v in vars(r).items()}
    facts: dict[str, Any] = {
        "settings": run.settings.model_dump(mode="json"),
        "iteration": run.iteration,
        "elapsed_s": run.elapsed_s,
        "history": run.history,
        "generator": run.sampler.rng.bit_generator.state,
        "fingerprint": run.fingerprint,
    }
    checkpoint.write_tensors(folder / checkpoint.STATE_FILE, tensors, facts)


def restore_state(run: Training, folder: Path) -> Training:
    """Continue where :func:`save_state` left off; the next steps are those of the first run.

    Raises
    ------
    InputError
        When the state belongs to other data or another network.
    """
    path = checkpoint.require_state(folder)
    tensors, facts = checkpoint.read_tensors(path)
    if facts["fingerprint"] != run.fingerprint:
        raise InputError(
            "The saved training belongs to other data.",
            expected=run.fingerprint[:12],
            got=str(facts["fingerprint"])[:12],
            where=str(path),
            hint="train without --resume, or give the same raw file and settings",
        )
    _check_same(run.settings, facts["settings"], path)
    run.network.load_state_dict(_part(tensors, "network."))
    run.mean.load_state_dict(_part(tensors, "mean."))
    adam = run.optimiser.state_dict()
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _part(tensors, "adam.").items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = value
    run.optimiser.load_state_dict({**adam, "state": states})
    fields: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _part(tensors, "resimulation.").items():
        index, _, key = name.partition(".")
        fields.setdefault(int(index), {})[key] = value.to(run.bank.image.device)
    run.resimulations = [Resimulation(**fields[i]) for i in sorted(fields)]
    run.iteration, run.elapsed_s = int(facts["iteration"]), float(facts["elapsed_s"])
    run.history = [(int(i), float(d), float(a)) for i, d, a in facts["history"]]
    run.sampler.rng.bit_generator.state = facts["generator"]
    return run


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check_same(settings: ZsSettings, saved: Mapping[str, Any], path: Path) -> None:
    """Length and device may change between runs; anything else makes another training."""
    free = {"iterations", "budget_s", "device", "draws", "alpha_inference", "uncertainty_draws",
            "tile", "checkpoint_s"}  # fmt: skip
    now = settings.model_dump(mode="json")
    changed = [k for k in now if k not in free and now[k] != saved.get(k)]
    if changed:
        raise InputError(
            "The saved training used other settings.",
            expected=", ".join(f"{k}={saved.get(k)}" for k in changed),
            got=", ".join(f"{k}={now[k]}" for k in changed),
            where=str(path),
        )
