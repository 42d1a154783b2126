"""What is read is never replaced, and nothing old is left beside a new picture."""

import shutil

import pytest

from simrecon.cli.main import app
from simrecon.shell import execute


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Simulated frames and their true pattern, written by the program itself."""
    folder = tmp_path_factory.mktemp("raw")
    options = ["--size", "96", "--peak-e", "2000", "--seed", "5", "--background-e", "20"]
    assert execute(app, ["simulate", "-o", str(folder / "raw.ome.tif"), *options]) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path):
    for file in made.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def run(*argv: object) -> int:
    return execute(app, [str(a) for a in argv])


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def refused(folder, capsys, *argv):
    before = contents(folder)
    assert run(*argv) == 2
    assert contents(folder) == before
    return capsys.readouterr().err


def test_estimate_does_not_replace_the_frames(folder, capsys):
    raw = folder / "raw.ome.tif"
    assert ".json" in refused(folder, capsys, "estimate", raw, "-o", raw)


def test_estimate_does_not_replace_a_given_pattern(folder, capsys):
    pattern = folder / "raw.pattern.json"
    argv = ["estimate", folder / "raw.ome.tif", "--pattern", pattern, "-o", pattern]
    assert "replace an input" in refused(folder, capsys, *argv)


@pytest.mark.parametrize("name", ["cc.variance.ome.tif", "cc.psf.tif", "cc.widefield.ome.tif"])
def test_side_files_do_not_replace_the_frames(folder, capsys, name):
    raw = (folder / "raw.ome.tif").rename(folder / name)
    argv = ["reconstruct", raw, "-o", folder / "cc.ome.tif"]
    assert name in refused(folder, capsys, *argv)


@pytest.mark.parametrize("option", ["otf", "pattern", "camera", "config"])
def test_side_inputs_are_not_replaced(folder, capsys, option):
    taken = folder / "cc.qc.json"
    taken.write_text("{}")
    settings = [f"--{option}", taken]
    if option == "config":
        taken = taken.rename(folder / "cc.prov.json")
        settings = ["--config", taken]
    argv = ["reconstruct", folder / "raw.ome.tif", "-o", folder / "cc.ome.tif", *settings]
    assert "replace an input" in refused(folder, capsys, *argv)


def test_side_files_of_an_earlier_run_do_not_stay(folder):
    raw, pattern = folder / "raw.ome.tif", folder / "raw.pattern.json"
    argv = ["reconstruct", raw, "--pattern", pattern, "-o", folder / "p.ome.tif"]
    assert run(*argv, "--variance", "--psf") == 0
    assert (folder / "p.variance.ome.tif").exists()
    assert run(*argv) == 0
    assert not (folder / "p.variance.ome.tif").exists()
    assert not (folder / "p.psf.tif").exists()


def test_files_of_others_stay(folder):
    foreign = folder / "p.psf.tif"
    foreign.write_bytes(b"not ours")
    raw, pattern = folder / "raw.ome.tif", folder / "raw.pattern.json"
    assert run("reconstruct", raw, "--pattern", pattern, "-o", folder / "p.ome.tif") == 0
    assert foreign.read_bytes() == b"not ours"
