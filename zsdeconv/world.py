"""Several processes that train one network together, as ``torchrun`` starts them.

Every process draws patches of its own from the same banks; gradients are averaged before every
step, so that N processes with batches of B patches take the steps of one with N·B. All start
from the same weights and take the same steps. The first one alone writes, judges and goes on after
the training.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from simrecon.errors import SimReconError, UsageError
from zsdeconv.launch import launch

_WAIT = timedelta(hours=2)
"""How long a process waits for the others: until the slowest has read and reconstructed its
data."""
_left = False


class LostProcess(SimReconError):
    """Another process of the training has ended before its time (exit code 1)."""


@contextmanager
def _with_others() -> Iterator[None]:
    """Turn a broken connection into :class:`LostProcess`."""
    try:
        yield
    except RuntimeError as error:  # torch has no narrower class for gloo's
        raise LostProcess(
            "Another process of this training has ended.",
            got=(str(error).strip() or type(error).__name__).splitlines()[0],
            hint="see what that process says",
        ) from error


@dataclass(frozen=True)
class World:
    """The processes of a training.

    Attributes
    ----------
    rank : int
        Of this one, from 0.
    size : int
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and goes on after the training."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """Mean of all processes' gradients, in one message."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        with _with_others():
            distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split_with_sizes(flat, [g.numel() for g in gradients])
        for g, part in zip(gradients, parts, strict=True):
            g.copy_(part.view_as(g))

    def largest(self, *values: float) -> tuple[float, ...]:
        """The largest of all processes' values, one by one: what all decide by."""
        if self.size == 1:
            return values
        found = torch.tensor(values, dtype=torch.float64)
        with _with_others():
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return tuple(float(v) for v in found)

    def same(self, number: int) -> bool:
        """Whether all processes give the same number, 0 ≤ number < 2⁵³."""
        high, low = self.largest(float(number), -float(number))
        return high == -low

    def leave(self) -> None:
        """End the training together; later trainings of this process are its own."""
        global _left
        if self.size > 1 and distributed.is_initialized():
            with _with_others():
                distributed.barrier()
            distributed.destroy_process_group()
            _left = True


def join(device: torch.device) -> World:
    """The processes that torchrun started with this one; alone without it.

    Raises
    ------
    UsageError
        More processes on this machine than it has GPUs, where `device` is one.
    """
    here, gpus = launch(), torch.cuda.device_count()
    if _left or not here.together:
        return World()
    if device.type == "cuda" and gpus < here.local_size:
        raise UsageError(
            "There are more processes than GPUs.", expected=f"at most {gpus}",
            got=str(here.local_size), where="torchrun --nproc-per-node",
        )  # fmt: skip
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with _killable():
            distributed.init_process_group(backend, timeout=_WAIT)
    return World(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def left_on_error() -> Iterator[None]:
    """Leave the others without a word when something goes wrong; they then do not wait.

    A process that ends while it is still connected may abort. NCCL's connections are left to their
    end: to close them can wait for the others.
    """
    try:
        yield
    except BaseException:
        if distributed.is_initialized() and distributed.get_backend() == "gloo":
            distributed.destroy_process_group()
        raise


@contextmanager
def _killable() -> Iterator[None]:
    """SIGTERM ends the process at once: waiting for the others is no Python that could hear it, and
    there is nothing to lose yet.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
