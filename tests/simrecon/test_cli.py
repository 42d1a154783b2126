"""The program ``simrecon`` from the outside: files, text, JSON, exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from simrecon.cli.main import app
from simrecon.cli.outputs import split_output, staging
from simrecon.config import build_settings, load_settings_file
from simrecon.errors import InputError, UsageError
from simrecon.io import read, read_pattern, read_provenance, write_camera_record
from simrecon.model.camera import Camera
from simrecon.provenance import sha256_file
from simrecon.shell import execute
from simrecon.shell_options import memory_gb


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Simulated raw frames, written by the program itself."""
    path = tmp_path_factory.mktemp("raw") / "raw.ome.tif"
    arguments = ["-o", str(path), "--size", "96", "--peak-e", "2000", "--seed", "5"]
    assert execute(app, ["simulate", *arguments, "--kind", "mixed", "--background-e", "20"]) == 0
    return path


@pytest.fixture(scope="module")
def done(raw, tmp_path_factory):
    """Folder with the complete output of one reconstruction."""
    folder = tmp_path_factory.mktemp("out")
    argv = ["reconstruct", str(raw), "-o", str(folder / "p.ome.tif"), "--variance", "--psf"]
    assert execute(app, argv) == 0
    return folder


def run(*argv: object) -> int:
    return execute(app, [str(a) for a in argv])


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_simulate_writes_frames_truth_and_pattern(raw):
    assert names(raw.parent) == {"raw.ome.tif", "raw.truth.tif", "raw.pattern.json"}
    stack = read(raw)
    assert stack.data.shape == (1, 1, 3, 3, 1, 96, 96)
    assert (stack.camera.gain, stack.camera.offset) == (2.0, 100.0)
    assert len(read_pattern(raw.parent / "raw.pattern.json").directions) == 3
    made = read_provenance(raw)
    assert made["seed"] == 5
    assert made["settings"]["optics"]["emission_nm"] == 525.0


def test_simulate_is_reproducible(raw, tmp_path):
    arguments = ["--size", 96, "--peak-e", 2000, "--kind", "mixed", "--background-e", 20]
    for seed in (5, 6):
        assert run("simulate", "-o", tmp_path / f"{seed}.ome.tif", *arguments, "--seed", seed) == 0
    frames = [tifffile.imread(p) for p in (raw, tmp_path / "5.ome.tif", tmp_path / "6.ome.tif")]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert (frames[0] != frames[2]).any()


def test_reconstruct_writes_every_promised_file(done):
    assert names(done) == {
        "p.ome.tif", "p.variance.ome.tif", "p.psf.tif", "p.prov.json", "p.qc.json"
    }  # fmt: skip


def test_picture_is_float32_with_physical_scale(done):
    with tifffile.TiffFile(done / "p.ome.tif") as file:
        assert file.series[0].dtype == np.float32
        assert file.series[0].shape == (192, 192)
        assert 'PhysicalSizeX="0.0325"' in file.ome_metadata
    psf = tifffile.imread(done / "p.psf.tif")
    assert psf.sum() == pytest.approx(1.0, rel=1e-4)


def test_provenance_is_complete_inside_and_beside(raw, done):
    beside = json.loads((done / "p.prov.json").read_text())
    assert read_provenance(done / "p.ome.tif") == beside
    assert beside["inputs"][0]["sha256"]
    assert beside["inputs"][0]["path"] == str(raw)
    assert beside["otf"][0]["sha256"]
    assert beside["versions"]["simrecon"]
    assert beside["device"].startswith("cpu")
    assert beside["command"].startswith(f"simrecon reconstruct {raw} -o ")
    assert "seed" in beside
    pattern = beside["patterns"][0][0]
    assert pattern["directions"][0]["frequency_sd_per_um"][0] > 0
    assert build_settings(("x", beside["settings"])).reconstruction.zoom == 2


def test_qc_tells_verdict_time_and_memory(done):
    qc = json.loads((done / "p.qc.json").read_text())
    assert qc["verdicts"]["overall"] == "ok"
    assert qc["total_s"] > 0
    assert 0.05 < qc["peak_memory_gb"] < 4
    assert qc["plan"]["memory_gb"] > 0


