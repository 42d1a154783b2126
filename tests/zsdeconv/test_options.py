from __future__ import annotations

import json

import pytest

from simrecon.errors import UsageError
from simrecon.shell import execute
from simrecon.shell_options import FileOptions
from zsdeconv.cli import app
from zsdeconv.options import TrainOptions, both_settings


def test_device_reaches_training_and_engine():
    ours, engine = both_settings(None, TrainOptions(device="cpu"))
    assert (ours.device, engine.reconstruction.device) == ("cpu", "cpu")
    ours, engine = both_settings(FileOptions(set=["zsdeconv.device=cpu"]), None)
    assert (ours.device, engine.reconstruction.device) == ("cpu", "cpu")
    ours, engine = both_settings(FileOptions(set=["device=cpu"]), TrainOptions(device="cuda:0"))
    assert (ours.device, engine.reconstruction.device) == ("cuda:0", "cpu")
    ours, engine = both_settings(None, None)
    assert (ours.device, engine.reconstruction.device) == ("auto", "auto")


def test_file_then_options_then_set(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        "[zsdeconv]\nseed = 1\nlr = 1e-3\nbank = 5\n[reconstruction]\ndevice = 'cuda:1'\nzoom = 3\n"
    )
    file = FileOptions(config=path, set=["zsdeconv.lr=3e-3", "na=1.4", "zsdeconv.alpha=[0.5, 2]"])
    ours, engine = both_settings(file, TrainOptions(seed=2, budget="2min", device="cpu"))
    assert (ours.seed, ours.lr, ours.bank, ours.budget_s) == (2, 3e-3, 5, 120.0)
    assert ours.alpha == (0.5, 2.0)
    assert (engine.reconstruction.device, engine.reconstruction.zoom) == ("cpu", 3)
    assert engine.optics.na == 1.4


@pytest.mark.parametrize(
    "text, near",
    [
        ("zsdeconv.tv_wieght=1", "zsdeconv.tv_weight"),
        ("lr=1e-3", "zsdeconv.lr"),
        ("zsdeconv_lr=1e-3", "zsdeconv.lr"),
        ("reconstruction.zom=2", "reconstruction.zoom"),
    ],
)
def test_unknown_keys_are_usage_errors_with_a_guess(text, near):
    with pytest.raises(UsageError, match="Unknown setting") as caught:
        both_settings(FileOptions(set=[text]), None)
    assert caught.value.hint == f"did you mean '{near}'?"


def test_impossible_values_and_tables(tmp_path):
    with pytest.raises(UsageError) as caught:
        both_settings(FileOptions(set=["zsdeconv.mu=2"]), None)
    assert caught.value.where == "zsdeconv.mu"
    path = tmp_path / "c.json"
    path.write_text('{"zsdeconv": 3}')
    with pytest.raises(UsageError, match="table"):
        both_settings(FileOptions(config=path), None)


def test_shown_settings_read_back(tmp_path, capsys):
    assert execute(app, ["config"]) == 0
    path = tmp_path / "c.toml"
    path.write_text(capsys.readouterr().out)
    assert both_settings(FileOptions(config=path), None) == both_settings(None, None)
    assert execute(app, ["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["device"] == "auto"
