import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from calibration.cli import app
from simrecon.io import write_camera_record
from simrecon.model.camera import Camera
from simrecon.shell import execute


def record(tmp_path, created="2026-11-22", **quantities):
    camera = Camera(**{"gain": 2.17, "offset": 100.0, "read_noise_e": 1.4, **quantities})
    path = tmp_path / "camera.h5"
    write_camera_record(path, camera, instrument="Orca 4711", created=created)
    return str(path)


def test_good_record(tmp_path, capsys):
    offset = np.linspace(99, 101, 12).reshape(3, 4)
    assert execute(app, ["check", record(tmp_path, offset=offset)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("device:")
    for text in ("Orca 4711", "3 × 4", "gain: 2.17 ADU/e", "verdict: ok"):
        assert text in out


@pytest.mark.parametrize("name", ["gain", "offset", "read_noise_e"])
def test_implausible_numbers_are_doubted(tmp_path, capsys, name):
    assert execute(app, ["check", record(tmp_path, **{name: 60000.0}), "--json"]) == 4
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"] == "failed"
    assert [text.split()[0] for text in facts["notes"]] == [name]
    assert facts["quantities"][name]["median"] == 60000.0


def test_undated_record_is_weak(tmp_path, capsys):
    assert execute(app, ["check", record(tmp_path, created="")]) == 4
    assert "verdict: weak" in capsys.readouterr().out


def test_no_record(tmp_path, capsys):
    path = tmp_path / "x.h5"
    path.write_text("{}")
    assert execute(app, ["check", str(path)]) == 3
    assert "not a calibration record" in capsys.readouterr().err
    assert execute(app, ["check", str(tmp_path / "nowhere.h5")]) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.attrs.__setitem__("schema", "calibration/record/9"), "record/9"),
        (lambda f: f.attrs.__setitem__("kind", "weather"), "weather"),
        (lambda f: f.attrs.__setitem__("expires", "soon"), "soon"),
        (lambda f: f.__delitem__("quantities/gain"), "gain"),
        (lambda f: f["quantities/offset"].write_direct(np.array(np.nan)), "finite"),
    ],
    ids=["future", "kind", "date", "missing", "nan"],
)
def test_records_that_are_built_otherwise(tmp_path, capsys, change, said):
    path = record(tmp_path)
    with h5py.File(path, "a") as file:
        change(file)
    assert execute(app, ["check", path]) == 3
    assert said in capsys.readouterr().err


def test_damaged_and_foreign_files(tmp_path, capsys):
    path = Path(record(tmp_path))
    (tmp_path / "half.h5").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.arange(3)
    for name, said in (("half.h5", "truncated file"), ("other.h5", "no such attribute")):
        assert execute(app, ["check", str(tmp_path / name)]) == 3
        assert said in capsys.readouterr().err
