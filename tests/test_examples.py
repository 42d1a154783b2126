"""The examples run, and their figures are drawn."""

import runpy
import sys
from pathlib import Path

import matplotlib.image

from simrecon.io import read_record

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_camera_calibration(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["camera_calibration.py", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "camera_calibration.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "verdict     ok" in said
    assert "later       offset: weak, moved by +3.3" in said
    assert read_record(tmp_path / "cam.h5").verdict == "ok"
    figure = matplotlib.image.imread(tmp_path / "camera_calibration.png")
    assert figure.shape[:2] == (825, 1430)
    assert figure[..., :3].std() > 0.1


def test_psf_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "psf.png"
    monkeypatch.setattr(sys, "argv", ["psf_calibration.py", str(target)])
    runpy.run_path(str(EXAMPLES / "psf_calibration.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "verdict: ok" in said
    assert "saturated" in said
    assert said.count("touching") == 2
    figure = matplotlib.image.imread(target)
    assert figure.shape[:2] == (936, 1430)
    assert figure[..., :3].std() > 0.1


def test_pattern_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "pattern.png"
    monkeypatch.setattr(sys, "argv", ["pattern_calibration.py", str(target)])
    runpy.run_path(str(EXAMPLES / "pattern_calibration.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "5 acquisition(s), 1 of an even sheet" in said
    assert "blind: The illumination pattern could not be fitted" in said
    assert "SIM with the record: " in said
    figure = matplotlib.image.imread(target)
    assert figure.shape[:2] == (832, 1430)
    assert figure[..., :3].std() > 0.1


def test_registration_calibration(tmp_path, monkeypatch, capsys):
    target = tmp_path / "registration.png"
    monkeypatch.setattr(sys, "argv", ["registration_calibration.py", str(target)])
    runpy.run_path(str(EXAMPLES / "registration_calibration.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "verdict: ok" in said
    assert float(said.split("registered: ")[1].split()[0]) > 0.98
    figure = matplotlib.image.imread(target)
    assert figure.shape[:2] == (520, 1430)
    assert figure[..., :3].std() > 0.1
