"""Iterative methods through the pipeline, the command line and the plan."""

from dataclasses import replace

import numpy as np
import pytest

from simrecon.cli.main import app
from simrecon.config import build_settings
from simrecon.errors import UsageError
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from simrecon.planning import plan
from simrecon.qc.metrics import nrmse
from simrecon.shell import execute
from zsdeconv.enhancement import enhance


def settings(**keys):
    return build_settings(("test", {"device": "cpu", **keys}))


@pytest.fixture(scope="module")
def data():
    return simulate(shape=(64, 64), peak_e=300.0, kind="mixed", background=20.0, seed=5)


@pytest.fixture(scope="module")
def results(data):
    stack, truth = data
    return {
        method: reconstruct(
            stack, settings(method=method, max_iterations=60), pattern=truth.pattern
        )
        for method in ("wiener", "rl", "tv")
    }


@pytest.mark.parametrize("method", ["rl", "tv"])
def test_picture_is_positive_and_better_than_the_linear_one(data, results, method):
    _, truth = data
    found = results[method]
    assert found.image.dtype == np.float32
    assert found.image.min() >= 0
    assert found.image.shape == results["wiener"].image.shape
    linear = nrmse(results["wiener"].image[0, 0, 0], truth.object_e, margin_px=8)
    assert nrmse(found.image[0, 0, 0], truth.object_e, margin_px=8) < 0.9 * linear


@pytest.mark.parametrize("method", ["rl", "tv"])
def test_report_says_what_was_done_and_what_is_missing(results, method):
    found = results[method]
    assert found.variance is None
    assert found.effective_psf is None
    assert results["wiener"].variance is not None
    assert any("no variance map" in note for note in found.qc["notes"])
    assert found.qc["method"] == method
    assert found.provenance["settings"]["reconstruction"]["method"] == method
    numbers = found.qc["acquisitions"][0]["iterative"]
    assert "iterative" not in results["wiener"].qc["acquisitions"][0]
    assert 0.9 < numbers["chi2_reduced"] < 1.1
    assert 0 < numbers["iterations"] <= 60
    assert len(numbers["held_out_chi2"]) >= 3
    assert numbers["objective"][-1] == min(numbers["objective"])
    assert found.verdicts["iterative"] == "ok"
    assert found.reconstructor.forward(found.image[0, 0, 0]).shape == (3, 3, 64, 64)


def test_wrong_camera_numbers_are_weak(data):
    stack, truth = data
    wrong = replace(stack, camera=replace(stack.camera, gain=stack.camera.gain * 1.5))
    found = reconstruct(wrong, settings(method="rl"), pattern=truth.pattern)
    assert found.verdicts["iterative"] == "weak"
    assert any("chi2 of the raw frames" in reason for reason in found.qc["reasons"])


def test_planes_share_the_strength_chosen_on_the_middle_one(data):
    stack, truth = data
    twice = replace(stack, data=np.concatenate([np.asarray(stack.data)] * 2, axis=4), dz_um=0.2)
    found = reconstruct(twice, settings(method="rl"), pattern=truth.pattern)
    assert np.array_equal(found.image[0, 0, 0], found.image[0, 0, 1])
    numbers = found.qc["acquisitions"][0]
    other = numbers["other_planes"][0]["iterative"]
    assert other["strength_auto"] == numbers["iterative"]["strength_auto"]


def test_plan_counts_the_iterations(data):
    stack, _ = data
    linear, few, many = (
        plan(stack, settings(**keys))
        for keys in ({}, {"method": "rl"}, {"method": "tv", "variance": False})
    )
    assert linear.seconds < few.seconds < many.seconds
    assert many.memory_bytes > plan(stack, settings(variance=False)).memory_bytes
    short = plan(stack, settings(method="tv", max_iterations=10))
    assert short.seconds < many.seconds


@pytest.mark.parametrize("option", ["--variance", "--psf"])
def test_command_line_refuses_what_only_the_linear_picture_has(option, tmp_path, capsys):
    out = tmp_path / "picture.ome.tif"
    code = execute(app, ["reconstruct", "raw.tif", "-o", str(out), "--method", "tv", option])
    assert code == 2
    assert option in capsys.readouterr().err


def test_training_refuses_a_picture_that_is_not_linear(data):
    with pytest.raises(UsageError, match="linear reconstruction"):
        enhance(data[0], engine=settings(method="rl"))
