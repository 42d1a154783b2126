"""The examples run, and their figures are drawn."""

import runpy
import sys
from pathlib import Path

import matplotlib.image

from simrecon.io import read_record

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, target, monkeypatch, capsys):
    """What an example says when it writes to `target`."""
    monkeypatch.setattr(sys, "argv", [name, str(target)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def check_figure(path, shape):
    """The figure has its size and is not empty."""
    figure = matplotlib.image.imread(path)
    assert figure.shape[:2] == shape
    assert figure[..., :3].std() > 0.1


def test_camera_calibration(tmp_path, monkeypatch, capsys):
    said = run("camera_calibration.py", tmp_path, monkeypatch, capsys)
    assert "verdict     ok" in said
    assert "later       offset: weak, moved by +3.3" in said
    assert read_record(tmp_path / "cam.h5").verdict == "ok"
    check_figure(tmp_path / "camera_calibration.png", (825, 1870))


def test_psf_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "psf.png"
    said = run("psf_calibration.py", target, monkeypatch, capsys)
    assert "verdict: ok" in said
    assert "saturated" in said
    assert said.count("touching") == 2
    check_figure(target, (936, 1430))


def test_pattern_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "pattern.png"
    said = run("pattern_calibration.py", target, monkeypatch, capsys)
    assert "5 acquisition(s), 1 of an even sheet" in said
    assert "blind: The illumination pattern could not be fitted" in said
    assert "SIM with the record: " in said
    check_figure(target, (832, 1430))


def test_registration_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "registration.png"
    said = run("registration_calibration.py", target, monkeypatch, capsys)
    assert "verdict: ok" in said
    assert float(said.split("registered: ")[1].split()[0]) > 0.98
    check_figure(target, (520, 1430))


def test_otf_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "otf.png"
    said = run("otf_calibration.py", target, monkeypatch, capsys)
    assert "verdict: ok" in said
    errors = {name: float(said.split(f"{name} OTF: ")[1].split()[0])
              for name in ("theoretical", "measured")}  # fmt: skip
    assert errors["measured"] < 0.5 * errors["theoretical"]
    check_figure(target, (962, 1430))


def test_record_check(tmp_path, monkeypatch, capsys):
    target = tmp_path / "check.png"
    said = run("record_check.py", target, monkeypatch, capsys)
    assert "week 1, OTF: ok" in said
    assert "week 1, contrast: ok" in said
    assert "week 3, OTF: failed" in said
    assert "week 3, contrast: weak" in said
    check_figure(target, (494, 1430))
