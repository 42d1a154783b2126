"""Ctrl-C between two training steps instead of inside one, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Hold the first Ctrl-C back until the yielded function is called; a second acts at once.

    The yielded function raises KeyboardInterrupt when one is waiting. Outside the main thread,
    where signals never arrive, nothing is held back.
    """
    waiting: list[int] = []

    def check() -> None:
        if waiting:
            raise KeyboardInterrupt

    def hold(signum: int, _frame: object) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, hold)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
