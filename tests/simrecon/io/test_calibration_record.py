from dataclasses import replace
from datetime import date

import h5py
import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.io import (
    CalibrationRecord,
    Quantity,
    read_camera_record,
    read_record,
    write_camera_record,
    write_record,
)
from simrecon.model.camera import Camera
from simrecon.provenance import sha256_file

MAPS = np.random.default_rng(8).uniform(1, 3, (3, 6, 5)).astype(np.float32)
FULL = CalibrationRecord(
    kind="camera",
    quantities={
        "gain": Quantity(2.5, "ADU/e", 0.01, "slope of the photon transfer curve"),
        "offset": Quantity(MAPS[1], "ADU", MAPS[2] / 10),
        "read_noise_e": Quantity(MAPS[2], "e"),
        "mask": Quantity(np.arange(30, dtype=np.uint8).reshape(6, 5)),
    },
    instrument="sCMOS 4711 µ",
    created="2026-11-22T10:00:00+00:00",
    expires="2027-11-22",
    conditions={"exposure_ms": 10},
    results={"levels": [1.0, 2.0]},
    sources=({"path": "dark.tif", "sha256": "00"},),
    provenance={"frames": 500},
    notes=("a note",),
    verdict="weak",
)


def test_everything_comes_back(tmp_path):
    write_record(tmp_path / "cam.h5", FULL)
    back = read_record(tmp_path / "cam.h5")
    for name, quantity in FULL.quantities.items():
        found = back.quantities[name]
        np.testing.assert_array_equal(found.value, quantity.value)
        assert (found.unit, found.meaning) == (quantity.unit, quantity.meaning)
        np.testing.assert_array_equal(found.sd, quantity.sd)
    assert back.quantities["mask"].value.dtype == np.uint8
    assert replace(back, quantities={}) == replace(FULL, quantities={})
    assert [p.name for p in tmp_path.iterdir()] == ["cam.h5"]


def test_camera_of_a_record_names_file_and_hash(tmp_path):
    path = tmp_path / "cam.h5"
    write_record(path, FULL)
    found = read_camera_record(path)
    assert found.camera.gain == 2.5
    np.testing.assert_array_equal(found.camera.offset, MAPS[1])
    assert found.camera.source == f"record cam.h5 sha256 {sha256_file(path)}"
    assert found.map_shape == (6, 5)
    assert found.record.instrument == FULL.instrument


def test_doubtful_records_say_so(tmp_path):
    write_record(tmp_path / "cam.h5", FULL)
    doubts = read_camera_record(tmp_path / "cam.h5").doubts
    assert doubts(date(2027, 11, 22)) == ("The camera record is weak: a note",)
    assert "expired on 2027-11-22" in doubts(date(2027, 11, 23))[1]
    write_record(tmp_path / "cam.h5", replace(FULL, verdict="ok", expires=""))
    assert read_camera_record(tmp_path / "cam.h5").doubts(date(2099, 1, 1)) == ()


def test_rewriting_keeps_the_old_record_until_the_new_one_stands(tmp_path, monkeypatch):
    path = tmp_path / "cam.h5"
    write_camera_record(path, Camera(MAPS[0], 100.0, 1.0))

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("simrecon.io.calibration_record._store", fail)
    with pytest.raises(KeyboardInterrupt):
        write_camera_record(path, Camera(MAPS[1], 100.0, 1.0))
    np.testing.assert_array_equal(read_camera_record(path).camera.gain, MAPS[0])
    assert [p.name for p in tmp_path.iterdir()] == ["cam.h5"]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "missing"])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "cam.h5"
    maps = np.random.default_rng(1).normal(100, 1, (64, 64)).astype(np.float32)
    write_camera_record(path, Camera(2.0, maps, 1.0))
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        with h5py.File(path) as file:
            start = file["quantities/offset"].id.get_chunk_info(0).byte_offset
        content[start + 500] ^= 0xFF
        path.write_bytes(content)
    elif damage == "text":
        path.write_text('{"schema": "calibration/record/1"}')
    else:
        path.unlink()
    said = "does not exist" if damage == "missing" else "not a calibration record"
    with pytest.raises(InputError, match=said) as info:
        read_camera_record(path)
    assert info.value.where == str(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", "other"),
        ("kind", ""),
        ("verdict", "great"),
        ("notes", "{}"),
        ("conditions", "not json"),
        ("created", "yesterday"),
    ],
)
def test_wrong_attributes_are_refused(tmp_path, name, value):
    path = tmp_path / "cam.h5"
    write_record(path, FULL)
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    with pytest.raises(InputError) as info:
        read_record(path)
    assert info.value.where == str(path)


def test_file_of_another_program(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["image"] = np.zeros(3)
    with pytest.raises(InputError, match="not a calibration record"):
        read_record(tmp_path / "x.h5")


def changed(**quantities: Quantity | None) -> CalibrationRecord:
    merged = {**FULL.quantities, **quantities}
    return replace(FULL, quantities={k: v for k, v in merged.items() if v is not None})


@pytest.mark.parametrize(
    "record",
    [
        changed(gain=None),
        changed(gain=Quantity(0.0, "ADU/e")),
        changed(gain=Quantity(2.0, "e/ADU")),
        changed(gain=Quantity(np.nan, "ADU/e")),
        changed(gain=Quantity(2.0, "ADU/e", -0.1)),
        changed(gain=Quantity(2.0, "ADU/e", np.ones(3))),
        changed(read_noise_e=Quantity(-1.0, "e")),
        changed(offset=Quantity(MAPS[1][:4], "ADU")),
        changed(offset=Quantity(MAPS, "ADU")),
        changed(offset=Quantity(MAPS[1] * np.inf, "ADU")),
        replace(FULL, kind="psf"),
    ],
)
def test_records_that_are_no_camera(tmp_path, record):
    write_record(tmp_path / "cam.h5", record)
    with pytest.raises(InputError) as info:
        read_camera_record(tmp_path / "cam.h5")
    assert info.value.where == str(tmp_path / "cam.h5")
