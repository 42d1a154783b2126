import json

import numpy as np
import pytest

from calibration.record import check_record, summary, worst
from simrecon.io import CalibrationRecord, Quantity
from simrecon.io.camera_record import camera_quantities
from simrecon.model.camera import Camera


def make(**changes) -> CalibrationRecord:
    values = {"gain": 2.2, "offset": 100.0, "read_noise_e": 1.5, **changes}
    return CalibrationRecord("camera", camera_quantities(Camera(**values)), "sCMOS", "2026-11-22")


def test_summary_is_json_ready():
    record = make(offset=np.arange(101, dtype=float).reshape(1, 101))
    found = json.loads(json.dumps(summary(record)))
    assert found["quantities"]["offset"] == {
        "median": 50.0, "p01": 1.0, "p99": 99.0, "sd": None, "shape": [1, 101], "unit": "ADU"
    }  # fmt: skip
    assert found["quantities"]["gain"]["shape"] == []
    assert found["kind"] == "camera"


def test_worst():
    assert (worst(), worst("ok", "weak"), worst("failed", "ok")) == ("ok", "weak", "failed")


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
    check = check_record(CalibrationRecord("camera", camera_quantities(Camera(2.2, 100.0, 1.5))))
    assert check.verdict == "weak"
    assert len(check.notes) == 2


def test_doubt_about_the_measurement_stays():
    quantities = {name: Quantity(0.2, "µm") for name in ("psf", "fwhm_um", "pixel_um")}
    record = CalibrationRecord("psf", quantities, "a", "2026-11-22", verdict="weak")
    assert check_record(record).verdict == "weak"
