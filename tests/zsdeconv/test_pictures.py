"""The commands on plain pictures, as their user runs them, and what they refuse."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError, UsageError
from simrecon.io import write_raw
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.simulate import simulate
from simrecon.shell import execute
from zsdeconv import ZsSettings, enhance
from zsdeconv.checkpoint import FACTS_FILE, MODEL_FILE, STATE_FILE, read_model, write_model
from zsdeconv.cli import app
from zsdeconv.demo_picture import simulate_picture
from zsdeconv.image_psf import read_psf, theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.pairs_image import expectation
from zsdeconv.picture_model import PictureModel
from zsdeconv.picture_training import liveliest
from zsdeconv.psf_checks import centred_psf

QUICK = ["--iterations", "6", *(f"--set=zsdeconv.{s}" for s in (
    "width=8", "patch=64", "bank=2", "uncertainty_draws=2", "resimulation=0"))]  # fmt: skip
OPTICS = ["--pixel-um", "0.065", "--na", "1.49", "--emission-nm", "525"]
CAMERA = ["--gain", "2.2", "--offset", "100", "--read-noise-e", "1.5"]


@pytest.fixture(scope="module")
def scene():
    return simulate_picture(kind="blobs", size=64, peak_e=40.0, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, scene):
    """A picture with metadata, a movie without, and a model of the movie."""
    here = tmp_path_factory.mktemp("pictures")
    write_raw(here / "one.ome.tif", scene.stack, provenance={})
    movie = np.stack([scene.counts, np.roll(scene.counts, 9, 0), scene.counts[::-1]])
    tifffile.imwrite(here / "movie.tif", movie, photometric="minisblack")
    code = execute(
        app, ["train", str(here / "movie.tif"), "-o", str(here / "out"), *OPTICS, *CAMERA, *QUICK]
    )
    assert code in (0, 4)
    return here


def test_training_on_a_movie_makes_a_model_that_says_what_it_is(folder, capsys):
    names = {p.name for p in (folder / "out").iterdir()}
    assert names == {*(f"{n}.ome.tif" for n in ("image", "variance", "denoised", "deconvolved",
                                                "uncertainty", "consistency")),
                     "overview.png", "qc.json", "model"}  # fmt: skip
    facts = read_model(folder / "out" / "model")[1]
    assert facts["pictures"] == 3
    assert facts["imaging"]["camera"]["gain"] == 2.2
    assert execute(app, ["info", str(folder / "out")]) == 0
    said = capsys.readouterr().out
    for words in ("pictures: 3, widefield, NA 1.49, 525 nm", "gain 2.2", "65.00 nm", "limits:"):
        assert words in said


@pytest.mark.parametrize(
    "option, value, named",
    [
        ("--read-noise-e", "2.5", ["the camera's noise (by "]),
        ("--na", "1.3", ["the forward model", "its PSF"]),
        ("--gain", "2.4", ["the raw frames", "the linear picture"]),
    ],
)
def test_a_training_of_other_inputs_is_not_resumed(folder, option, value, named, capsys):
    argv = ["train", str(folder / "movie.tif"), "-o", str(folder / "out"), *OPTICS, *CAMERA, *QUICK,
            "--resume"]  # fmt: skip
    argv[argv.index(option) + 1] = value
    state = folder / "out" / "model" / STATE_FILE
    kept = state.read_bytes()
    assert execute(app, argv) == 3
    said = capsys.readouterr().err
    for words in named:
        assert words in said
    assert ("the raw frames" in said) == ("the raw frames" in named)
    assert state.read_bytes() == kept


def test_one_picture_in_one_command(folder, scene, tmp_path, capsys):
    code = execute(
        app, ["image", str(folder / "one.ome.tif"), "-o", str(tmp_path), *QUICK, "--json"]
    )
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["verdicts"]["overall"] == "ok" else 4)
    image = tifffile.imread(tmp_path / "image.ome.tif")
    np.testing.assert_allclose(image, (scene.counts - 100.0) / 2.2, rtol=1e-5)  # camera in the file
    denoised = tifffile.imread(tmp_path / "denoised.ome.tif")
    assert np.std(denoised - scene.clean_e) < 0.8 * np.std(image - scene.clean_e)
    assert PictureModel.read(tmp_path).imaging.pixel_um == 0.065
    assert execute(app, ["image", str(folder / "movie.tif"), "-o", str(tmp_path), *OPTICS]) == 2
    assert "zsdeconv train" in capsys.readouterr().err


def test_a_fixed_pattern_is_taken_off_in_training_and_prediction(scene, tmp_path, capsys):
    columns = np.random.default_rng(2).normal(0.0, 15.0, 64)
    tifffile.imwrite(tmp_path / "lines.tif", (scene.counts + columns).astype(np.float32))
    tifffile.imwrite(tmp_path / "part.tif", (scene.counts + columns)[:60].astype(np.float32))
    argv = ["image", str(tmp_path / "lines.tif"), "-o", str(tmp_path / "out"), *OPTICS, *CAMERA,
            *QUICK, "--fixed-pattern", "auto"]  # fmt: skip
    assert execute(app, argv) in (0, 4)
    assert "fixed pattern taken off: columns" in capsys.readouterr().out
    assert execute(app, ["info", str(tmp_path / "out")]) == 0
    assert "fixed pattern taken off: columns" in capsys.readouterr().out
    image = tifffile.imread(tmp_path / "out" / "image.ome.tif")
    off = (scene.counts + columns - 100.0) / 2.2 - image
    assert np.ptp(off, axis=0).max() < 1e-3
    wanted = (columns - columns.mean()) / 2.2
    assert np.std(off[0] - off[0].mean() - wanted) < 0.5 * np.std(wanted)
    qc = json.loads((tmp_path / "out" / "qc.json").read_text())
    assert qc["provenance"]["imaging"]["fixed_pattern"]["columns_sd"] > 5.0
    model = PictureModel.read(tmp_path / "out")
    made = model.predict(tifffile.imread(tmp_path / "lines.tif"))
    shown = tifffile.imread(tmp_path / "out" / "denoised.ome.tif")
    np.testing.assert_allclose(made.denoised, shown, atol=2e-3 * shown.max())
    maps = Camera(2.2, np.full((64, 64), 100.0, np.float32), 1.5)
    with pytest.raises(InputError, match="twice"):
        PictureModel.read(tmp_path / "out", camera=maps)
    again = ["predict", str(tmp_path / "part.tif"), "--model", str(tmp_path / "out"), "-o",
             str(tmp_path / "more")]  # fmt: skip
    assert execute(app, again) == 3
    assert "does not fit the picture" in capsys.readouterr().err
    assert execute(app, [*again, "--fixed-pattern", "auto"]) == 2
    both = [str(tmp_path / "part.tif"), str(tmp_path / "lines.tif")]
    assert execute(app, ["train", *both, *argv[2:]]) == 3
    assert "one camera window" in capsys.readouterr().err


def test_prediction_is_that_of_python_picture_by_picture(folder, tmp_path, capsys):
    argv = ["predict", str(folder / "movie.tif"), "--model", str(folder / "out"), "-o",
            str(tmp_path), "--json"]  # fmt: skip
    code = execute(app, argv)
    report = json.loads(capsys.readouterr().out)
    assert code == (0 if report["verdict"] == "ok" else 4)
    assert len(report["files"]) == 3
    movie = tifffile.imread(folder / "movie.tif")
    model = PictureModel.read(folder / "out")
    for index, counts in enumerate(movie):
        made = model.predict(counts)
        for name in ("denoised", "deconvolved"):
            written = tifffile.imread(tmp_path / f"movie.{name}.ome.tif")
            assert written.shape == movie.shape
            assert written.dtype == np.float32
            np.testing.assert_array_equal(written[index], getattr(made, name))
    with tifffile.TiffFile(tmp_path / "movie.denoised.ome.tif") as file:
        assert 'PhysicalSizeX="0.065"' in file.ome_metadata


def test_another_camera_needs_all_its_numbers(folder, tmp_path, capsys):
    argv = ["predict", str(folder / "movie.tif"), "--model", str(folder / "out"), "-o",
            str(tmp_path / "p")]  # fmt: skip
    assert execute(app, [*argv, "--gain", "2"]) == 2
    assert "all its numbers" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_prediction_is_what_the_training_showed(folder):
    """The same network, start, scale and stacking: the middle picture comes out the same."""
    middle = tifffile.imread(folder / "movie.tif")[1]
    made = PictureModel.read(folder / "out").predict(middle)
    for name in ("denoised", "deconvolved"):
        shown = tifffile.imread(folder / "out" / f"{name}.ome.tif")
        np.testing.assert_allclose(getattr(made, name), shown, atol=2e-3 * shown.max())


def test_adaptation_trains_on_every_picture(folder, tmp_path, capsys):
    argv = ["adapt", str(folder / "movie.tif"), "--model", str(folder / "out"), "-o",
            str(tmp_path), "--save-model", "--iterations", "3"]  # fmt: skip
    assert execute(app, argv) in (0, 4)
    adapted = tifffile.imread(tmp_path / "movie.denoised.ome.tif")
    general = PictureModel.read(folder / "out").predict(tifffile.imread(folder / "movie.tif")[0])
    difference = np.std(adapted[0] - general.denoised)
    assert 0 < difference < 0.3 * np.std(general.denoised)
    assert execute(app, [*argv[:-1], "0"]) == 2
    # the kept models make of their pictures what was shown of them, and are models like others
    models = sorted(p.name for p in (tmp_path / "models").iterdir())
    assert models == ["movie_0001", "movie_0002", "movie_0003"]
    again = PictureModel.read(tmp_path / "models" / "movie_0003")
    made = again.predict(tifffile.imread(folder / "movie.tif")[2])
    np.testing.assert_allclose(made.denoised, adapted[2], atol=2e-3 * adapted[2].max())
    assert again.facts["adapted_from"] == read_model(folder / "out" / "model")[1]["content_sha256"]
    argv[argv.index("--model") + 1] = str(tmp_path / "models" / "movie_0003")
    capsys.readouterr()
    assert execute(app, argv) == 2
    assert "would replace an input" in capsys.readouterr().err


def test_tiles_meet_without_a_seam(folder):
    """Any size, in tiles; as a whole, the same within a small part of the noise."""
    counts = np.tile(tifffile.imread(folder / "movie.tif")[0], (4, 3))[:250, :173]
    whole = PictureModel.read(folder / "out", tile=512).predict(counts)
    tiles = PictureModel.read(folder / "out", tile=128).predict(counts)
    assert whole.denoised.shape == (250, 173)
    noise = np.sqrt(np.mean(whole.denoised) + 1.5**2)
    assert np.abs(tiles.denoised - whole.denoised).max() < 0.05 * noise


def test_a_changed_checkpoint_is_refused(folder, tmp_path, capsys):
    model = tmp_path / "model"
    shutil.copytree(folder / "out" / "model", model)
    data = bytearray((model / MODEL_FILE).read_bytes())
    data[-5] ^= 1
    (model / MODEL_FILE).write_bytes(bytes(data))
    argv = ["predict", str(folder / "movie.tif"), "--model", str(model), "-o", str(tmp_path)]
    assert execute(app, argv) == 3
    assert "changed after it was written" in capsys.readouterr().err
    assert execute(app, ["info", str(model)]) == 3
    tensors, facts = read_model(folder / "out" / "model")
    plain = {k: v for k, v in facts.items() if k not in ("schema", "content_sha256")}
    write_model(model, tensors, plain)
    read_model(model)
    card = json.loads((model / FACTS_FILE).read_text())
    card["content_sha256"] = "0" * 64
    (model / FACTS_FILE).write_text(json.dumps(card))
    with pytest.raises(InputError, match="card does not belong"):
        read_model(model)
    write_model(model, tensors, {**plain, "kind": "sim"})
    with pytest.raises(InputError, match="not trained on pictures"):
        PictureModel.read(model)
    assert not (tmp_path / "movie.denoised.ome.tif").exists()


def test_other_set_ups_are_refused(folder, tmp_path, capsys):
    argv = ["predict", str(folder / "movie.tif"), "--model", str(folder / "out"), "-o",
            str(tmp_path)]  # fmt: skip
    for option, value, words in (
        ("--pixel-um", "0.1", "another pixel size"),
        ("--emission-nm", "610", "another emission wavelength"),
    ):
        assert execute(app, [*argv, option, value]) == 3
        assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("declared", [True, False])
def test_raw_sim_frames_are_no_pictures(declared, tmp_path, capsys):
    stack, _ = simulate(shape=(128, 128), kind="filaments", peak_e=1000.0, seed=1)
    path = tmp_path / ("raw.ome.tif" if declared else "raw.tif")
    if declared:
        write_raw(path, stack, provenance={})
    else:
        tifffile.imwrite(path, np.asarray(stack.data).reshape(9, 128, 128))
    assert execute(app, ["train", str(path), "-o", str(tmp_path / "out"), *OPTICS]) == 3
    error = capsys.readouterr().err
    assert "raw SIM frames" in error
    assert "zsdeconv sim" in error


BAD = {
    "one pixel": (np.array([[7]], np.uint16), "too small"),
    "not finite": (np.where(np.eye(64) > 0, np.nan, 5.0).astype(np.float32), "NaN"),
    "constant": (np.full((64, 64), 9, np.uint16), "constant"),
}


@pytest.mark.parametrize("name", BAD)
def test_impossible_pictures_are_refused(name, tmp_path, capsys):
    picture, words = BAD[name]
    tifffile.imwrite(tmp_path / "bad.tif", picture)
    argv = ["image", str(tmp_path / "bad.tif"), "-o", str(tmp_path / "out"), *OPTICS, *CAMERA]
    assert execute(app, argv) == 3
    error = capsys.readouterr().err
    assert words in error
    assert "bad.tif, picture 1 of 1" in error
    assert not (tmp_path / "out").exists()


def test_pictures_below_the_offset_are_refused(tmp_path, capsys):
    dark = np.random.default_rng(0).normal(90.0, 3.0, (64, 64))  # the offset is 100
    tifffile.imwrite(tmp_path / "dark.tif", dark.astype(np.uint16))
    argv = ["image", str(tmp_path / "dark.tif"), "-o", str(tmp_path / "out"), *OPTICS, *CAMERA]
    assert execute(app, argv) == 3
    assert "below the camera's offset" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_optics_are_asked_for(folder, tmp_path, capsys):
    argv = ["image", str(folder / "movie.tif"), "-o", str(tmp_path / "out"), *CAMERA]
    assert execute(app, argv) == 3
    assert "--pixel-um" in capsys.readouterr().err
    assert execute(app, [*argv, "--pixel-um", "0.065"]) == 3
    assert "--na and --emission-nm" in capsys.readouterr().err


def test_psf_files_are_centred_and_checked(tmp_path, capsys, folder):
    optics = Optics(na=1.49, emission_nm=525.0)
    wanted = theoretical_psf(optics, 0.065, "widefield")
    path = tmp_path / "psf.tif"
    shifted = np.roll(1000 * wanted + 1.0, (4, -3), (0, 1)).astype(np.float32)
    tifffile.imwrite(path, shifted)
    found, source = read_psf(path, optics, 0.065, 0.065)
    assert "psf.tif" in source
    assert np.unravel_index(np.argmax(found), found.shape) == (24, 24)
    assert np.abs(found - wanted).max() < 0.03 * wanted.max()
    argv = ["image", str(folder / "one.ome.tif"), "-o", str(tmp_path / "out"), "--psf", str(path)]
    assert execute(app, [*argv, "--psf-pixel-um", "0.02"]) == 3
    assert "check the pixel size of the PSF" in capsys.readouterr().err
    with pytest.raises(InputError, match="not centred"):
        centred_psf(np.roll(wanted, 2, 0), 2)
    with pytest.raises(InputError, match="not centred"):
        enhance(np.eye(64), psf=np.roll(wanted, 2, 0), pixel_um=0.065, camera=Camera())
    with pytest.raises(InputError, match="NaN"):
        centred_psf(np.full((5, 5), np.nan), 2)
    with pytest.raises(UsageError, match="positive sum"):
        centred_psf(-wanted, 2)


def test_confocal_and_two_photon_psfs_are_sharper():
    optics = Optics(na=1.4, emission_nm=525.0, excitation_nm=488.0)
    widths = {}
    for kind in ("widefield", "confocal"):
        psf = theoretical_psf(optics, 0.05, kind)
        assert psf.sum() == pytest.approx(1.0)
        assert np.unravel_index(np.argmax(psf), psf.shape) == (24, 24)
        np.testing.assert_allclose(psf, psf[::-1, ::-1], atol=1e-3 * psf.max())
        widths[kind] = psf.max()
    assert widths["confocal"] > 1.4 * widths["widefield"]
    with pytest.raises(InputError, match="excitation"):
        theoretical_psf(Optics(na=1.4, emission_nm=525.0), 0.05, "two-photon")


def test_maps_bad_pixels_and_constant_noise(scene):
    psf = theoretical_psf(Optics(na=1.49, emission_nm=525.0), 0.065, "widefield")
    offset = np.full((64, 64), 100.0, np.float32)
    offset[20, 30] = np.nan
    camera = Camera(2.2, offset, 1.5)
    counts = scene.counts.astype(float)
    counts[20, 30] = 60000.0
    made = Imaging(0.065, psf, 5.7, camera).measure(counts)
    assert np.isfinite(made.frames_e).all()
    assert made.frames_e.max() < 2 * scene.clean_e.max() + 20
    with pytest.raises(InputError, match="maps do not fit"):
        Imaging(0.065, psf, 5.7, camera).measure(counts[:50])
    flat = Imaging(0.065, psf, 5.7, Camera(1.0, 0.0, 6.0), shot_noise=False).measure(counts)
    np.testing.assert_allclose(flat.variance_e2, 36.0)
    few = ZsSettings(iterations=2, width=8, patch=64, bank=2, uncertainty_draws=0)
    assert np.isfinite(enhance(flat, few).deconvolved).all()
    card = Imaging(0.065, psf, 5.7, camera)
    with pytest.raises(InputError, match="maps of a camera"):
        Imaging.from_card(card.card(), card.tensors(), None)


def test_the_variance_of_dim_pictures_does_not_follow_their_noise():
    """Half a photo-electron per pixel: known to 10 %, as at a hundred; bright edges stay."""
    psf = theoretical_psf(Optics(na=1.49, emission_nm=525.0), 0.065, "widefield")
    rng = np.random.default_rng(0)
    for level in (0.5, 100.0):
        made = expectation(rng.poisson(level, (128, 128)).astype(float), psf)
        assert made.mean() == pytest.approx(level, rel=0.05)
        assert made.std() < 0.12 * level
    edge = np.zeros((64, 64))
    edge[:, 32:] = 300.0
    assert expectation(edge, psf)[:, 40:56].min() > 250.0


def test_negative_and_clipped_counts_pass(scene):
    """Offset-corrected pictures go below zero; that is data, not an error."""
    psf = theoretical_psf(Optics(na=1.49, emission_nm=525.0), 0.065, "widefield")
    counts = scene.counts.astype(float) - 100.0
    counts = np.minimum(counts, 60.0)
    made = Imaging(0.065, psf, 5.7, Camera(2.2, 0.0, 1.5)).measure(counts)
    assert made.frames_e.min() < 0
    assert (made.variance_e2 > 0).all()


def test_the_liveliest_part_is_trained_on():
    picture = np.zeros((200, 160))
    picture[100:140, 60:120] = np.random.default_rng(0).normal(0, 50, (40, 60)).cumsum(1)
    part = liveliest(picture, 96)
    assert part.shape == (96, 96)
    assert part.var() > 2 * picture.var()
    assert liveliest(picture, 300) is picture
