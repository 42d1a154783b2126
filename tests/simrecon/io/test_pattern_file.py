import json

import pytest

from simrecon.errors import InputError
from simrecon.io import read_pattern, write_pattern
from simrecon.model.pattern import DirectionPattern, PatternFit


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


LOCAL = {"y_um": [0, 4], "x_um": [0, 4], "contrast": [[1, 1]] * 2, "phase_rad": [[0, 0.1]] * 2}


@pytest.mark.parametrize(
    "change, text",
    [
        ({"drift_um": [[0.0, 0.1]]}, "direction 2: drift_um without phase_rad"),
        ({"local": LOCAL}, "direction 2: local without phase_rad"),
        (
            {"modulation": [0.5], "phase_rad": [0, 1, 2], "drift_um": [[0.0, 0.1]]},
            "direction 2: drift_um has 1 entries (y, x) for 3 frames",
        ),
        (
            {"modulation": [0.5], "phase_rad": [0, 1], "drift_um": [[0, 0], ["NaN", 0]]},
            "direction 2: drift_um needs one finite (y, x) per frame",
        ),
        ({"frequency_per_um": None}, "direction 2"),
    ],
)
def test_mistakes_are_told_with_direction_and_key(change, text):
    data = {"schema": "simrecon/pattern/1", "pixel_um": 0.065, "shape": [64, 64]}
    good = {"frequency_per_um": [0.0, 4.7]}
    with pytest.raises(InputError) as info:
        PatternFit.from_dict({**data, "directions": [good, {**good, **change}]})
    assert text in str(info.value)


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
