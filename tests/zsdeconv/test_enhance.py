from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from simrecon.config import ReconstructionSettings, Settings
from simrecon.errors import InputError, UsageError
from simrecon.io import write_pattern, write_raw
from simrecon.physics.simulate import simulate
from simrecon.shell import execute
from zsdeconv import ZsSettings, enhance, image_measurement
from zsdeconv.checkpoint import read_model
from zsdeconv.cli import app
from zsdeconv.demo import reference_object, simulate_scene

QUICK = {"width": 12, "patch": 96, "batch": 2, "bank": 4, "iterations": 60, "lr": 4e-3}
PICTURES = ("sim", "variance", "denoised", "deconvolved", "uncertainty", "consistency")


def test_blank_frames_give_a_blank_picture():
    """Background and noise only, through an operator that does pass noise: flat, right in flux."""
    stack, truth = simulate(shape=(64, 64), kind="constant", peak_e=6.0, seed=1)
    engine = Settings(reconstruction=ReconstructionSettings(regularization="wiener"))
    done = enhance(
        stack, ZsSettings(**QUICK, uncertainty_draws=2), engine=engine, pattern=truth.pattern
    )
    level = truth.object_e.mean()
    assert done.image.std() > 0.1 * level
    assert done.deconvolved.mean() == pytest.approx(level, rel=0.02)
    assert done.deconvolved.std() < 0.08 * level
    assert done.deconvolved.std() < 0.4 * done.image.std()
    assert done.qc["enhancement"]["chi2"] == pytest.approx(1.0, abs=0.1)


def test_a_plain_image_is_enhanced_too():
    rng = np.random.default_rng(0)
    truth = np.full((96, 96), 5.0)
    truth[::12, 30:60] += 400.0
    y, x = np.mgrid[-7:8, -7:8]
    psf = np.exp(-(x**2 + y**2) / 8.0)
    clean = image_measurement(truth, 1.0, psf, 0.05).predict(truth)[0]
    noisy = rng.poisson(clean).astype(np.float32)
    done = enhance(
        image_measurement(noisy, clean, psf, 0.05),
        ZsSettings(**QUICK, resimulation=0.0, uncertainty_draws=0),
    )
    assert done.uncertainty is None
    assert done.reconstruction is None
    before = np.sqrt(np.mean((noisy - clean) ** 2))
    assert np.sqrt(np.mean((done.denoised - clean) ** 2)) < 0.8 * before
    assert done.deconvolved.min() >= 0
    assert done.qc["enhancement"]["flux_ratio"] == pytest.approx(1.0, abs=0.002)


def test_several_planes_are_refused(scene):
    from dataclasses import replace

    stack = scene[0]
    with pytest.raises(UsageError, match="one time point"):
        enhance(replace(stack, data=np.repeat(stack.data, 2, axis=0)))


def test_program_writes_what_it_promises(tmp_path, scene, capsys):
    stack, truth, _, _ = scene
    write_raw(tmp_path / "raw.ome.tif", stack, provenance={})
    write_pattern(tmp_path / "pattern.json", truth.pattern)
    out = tmp_path / "out"
    arguments = ["sim", str(tmp_path / "raw.ome.tif"), "-o", str(out), "--iterations", "3",
                 "--pattern", str(tmp_path / "pattern.json"), "--json"]  # fmt: skip
    code = execute(app, arguments)
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert code in (0, 4)
    assert "plan: training" in captured.err
    assert "chi2" in document["enhancement"]
    names = {p.name for p in out.iterdir()}
    assert names == {*(f"{n}.ome.tif" for n in PICTURES), "overview.png", "pattern.json",
                     "qc.json", "model"}  # fmt: skip
    for name in PICTURES:
        image = tifffile.imread(out / f"{name}.ome.tif")
        assert image.dtype == np.float32
        assert image.shape == ((64, 72) if name == "consistency" else (128, 144))
    _, facts = read_model(out / "model")
    assert facts["iterations"] == 3
    capsys.readouterr()
    assert execute(app, ["info", str(out)]) == 0
    assert "3 steps" in capsys.readouterr().out
    # a second run continues: nothing is left to train, the weights stay
    assert execute(app, [*arguments, "--resume"]) == code
    assert read_model(out / "model")[1]["iterations"] == 3


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["sim", "nowhere.tif", "-o", "x"], 3),
        (["sim", "nowhere.tif"], 2),
        (["info", "nowhere"], 3),
        (["demo", "--budget", "soon"], 2),
        (["demo", "--device", "cuda:7"], 5),
    ],
)
def test_exit_codes(arguments, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert execute(app, arguments) == code
    assert "error:" in capsys.readouterr().err


def test_unwritable_folder_is_an_input_error(tmp_path):
    from zsdeconv.outputs import prepare_folder

    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        prepare_folder(tmp_path / "file" / "out")


def test_reference_lies_on_the_object():
    """The reference has the object's mean and position."""
    scene = simulate_scene(kind="blobs", size=64, seed=2)
    found, wanted = scene.reference, scene.truth.object_e
    assert found.shape == wanted.shape
    assert found.mean() == pytest.approx(wanted.mean(), rel=0.02)
    shifts = [np.corrcoef(np.roll(found, s, (0, 1)).ravel(), wanted.ravel())[0, 1]
              for s in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]  # fmt: skip
    assert np.argmax(shifts) == 0
    again = reference_object(scene.truth, scene.stack.pixel_um)
    np.testing.assert_array_equal(again, found)
