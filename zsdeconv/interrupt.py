"""Ctrl-C and SIGTERM between two training steps instead of inside one: what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simrecon.stop import Terminated
from zsdeconv import checkpoint
from zsdeconv.launch import TRAINING

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(Exception):
    """The training is to end here, between two steps.

    Attributes
    ----------
    signum : int
        SIGINT or SIGTERM.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextmanager
def deferred_stop(patient: bool = False) -> Iterator[Callable[[], int]]:
    """Hold the first Ctrl-C and every SIGTERM back; a second Ctrl-C acts at once.

    Not with `patient`: torchrun sends every Ctrl-C that the terminal has sent once more.

    The yielded function gives the signal that is waiting, or 0. One that nobody has asked for at
    the end acts then. Outside the main thread, where signals never arrive, nothing is held back,
    nor is what the caller ignores.
    """
    waiting: list[int] = []

    def waits() -> int:
        return waiting[0] if waiting else 0

    def hold(signum: int, _frame: object) -> None:
        if signum == signal.SIGINT and signum in waiting and not patient:
            raise KeyboardInterrupt
        waiting.append(signum)

    if threading.current_thread() is not threading.main_thread():
        yield waits
        return
    before = {s: signal.getsignal(s) for s in _SIGNALS}
    for one, handler in before.items():
        if handler not in (signal.SIG_IGN, None):  # None: not of Python, cannot be put back
            signal.signal(one, hold)
    try:
        yield waits
    finally:
        for one, handler in before.items():
            if handler is not None:
                signal.signal(one, handler)
    if waiting:  # it came when there was no step left
        signal.raise_signal(signal.Signals(waiting[0]))


def stopped(signum: int, message: str) -> KeyboardInterrupt:
    """The exception that ends the program for a signal."""
    return Terminated(message) if signum == signal.SIGTERM else KeyboardInterrupt(message)


def how_to_go_on(folder: Path) -> str:
    """Where the training is, and how it goes on."""
    return (
        f"The training is saved in {folder / checkpoint.STATE_FILE}; with the same data, settings "
        f"and folder, the same command with --resume goes on ('zsdeconv {'|'.join(TRAINING)}'; in "
        "Python, resume=True); 'zsdeconv demo' starts anew."
    )


@contextmanager
def trained(folder: Path | None) -> Iterator[None]:
    """Say how to go on when the program is stopped after a training that `folder` holds."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if folder is None or str(stop):
            raise
        signum = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
        raise stopped(
            signum, f"{said(signum)} after the training. {how_to_go_on(folder)}"
        ) from None


def said(signum: int) -> str:
    """What happened, for people."""
    return "Stopped by SIGTERM" if signum == signal.SIGTERM else "Interrupted"
