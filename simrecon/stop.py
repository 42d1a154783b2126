"""SIGTERM, the stop of batch systems, ends a program as Ctrl-C does: nothing half-written stays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM came (Slurm, PBS, kill, torchrun)."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread at the first SIGTERM.

    Later ones are ignored: batch systems send several, and cleaning up must not be cut short by the
    second (SIGKILL follows anyway). Outside the main thread, and where SIGTERM is ignored or
    handled by somebody else, nothing changes.
    """
    begin = threading.current_thread() is threading.main_thread()
    if not begin or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    said: list[int] = []

    def stop(signum: int, _frame: object) -> None:
        if not said:
            said.append(signum)
            raise Terminated

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
