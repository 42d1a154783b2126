import inspect
import json
import tomllib

import pytest
from pydantic import ValidationError

from simrecon.config import (
    ReconstructionSettings,
    Settings,
    as_settings,
    build_settings,
    key_paths,
    load_settings_file,
    parse_assignments,
    settings_schema,
    to_toml,
)
from simrecon.errors import InputError, UsageError
from simrecon.io import read


def test_keys_work_with_and_without_section():
    a = build_settings(("x", {"na": 1.4, "zoom": 3}))
    b = build_settings(("x", {"optics.na": 1.4, "reconstruction": {"zoom": 3}}))
    assert a == b
    assert a.optics.na == 1.4
    assert a.reconstruction.zoom == 3


def test_no_key_name_is_used_twice():
    names = [
        name
        for section in Settings.model_fields
        for name in getattr(Settings(), section).model_dump()
    ]
    assert len(names) == len(set(names))
    assert len(key_paths()) == 2 * len(names)


def test_later_layers_win():
    settings = build_settings(("file", {"zoom": 3, "na": 1.2}), ("--set", {"zoom": 1}))
    assert settings.reconstruction.zoom == 1
    assert settings.optics.na == 1.2


@pytest.mark.parametrize("key, near", [("nna", "na"), ("optics.emision_nm", "optics.emission_nm")])
def test_unknown_key_is_refused_with_a_suggestion(key, near):
    with pytest.raises(UsageError) as error:
        build_settings(("--set", {key: 1.0}))
    assert error.value.exit_code == 2
    assert f"did you mean '{near}'" in str(error.value)
    assert "--set" in str(error.value)


@pytest.mark.parametrize(
    "key, value",
    [("zoom", 0), ("zoom", 9), ("zoom", "two"), ("regularization_factor", 0.0), ("device", "gpu"),
     ("on_fit_failure", "ignore"), ("mode", "5d"), ("pixel_um", -1.0)],
)  # fmt: skip
def test_impossible_value_names_key_and_value(key, value):
    with pytest.raises(UsageError) as error:
        build_settings(("x", {key: value}))
    assert key in str(error.value)
    assert repr(value) in str(error.value)


def test_settings_are_frozen_and_closed():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().reconstruction.zoom = 3
    with pytest.raises(ValidationError, match="Extra inputs"):
        ReconstructionSettings(zom=3)


def test_toml_round_trip():
    settings = build_settings(
        ("x", {"na": 1.4, "angles_rad": [0.1, 1.2], "emission_nm": [525, 610], "device": "cpu"})
    )
    text = to_toml(settings)
    assert build_settings(("file", tomllib.loads(text))) == settings
    assert "# period_um =" in text  # unset keys are shown, commented out
    assert "µm" in text


def test_assignments_read_json_values_and_text():
    found = parse_assignments(["zoom=3", "angles_rad=[0.1, 2]", "device=cuda:1", "variance=false"])
    assert found == {"zoom": 3, "angles_rad": [0.1, 2], "device": "cuda:1", "variance": False}
    with pytest.raises(UsageError, match="Cannot read a setting"):
        parse_assignments(["zoom"])


@pytest.mark.parametrize("suffix, text", [(".toml", "na = 1.4\n"), (".json", '{"na": 1.4}')])
def test_settings_files(tmp_path, suffix, text):
    path = tmp_path / f"s{suffix}"
    path.write_text(text)
    assert load_settings_file(path) == {"na": 1.4}


@pytest.mark.parametrize("text", ["na = ", "[1, 2]"])
def test_broken_settings_file_names_itself(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"broken\.json"):
        load_settings_file(path)


def test_missing_settings_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_settings_file(tmp_path / "nowhere.toml")


def test_schema_is_json_and_closed():
    schema = json.loads(json.dumps(settings_schema()))
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Settings.model_fields)
    for section in schema["$defs"].values():
        assert section["additionalProperties"] is False


def test_every_key_explains_itself():
    for section in Settings.model_fields:
        for name, field in type(getattr(Settings(), section)).model_fields.items():
            assert field.description, name


def test_reader_overrides_are_arguments_of_read():
    everything = {
        "pixel_um": 0.1, "dz_um": 0.2, "order": "PA", "angles": 3, "phases": 3, "na": 1.4,
        "index": 1.5, "sample_index": 1.4, "depth_um": 1.0, "emission_nm": 525,
        "excitation_nm": 488, "excitation_na": 1.3, "pixel_integration": True, "gain": 2.0,
        "offset": 100, "read_noise_e": 1.0, "camera": "c.json",
    }  # fmt: skip
    overrides = build_settings(("x", everything)).reader_overrides()
    assert set(overrides) == set(everything)
    assert set(overrides) <= set(inspect.signature(read).parameters)
    assert Settings().reader_overrides() == {}


def test_as_settings_accepts_the_part_and_nothing():
    part = ReconstructionSettings(zoom=3)
    assert as_settings(part).reconstruction is part
    assert as_settings(None) == Settings()
    whole = Settings()
    assert as_settings(whole) is whole


def test_every_mode_is_named_where_one_is_wrong():
    with pytest.raises(UsageError, match="slice3, nonlinear, hex, 3d"):
        build_settings(("x", {"mode": "3D"}))
