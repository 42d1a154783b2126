"""SIGTERM, as batch systems send it: exit code, message, and what is left on the disk."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from processes import start, wait_for

from simrecon import shell
from simrecon.cli.main import app as simrecon_app
from simrecon.stop import Terminated, terminable

RECONSTRUCT = """
import sys, time
from simrecon.cli import outputs
from simrecon.cli.main import app
from simrecon.shell import execute

real = outputs.write_image

def slowly(path, *given, **more):
    real(path, *given, **more)
    time.sleep(60)

outputs.write_image = slowly
sys.exit(execute(app))
"""


@pytest.fixture
def cleaned():
    return []


@pytest.fixture
def app(cleaned):
    program = shell.make_app("prog", "A program.")

    @program.command
    def act(count: int = 1) -> None:
        """Be told to stop while it works, and again while it cleans up."""
        try:
            for _ in range(count):
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    return program


def test_sigterm_is_an_orderly_end_with_its_own_exit_code(app, cleaned, capsys):
    assert shell.execute(app, ["act"]) == 143
    assert cleaned == [True]
    assert capsys.readouterr().err == "error: Stopped by SIGTERM.\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_somebody_else_stays():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [1]
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(Terminated), terminable():
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("before", [[], ["picture.tif"]])
def test_a_stopped_reconstruction_leaves_nothing_half_written(tmp_path, before):
    """The picture is written, its variance not: SIGTERM, and the folder is as it was."""
    raw = tmp_path / "raw.ome.tif"
    assert shell.execute(simrecon_app, ["simulate", "-o", str(raw), "--size", "96"]) == 0
    for name in before:
        (tmp_path / name).write_text("of an earlier run")
    found = {p.name for p in tmp_path.iterdir()}
    program = ["-c", RECONSTRUCT, "reconstruct", str(raw), "-o",
               str(tmp_path / "picture.tif")]  # fmt: skip
    process = start(program)
    wait_for(lambda: list(tmp_path.glob(".part-*/picture.tif")), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "error: Stopped by SIGTERM." in errors
    assert {p.name for p in tmp_path.iterdir()} == found
    for name in before:
        assert Path(tmp_path / name).read_text() == "of an earlier run"


def test_a_reconstruction_that_computes_ends_at_once(tmp_path):
    raw = tmp_path / "raw.ome.tif"
    assert shell.execute(simrecon_app, ["simulate", "-o", str(raw), "--size", "256"]) == 0
    found = {p.name for p in tmp_path.iterdir()}
    program = ["-m", "simrecon.cli.main", "reconstruct", str(raw), "-o",
               str(tmp_path / "picture.tif")]  # fmt: skip
    process = start(program)
    assert process.stdout is not None
    process.stdout.readline()  # the device line
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert time.monotonic() - begun < 10
    assert {p.name for p in tmp_path.iterdir()} == found
