"""A model of one SIM recording, used on another."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError
from simrecon.io import write_raw
from simrecon.physics.simulate import simulate
from simrecon.shell import execute
from zsdeconv import ZsSettings, enhance
from zsdeconv.checkpoint import read_model, write_model
from zsdeconv.cli import app
from zsdeconv.enhancement import save_model
from zsdeconv.held_out import HeldOut
from zsdeconv.picture_model import adaptation
from zsdeconv.sim_model import SimModel
from zsdeconv.time_points import Recording

SHAPE = (96, 104)
QUICK = {"iterations": 30, "width": 8, "patch": 64, "bank": 2, "uncertainty_draws": 0,
         "held_out_draws": 0, "stacking_draws": 1, "precision": "float32", "probes": False,
         "resimulation": 0.0, "device": "cpu"}  # fmt: skip


def recording(seed, times=1, **changes):
    stacks = [
        simulate(shape=SHAPE, peak_e=300.0, seed=seed, noise_seed=t,
                 first_angle_rad=0.25 + 0.02 * t, **changes)[0]
        for t in range(times)
    ]  # fmt: skip
    return replace(stacks[0], data=np.concatenate([s.data for s in stacks]))


@pytest.fixture(scope="module")
def trained():
    return enhance(recording(7), ZsSettings(**QUICK))


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("trained")
    save_model(trained, path / "model")
    return path


@pytest.fixture(scope="module")
def following():
    """Two time points of another object; a pattern turned from the one trained on."""
    return recording(8, 2)


def measured(stack, settings, time=0):
    from simrecon.config import Settings

    return Recording(stack, settings, Settings()).measure(time)[1]


def test_the_recording_of_the_training_comes_out_as_it_did(trained, folder):
    model = SimModel.read(folder, device="cpu")
    made = model.predict(measured(recording(7), model.settings))
    for name, share in (("denoised", 1e-4), ("deconvolved", 1e-3)):
        want = getattr(trained, name)
        np.testing.assert_allclose(getattr(made, name), want, rtol=0, atol=share * want.max())


def test_adaptation_goes_on_from_a_copy_of_the_model(folder, following):
    model = SimModel.read(folder, device="cpu")
    before = {k: v.clone() for k, v in model.learned.views.network.state_dict().items()}
    m = measured(following, model.settings)
    adapted = model.adapted(m, 20)
    fresh = enhance(m, adaptation(model.settings, 20))
    for other in (model.predict(m), fresh):  # neither the model as it is nor one that starts anew
        assert np.abs(adapted.denoised - other.denoised).max() > 1e-3 * other.denoised.max()
    after = model.learned.views.network.state_dict()
    assert all((before[k] == after[k]).all() for k in before), "the general model has changed"


def test_a_network_that_lost_is_not_used_later_either(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("zsdeconv.enhancement.compare", lambda *_: HeldOut(-1.0, 0.01))
    made = enhance(recording(7), ZsSettings(**{**QUICK, "held_out_draws": 2, "iterations": 3}))
    save_model(made, tmp_path)
    model = SimModel.read(tmp_path, device="cpu")
    assert model.learned.start_only
    assert execute(app, ["info", str(tmp_path)]) == 0
    assert "lost against the classical start" in capsys.readouterr().out
    found = model.predict(measured(recording(7), model.settings))
    np.testing.assert_allclose(found.deconvolved, made.deconvolved, rtol=0,
                               atol=1e-3 * made.deconvolved.max())  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "what", "numbers"),
    [
        ({"pixel_um": 0.075}, "pixel size", ("0.0325 µm", "0.0375 µm")),
        ({"na": 1.3}, "cut-off", ("per pixel",)),
    ],
)
def test_another_set_up_is_refused_with_both_numbers(folder, changes, what, numbers):
    from simrecon.model.optics import Optics

    told = dict(changes)
    if "na" in told:
        optics = Optics(na=told.pop("na"), emission_nm=525.0)
        told |= {"optics": optics, "period_um": 0.24}
    model = SimModel.read(folder, device="cpu")
    m = measured(recording(9, **told), model.settings)
    with pytest.raises(InputError, match=what) as caught:
        model.predict(m)
    for number in numbers:
        assert number in str(caught.value)


def test_a_model_of_pictures_is_none_of_frames(trained, tmp_path):
    write_model(tmp_path, trained.model, {**trained.model_facts, "kind": "image"})
    with pytest.raises(InputError, match="SIM frames"):
        SimModel.read(tmp_path)


def test_an_old_card_says_so(trained, tmp_path):
    facts = {k: v for k, v in trained.model_facts.items() if k != "image_cutoff_px"}
    write_model(tmp_path, trained.model, facts)
    with pytest.raises(InputError, match="train it again"):
        SimModel.read(tmp_path)


@pytest.mark.parametrize("adapt", [None, 2])
def test_program_restores_all_time_points(folder, following, tmp_path, capsys, adapt):
    blank = following.data[:1] * 0 + 110
    blank += np.random.default_rng(0).integers(-8, 9, blank.shape).astype(blank.dtype)
    movie = replace(following, data=np.concatenate([blank, following.data]))
    write_raw(tmp_path / "next.ome.tif", movie, provenance={})
    out = tmp_path / "out"
    words = [] if adapt is None else ["--adapt", str(adapt)]
    code = execute(app, ["sim", str(tmp_path / "next.ome.tif"), "-o", str(out), "--time", "all",
                         "--model", str(folder), "--device", "cpu", *words])  # fmt: skip
    said = capsys.readouterr()
    assert code == 4, said.err
    assert "0 failed" in said.out
    for name in ("sim", "variance", "denoised", "deconvolved"):
        pages = tifffile.imread(out / f"{name}.ome.tif")
        assert pages.shape == (3, 192, 208)
        assert [bool(np.isnan(p).all()) for p in pages] == [True, False, False]
    report = json.loads((out / "qc.json").read_text())
    assert report["verdict"] == "weak"
    assert report["provenance"]["method"].startswith(
        "prediction" if adapt is None else "adaptation"
    )
    used = report["provenance"]["model"][0]["sha256"]
    assert len(used) == 64
    assert read_model(folder / "model")[1]["kind"] == "sim"


def test_one_time_point_of_several(folder, following, tmp_path, capsys):
    write_raw(tmp_path / "next.ome.tif", following, provenance={})
    base = ["sim", str(tmp_path / "next.ome.tif"), "--model", str(folder), "--device", "cpu"]
    assert execute(app, [*base, "-o", str(tmp_path / "a")]) == 2
    assert "time 0…1" in capsys.readouterr().err
    assert execute(app, [*base, "-o", str(tmp_path / "b"), "--time", "1"]) in (0, 4)
    assert tifffile.imread(tmp_path / "b" / "deconvolved.ome.tif").shape == (192, 208)


@pytest.mark.parametrize(
    "words",
    [
        ["--adapt", "5"],
        ["--model", "MODEL", "--budget", "5min"],
        ["--model", "MODEL", "--time", "all", "--trained-on", "2"],
        ["--model", "MODEL", "--resume"],
        ["--model", "MODEL", "--pairs", "realigned"],
        ["--model", "MODEL", "--set", "zsdeconv.width=8"],
    ],
)
def test_what_does_not_go_together(folder, following, tmp_path, capsys, words):
    write_raw(tmp_path / "next.ome.tif", following, provenance={})
    words = [str(folder) if w == "MODEL" else w for w in words]
    code = execute(app, ["sim", str(tmp_path / "next.ome.tif"), "-o", str(tmp_path / "o"), *words])
    assert code == 2
    said = capsys.readouterr().err
    assert "--model" in said or "zsdeconv.width" in said
    assert not (tmp_path / "o").exists()


def test_a_recording_without_any_picture_leaves_nothing(folder, following, tmp_path, capsys):
    dark = following.data * 0 + 110
    dark += np.random.default_rng(0).integers(-8, 9, dark.shape).astype(dark.dtype)
    write_raw(tmp_path / "dark.ome.tif", replace(following, data=dark), provenance={})
    out = tmp_path / "o"
    code = execute(app, ["sim", str(tmp_path / "dark.ome.tif"), "-o", str(out), "--time", "all",
                         "--model", str(folder), "--device", "cpu"])  # fmt: skip
    assert code == 4
    assert "No time point has a picture" in capsys.readouterr().err
    assert not out.exists()


def test_the_model_itself_is_never_overwritten(folder, following, tmp_path, capsys):
    write_raw(tmp_path / "next.ome.tif", following, provenance={})
    before = (folder / "model/model.safetensors").read_bytes()
    code = execute(app, ["sim", str(tmp_path / "next.ome.tif"), "-o", str(folder), "--time", "all",
                         "--model", str(folder), "--device", "cpu"])  # fmt: skip
    assert code == 2
    assert (folder / "model/model.safetensors").read_bytes() == before
    assert not (folder / "qc.json").exists()


def test_one_process_applies_a_model(folder, tmp_path, capsys, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2" if "SIZE" in name else "0")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "1")
    code = execute(app, ["sim", "raw.tif", "-o", str(tmp_path / "o"), "--model", str(folder)])
    assert code == 2
    assert "without torchrun" in capsys.readouterr().err
