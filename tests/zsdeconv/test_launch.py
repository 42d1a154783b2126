"""How several processes are started, and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from processes import start

import zsdeconv
from simrecon.errors import UsageError
from zsdeconv.cli import app
from zsdeconv.launch import TRAINING, Launch, launch, require_training

TWO = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
       "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}  # fmt: skip


def test_torchrun_sets_all_six_variables():
    assert launch(TWO) == Launch(1, 2, 1, 2)
    assert launch(TWO).together
    assert not launch(TWO).first
    for key in TWO:  # a cluster that sets some of them has not started others
        assert launch({k: v for k, v in TWO.items() if k != key}) == Launch()
    one = {**TWO, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    assert launch(one) == Launch()


@pytest.mark.parametrize(
    "key, value",
    [("RANK", "2"), ("RANK", "-1"), ("WORLD_SIZE", "two"), ("LOCAL_RANK", "2"),
     ("LOCAL_WORLD_SIZE", "3")],
)  # fmt: skip
def test_impossible_numbers_are_refused(key, value):
    with pytest.raises(UsageError, match=f"contradict(.|\n)*{key}={value}"):
        launch({**TWO, key: value})


def test_commands_that_do_not_train_need_one_process():
    for name in (*app, ""):
        if name in TRAINING:
            require_training(launch(TWO), name)
            continue
        require_training(Launch(), name)
        with pytest.raises(UsageError, match="for the commands that train: sim, image"):
            require_training(launch(TWO), name)


@pytest.mark.parametrize("command", [["info", "nowhere"], ["predict", "--json"], []])
def test_such_a_command_ends_with_usage_and_is_said_once(command):
    said = ""
    for rank in ("0", "1"):
        process = start(["-m", "zsdeconv.cli", *command], {**TWO, "RANK": rank, "LOCAL_RANK": rank})
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "Traceback" not in errors
        said += errors
        if "--json" in command and rank == "0":
            assert json.loads(out)["exit_code"] == 2
    assert len(re.findall("torchrun is for the commands that train", said)) == 1


def test_one_file_reads_the_variables_of_torchrun():
    root = Path(zsdeconv.__file__).parent
    readers = [
        path.name
        for path in root.rglob("*.py")
        if any(f'"{key}"' in path.read_text(encoding="utf-8") for key in TWO)
    ]
    assert readers == ["launch.py"]
