"""Pixel sizes and distances that cannot be meant, and outputs that cannot be written."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError
from simrecon.shell import execute
from zsdeconv.cli import app
from zsdeconv.demo_picture import simulate_picture
from zsdeconv.figures import judged
from zsdeconv.outputs import check_folder
from zsdeconv.sampling import check_planes, check_sampling

OPTICS = ["--na", "1.49", "--emission-nm", "525"]
CAMERA = ["--gain", "2.2", "--offset", "100", "--read-noise-e", "1.5"]
QUICK = ["--iterations", "3", *(f"--set=zsdeconv.{s}" for s in (
    "width=8", "patch=64", "bank=2", "uncertainty_draws=2", "resimulation=0"))]  # fmt: skip


@pytest.fixture(scope="module")
def counts():
    return simulate_picture(kind="blobs", size=64, peak_e=40.0, seed=5).counts


@pytest.mark.parametrize("pixel", ["65", "0.0001", "inf"])
@pytest.mark.parametrize("command", ["image", "train", "deconvolve"])
def test_a_pixel_size_in_a_wrong_unit_is_refused(counts, tmp_path, capsys, command, pixel):
    tifffile.imwrite(tmp_path / "p.tif", counts)
    out = tmp_path / ("d.ome.tif" if command == "deconvolve" else "out")
    argv = [command, str(tmp_path / "p.tif"), "-o", str(out), "--pixel-um", pixel, *OPTICS]
    assert execute(app, argv) == 3
    said = capsys.readouterr().err
    assert "pixel size" in said
    assert ("nm given instead of µm? Then it is 0.065" in said) == (pixel == "65")
    assert [p.name for p in tmp_path.iterdir()] == ["p.tif"]


def test_coarse_pixels_are_doubted(counts, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "p.tif", counts)
    argv = ["image", str(tmp_path / "p.tif"), "-o", str(tmp_path / "out"), *QUICK]
    assert execute(app, [*argv, "--pixel-um", "0.65", *OPTICS, *CAMERA]) == 4
    said = capsys.readouterr().out
    assert "coarse pixels: 0.65 µm, where these optics ask for 0.0881 µm" in said
    assert "verdict: weak" in said


@pytest.mark.parametrize(
    "pixel, na, doubt",
    [(0.065, 1.49, False), (0.16, 1.4, False), (0.65, 0.3, False), (2.0, 0.2, False),
     (1.0, 1.4, True)],
)  # fmt: skip
def test_objectives_in_use_are_not_doubted(pixel, na, doubt):
    assert (check_sampling(pixel, 2.0 * na / 0.525, "p.tif") is not None) == doubt


@pytest.mark.parametrize("dz, fine", [(0.2, True), (10.0, True), (200.0, False), (0.0002, False)])
def test_distances_of_planes(dz, fine):
    if fine:
        check_planes(dz, "v.tif")
        return
    with pytest.raises(InputError, match="distance of planes"):
        check_planes(dz, "v.tif")


def test_volumes_in_nanometres_are_refused(counts, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "v.tif", np.stack([counts] * 4), imagej=True,
                     metadata={"axes": "ZYX"})  # fmt: skip
    argv = ["volume", str(tmp_path / "v.tif"), "-o", str(tmp_path / "out"), "--gain", "2",
            "--offset", "100", *OPTICS]  # fmt: skip
    assert execute(app, [*argv, "--pixel-um", "65", "--dz-um", "0.2"]) == 3
    assert "Then it is 0.065" in capsys.readouterr().err
    assert execute(app, [*argv, "--pixel-um", "0.065", "--dz-um", "200"]) == 3
    assert "Then it is 0.2" in capsys.readouterr().err


def test_an_output_format_is_refused_before_the_work(counts, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "p.tif", counts)
    argv = ["deconvolve", str(tmp_path / "p.tif"), "-o", str(tmp_path / "d.png"), *OPTICS]
    assert execute(app, [*argv, "--pixel-um", "0.065"]) == 2
    said = capsys.readouterr()
    assert "Unknown output format" in said.err
    assert "deconvolution" not in said.err  # its progress
    assert said.out == ""


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "out").write_text("mine")
    for folder in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(InputError, match="a file stands in its place") as caught:
            check_folder(folder)
        assert "tmp" not in (caught.value.got or "").rsplit("/", 1)[-1]
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("name", ["folder.ome.tif", "nowhere/d.ome.tif"])
def test_an_output_that_cannot_be_written_is_told_before_the_work(counts, tmp_path, capsys, name):
    tifffile.imwrite(tmp_path / "p.tif", counts)
    (tmp_path / "folder.ome.tif").mkdir()
    argv = ["deconvolve", str(tmp_path / "p.tif"), "-o", str(tmp_path / name), *OPTICS, *CAMERA]
    assert execute(app, [*argv, "--pixel-um", "0.065"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert str(tmp_path / name) in said.err


def test_a_prediction_does_not_replace_the_numbers_of_a_training(counts, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "p.tif", counts)
    known = [*OPTICS, "--pixel-um", "0.065"]
    trained = tmp_path / "out"
    argv = ["image", str(tmp_path / "p.tif"), "-o", str(trained), *known, *CAMERA, *QUICK]
    assert execute(app, argv) in (0, 4)
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    again = ["predict", str(tmp_path / "p.tif"), "--model", str(trained), *known]
    assert execute(app, [*again, "-o", str(trained)]) == 2
    assert "holds the results of a training" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before
    assert execute(app, [*again, "-o", str(tmp_path / "own")]) in (0, 4)


@pytest.mark.parametrize("verdict, marked", [("ok", False), ("weak", True), ("failed", True)])
def test_a_figure_says_what_is_doubtful_about_it(verdict, marked):
    made = SimpleNamespace(verdicts={"overall": verdict})
    assert judged("cell.tif", made) == (
        f"cell.tif: verdict {verdict}, see qc.json" if marked else "cell.tif"
    )
    assert judged("", made) == (f"verdict {verdict}, see qc.json" if marked else "")
