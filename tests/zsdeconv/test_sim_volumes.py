"""SIM volumes as measurements: forward model, pairs, and the whole enhancement."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from volume_examples import make_volume_pattern, volume_otf

from simrecon import simulate_volume
from simrecon.config import build_settings
from simrecon.errors import InputError, UsageError
from simrecon.io import write_pattern, write_raw
from simrecon.io.otf_write import write_priism_otf
from simrecon.model.grid import VolumeGrid
from simrecon.model.psf import DirectionalVolumeOTF
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.pipeline import reconstruct
from simrecon.recon.operator import Reconstructor
from simrecon.shell import execute
from zsdeconv import ZsSettings, enhance
from zsdeconv.cli import app
from zsdeconv.config import VOLUME_DEFAULTS
from zsdeconv.enhancement import save_model
from zsdeconv.learned import Learned
from zsdeconv.losses import RawLikelihood
from zsdeconv.measurement import Padding
from zsdeconv.pairs_sim_volume import sim_volume_forward, sim_volume_measurement
from zsdeconv.recorrupt import recorrupt
from zsdeconv.series_files import write_restored
from zsdeconv.sim_model import SimModel
from zsdeconv.time_points import Recording
from zsdeconv.train import fit
from zsdeconv.training import prepare

SHAPE = (6, 24, 28)
QUICK = {"iterations": 2, "width": 4, "patch": 48, "bank": 2, "uncertainty_draws": 0, "margin": 4,
         "held_out_draws": 0, "patch_planes": 12, "stacking_draws": 0, "precision": "float32",
         "self_ensemble": False, "device": "cpu"}  # fmt: skip


@pytest.fixture(autouse=True)
def _short_starts(monkeypatch):
    """Three iterations of the classical start are enough to go through everything."""
    monkeypatch.setattr("zsdeconv.start.MAX_VOLUME_ITERATIONS", 3)


@pytest.fixture(scope="module")
def scene():
    """A small 3D-SIM volume, see :func:`make_scene`."""
    return make_scene("3d")


@pytest.fixture(scope="module")
def sheet():
    """A small light-sheet volume: fewer frames, so it serves where the mode plays no part."""
    return make_scene("lls")


def make_scene(mode):
    """(mode, stack, truth, settings, result, measurement) of one small volume."""
    stack, truth = simulate_volume(mode=mode, shape=SHAPE, peak_e=60.0, seed=2,
                                   phase_jitter_rad=0.05, intensity_jitter=0.02)  # fmt: skip
    settings = build_settings(("test", {"mode": mode, "variance": False}))
    pattern = replace(truth.pattern, verdict="ok")
    result = reconstruct(stack, settings, otf=truth.otf, pattern=pattern)
    made = sim_volume_measurement(stack, result, settings, input_regularization=0.02,
                                  shown_cutoff=1.5)  # fmt: skip
    return mode, stack, replace(truth, pattern=pattern), settings, result, made


def test_the_lifted_frames_are_the_reconstruction(sheet):
    _, stack, _, settings, result, _ = sheet
    made = sim_volume_measurement(stack, result, settings)
    np.testing.assert_allclose(made.image, result.image[0, 0], rtol=0,
                               atol=1e-5 * np.abs(made.image).max())  # fmt: skip


@pytest.mark.parametrize("per_direction", [False, True])
@pytest.mark.parametrize("pixel_um", [0.08, 0.12])
def test_forward_model_is_that_of_the_engine(per_direction, pixel_um):
    """The same map for a whole field; also where the camera folds frequencies, and for one OTF per
    direction."""
    grid = VolumeGrid((7, 26, 24), pixel_um, 0.2, shear=(0.3, 0.0))
    pattern, otf = make_volume_pattern(grid), volume_otf()
    if per_direction:
        weaker = replace(otf, values=otf.values * np.array([1.0, 0.9, 0.7])[:, None, None])
        otf = DirectionalVolumeOTF((otf, weaker, otf))
    operator = Reconstructor(pattern, otf, grid, frame_variance_e2=1.0, regularization=None)
    image = np.random.default_rng(0).random(operator.sr_grid.shape).astype(np.float32)
    forward = sim_volume_forward(operator)
    margin = operator._padding.margin
    origin = (-margin[0], -2 * margin[1], -2 * margin[2])
    padded = torch.from_numpy(operator._sr_padding.extend(image).astype(np.float32))
    ours = operator._padding.crop(forward(padded[None, None], [origin])[0].numpy())
    theirs = operator.forward(image).reshape(ours.shape)
    assert np.std(ours - theirs) < 1e-5 * theirs.std()
    assert not np.allclose(ours[0], ours[1], rtol=0, atol=0.05 * ours.std())


@pytest.mark.parametrize("zoom", [1, 2])
def test_transpose(zoom):
    grid = VolumeGrid((5, 12, 14), 0.12, 0.2)
    operator = Reconstructor(make_volume_pattern(grid), volume_otf(), grid, zoom=zoom,
                             frame_variance_e2=1.0, regularization=None)  # fmt: skip
    forward = sim_volume_forward(operator)
    rng = np.random.default_rng(0)
    f = torch.from_numpy(rng.standard_normal((5, 12 * zoom, 14 * zoom)).astype(np.float32))
    g = torch.from_numpy(rng.standard_normal((15, 5, 12, 14)).astype(np.float32))
    origin = (3, -3 * zoom, 5 * zoom)
    left = float((forward(f[None, None], [origin])[0] * g).sum())
    right = float((f * forward.transpose(g, origin)).sum())
    assert abs(left - right) < 2e-5 * float(f.norm() * g.norm())
    assert abs(left) > 1e-3 * float(f.norm() * g.norm())


def test_re_corrupted_volumes_have_independent_noise(scene):
    """Noise of the copies' raw frames and of the copies' volumes over 60 acquisitions.

    The means over the voxels of the covariance in units of the variances: 0 within 0.006 (their
    standard error, measured: 0.002); with noise of the wrong size (variance × 1.3) it is 0.15.
    """
    *_, made = scene
    rng = np.random.default_rng(1)
    sigma = np.sqrt(made.variance_e2)
    found = {1.0: [], 1.3: []}
    for _ in range(60):
        noise = rng.standard_normal(sigma.shape).astype(np.float32) * sigma
        for wrong, values in found.items():
            z = made.draw_noise(rng, np.float32(wrong) * made.variance_e2)
            raw = recorrupt(noise, z, 0.7)
            lifted = [made.lift(one) for one in raw]
            values.append(
                [float((a * b / v).mean()) for (a, b), v in
                 ((raw, made.variance_e2), (lifted, made.image_variance))]
            )  # fmt: skip
    right, off = (np.mean(v, axis=0) for v in found.values())
    assert np.all(np.abs(right) < [0.01, 0.08])
    assert np.all(off < [-0.25, -0.2])


def test_the_propagated_variance_is_that_of_the_lifted_noise(scene):
    *_, made = scene
    rng = np.random.default_rng(3)
    power = np.mean([made.lift(made.draw_noise(rng)) ** 2 for _ in range(40)], axis=0)
    inner = np.s_[:, 8:-8, 8:-8]
    assert np.median((power / made.image_variance)[inner]) == pytest.approx(1.0, abs=0.08)


def test_a_volume_is_zoomed_in_the_plane_only(scene):
    *_, made = scene
    assert made.image.shape == made.image_shape == (6, 48, 56)
    assert made.padding.origin[0] == -made.padding.before[0]
    assert made.padding.origin[1] == -2 * made.padding.before[1]
    assert made.steps[0] == pytest.approx(made.dz_um / made.pixel_um * 2)
    padding = Padding.around((5, 9, 10), 2, (1, 8, 8), margins=(3, 4, 4))
    volume = np.random.default_rng(0).random((5, 18, 20))
    padded = padding.image(volume)
    assert padded.shape == padding.image_shape
    assert padded.shape[0] == 11
    np.testing.assert_array_equal(padding.crop_image(padded), volume)


def test_a_patch_explains_what_it_changes(sheet):
    """With the frames of the whole start, the likelihood of a patch whose object is the start is
    that of the whole field; from the patch alone light from around it is missing."""
    *_, made = sheet
    run = prepare(made, ZsSettings(**{**VOLUME_DEFAULTS, **QUICK}), torch.device("cpu"))
    batch = run.sampler.pairs()
    term = RawLikelihood([made.forward], made.zoom)
    margins = (2, 4, 4)
    assert batch.expected is not None
    squares = (batch.expected - batch.raw_target) ** 2 * batch.weights / batch.inflation
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2), slice(2, -2))
    wanted = squares[inside].sum() / (batch.weights[inside] > 0).sum()
    assert float(term(batch.start, batch, margins)) == pytest.approx(float(wanted), rel=1e-5)
    alone = float(term(batch.start, replace(batch, expected=None), margins))
    assert alone > 1.02 * float(wanted)
    before = [p.clone() for p in run.network.parameters()]
    fit(run)
    assert any(not torch.equal(a, b) for a, b in zip(before, run.network.parameters(), strict=True))


def test_a_model_restores_a_volume_as_its_training_did(sheet):
    *_, made = sheet
    done = enhance(made, ZsSettings(**{**VOLUME_DEFAULTS, **QUICK}))
    learned = Learned.of(done.model, done.model_facts, made.image_cutoff_px, device="cpu")
    again = learned(made)
    for one, other in ((again.denoised, done.denoised), (again.deconvolved, done.deconvolved)):
        assert one.shape == made.image_shape
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3 * other.max())


def test_a_model_of_volumes_restores_another_recording(sheet, tmp_path):
    """Two time points of volumes by a model of one; a model of planes or other steps is refused."""
    _, stack, truth, settings, *_ = sheet
    trained = enhance(stack, ZsSettings(**{**VOLUME_DEFAULTS, **QUICK}), engine=settings,
                      otf=truth.otf, pattern=truth.pattern)  # fmt: skip
    save_model(trained, tmp_path / "model")
    movie = replace(stack, data=np.concatenate([stack.data, stack.data]))
    model = SimModel.read(tmp_path, device="cpu")
    recording = Recording(movie, model.settings, settings, truth.otf, truth.pattern)
    found, _ = write_restored(recording, model.predict, tmp_path / "out", provenance={},
                              progress=lambda *_: None)  # fmt: skip
    assert [t["chi2"] for t in found["times"]] == [pytest.approx(found["times"][0]["chi2"])] * 2
    volume = tifffile.imread(tmp_path / "out" / "deconvolved.ome.tif")
    assert volume.shape == (2, *trained.deconvolved.shape)
    np.testing.assert_allclose(volume[1], trained.deconvolved, rtol=0,
                               atol=2e-3 * np.abs(trained.deconvolved).max())  # fmt: skip
    with tifffile.TiffFile(tmp_path / "out" / "deconvolved.ome.tif") as file:
        assert f'PhysicalSizeZ="{stack.dz_um:g}' in file.ome_metadata
    for key, value, words in (("dz_um", 2 * stack.dz_um, "distance of planes"),
                              ("dz_um", None, "kind")):  # fmt: skip
        other = replace(model, facts={**model.facts, key: value})
        with pytest.raises(InputError, match=words):
            other.predict(recording.measure(0)[1])


@pytest.mark.parametrize(("name", "loss"), [("scene", "raw"), ("sheet", "variance")])
def test_program_enhances_a_volume(name, loss, tmp_path, capsys, request):
    mode, stack, truth, *_ = request.getfixturevalue(name)
    write_raw(tmp_path / "raw.ome.tif", stack, provenance={})
    write_pattern(tmp_path / "pattern.json", truth.pattern)
    out = tmp_path / "out"
    optics = {"3d": ["--excitation-nm", "488", "--excitation-na", "1.2"],
              "lls": ["--excitation-nm", "488", "--lattice-na-max", "0.46",
                      "--lattice-na-min", "0.36"]}  # fmt: skip
    arguments = ["sim", str(tmp_path / "raw.ome.tif"), "-o", str(out), "--mode", mode,
                 "--loss", loss, "--pattern", str(tmp_path / "pattern.json"), *optics[mode],
                 *(f"--set=zsdeconv.{k}={json.dumps(v) if not isinstance(v, str) else v}"
                   for k, v in QUICK.items())]  # fmt: skip
    code = execute(app, arguments)
    said = capsys.readouterr()
    assert code in (0, 4), said.err
    assert "plan: training" in said.out
    names = ("sim", "variance", "denoised", "deconvolved", "consistency")
    for name in names:
        volume = tifffile.imread(out / f"{name}.ome.tif")
        assert volume.shape == (SHAPE if name == "consistency" else (6, 48, 56))
        assert np.isfinite(volume).all()
    assert (out / "overview.png").stat().st_size > 10_000
    card = json.loads((out / "model/model.json").read_text())
    assert card["kind"] == "sim"
    assert card["dz_um"] == pytest.approx(stack.dz_um)
    assert card["settings"]["network"] == "compact3d"


def test_program_takes_measured_otfs_of_all_orders(scene, tmp_path, capsys):
    _, stack, truth, *_ = scene
    kr, kz = np.arange(41) * 0.15, np.fft.fftfreq(32) * 32 * 0.1
    table = np.stack([
        evaluate_volume_otf(truth.otf, order, kz[None, :], np.zeros((1, 1)), kr[:, None])
        for order in range(3)
    ])  # fmt: skip
    write_priism_otf(tmp_path / "otf.mrc", table, 0.15, 0.1, emission_nm=525.0)
    frames = np.asarray(stack.data)[0, 0].transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(tmp_path / "raw.tif", frames.reshape(-1, *SHAPE[1:]), photometric="minisblack")
    write_pattern(tmp_path / "pattern.json", truth.pattern)
    words = ["sim", str(tmp_path / "raw.tif"), "-o", str(tmp_path / "out"), "--mode", "3d",
             "--otf", str(tmp_path / "otf.mrc"), "--pattern", str(tmp_path / "pattern.json"),
             "--order", "PZA", "--angles", "3", "--phases", "5", "--pixel-um", "0.08",
             "--dz-um", "0.125", "--na", "1.4", "--emission-nm", "525", "--gain", "1",
             "--offset", "100",
             *(f"--set=zsdeconv.{k}={json.dumps(v) if not isinstance(v, str) else v}"
               for k, v in QUICK.items())]  # fmt: skip
    code = execute(app, words)
    assert code in (0, 4), capsys.readouterr().err
    with tifffile.TiffFile(tmp_path / "out" / "sim.ome.tif") as file:
        assert "otf.mrc" in file.ome_metadata


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["--mode", "3d", "--plane", "1"], 2, "planes of a volume"),
        (["--mode", "3d", "--network", "compact"], 2, "not one of volumes"),
        (["--mode", "2d", "--plane", "0", "--network", "compact3d"], 2, "not one of planes"),
        (["--mode", "3d", "--set=reconstruction.max_memory_gb=2"], 2, "in one piece"),
        (["--mode", "3d", "--set=reconstruction.method=tv"], 2, "linear reconstruction"),
        (["--mode", "lls", "--scan", "stage", "--stage-angle-deg", "32"], 2, "Stage scans"),
        (["--mode", "3d", "--loss", "whitened"], 2, "one of planes"),
        (["--mode", "3d", "--resume"], 3, "nothing to resume"),
    ],
)
def test_what_cannot_be_enhanced_is_refused(words, code, message, tmp_path, capsys):
    stack, _ = simulate_volume(mode="3d", shape=(6, 16, 16), peak_e=60.0, seed=2, directions=1)
    write_raw(tmp_path / "raw.ome.tif", stack, provenance={})
    out = tmp_path / "out"
    assert execute(app, ["sim", str(tmp_path / "raw.ome.tif"), "-o", str(out), *words]) == code
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_few_planes_are_no_volume(scene):
    _, stack, truth, settings, *_ = scene
    thin = replace(stack, data=stack.data[:, :, :, :, :4])
    with pytest.raises(UsageError, match="too few planes"):
        enhance(thin, engine=settings, pattern=truth.pattern, otf=truth.otf)
    with pytest.raises(UsageError, match="not one of volumes"):
        enhance(stack, ZsSettings(), engine=settings, pattern=truth.pattern, otf=truth.otf)
