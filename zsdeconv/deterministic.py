"""Trainings that give the same bits again, on request (``zsdeconv.deterministic``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from simrecon.errors import UsageError

_WORKSPACE, _SIZE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""cuBLAS repeats its sums only with a workspace of fixed size (one of the two it names)."""


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch use only algorithms that repeat to the bit; afterwards all is as it was.

    Raises
    ------
    UsageError
        An operation has no such algorithm on its device; or CUDA runs already, without the
        workspace that cuBLAS needs for this.
    """
    if not wanted:
        yield
        return
    running = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if _WORKSPACE not in os.environ and running:
        raise UsageError(
            "CUDA has started already, without what deterministic arithmetic needs.",
            expected=f"the environment variable {_WORKSPACE}={_SIZE}",
            got="none",
            where="zsdeconv.deterministic",
            hint="set it before Python starts",
        )
    os.environ.setdefault(_WORKSPACE, _SIZE)
    mode, tuned = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False  # the fastest algorithm differs from run to run
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UsageError(
            "An operation of this training has no deterministic form on this device.",
            got=str(error).split(". ")[0],
            where="zsdeconv.deterministic",
            hint="leave --deterministic out, or train with --device cpu",
        ) from error
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.backends.cudnn.benchmark = tuned
