"""Zero-shot training: a network, one measurement, and the time one is given."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from simrecon.errors import InputError
from simrecon.result import Progress, no_progress
from zsdeconv.bridge import to_host
from zsdeconv.early_stop import Watch, take_best
from zsdeconv.interrupt import StopRequested, deferred_stop, how_to_go_on, said, stopped
from zsdeconv.objective import batch_loss
from zsdeconv.plan import timed
from zsdeconv.training import Training
from zsdeconv.training_state import save_state
from zsdeconv.world import LostProcess

_WARMUP_STEPS = 60
_GRADIENT_NORM = 1.0
_FIRST_SAVE_S = 5.0
_UNTIMED_STEPS, _TIMED_STEPS = 2, 8


def _schedule(run: Training) -> float:
    """Rates relative to the largest: a short linear rise, then a cosine to (almost) nothing."""
    s = run.settings
    low = s.lr_final / s.lr
    cosine = 0.5 * (1.0 + np.cos(np.pi * run.fraction))
    return float((low + (1.0 - low) * cosine) * min(1.0, (run.iteration + 1) / _WARMUP_STEPS))


def step(run: Training) -> tuple[float, float]:
    """One optimiser step; returns the data and re-simulation terms.

    Raises
    ------
    InputError
        When the loss is not finite.
    """
    start = time.perf_counter()
    run.optimiser.zero_grad()
    loss, data, again = batch_loss(run)
    finite = bool(torch.isfinite(loss))
    (diverged,) = run.world.largest(0.0 if finite else 1.0 + run.world.rank)
    if diverged:
        raise InputError(
            "Training diverged: the loss is not finite.",
            got=f"{float(loss.detach()) if not finite else 'nan or inf'} at iteration "
            f"{run.iteration}" + (f", process {int(diverged) - 1}" if run.world.size > 1 else ""),
            hint="lower lr, or check the variances of the frames",
        )
    loss.backward()  # type: ignore[no-untyped-call]
    run.world.average_gradients(run.network)
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), _GRADIENT_NORM)
    factor = _schedule(run)
    run.optimiser.step(factor * run.settings.lr, factor * run.settings.inner_lr)
    run.iteration += 1
    decay = min(run.settings.ema, run.iteration / (run.iteration + 9.0))
    with torch.no_grad():
        for kept, new in zip(run.mean.parameters(), run.network.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)
    run.elapsed_s += time.perf_counter() - start
    (run.elapsed_s,) = run.world.largest(run.elapsed_s)
    return data, again


def fit(run: Training, folder: Path | None = None, progress: Progress = no_progress) -> Training:
    """Train to the end of the schedule, saving the state in `folder` now and then.

    Where pixels are withheld, the weights that predicted them best become the mean's. Of several
    processes the first saves; all decide alike when to stop.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C or SIGTERM (:class:`simrecon.stop.Terminated`), between two steps and with the
        state saved; the message says where. A second Ctrl-C acts at once; saved is then what was.
    LostProcess
        Another process has ended; the state is saved.
    InputError
        The processes do not begin with the same weights.
    """
    if not run.world.first:
        folder = None
    _begin_alike(run)
    with deferred_stop(patient=run.world.size > 1) as waits:
        try:
            _steps(run, folder, progress, waits)
        except StopRequested as stop:
            message = f"{said(stop.signum)} at step {run.iteration}."
            if folder is not None:
                save_state(run, folder)
                message += f" {how_to_go_on(folder)}"
            raise stopped(stop.signum, message) from None
        except LostProcess as lost:
            if folder is not None:
                save_state(run, folder)
                lost.hint = f"see what that process says. {how_to_go_on(folder)}"
            raise
        if folder is not None:
            save_state(run, folder)
    take_best(run)
    return run


def _begin_alike(run: Training) -> None:
    """Several processes that begin with different weights would never notice."""
    if run.world.size == 1:
        return
    digest = hashlib.sha256(str(run.iteration).encode())
    for p in (*run.network.parameters(), *run.mean.parameters()):
        digest.update(to_host(p.contiguous()).tobytes())
    if not run.world.same(int.from_bytes(digest.digest()[:6])):
        raise InputError(
            "The processes do not begin with the same weights.",
            got=f"another state than process {run.world.rank}'s, step {run.iteration}",
            hint="with --resume all need the same folder; all need the same settings and versions",
        )


def _steps(
    run: Training, folder: Path | None, progress: Progress, waits: Callable[[], int]
) -> None:
    """The steps of :func:`fit`; the state is saved soon after the first ones, then regularly."""
    due = time.monotonic() + min(_FIRST_SAVE_S, run.settings.checkpoint_s)
    recent: list[tuple[float, float]] = []
    times: list[float] = []
    progress("train", *_position(run))
    watch = None if run.bank.withheld is None else Watch(run)
    while _goes_on(run, waits()):
        before, done = run.elapsed_s, run.fraction
        recent.append(step(run))
        times.append(run.elapsed_s - before)
        if watch is not None and watch.due(run, done):
            watch.look(run)
        if len(times) == _UNTIMED_STEPS + _TIMED_STEPS and not run.resimulations:
            _plan_again(run, times[_UNTIMED_STEPS:], progress)
        if len(recent) >= 20 or run.fraction >= 1.0:
            data, again = (float(np.mean(v)) for v in zip(*recent, strict=True))
            run.history.append((run.iteration, data, again))
            recent.clear()
            progress("train", *_position(run), f"step {run.iteration}, loss {data:.4f}")
        if folder is not None and time.monotonic() > due:
            save_state(run, folder)
            due = time.monotonic() + run.settings.checkpoint_s


def _goes_on(run: Training, signum: int) -> bool:
    """Whether there is another step: the slowest process's time counts for all, and so does a
    signal to any of them.
    """
    run.elapsed_s, stop = run.world.largest(run.elapsed_s, float(signum))
    if run.fraction < 1.0 and stop:
        raise StopRequested(int(stop))
    return run.fraction < 1.0


def _plan_again(run: Training, times: list[float], progress: Progress) -> None:
    """Say what the training will take on this machine, now that its first steps are timed."""
    run.plan = timed(run.plan, run.settings, float(np.median(times)), len(times))
    progress("plan", 1, 1, run.plan.to_text())


def _position(run: Training) -> tuple[int, int]:
    total = run.settings.iterations or round(run.settings.time_limit_s or 0)
    return round(run.fraction * total), total
