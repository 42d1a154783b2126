import json

import numpy as np
import pytest

from calibration.record import CalibrationRecord, check_record, read_record, write_record
from simrecon.errors import InputError
from simrecon.io import CameraRecord
from simrecon.model.camera import Camera


def make(**changes) -> CalibrationRecord:
    values = {"gain": 2.2, "offset": 100.0, "read_noise_e": 1.5, **changes}
    return CalibrationRecord("camera", CameraRecord(Camera(**values), "sCMOS", "2026-11-22"))


def test_round_trip(tmp_path):
    path = tmp_path / "camera.json"
    record = make(offset=np.linspace(99, 101, 30, dtype=np.float32).reshape(6, 5))
    write_record(path, record)
    back = read_record(path)
    assert back.kind == "camera"
    np.testing.assert_array_equal(back.content.camera.offset, record.content.camera.offset)
    assert json.loads(path.read_text())["schema"] == "calibration/record/1"


def test_summary_is_json_ready():
    offset = np.arange(101, dtype=float).reshape(1, 101)
    summary = json.loads(json.dumps(make(offset=offset).summary()))
    assert summary["quantities"]["offset"] == {
        "median": 50.0, "p01": 1.0, "p99": 99.0, "map": True, "unit": "ADU"
    }  # fmt: skip
    assert summary["shape"] == [1, 101]
    assert summary["quantities"]["gain"]["map"] is False


@pytest.mark.parametrize(("key", "value"), [("schema", "x"), ("kind", "psf"), ("kind", None)])
def test_other_files(tmp_path, key, value):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"schema": "calibration/record/1", "kind": "camera", key: value}))
    with pytest.raises(InputError, match="not a calibration record"):
        read_record(path)


def test_a_good_record_is_ok():
    assert check_record(make()).verdict == "ok"
    assert check_record(make()).notes == ()


@pytest.mark.parametrize(
    ("change", "verdict", "word"),
    [
        ({"gain": 0.001}, "failed", "gain"),
        ({"offset": -30.0}, "failed", "offset"),
        ({"read_noise_e": 0.0}, "failed", "read_noise_e"),
        ({"read_noise_e": np.r_[np.full(90, 1.5), np.full(10, 20.0)][None]}, "weak", "10.0 %"),
    ],
)
def test_bad_records_are_named(change, verdict, word):
    check = check_record(make(**change))
    assert check.verdict == verdict
    assert any(word in note for note in check.notes)


def test_record_without_origin_is_weak():
    check = check_record(CalibrationRecord("camera", CameraRecord(Camera(2.2, 100.0, 1.5))))
    assert check.verdict == "weak"
    assert len(check.notes) == 2
