"""Trainings that a batch system stops: real processes, real signals, nothing lost."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from processes import start, wait_for
from small_training import arguments, model, state, write_picture

from simrecon.stop import Terminated, terminable
from zsdeconv.interrupt import deferred_stop, trained

STEPS = 60
OFTEN = {"iterations": STEPS, "checkpoint_s": 0.02}
NOTHING = r"^$"


@pytest.fixture
def default_handlers():
    """Shells start background jobs with SIGINT ignored: not so here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A picture, and the weights of a training that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    picture = write_picture(folder)
    process = start(arguments(picture, folder / "out", **OFTEN))
    said, errors = process.communicate(timeout=120)
    assert "verdict" in said, errors
    return picture, model(folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("stop, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_goes_on_with_nothing_lost(tmp_path, whole, stop, code):
    """The resumed training ends with the very weights of one that was never stopped."""
    (picture, weights), output = whole, tmp_path / "out"
    process = start(arguments(picture, output, **OFTEN))
    wait_for((output / "model/training.safetensors").exists, process)
    process.send_signal(stop)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    step = state(output)["iteration"]
    assert 0 < step < STEPS
    assert f"at step {step}." in errors
    assert "--resume goes on" in errors
    assert "verdict" not in said
    assert [p.name for p in (output / "model").iterdir()] == ["training.safetensors"]
    process = start(arguments(picture, output, "--resume", **OFTEN))
    said, errors = process.communicate(timeout=120)
    assert "verdict" in said, errors
    assert state(output)["iteration"] == STEPS
    assert torch.equal(model(output), weights)


def test_batch_systems_send_several(default_handlers):
    """SIGTERM again and again waits all the same; only a second Ctrl-C acts at once."""

    def told() -> None:
        with deferred_stop() as waits:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)
            assert waits() == signal.SIGTERM
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt, match=NOTHING):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Terminated), terminable():
        told()


def test_what_came_too_late_for_a_step_is_not_forgotten(default_handlers):
    with pytest.raises(KeyboardInterrupt), deferred_stop():
        os.kill(os.getpid(), signal.SIGINT)


def test_who_ignores_ctrl_c_goes_on_ignoring_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_stop() as waits:
            os.kill(os.getpid(), signal.SIGINT)
            assert waits() == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_stop_after_the_training_says_how_to_go_on(tmp_path):
    with pytest.raises(Terminated, match=r"after the training.*--resume"), trained(tmp_path):
        raise Terminated
    with pytest.raises(KeyboardInterrupt, match=NOTHING), trained(None):
        raise KeyboardInterrupt
