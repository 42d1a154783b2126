"""What all programs share: set-up, exit codes, the device line, progress, JSON.

Exit codes: 0 ok · 2 usage · 3 input or metadata · 4 finished but a quality gate failed ·
5 requested GPU unusable · 1 unexpected · 130 interrupted (Ctrl-C) · 143 stopped (SIGTERM).
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO

import numpy as np
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from simrecon import __version__
from simrecon.backend import Device
from simrecon.errors import InputError, SimReconError, UsageError
from simrecon.provenance import replay_command
from simrecon.result import Progress
from simrecon.stop import Terminated, terminable

EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE, EXIT_QUALITY = 0, 1, 2, 4
EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
"""128 + the number of the signal, as shells count."""
_EPILOGUE = (
    "Exit codes: 0 ok, 2 usage, 3 input or metadata, 4 finished but a quality gate failed, "
    "5 requested GPU unusable, 1 unexpected, 130 interrupted, 143 stopped (SIGTERM). "
    "Add --debug for a traceback."
)


_TOKENS: ContextVar[tuple[str, ...]] = ContextVar("tokens", default=())


def command_line(program: str) -> str:
    """The command that is being executed, as one would type it again (for provenance)."""
    return replay_command(program, _TOKENS.get())


def make_app(name: str, help_text: str) -> App:
    """Create a program whose commands return exit codes (None means 0)."""
    return App(
        name=name,
        help=help_text,
        help_epilogue=_EPILOGUE,
        help_format="plaintext",
        version=__version__,
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )


def execute(app: App, argv: Sequence[str] | None = None) -> int:
    """Run a program and turn every outcome into an exit code and a readable message.

    Parameters
    ----------
    app
        From :func:`make_app`.
    argv
        Arguments without the program name; default: those of the process.
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in tokens
    tokens = [t for t in tokens if t != "--debug"]
    _TOKENS.set(tuple(tokens))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (">&-"): nobody listens
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    with terminable():
        return _executed(app, tokens, debug)


def _executed(app: App, tokens: list[str], debug: bool) -> int:
    try:
        code = app(tokens)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXIT_OK
    except Terminated as stop:
        return fail(Terminated(str(stop) or "Stopped by SIGTERM."), EXIT_TERMINATED, tokens)
    except KeyboardInterrupt as stop:
        return fail(KeyboardInterrupt(str(stop) or "Interrupted."), EXIT_INTERRUPTED, tokens)
    except BrokenPipeError:  # the reader of our output has gone, for example "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNEXPECTED
    except CycloptsError as error:
        usage = UsageError(str(error), hint=f"see '{app.name[0]} --help'")
        return fail(usage, EXIT_USAGE, tokens)
    except SimReconError as error:
        if debug:
            traceback.print_exc()
        return fail(error, error.exit_code, tokens)
    except OSError as error:
        if debug:
            traceback.print_exc()
        if error.errno in _NO_ROOM and _output_is_lost():
            lost = InputError(
                "The standard output cannot be written.",
                expected="a terminal, or a file on a disk that has room",
                got=error.strerror or str(error),
                where="standard output",
                hint="free some space, or send the output elsewhere",
            )
            return fail(lost, lost.exit_code, tokens)
        return fail(_unexpected(error), EXIT_UNEXPECTED, tokens)
    except Exception as error:  # noqa: BLE001 - the last line of defence turns it into a message
        if debug:
            traceback.print_exc()
        return fail(_unexpected(error), EXIT_UNEXPECTED, tokens)


_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EBADF)


def _unexpected(error: Exception) -> SimReconError:
    text = f"Unexpected {type(error).__name__}: {error} (add --debug for the traceback)"
    return SimReconError(text)


def _output_is_lost() -> bool:
    """Whether standard output takes nothing any more; it is then sent to nowhere."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def fail(error: BaseException, code: int, tokens: Sequence[str]) -> int:
    """Say an error the way the command line asks for (``--json``); returns the exit code."""
    text = str(error)
    sys.stderr.write(f"error: {text}\n")
    if "--json" in tokens:
        keys = ("message", "expected", "got", "where", "hint")
        facts = {k: getattr(error, k, None) for k in keys}
        facts["message"] = facts["message"] or text
        with suppress(OSError):  # the message has been said; there may be no room for more
            sys.stdout.write(json.dumps({"error": facts, "exit_code": code}) + "\n")
    return code


def json_ready(value: Any) -> Any:
    """Copy with NumPy values turned into Python ones and non-finite numbers into None."""
    if isinstance(value, Mapping):
        return {str(k): json_ready(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(v) for v in value]
    if isinstance(value, np.ndarray):
        return json_ready(value.tolist())
    if isinstance(value, np.generic):
        return json_ready(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Reporter:
    """Where a command speaks: text for people, or one JSON document for machines.

    With ``as_json`` standard output carries nothing but the JSON document of :meth:`finish`;
    the device line and the progress go to standard error.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._facts: dict[str, Any] = {}

    def device(self, device: Device) -> None:
        """Say which device computes, and why: the first line of every program."""
        self._facts["device"] = {"label": device.label, "reason": device.reason}
        self.say(f"device: {device.label} — {device.reason}")

    def say(self, text: str) -> None:
        """One or more lines for people."""
        stream = sys.stderr if self.as_json else sys.stdout
        stream.write(text + "\n")
        stream.flush()

    def finish(self, facts: Mapping[str, Any], text: str | None = None) -> None:
        """Write the outcome: the JSON document, or `text`."""
        if self.as_json:
            document = json_ready({**self._facts, **facts})
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        elif text is not None:
            self.say(text)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Progress callback: a bar on a terminal, log lines elsewhere (standard error)."""
        if sys.stderr.isatty():
            with _Bars(sys.stderr) as bars:
                yield bars
        else:
            yield _Lines(sys.stderr)


class _Lines:
    """Log lines: the first and the last step of each stage, and one per 10 s between."""

    def __init__(self, stream: TextIO, every_s: float = 10.0) -> None:
        self._stream, self._every_s = stream, every_s
        self._started: dict[str, float] = {}
        self._said = -math.inf

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        new = stage not in self._started
        start = self._started.setdefault(stage, now)
        if not new and done < total and now - self._said < self._every_s:
            return
        self._said = now
        left = (now - start) / done * (total - done) if done else 0.0
        eta = f", about {left:.0f} s left" if 0 < done < total else ""
        self._stream.write(f"{stage}: {done}/{total}{eta}{'  ' + note if note else ''}\n")
        self._stream.flush()


class _Bars:
    """Bars on a terminal, one per stage."""

    def __init__(self, stream: TextIO) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=stream),
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)
