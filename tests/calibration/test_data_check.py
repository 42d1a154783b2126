"""Data against a record: every way in which they can differ."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import tifffile
from camera_maker import SimulatedCamera

from calibration.camera import calibrate_camera
from calibration.cli import app
from calibration.data_check import check_age, check_camera, check_optics
from simrecon.errors import InputError
from simrecon.io import CalibrationRecord, write_record
from simrecon.shell import execute

OPTICS = {"pixel_um": 0.065, "na": 1.2, "emission_nm": 600.0}


@pytest.fixture(scope="module")
def camera():
    return SimulatedCamera(shape=(48, 64), seed=4, dsnu_adu=6.0)


@pytest.fixture(scope="module")
def record(camera):
    flats = [camera.stack(light, 60) for light in (100, 800)]
    return calibrate_camera(camera.stack(0, 80), flats, instrument="simulated")[0]


def findings(record, frames, dark=False, optics=OPTICS):
    return {f.name: f for f in check_camera(record, iter(frames), optics, dark)}


def test_frames_of_this_camera_fit(record, camera):
    lit = findings(record, camera.stack(30, 5))
    assert {name: f.verdict for name, f in lit.items()} == {
        "size": "ok", "offset": "ok", "noise": "ok"
    }  # fmt: skip
    assert float(lit["noise"].text.split()[0]) == pytest.approx(1.0, abs=0.1)
    dark = findings(record, camera.stack(0, 20), dark=True)
    assert [f.verdict for f in dark.values()] == ["ok", "ok", "ok"]


@pytest.mark.parametrize(("factor", "verdict"), [(1.6, "weak"), (3.0, "failed"), (0.3, "failed")])
def test_another_gain_shows_in_the_noise(record, camera, factor, verdict):
    frames = camera.offset + factor * (camera.stack(200, 4) - camera.offset)
    assert findings(record, np.rint(frames).astype(np.uint16))["noise"].verdict == verdict


@pytest.mark.parametrize(("shift", "verdict"), [(0.5, "ok"), (3.0, "weak"), (-9.0, "failed")])
def test_drift_of_the_offset_is_measured_in_the_dark(record, camera, shift, verdict):
    frames = camera.stack(0, 20) + shift
    found = findings(record, frames, dark=True)["offset"]
    assert found.verdict == verdict
    assert float(found.text.split()[2]) == pytest.approx(shift, abs=0.1)


def test_lower_offset_shows_in_lit_frames(record, camera):
    assert findings(record, camera.stack(0.5, 4) - 8.0)["offset"].verdict == "weak"
    assert findings(record, camera.stack(0.5, 4) - 14.0)["offset"].verdict == "failed"


def test_another_read_out_mode_shows_in_the_dark(record, camera):
    frames = camera.offset + 1.3 * (camera.stack(0, 20) - camera.offset)
    assert findings(record, frames, dark=True)["read noise"].verdict == "weak"


def test_too_little_to_compare(record, camera):
    with pytest.raises(InputError, match="Too few"):
        findings(record, camera.stack(0, 9), dark=True)
    with pytest.raises(InputError, match="no frame"):
        findings(record, [])
    unknown = findings(record, camera.stack(9, 2), optics={"pixel_um": 0.065})["noise"]
    assert unknown.verdict is None
    assert "--na --emission-nm" in unknown.text
    coarse = findings(record, camera.stack(9, 2), optics={**OPTICS, "pixel_um": 0.2})["noise"]
    assert (coarse.verdict, "coarsely" in coarse.text) == (None, True)


def test_another_window_of_the_camera(record, camera):
    found = findings(record, camera.stack(9, 2)[:, 1:])
    assert found["size"].verdict == "failed"
    assert list(found) == ["size"]


def test_age():
    record = CalibrationRecord("camera", {}, created="2026-01-01", expires="2026-11-22")
    assert check_age(record, date(2026, 11, 22)).verdict == "ok"
    assert check_age(record, date(2026, 11, 23)).verdict == "weak"
    assert check_age(replace(record, expires=""), date(2030, 1, 1)).verdict is None


@pytest.mark.parametrize(
    ("pixel_um", "verdict"), [(0.0655, "ok"), (0.07, "weak"), (0.13, "failed"), (0.0325, "failed")]
)
def test_optics_are_compared_where_the_record_has_them(pixel_um, verdict):
    record = CalibrationRecord(
        "psf", {}, conditions={"pixel_um": 0.065, "emission_nm": 525, "bead_um": 0.1, "na": "?"}
    )
    found = {f.name: f.verdict for f in check_optics(record, {"pixel_um": pixel_um})}
    assert found == {"pixel_um": verdict, "emission_nm": None}


def test_command(record, camera, tmp_path, capsys):
    path = tmp_path / "cam.h5"
    write_record(path, record)
    tifffile.imwrite(tmp_path / "lit.tif", camera.stack(60, 5))
    tifffile.imwrite(tmp_path / "crop.tif", camera.stack(60, 5)[:, :32])
    tifffile.imwrite(tmp_path / "dark.tif", camera.stack(0, 12))
    optics = ["--pixel-um", "0.065", "--na", "1.2", "--emission-nm", "600"]
    assert execute(app, ["check", str(path), str(tmp_path / "lit.tif"), *optics]) == 0
    said = capsys.readouterr().out
    for name in ("age", "size", "offset", "noise"):
        assert f"check {name}: ok" in said
    assert execute(app, ["check", str(path), str(tmp_path / "dark.tif"), "--dark"]) == 0
    assert "check read noise: ok" in capsys.readouterr().out
    assert execute(app, ["check", str(path), str(tmp_path / "crop.tif"), "--json"]) == 4
    assert '"verdict": "failed"' in capsys.readouterr().out
    assert execute(app, ["check", str(path), str(tmp_path / "none.tif")]) == 3
    expired = replace(record, expires="2020-01-01")
    write_record(path, expired)
    assert execute(app, ["check", str(path)]) == 4
    assert "check age: weak" in capsys.readouterr().out
