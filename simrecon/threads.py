"""One task for every usable core: maps over items that share the same few threads.

Maps may be nested. Whoever is free, helpers and callers that wait for their last items alike, takes
the next item of the youngest open map: three directions keep two cores busy, since the third one
is shared by way of the maps inside it. A map never waits for older ones, so that nothing can lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from simrecon.backend import usable_cores

_R = TypeVar("_R")
_I = TypeVar("_I")


def on_all_cores(function: Callable[[_I], _R], items: Sequence[_I]) -> list[_R]:
    """``[function(item) for item in items]``, spread over the usable cores.

    For host functions that spend their time in NumPy and SciPy, which let other threads run. The
    error of the first item that fails is raised, when no other item is still at work. Ctrl-C and
    SIGTERM leave out the items that nobody has begun.
    """
    helpers = min(usable_cores(), len(items)) - 1
    if helpers < 1:
        return [function(item) for item in items]
    return _team.run([_Task(function, item) for item in items], helpers)


def side_by_side(first: Callable[[], _I], second: Callable[[], _R]) -> tuple[_I, _R]:
    """Results of two functions that may run at the same time; the longer one comes first."""
    one, other = on_all_cores(_call, [first, second])
    return one, other


def _call(function: Callable[[], Any]) -> Any:
    return function()


class _Task:
    """One item, then its result or its error."""

    def __init__(self, function: Callable[[Any], Any], item: Any) -> None:
        self.function, self.item = function, item
        self.result: Any = None
        self.error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self.result = self.function(self.item)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller of the map
            self.error = error


class _Map:
    """The items of one call that are left, and how many are not done yet."""

    def __init__(self, tasks: list[_Task]) -> None:
        self.waiting = tasks[::-1]
        self.unfinished = len(tasks)


class _Team:
    """Helper threads, and the maps that have items left."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: list[_Map] = []
        self._helpers = 0

    def run(self, tasks: list[_Task], helpers: int) -> list[Any]:
        """Results of `tasks`; the calling thread works, too."""
        own = _Map(tasks)
        with self._changed:
            while self._helpers < helpers:
                threading.Thread(target=self._help, name="simrecon", daemon=True).start()
                self._helpers += 1
            self._open.append(own)
            self._changed.notify_all()
        self._work(lambda: own.unfinished == 0, own)
        for task in tasks:
            if task.error is not None:
                raise task.error
        return [task.result for task in tasks]

    def _help(self) -> None:
        self._work(lambda: False)

    def _work(self, done: Callable[[], bool], own: _Map | None = None) -> None:
        """Take items, those of `own` first, until `done`."""
        while True:
            with self._changed:
                while not self._open and not done():
                    self._changed.wait()
                if done():
                    return
                source = own if own is not None and own.waiting else self._open[-1]
                task = source.waiting.pop()
                if not source.waiting:
                    self._open.remove(source)
            task()
            with self._changed:
                if isinstance(task.error, KeyboardInterrupt):
                    self._abandon(task.error)
                source.unfinished -= 1
                if source.unfinished == 0:
                    self._changed.notify_all()

    def _abandon(self, stop: KeyboardInterrupt) -> None:
        """The program is to end: what is waiting will not be asked for."""
        for one in self._open:
            for task in one.waiting:
                task.error = stop
            one.unfinished -= len(one.waiting)
            one.waiting.clear()
        self._open.clear()
        self._changed.notify_all()


_team = _Team()


def _forget() -> None:
    """A new team in a forked child: threads do not survive a fork."""
    global _team
    _team = _Team()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
