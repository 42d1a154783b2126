"""Programs in processes of their own, to be sent signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence


def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    own_group: bool = False,
) -> subprocess.Popen[str]:
    """Python with these arguments, on one thread; Ctrl-C counts (background jobs ignore it).

    A group of its own gets signals as a terminal sends them, to all of its processes.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # SIG_IGN is inherited
    try:
        return subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            start_new_session=own_group,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(
    what: Callable[[], object], process: subprocess.Popen[str], limit_s: float = 120.0
) -> None:
    """Until something is so, while the process runs."""
    end = time.monotonic() + limit_s
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
