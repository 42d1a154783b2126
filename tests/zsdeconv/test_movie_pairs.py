"""Pairs in time: every picture of a movie is judged by the one before or after it."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.shell import execute
from zsdeconv import ZsSettings
from zsdeconv.checkpoint import read_model
from zsdeconv.cli import app
from zsdeconv.imaging import Imaging
from zsdeconv.picture_training import train_pictures
from zsdeconv.training import prepare

SMALL = {
    "pairs": "temporal", "width": 4, "patch": 48, "margin": 8, "batch": 4, "bank": 2,
    "iterations": 2, "uncertainty_draws": 0, "held_out_draws": 0, "probes": False,
    "self_ensemble": False, "device": "cpu",
}  # fmt: skip
PSF = np.outer([1, 2, 1], [1, 2, 1]) / 16.0


def movie(count, size=48):
    """Pictures of 100 · (t + 1) photo-electrons."""
    rng = np.random.default_rng(4)
    return [rng.poisson(100.0 * (t + 1), (size, size)).astype(float) for t in range(count)]


def imaging():
    return Imaging(0.1, PSF, 4.0, Camera())


@pytest.mark.parametrize("count", [2, 3, 4])
def test_neighbours_judge_each_other(count, monkeypatch):
    """Input and target are t and t ± 1 of the movie as it was given, at the same place."""
    seen = []

    def keep(first, settings, *, others, **_):
        seen.append(prepare(first, settings, torch.device("cpu"), others=others))
        raise StopIteration

    monkeypatch.setattr("zsdeconv.picture_training.enhance", keep)
    with pytest.raises(StopIteration):
        train_pictures(movie(count), imaging(), ZsSettings(**SMALL))
    sampler = seen[0].sampler
    found = set()
    for _ in range(12):
        batch = sampler.pairs()
        first, second = (
            np.round(v.mean(dim=(1, 2, 3)).numpy() / 100.0) for v in (batch.image, batch.target)
        )
        assert (np.abs(first - second) == 1).all()
        np.testing.assert_array_equal(first[::2], second[1::2])
        np.testing.assert_array_equal(first[1::2], second[::2])
        for i in range(4):
            used = batch.weights[i] > 0
            judged = float(batch.raw_target[i][used].mean()) / 100.0
            assert judged == pytest.approx(second[i], abs=0.2)
        assert batch.origins[::2] == batch.origins[1::2]
        assert batch.operations[::2] == batch.operations[1::2]
        found |= set(zip(first, second, strict=True))
    assert found == {(a, a + s) for a in range(1, count + 1) for s in (1, -1) if 0 < a + s <= count}


def test_only_a_movie_has_neighbours():
    settings = ZsSettings(**SMALL)
    with pytest.raises(UsageError, match="a movie of plain pictures"):
        train_pictures(movie(1), imaging(), settings)
    mixed = [*movie(1), *movie(2, 64)]
    with pytest.raises(UsageError, match="a movie of plain pictures"):
        train_pictures(mixed, imaging(), settings)


def test_the_command_trains_on_pictures_that_follow_each_other(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "movie.tif", np.float32(movie(5)), photometric="minisblack")
    options = ["--pixel-um", "0.1", "--na", "1.0", "--emission-nm", "525", "--gain", "1",
               "--offset", "0", "--read-noise-e", "0.5", "--iterations", "2"]  # fmt: skip
    quick = [f"--set=zsdeconv.{k}={v}" for k, v in (
        ("width", 4), ("patch", 48), ("bank", 2), ("uncertainty_draws", 0))]  # fmt: skip
    argv = ["train", str(tmp_path / "movie.tif"), "-o", str(tmp_path / "out"), *options, *quick,
            "--pairs", "temporal", "--pictures", "3"]  # fmt: skip
    assert execute(app, argv) in (0, 4)
    facts = read_model(tmp_path / "out" / "model")[1]
    assert facts["pictures"] == 3
    assert facts["settings"]["pairs"] == "temporal"
    middle = tifffile.imread(tmp_path / "out" / "image.ome.tif")
    np.testing.assert_allclose(middle, movie(5)[2], rtol=1e-5)
    # an adaptation has one picture, and learns from re-corrupted copies of it
    again = ["adapt", str(tmp_path / "movie.tif"), "--model", str(tmp_path / "out"), "-o",
             str(tmp_path / "adapted"), "--iterations", "1"]  # fmt: skip
    assert execute(app, again) in (0, 4)
    capsys.readouterr()
    tifffile.imwrite(tmp_path / "more.tif", np.float32(movie(2)), photometric="minisblack")
    for files, pictures in ((["movie.tif", "more.tif"], "3"), (["movie.tif"], "1")):
        paths = [str(tmp_path / f) for f in files]
        assert execute(app, ["train", *paths, *argv[2:-1], pictures]) == 2
        assert "made of one movie" in capsys.readouterr().err