def test_plan_and_device_are_said_before_the_work(raw, tmp_path, capsys):
    assert run("reconstruct", raw, "-o", tmp_path / "p.tif") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("device: cpu")
    assert lines[1].startswith("plan: 1 acquisition")
    assert "GB" in lines[1]
    assert lines[2].startswith(("direction 1: period 210", "direction 1: period 209.9"))


def test_without_the_option_there_is_no_variance_map(raw, tmp_path):
    assert run("reconstruct", raw, "-o", tmp_path / "p.tif") == 0
    assert names(tmp_path) == {"p.tif", "p.prov.json", "p.qc.json"}
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        assert file.is_imagej


def test_json_is_one_document(raw, tmp_path, capsys):
    assert run("reconstruct", raw, "-o", tmp_path / "p.ome.tif", "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["verdicts"]["overall"] == "ok"
    assert document["device"]["label"] == "cpu"
    assert [Path(f).name for f in document["files"]] == ["p.ome.tif", "p.prov.json", "p.qc.json"]
    assert captured.err.startswith("device: cpu")


def test_estimate_writes_a_pattern_that_reconstruct_takes(raw, tmp_path, capsys):
    pattern = tmp_path / "pattern.json"
    assert run("estimate", raw, "-o", pattern) == 0
    assert "verdict: ok" in capsys.readouterr().out
    data = json.loads(pattern.read_text())
    assert data["schema"] == "simrecon/pattern/1"
    assert run("reconstruct", raw, "-o", tmp_path / "p.ome.tif", "--pattern", pattern) == 0
    used = json.loads((tmp_path / "p.prov.json").read_text())["patterns"][0][0]
    assert used["directions"] == data["directions"]


def test_estimate_json(raw, capsys):
    assert run("estimate", raw, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "ok"


def test_pattern_of_frequencies_only(raw, tmp_path):
    data = json.loads((raw.parent / "raw.pattern.json").read_text())
    data["directions"] = [{"frequency_per_um": d["frequency_per_um"]} for d in data["directions"]]
    known = tmp_path / "known.json"
    known.write_text(json.dumps(data))
    assert run("estimate", raw, "--pattern", known, "-o", tmp_path / "full.json") == 0
    full = read_pattern(tmp_path / "full.json")
    assert full.complete
    assert full.directions[0].frequency_per_um == pytest.approx(
        data["directions"][0]["frequency_per_um"], rel=1e-9
    )


def test_inspect_text_and_json(raw, capsys):
    assert run("inspect", raw) == 0
    text = capsys.readouterr().out
    assert "3 directions × 3 phases" in text
    assert run("inspect", raw, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["device"]["label"] == "cpu"


def test_inspect_works_on_a_file_that_states_nothing(raw, tmp_path, capsys):
    bare = tmp_path / "bare.tif"
    tifffile.imwrite(bare, np.asarray(read(raw).data).reshape(9, 96, 96))
    assert run("inspect", bare) == 0
    assert "--pixel-um" in capsys.readouterr().out
    assert run("inspect", bare, "--pixel-um", 0.065, "--na", 1.4, "--emission-nm", 525) == 0
    periods = re.findall(r"(\d+(?:\.\d+)?) nm", capsys.readouterr().out)
    assert any(abs(float(p) - 210) < 3 for p in periods)


def test_options_config_file_and_set_reach_the_settings(raw, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('zoom = 1\n[reconstruction]\napodization = "triangle"\n')
    argv = ["reconstruct", raw, "-o", tmp_path / "p.ome.tif", "--config", config]
    assert run(*argv, "--set", "regularization_factor=2", "--na", 1.4) == 0
    settings = json.loads((tmp_path / "p.prov.json").read_text())["settings"]
    assert settings["reconstruction"]["zoom"] == 1
    assert settings["reconstruction"]["apodization"] == "triangle"
    assert settings["reconstruction"]["regularization_factor"] == 2
    assert settings["optics"]["na"] == 1.4


def test_measured_psf_is_taken_as_otf(raw, tmp_path):
    from simrecon.model.grid import Grid
    from simrecon.model.optics import Optics
    from simrecon.physics.pupil import pupil_psf

    psf = pupil_psf(Optics(na=1.4, emission_nm=525.0), Grid((65, 65), 0.065))[0]
    path = tmp_path / "psf.tif"
    tifffile.imwrite(
        path, psf, imagej=True, resolution=(1 / 0.065, 1 / 0.065), metadata={"unit": "um"}
    )
    assert run("reconstruct", raw, "-o", tmp_path / "p.ome.tif", "--otf", path) in (0, 4)
    made = json.loads((tmp_path / "p.prov.json").read_text())
    assert made["otf"][0]["kind"] == "GridOTF"
    assert made["otf_files"][0]["path"] == str(path)


def test_config_show_round_trips(tmp_path, capsys):
    assert run("config", "show", "--set", "zoom=3") == 0
    path = tmp_path / "c.toml"
    path.write_text(capsys.readouterr().out)
    assert build_settings(("file", load_settings_file(path))).reconstruction.zoom == 3
    assert run("config", "show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["reconstruction"]["zoom"] == 2


def test_config_schema(capsys):
    assert run("config", "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Settings"


def test_doctor(capsys):
    assert run("doctor", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["healthy"]
    assert facts["self_test"]["ok"]
    assert facts["gpu"]["reason"]
    assert run("doctor") == 0
    assert "self-test  ok" in capsys.readouterr().out


def test_doctor_notices_a_broken_engine(monkeypatch, capsys):
    from simrecon.recon.operator import Reconstructor

    monkeypatch.setattr(Reconstructor, "reconstruct", lambda self, frames: 2.0 * frames[0, 0])
    assert run("doctor") == 4
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["inspect", "estimate", "reconstruct", "simulate", "doctor"])
def test_help_of_every_command(command, capsys):
    assert run(command, "--help") == 0
    assert "--json" in capsys.readouterr().out


def test_help_states_units_and_defaults(capsys):
    run("reconstruct", "--help")
    text = " ".join(capsys.readouterr().out.split())
    for needed in ("µm", "nm", "[default: auto]", "[default: theoretical]"):
        assert needed in text


def test_program_as_a_process_without_terminal(raw, tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("DISPLAY", None)
    done = subprocess.run(
        [sys.executable, "-m", "simrecon.cli.main", "reconstruct", str(raw), "-o", "p.tif"],
        cwd=tmp_path, env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("device: cpu")
    assert "reconstruct: 1/1" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert names(tmp_path) == {"p.tif", "p.prov.json", "p.qc.json"}
    qc = json.loads((tmp_path / "p.qc.json").read_text())
    assert 0.8 < qc["plan"]["memory_gb"] / qc["peak_memory_gb"] < 2.5  # the plan was kept


@pytest.mark.parametrize(
    "name, stem", [("a.ome.tif", "a"), ("a.b.tif", "a.b"), ("A.OME.TIFF", "A"), ("x.TIF", "x")]
)
def test_output_names(name, stem):
    assert split_output(Path(name))[0] == stem


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.mrc", "a.png", "a", ".tif"])
def test_output_formats_that_do_not_exist(name):
    with pytest.raises(UsageError, match="cannot be written"):
        split_output(Path(name))


def test_staging_moves_all_or_nothing(tmp_path):
    (tmp_path / "b.tif").write_text("old")

    def interrupted() -> None:
        with staging(tmp_path / "a.tif") as folder:
            (folder / "b.tif").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == {"b.tif"}
    assert (tmp_path / "b.tif").read_text() == "old"
    with staging(tmp_path / "a.tif") as folder:
        (folder / "b.tif").write_text("new")
    assert (tmp_path / "b.tif").read_text() == "new"
    assert names(tmp_path) == {"b.tif"}


def test_staging_refuses_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), staging(tmp_path / "no" / "a.tif"):
        pass


@pytest.mark.parametrize(
    "text, value", [("6GB", 6.0), ("500MB", 0.5), ("2", 2.0), ("1.5 GiB", 1.5)]
)
def test_memory_amounts(text, value):
    assert memory_gb(text) == value
    with pytest.raises(UsageError, match="amount of memory"):
        memory_gb("much")


def test_provenance_names_the_camera_record(raw, tmp_path):
    record = tmp_path / "cam.h5"
    write_camera_record(record, Camera(2.0, np.full((96, 96), 100.0), 1.5))
    out = tmp_path / "p.ome.tif"
    assert run("reconstruct", raw, "-o", out, "--camera", record) == 0
    source = read_provenance(out)["camera"][0]["source"]
    assert source == f"record cam.h5 sha256 {sha256_file(record)}"
