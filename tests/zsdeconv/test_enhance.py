from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from simrecon.config import ReconstructionSettings, Settings
from simrecon.errors import InputError, UsageError
from simrecon.io import write_pattern, write_raw
from simrecon.model.camera import Camera
from simrecon.physics.simulate import simulate
from simrecon.shell import execute
from zsdeconv import ZsSettings, enhance, image_measurement
from zsdeconv.checkpoint import read_model
from zsdeconv.cli import app
from zsdeconv.demo import reference_object, simulate_scene
from zsdeconv.outputs import check_folder
from zsdeconv.pairs_image import camera_measurement
from zsdeconv.selection import select_acquisition

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
    assert done.qc["uncertainty"]["repeats"] == 2


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
    assert "uncertainty" not in done.qc
    assert done.reconstruction is None
    before = np.sqrt(np.mean((noisy - clean) ** 2))
    assert np.sqrt(np.mean((done.denoised - clean) ** 2)) < 0.8 * before
    assert done.deconvolved.min() >= 0
    found = done.qc["enhancement"]
    assert done.deconvolved.sum() == pytest.approx(noisy.sum(), rel=0.01)
    assert found["flux_ratio"] == pytest.approx(1.0, abs=0.05)
    assert found["flux_ratio"] != pytest.approx(1.0, abs=1e-6)  # before the factor, not after


def test_a_camera_picture_needs_its_camera_and_gets_its_noise(monkeypatch):
    """Counts with gain and offset: the variance map is that of the electrons."""
    rng = np.random.default_rng(0)
    clean = np.full((96, 96), 30.0)
    clean[:, 48:] = 200.0
    y, x = np.mgrid[-4:5, -5:6]
    psf = np.exp(-(x**2 + y**2) / 4.0)
    electrons = rng.poisson(clean) + rng.normal(0.0, 2.0, clean.shape)
    camera = Camera(gain=2.0, offset=100.0, read_noise_e=2.0)
    counts = 2.0 * electrons + 100.0
    with pytest.raises(UsageError, match="camera") as caught:
        enhance(counts, psf=psf)
    assert "no pixel_um, no camera" in str(caught.value)
    settings = ZsSettings(**{**QUICK, "iterations": 3, "uncertainty_draws": 0})
    done = enhance(counts, settings, psf=psf, pixel_um=0.1, camera=camera)
    np.testing.assert_allclose(done.image, electrons, rtol=1e-5, atol=1e-4)
    for side, level in ((np.s_[:, 10:40], 30.0), (np.s_[:, 56:86], 200.0)):
        assert done.image_variance[side].mean() == pytest.approx(level + 4.0, rel=0.05)
    assert 0.8 < done.qc["enhancement"]["chi2"] < 1.5
    assert done.pixel_um == 0.1
    monkeypatch.setattr("zsdeconv.enhancement.flux_factor", lambda *_: 0.95)
    done = enhance(counts, settings, psf=psf, pixel_um=0.1, camera=camera)
    assert done.verdicts["flux"] == "weak"
    assert done.qc["enhancement"]["flux_ratio"] == pytest.approx(1 / 0.95)


@pytest.mark.parametrize("size", [(9, 11), (8, 10)])
def test_the_variance_of_a_camera_picture_lies_on_the_picture(size):
    psf = np.ones(size)
    psf[size[0] // 2, size[1] // 2] = 50.0
    counts = np.zeros((40, 44))
    counts[20, 30] = 1000.0
    made = camera_measurement(counts, psf, 0.1, Camera(read_noise_e=1.0))
    assert np.unravel_index(np.argmax(made.image_variance), (40, 44)) == (20, 30)


def test_of_several_acquisitions_one_is_chosen(scene):
    stack = scene[0]
    several = replace(stack, data=np.concatenate([stack.data, stack.data + 5], axis=0))
    with pytest.raises(UsageError, match="one time point") as caught:
        select_acquisition(several)
    assert "--time 0" in str(caught.value)
    with pytest.raises(UsageError, match="no such plane"):
        select_acquisition(several, time=0, plane=1)
    chosen = select_acquisition(several, time=1)
    np.testing.assert_array_equal(chosen.data, stack.data + 5)
    with pytest.raises(UsageError, match="one time point"):
        enhance(several)


def test_program_writes_what_it_promises(tmp_path, scene, capsys):
    stack, truth, _, _ = scene
    write_raw(tmp_path / "raw.ome.tif", stack, provenance={})
    write_pattern(tmp_path / "pattern.json", truth.pattern)
    out = tmp_path / "out"
    arguments = ["sim", str(tmp_path / "raw.ome.tif"), "-o", str(out), "--iterations", "3",
                 "--pattern", str(tmp_path / "pattern.json"), "--json",
                 "--set", "zsdeconv.bank=3", "--set", "zsdeconv.uncertainty_draws=2"]  # fmt: skip
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
    # with the raw file in the folder, under an output's name, nothing is touched
    raw = (tmp_path / "raw.ome.tif").read_bytes()
    (out / "sim.ome.tif").write_bytes(raw)
    assert execute(app, ["sim", str(out / "sim.ome.tif"), "-o", str(out)]) == 2
    assert "would replace an input" in capsys.readouterr().err
    assert (out / "sim.ome.tif").read_bytes() == raw
    # a second run continues: nothing is left to train, the weights stay
    assert execute(app, [*arguments, "--resume"]) == code
    assert read_model(out / "model")[1]["iterations"] == 3
    # from other pairs, or with another pattern, it is another training
    capsys.readouterr()
    assert execute(app, [*arguments, "--resume", "--pairs", "realigned"]) == 3
    assert "pairs=recorrupted" in capsys.readouterr().err
    turned = json.loads((tmp_path / "pattern.json").read_text())
    turned["directions"][1]["phase_rad"][0] += 0.3
    (tmp_path / "pattern.json").write_text(json.dumps(turned))
    assert execute(app, [*arguments, "--resume"]) == 3
    assert "the forward model (pattern, PSF or OTF) (by 0." in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["sim", "nowhere.tif", "-o", "x"], 3),
        (["sim", "nowhere.tif"], 2),
        (["sim", "notes.txt", "-o", "x"], 3),
        (["sim", "notes.txt", "-o", "x", "--resume"], 3),
        (["sim", "notes.txt", "-o", "x", "--set", "zsdeconv.lrr=1"], 2),
        (["sim", "pattern.json", "-o", "."], 2),
        (["sim", "notes.txt", "-o", ".", "--otf", "model/model.json"], 2),
        (["sim", "notes.txt", "-o", ".", "--config", "qc.json"], 2),
        (["info", "nowhere"], 3),
        (["demo", "--budget", "soon"], 2),
        (["demo", "--device", "cuda:7"], 5),
    ],
)
def test_exit_codes(arguments, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name in ("notes.txt", "pattern.json", "qc.json", "model/model.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    assert execute(app, arguments) == code
    error = capsys.readouterr().err
    assert "error:" in error
    assert ("run without --resume" in error) == ("--resume" in arguments)
    assert sorted(tmp_path.rglob("*")) == before  # no empty folder


def test_unwritable_folder_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="a file stands in its place"):
        check_folder(tmp_path / "file" / "out")
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()


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
