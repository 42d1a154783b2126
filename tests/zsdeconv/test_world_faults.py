"""Several processes that are stopped, resumed, or lose one of them: torchrun on the CPU."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from processes import start, wait_for
from small_training import arguments, model, state, write_picture

FAULTY = Path(__file__).parents[1] / "helpers/faulty_worker.py"
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
STEPS = 60
SECONDS = 15
"""Between a fault and the end of all; torchrun kills those that hang after 30 s."""


@pytest.fixture
def picture(tmp_path):
    return write_picture(tmp_path)


@pytest.mark.slow
def test_processes_that_are_stopped_go_on_together_or_alone(tmp_path, picture):
    output = tmp_path / "out"
    often = {"iterations": STEPS, "checkpoint_s": 0.02}
    process = start([*TWO, *arguments(picture, output, **often)])
    wait_for((output / "model/training.safetensors").exists, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    step = state(output)["iteration"]
    assert 0 < step < STEPS
    assert errors.count(f"Stopped by SIGTERM at step {step}.") == 1
    shutil.copytree(output, tmp_path / "alone")
    together = start([*TWO, *arguments(picture, output, "--resume", **often)])
    said, errors = together.communicate(timeout=120)
    assert said.count("verdict") == 1, errors
    alone = start(arguments(picture, tmp_path / "alone", "--resume", **often))
    said, errors = alone.communicate(timeout=120)
    assert said.count("verdict") == 1, errors
    for folder in (output, tmp_path / "alone"):
        assert state(folder)["iteration"] == STEPS
    assert (model(output) - model(tmp_path / "alone")).abs().max() > 0  # other patches


def second_process(torchrun: int) -> int:
    """The one of rank 1."""
    for path in Path(f"/proc/{torchrun}/task").glob("*/children"):
        for child in path.read_text().split():
            if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes():
                return int(child)
    raise AssertionError("there is none")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="asks Linux")
@pytest.mark.parametrize("how", ["Ctrl-C in a terminal", "SIGTERM to the second process"])
def test_all_end_after_the_same_step(tmp_path, picture, how):
    """Of a Ctrl-C, torchrun and its processes hear once, and the processes once more from it."""
    output = tmp_path / "out"
    command = arguments(picture, output, iterations=2000, checkpoint_s=0.02)
    process = start([*TWO, *command], own_group=True)
    wait_for((output / "model/training.safetensors").exists, process)
    if how.startswith("Ctrl-C"):
        os.killpg(process.pid, signal.SIGINT)
        word = "Interrupted"
    else:
        os.kill(second_process(process.pid), signal.SIGTERM)
        word = "Stopped by SIGTERM"
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.count(f"{word} at step {state(output)['iteration']}.") == 1, errors


@pytest.mark.parametrize(
    "fault, said, code, saved",
    [
        ("raises", "process 1 is broken", 1, 3),
        ("dies", "Another process of this training has ended", 9, 3),
        ("diverges", r"got: nan or inf at iteration 3, process 1", 3, None),
        ("late", "process 1 is broken", 1, None),
        ("other", "do not begin with the same weights", 3, None),
    ],
)
def test_the_fault_of_one_process_ends_all_within_seconds(
    tmp_path, picture, fault, said, code, saved
):
    output, note = tmp_path / "out", tmp_path / "note"
    command = arguments(picture, output, iterations=STEPS)[2:]
    process = start([*TWO, str(FAULTY), fault, str(note), *command])
    _, errors = process.communicate(timeout=120)
    assert time.time() - float(note.read_text()) < SECONDS
    assert process.returncode != 0
    assert re.search(said, errors)
    assert re.search(rf"exitcode\s*: {code} ", errors), errors
    path = output / "model/training.safetensors"
    assert path.exists() == (saved is not None)
    if saved is not None:
        assert state(output)["iteration"] == saved
        assert "--resume goes on" in errors
