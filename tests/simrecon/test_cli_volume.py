"""``simrecon simulate --mode 3d|lls``."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from simrecon.cli.main import app
from simrecon.io import read, read_camera_record, read_provenance, read_raw
from simrecon.shell import execute

SMALL = ("--size", "32", "--planes", "4", "--dz-um", "0.25")


def simulate(folder, *options):
    return execute(app, ["simulate", "-o", str(folder / "v.ome.tif"), *map(str, options)])


def test_volume_frames_truth_and_pattern(tmp_path):
    assert simulate(tmp_path, "--mode", "3d", *SMALL, "--rows", "28", "--seed", "3") == 0
    raw = read_raw(tmp_path / "v.ome.tif")
    assert (raw.dz_um, raw.pixel_um, raw.planes, raw.order) == (0.25, 0.08, 4, "ZPA")
    assert (raw.excitation_na, raw.na) == (1.2, 1.4)
    stack = read(tmp_path / "v.ome.tif")
    assert stack.data.shape == (1, 1, 3, 5, 4, 28, 32)
    truth = tifffile.imread(tmp_path / "v.truth.tif")
    assert truth.shape == (4, 56, 64)
    pattern = json.loads((tmp_path / "v.pattern.json").read_text())
    assert [len(d["phase_rad"]) for d in pattern["directions"]] == [5, 5, 5]
    assert pattern["directions"][0]["modulation"] == [0.9, 0.6]
    assert pattern["directions"][0]["period_um"] == pytest.approx(0.488 / 1.2)


def test_light_that_cannot_be_is_refused(tmp_path, capsys):
    assert simulate(tmp_path, "--mode", "3d", *SMALL, "--period-um", "0.1") == 2
    assert "above 0.322 µm" in capsys.readouterr().err
    assert simulate(tmp_path, "--mode", "nonlinear", "--size", "32", "--dose", "-1") == 2
    assert "--dose" in capsys.readouterr().err
    assert simulate(tmp_path, "--mode", "2d", "--size", "32", "--dose", "2") == 2
    assert "no effect" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_light_sheet_on_a_stage(tmp_path):
    options = ["--scan", "stage", "--stage-angle-deg", "45", "--phase-step-um", "0.232"]
    options += ["--sheet-offset-um", "0.3", "--lattice", "hexagonal", "--drift-um", "0.1"]
    assert simulate(tmp_path, "--mode", "lls", *SMALL, *options) == 0
    settings = read_provenance(tmp_path / "v.ome.tif")["settings"]
    assert settings["sheet_offset_um"] == 0.3
    assert settings["lattice"]["kind"] == "hexagonal"
    assert settings["stage_angle_rad"] == pytest.approx(np.pi / 4)
    (direction,) = json.loads((tmp_path / "v.pattern.json").read_text())["directions"]
    steps = np.diff(np.unwrap(direction["phase_rad"]))
    np.testing.assert_allclose(steps, 2 * np.pi * 0.232 / direction["period_um"])


def test_pixels_that_differ_come_with_a_camera_record(tmp_path):
    dim = ("--peak-e", "1", "--background-e", "0", "--offset", "150")
    assert simulate(tmp_path, "--mode", "lls", *SMALL, "--scmos", *dim) == 0
    camera = read_camera_record(tmp_path / "v.camera.h5").camera
    assert np.shape(camera.offset) == (32, 32)
    stack = read(tmp_path / "v.ome.tif")
    assert stack.camera.offset == 150.0
    mean = np.asarray(stack.data).mean(axis=(0, 1, 2, 3, 4))
    assert np.corrcoef(mean.ravel(), np.asarray(camera.offset).ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    "options, text",
    [
        (["--mode", "3d", "--haze", "1"], "--haze"),
        (["--mode", "3d", "--sheet-offset-um", "0.2"], "--sheet-offset-um"),
        (["--mode", "lls", "--period-um", "1.2"], "--period-um"),
        (["--mode", "3d", "--dz-um", "0"], "--dz-um"),
        (["--mode", "3d", "--kind", "rings"], "Unknown 3-D phantom"),
        (["--mode", "3d", "--period-um", "0.3"], "so fine a pattern"),
        (["--mode", "3d", "--drift-um", "nan"], "finite"),
        (["--scan", "stage"], "--mode 3d or lls"),
    ],
)
def test_volumes_that_cannot_be_meant(tmp_path, capsys, options, text):
    assert simulate(tmp_path, "--size", "32", *options) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_three_phases_of_a_sheet_are_explained_or_read_as_one_order(tmp_path, capsys):
    assert simulate(tmp_path, "--mode", "lls", *SMALL, "--phases", "3", "--modulation", "0.8") == 0
    raw = str(tmp_path / "v.ome.tif")
    lattice = ["--mode", "lls", "--lattice-na-max", "0.46", "--lattice-na-min", "0.36"]
    pattern = ["estimate", raw, "-o", str(tmp_path / "p.json"), *lattice]
    assert execute(app, pattern) == 3
    told = capsys.readouterr().err
    assert "Order 2 of a square lattice (25% of order 1's contrast)" in told
    assert "--sheet-orders 1" in told
    assert execute(app, [*pattern, "--sheet-orders", "1", "--sheet-offset-um", "0"]) in (0, 4)
    assert "direction 1: period" in capsys.readouterr().out


@pytest.mark.parametrize("planes", [5, 10])
def test_as_many_planes_as_phases_stay_planes(tmp_path, planes):
    options = ("--size", "32", "--planes", str(planes), "--dz-um", "0.25")
    assert simulate(tmp_path, "--mode", "lls", *options) == 0
    assert read(tmp_path / "v.ome.tif", mode="lls").data.shape[:5] == (1, 1, 1, 5, planes)
    given = read(tmp_path / "v.ome.tif", mode="lls", order="ZPA", planes=planes)
    assert given.data.shape[:5] == (1, 1, 1, 5, planes)
