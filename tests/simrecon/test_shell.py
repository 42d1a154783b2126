import io
import json
import sys

import numpy as np
import pytest

from simrecon import shell
from simrecon.backend import Device
from simrecon.errors import DeviceError, InputError, QualityError, UsageError

OUTCOMES = {
    "ok": (None, 0),
    "four": (None, 4),
    "usage": (UsageError("m", hint="h"), 2),
    "input": (InputError("m", expected="e", got="g", where="w", hint="h"), 3),
    "quality": (QualityError("m"), 4),
    "device": (DeviceError("m"), 5),
    "unexpected": (ZeroDivisionError("by zero"), 1),
    "interrupt": (KeyboardInterrupt(), 130),
}


@pytest.fixture
def app():
    program = shell.make_app("prog", "A program.")

    @program.command
    def act(what: str, /, *, count: int = 1, json: bool = False) -> int:
        """Do something.

        Parameters
        ----------
        count
            How many [nm].
        """
        error, code = OUTCOMES[what]
        if error is not None:
            raise error
        report = shell.Reporter(json)
        report.device(Device("cpu", 0, "because"))
        with report.progress() as progress:
            for i in range(3):
                progress("work", i + 1, 3, "loss 1")
        report.finish({"value": np.float32(0.5), "bad": float("nan")}, "done")
        return code

    return program


@pytest.mark.parametrize("what", OUTCOMES)
def test_exit_codes(app, what, capsys):
    assert shell.execute(app, ["act", what]) == OUTCOMES[what][1]
    err = capsys.readouterr().err
    assert ("error:" in err) == (what not in ("ok", "four"))
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "argv", [["nope"], ["act"], ["act", "ok", "--count", "x"], ["act", "ok", "--m", "1"]]
)
def test_usage_errors(app, argv, capsys):
    assert shell.execute(app, argv) == 2
    assert "prog --help" in capsys.readouterr().err


def test_error_shows_all_its_parts(app, capsys):
    shell.execute(app, ["act", "input"])
    err = capsys.readouterr().err
    for line in ("error: m", "expected: e", "got: g", "where: w", "what to do: h"):
        assert line in err


def test_debug_shows_the_traceback(app, capsys):
    assert shell.execute(app, ["act", "unexpected", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_unexpected_error_is_one_line_that_names_the_type(app, capsys):
    shell.execute(app, ["act", "unexpected"])
    err = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in err
    assert err.count("\n") == 1


def test_text_mode_says_device_first(app, capsys):
    shell.execute(app, ["act", "ok"])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "device: cpu — because"
    assert out.splitlines()[-1] == "done"


def test_json_mode_puts_one_document_on_stdout(app, capsys):
    assert shell.execute(app, ["act", "four", "--json"]) == 4
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document == {
        "device": {"label": "cpu", "reason": "because"}, "value": 0.5, "bad": None
    }  # fmt: skip
    assert captured.err.splitlines()[0] == "device: cpu — because"


def test_json_mode_reports_errors_as_json(app, capsys):
    assert shell.execute(app, ["act", "input", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 3
    assert document["error"] == {
        "message": "m", "expected": "e", "got": "g", "where": "w", "hint": "h"
    }  # fmt: skip


def test_help_states_defaults_and_exit_codes(app, capsys):
    assert shell.execute(app, ["act", "--help"]) == 0
    out = capsys.readouterr().out
    assert "[default: 1]" in out
    assert "4 finished" in " ".join(out.split())


def test_log_lines_give_first_and_last_step_and_an_eta():
    stream = io.StringIO()
    lines = shell._Lines(stream, every_s=1e9)
    for i in range(100):
        lines("train", i + 1, 100, f"loss {i}")
    said = stream.getvalue().splitlines()
    assert len(said) == 2
    assert said[0].startswith("train: 1/100, about")
    assert said[1] == "train: 100/100  loss 99"


def test_every_stage_announces_itself():
    stream = io.StringIO()
    lines = shell._Lines(stream, every_s=1e9)
    for stage in ("one", "two"):
        lines(stage, 1, 3)
        lines(stage, 2, 3)
    assert [line.split(":")[0] for line in stream.getvalue().splitlines()] == ["one", "two"]


def test_log_lines_are_not_silent_for_long():
    stream = io.StringIO()
    lines = shell._Lines(stream, every_s=0.0)
    for i in range(5):
        lines("train", i + 1, 5)
    assert len(stream.getvalue().splitlines()) == 5


def test_bars_draw_on_a_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    with shell.Reporter().progress() as progress:
        assert isinstance(progress, shell._Bars)
        progress("train", 1, 2, "loss 3")
    assert "train" in stream.getvalue()


def test_json_ready_handles_nested_numpy():
    value = {1: [np.int64(2), np.array([1.0, np.inf])], "x": (np.bool_(True), None, "s")}
    assert shell.json_ready(value) == {"1": [2, [1.0, None]], "x": [True, None, "s"]}
