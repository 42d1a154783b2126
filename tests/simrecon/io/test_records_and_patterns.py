import json

import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.io import (
    CameraRecord,
    read_camera_record,
    read_pattern,
    write_camera_record,
    write_pattern,
)
from simrecon.model.camera import Camera
from simrecon.model.pattern import DirectionPattern, PatternFit

MAPS = np.random.default_rng(8).uniform(1, 3, (3, 6, 5)).astype(np.float32)


def hand_written(path, **changes):
    data = {"schema": "calibration/record/1", "kind": "camera",
            "camera": {"gain": 2.17, "offset": 100, "read_noise_e": 1.4}, **changes}  # fmt: skip
    path.write_text(json.dumps(data))
    return path


def test_hand_written_record_of_numbers(tmp_path):
    record = read_camera_record(hand_written(tmp_path / "c.json"))
    camera = record.camera
    assert (camera.gain, camera.offset, camera.read_noise_e) == (2.17, 100.0, 1.4)
    assert camera.source == "record c.json"
    assert record.map_shape is None


def test_maps_come_back(tmp_path):
    path = tmp_path / "cam.json"
    record = CameraRecord(
        Camera(2.5, MAPS[1], MAPS[2]), "sCMOS 4711", "2026-11-22", {"exposure_ms": 10},
        {"frames": 500}, ("a note",),
    )  # fmt: skip
    write_camera_record(path, record)
    back = read_camera_record(path)
    np.testing.assert_array_equal(back.camera.offset, MAPS[1])
    np.testing.assert_array_equal(back.camera.read_noise_e, MAPS[2])
    assert back.camera.gain == 2.5
    assert back.map_shape == (6, 5)
    assert (back.instrument, back.created, back.conditions, back.provenance, back.notes) == (
        "sCMOS 4711", "2026-11-22", {"exposure_ms": 10}, {"frames": 500}, ("a note",)
    )  # fmt: skip
    assert len(list(tmp_path.iterdir())) == 2


def test_rewriting_keeps_the_old_record_until_the_new_one_stands(tmp_path, monkeypatch):
    path = tmp_path / "cam.json"
    write_camera_record(path, CameraRecord(Camera(MAPS[0], 100.0, 1.0)))

    def fail(*args, **kwargs):
        raise InterruptedError

    monkeypatch.setattr("simrecon.io.camera_record.write_json", fail)
    with pytest.raises(InterruptedError):
        write_camera_record(path, CameraRecord(Camera(MAPS[1], 100.0, 1.0)))
    np.testing.assert_array_equal(read_camera_record(path).camera.gain, MAPS[0])


def test_maps_of_another_record_are_refused(tmp_path):
    write_camera_record(tmp_path / "a.json", CameraRecord(Camera(MAPS[0], 100.0, 1.0)))
    write_camera_record(tmp_path / "b.json", CameraRecord(Camera(MAPS[1], 100.0, 1.0)))
    names = {p.name.split(".")[0]: p for p in tmp_path.glob("*.npz")}
    names["a"].write_bytes(names["b"].read_bytes())
    with pytest.raises(InputError, match="damaged or belong"):
        read_camera_record(tmp_path / "a.json")
    names["a"].unlink()
    with pytest.raises(InputError, match="missing"):
        read_camera_record(tmp_path / "a.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "other"},
        {"kind": "psf"},
        {"camera": {"gain": 1, "offset": 0}},
        {"camera": {"gain": "2", "offset": 0, "read_noise_e": 1}},
        {"camera": {"gain": True, "offset": 0, "read_noise_e": 1}},
        {"camera": {"gain": 0, "offset": 0, "read_noise_e": 1}},
        {"camera": {"gain": 1, "offset": 0, "read_noise_e": -1}},
        {"camera": {"gain": {"map": "gain"}, "offset": 0, "read_noise_e": 1}},
        {"camera": {"gain": 1, "offset": 0, "read_noise_e": 1, "gian": 2}},
        {"camera": 5},
        {"arrays": {"file": "../secret.npz"}},
        {"arrays": "x.npz"},
    ],
)
def test_malformed_records(tmp_path, changes):
    path = hand_written(tmp_path / "c.json", **changes)
    with pytest.raises(InputError) as info:
        read_camera_record(path)
    assert info.value.where == str(path)


@pytest.mark.parametrize(
    "maps", [(MAPS[0], MAPS[1][:4], 1.0), (MAPS, 1.0, 1.0), (MAPS[0] * np.nan, 1.0, 1.0)]
)
def test_impossible_maps(tmp_path, maps):
    camera = Camera()
    for name, value in zip(("gain", "offset", "read_noise_e"), maps, strict=True):
        object.__setattr__(camera, name, value)
    path = tmp_path / "c.json"
    write_camera_record(path, CameraRecord(camera))
    with pytest.raises(InputError, match="malformed"):
        read_camera_record(path)


@pytest.mark.parametrize("drift", [(), ((0.01, -0.02), (0.0, 0.0), (-0.01, 0.02))])
def test_pattern_round_trip(tmp_path, drift):
    direction = DirectionPattern(
        (1.25, -4.5), (0.1, 2.2, 4.3), (0.8,), (1.0, 1.1, 0.9), (1e-4, 2e-4), (0.01, 0.01, 0.02),
        (0.003,), (0.001, 0.001, 0.001), (0.97,), "weak", 11.5, drift, drift,
    )  # fmt: skip
    fit = PatternFit(0.065, (256, 255), (direction,), "AP", "weak", ("a note",))
    write_pattern(tmp_path / "pattern.json", fit)
    assert read_pattern(tmp_path / "pattern.json") == fit


def test_pattern_by_hand(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(
        '{"schema": "simrecon/pattern/1", "pixel_um": 0.065, "shape": [64, 64], "directions":'
        '[{"frequency_per_um": [0, 5], "phase_rad": [0, 2, 4], "modulation": [0.7]}]}'
    )
    fit = read_pattern(path)
    assert fit.directions[0].intensity == (1.0, 1.0, 1.0)
    assert fit.order == "PA"


@pytest.mark.parametrize("text", ["{}", '{"schema": "simrecon/pattern/1"}', "not json"])
def test_bad_pattern_files(tmp_path, text):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(InputError) as info:
        read_pattern(path)
    assert info.value.where == str(path)


@pytest.mark.parametrize(
    "change",
    [
        {"modulatoin": [0.5]},
        {"modulation": [float("inf")], "phase_rad": [0.0, 1.0, 2.0]},
        {"frequency_per_um": ["NaN", 1.0]},
        {"verdict": "great"},
        {"modulation": [0.5], "phase_rad": [0.0, 1.0, 2.0], "drift_um": [[0.0, 0.1]]},
        {"modulation": [0.5], "phase_rad": [0.0, 1.0, 2.0], "drift_um": [[0.0, "NaN"]] * 3},
    ],
)
def test_pattern_files_with_mistakes_are_refused(tmp_path, change):
    path = tmp_path / "pattern.json"
    direction = {"frequency_per_um": [0.0, 4.7], **change}
    data = {"schema": "simrecon/pattern/1", "pixel_um": 0.065, "shape": [64, 64]}
    path.write_text(json.dumps({**data, "directions": [direction]}))
    with pytest.raises(InputError, match="incomplete or malformed"):
        read_pattern(path)
