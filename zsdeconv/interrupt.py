"""Ctrl-C between two training steps instead of inside one, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back; a second acts at once.

    The yielded function says whether one is waiting. Outside the main thread,
    where signals never arrive, nothing is held back.
    """
    waiting: list[int] = []

    def interrupted() -> bool:
        return bool(waiting)

    def hold(signum: int, _frame: object) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, hold)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
