"""Each cause is named where it is the cause, and not where nothing is wrong."""

import json

import numpy as np
import pytest
import tifffile
from faults import FAULTS, causes, fault

from simrecon import pipeline
from simrecon.cli.main import app
from simrecon.errors import QualityError
from simrecon.qc.finding import Finding
from simrecon.shell import execute

NAMES = {
    "phase of one frame": "phase of a frame",
    "frequency": "frequency or angle",
    "angle": "frequency or angle",
    "low light": "too little light",
    "low modulation": "too little modulation",
    "border": "objects at the border",
}


@pytest.mark.parametrize("name", FAULTS)
def test_cause_is_named_first_where_it_is_the_cause(name):
    found, _ = causes(name, seed=1)
    assert found[:1] == ([] if name == "none" else [NAMES.get(name, name)])


def test_explanation_is_in_the_quality_record_only_when_a_gate_was_not_passed():
    case = fault("phases of a direction", seed=3)
    qc = pipeline.reconstruct(case.stack, case.settings, pattern=case.pattern).qc
    first = qc["explanation"][0]
    assert first["cause"] == "phases of a direction"
    assert set(first) == {"cause", "what", "where", "likely", "action", "weight"}
    assert "--pattern" in first["action"]
    json.dumps(qc, allow_nan=False)
    good = fault("none", seed=3)
    assert pipeline.reconstruct(good.stack, good.settings, pattern=good.pattern).qc[
        "explanation"
    ] == []  # fmt: skip


def test_failed_fit_of_swapped_frames_names_the_order():
    case = fault("frame order", seed=1)
    with pytest.raises(QualityError) as caught:
        pipeline.reconstruct(case.stack, case.settings)
    assert "frame order is wrong" in str(caught.value)


def test_command_says_the_likely_cause(tmp_path, capsys):
    case = fault("saturation", seed=1)
    frames = np.asarray(case.stack.data)[0, 0, :, :, 0].reshape(9, *case.stack.grid.shape)
    tifffile.imwrite(tmp_path / "raw.tif", frames, photometric="minisblack")
    options = ["--pixel-um", "0.065", "--na", "1.49", "--emission-nm", "525", "--gain", "2",
               "--offset", "100", "--read-noise-e", "1.5"]  # fmt: skip
    code = execute(
        app, ["reconstruct", str(tmp_path / "raw.tif"), "-o", str(tmp_path / "p.tif"), *options]
    )
    said = capsys.readouterr()
    assert code == 4
    assert "likely cause: the camera was saturated" in said.out + said.err


def test_sentence_holds_number_place_and_action():
    text = Finding("x", "3 of 2", "direction 1", "it is wrong", "turn it", 1.5).sentence
    assert text == "it is wrong (direction 1): 3 of 2. What to do: turn it"
