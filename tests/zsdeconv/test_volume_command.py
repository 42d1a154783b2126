from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from simrecon.config import Settings
from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io import read_raw
from simrecon.io.calibration_record import CalibrationRecord, write_record
from simrecon.io.camera_record import camera_quantities
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.shell import execute
from zsdeconv.cli import app
from zsdeconv.pairs_volume import camera_volume, checked_psf, widths_px
from zsdeconv.volume_files import open_volume
from zsdeconv.volume_psf import read_volume_psf, theoretical_volume_psf

OPTICS = ["--na", "1.1", "--index", "1.333", "--emission-nm", "525", "--excitation-nm", "488"]
CAMERA = ["--gain", "2", "--offset", "100", "--read-noise-e", "1"]
QUICK = ["--iterations", "2", "--device", "cpu"]
SETS = [f"--set=zsdeconv.{s}" for s in (
    "width=4", "patch=48", "bank=2", "uncertainty_draws=2", "held_out_draws=0", "stacking_draws=0",
    "precision=float32", "margin=4")]  # fmt: skip


def _write(path, counts, dz=0.16, **metadata):
    sizes = {f"PhysicalSize{a}": v for a, v in (("X", 0.08), ("Y", 0.08), ("Z", dz))}
    units = {f"PhysicalSize{a}Unit": "µm" for a in "XYZ"}
    tifffile.imwrite(path, counts, metadata={"axes": "ZYX", **sizes, **units, **metadata})
    return path


@pytest.fixture(scope="module")
def stack_file(tmp_path_factory):
    """A bright line in 8 planes of 32 × 40, uint16 counts."""
    z, y, x = np.indices((8, 32, 40))
    light = 3.0 + 40.0 * np.exp(-((z - 4) ** 2 / 4 + (y - 16 - 0.2 * (x - 20)) ** 2 / 4))
    rng = np.random.default_rng(0)
    counts = 100 + 2 * (rng.poisson(light) + rng.normal(0, 1, light.shape))
    folder = tmp_path_factory.mktemp("stack")
    return _write(folder / "stack.ome.tif", np.clip(np.round(counts), 0, None).astype(np.uint16))


def _run(*words):
    return execute(app, [str(w) for w in words])


def test_volume_writes_every_file_in_photo_electrons(stack_file, tmp_path):
    z, y, x = np.indices((9, 11, 11)) - np.array([4, 5, 5])[:, None, None, None]
    bead = 900.0 * np.exp(-(z**2) / 4 - (y**2 + x**2) / 3)
    psf = _write(tmp_path / "bead.ome.tif", bead.astype(np.float32))
    code = _run("volume", stack_file, "-o", tmp_path, "--psf", psf, "--pairs", "interleaved",
                *CAMERA, *QUICK, *SETS)  # fmt: skip
    assert code in (0, 4)
    for name in ("image", "variance", "denoised", "deconvolved", "uncertainty", "consistency"):
        raw = read_raw(tmp_path / f"{name}.ome.tif")
        assert raw.frames.shape[-3:] == (8, 32, 40)
        assert raw.pixel_um == pytest.approx(0.08)
        assert raw.dz_um == pytest.approx(0.16)
        assert np.isfinite(np.asarray(raw.frames)).all()
    image, shown = (np.asarray(read_raw(tmp_path / f"{n}.ome.tif").frames).sum()
                    for n in ("image", "deconvolved"))  # fmt: skip
    assert shown == pytest.approx(image, rel=0.1)
    assert (tmp_path / "overview.png").stat().st_size > 10_000
    report = json.loads((tmp_path / "qc.json").read_text())
    assert report["provenance"]["camera"]["gain"] == 2.0
    assert json.loads((tmp_path / "model/model.json").read_text())["dz_um"] == pytest.approx(0.16)


@pytest.mark.parametrize(
    "words, code, message",
    [
        (OPTICS, 3, "gain is not known"),
        (CAMERA, 3, "PSF cannot be computed"),
        ([*CAMERA, "--na", "1.1", "--emission-nm", "525", "--microscope", "confocal"], 3,
         "excitation wavelength"),
        ([*CAMERA, *OPTICS, "--network", "compact"], 2, "one of planes"),
        ([*CAMERA, "--na", "1.6", "--emission-nm", "525"], 2, "NA"),
        ([*CAMERA, *OPTICS, "--psf", "missing.tif"], 3, "does not exist"),
        ([*OPTICS, "--gain", "-1"], 2, "gain"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said(stack_file, tmp_path, capsys, words, code, message):
    out = tmp_path / "out"
    assert _run("volume", stack_file, "-o", out, *words, *QUICK) == code
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    "counts, message",
    [
        (np.full((3, 32, 32), 100, np.uint16), "too small"),
        (np.full((8, 32, 32), np.nan, np.float32), "not finite"),
        (np.full((8, 6, 6), 100, np.uint16), "too small"),
    ],
)
def test_bad_stacks_are_refused(tmp_path, capsys, counts, message):
    path = _write(tmp_path / "bad.ome.tif", counts)
    assert _run("volume", path, "-o", tmp_path / "out", *OPTICS, *CAMERA, *QUICK) == 3
    assert message in capsys.readouterr().err


def test_the_input_is_not_overwritten(stack_file, capsys):
    folder = stack_file.parent
    path = _write(folder / "image.ome.tif", np.full((8, 32, 32), 100, np.uint16))
    assert _run("volume", path, "-o", folder, *OPTICS, *CAMERA, *QUICK) == 2
    assert "image.ome.tif" in capsys.readouterr().err


def test_confocal_psf_is_narrower_and_both_fit_the_optics():
    optics = Optics(1.1, 525.0, 1.333, excitation_nm=488.0, pixel_integration=False)
    wide, confocal = (theoretical_volume_psf(optics, 0.08, 0.16, 6, m)
                      for m in ("widefield", "confocal"))  # fmt: skip
    assert wide.shape == (11, 65, 65)
    assert wide.sum() == pytest.approx(1.0)
    lateral_um = 0.08 * widths_px(wide)[1]
    assert lateral_um == pytest.approx(0.51 * 0.525 / 1.1, rel=0.12)
    for a, b in zip(widths_px(wide), widths_px(confocal), strict=True):
        assert 1.25 < a / b < 1.65
    bare = Optics(1.1, 525.0, 1.333)
    with pytest.raises(MetadataError, match="excitation"):
        theoretical_volume_psf(bare, 0.08, 0.16, 12, "confocal")


def test_measured_psf_is_centred_cleaned_and_sampled_anew(tmp_path):
    z, y, x = np.indices((25, 41, 41))
    bead = 5.0 + 200.0 * np.exp(-((z - 12.4) ** 2 / 18 + ((y - 19.3) ** 2 + (x - 21.6) ** 2) / 8))
    path = _write(tmp_path / "bead.ome.tif", bead.astype(np.float32), dz=0.08)
    psf, said = read_volume_psf(path, 0.08, 0.16, None, None)
    assert "0.08" in said
    assert psf.shape[0] % 2 == psf.shape[1] % 2 == 1
    np.testing.assert_allclose(widths_px(psf), np.multiply((1.5, 2.0, 2.0), 2.355), rtol=0.04)
    centre = np.indices(psf.shape).reshape(3, -1) @ psf.ravel()
    np.testing.assert_allclose(centre, np.asarray(psf.shape) // 2, atol=0.1)
    assert checked_psf(psf).shape == psf.shape[:1] + (max(psf.shape[1:]),) * 2
    with pytest.raises(InputError, match="more coarsely"):
        read_volume_psf(path, 0.04, 0.16, None, None)
    flat = _write(tmp_path / "flat.ome.tif", np.full((9, 9, 9), 7.0, np.float32))
    with pytest.raises(InputError, match="no light"):
        read_volume_psf(flat, 0.08, 0.16, None, None)


def _record(path, verdict, offset=100.0):
    quantities = camera_quantities(Camera(2.0, offset, 1.0))
    record = CalibrationRecord("camera", quantities, verdict=verdict, notes=("few frames",))
    write_record(path, record)
    return Settings.model_validate({"camera": {"camera": str(path)}})


def test_a_camera_record_counts_as_much_as_its_verdict(stack_file, tmp_path):
    with pytest.raises(InputError, match="failed calibration"):
        open_volume(stack_file, _record(tmp_path / "failed.h5", "failed"))
    with pytest.raises(InputError, match="do not fit"):
        open_volume(stack_file, _record(tmp_path / "small.h5", "ok", np.full((8, 8), 100.0)))
    found = open_volume(stack_file, _record(tmp_path / "weak.h5", "weak"))
    assert "few frames" in found.camera.doubts[0]
    psf = np.zeros((3, 3, 3))
    psf[1, 1, 1] = 1.0
    made = camera_volume(found.counts, psf, 0.08, 0.16, found.camera)
    assert made.doubts == found.camera.doubts


def test_a_given_number_replaces_what_the_file_states(tmp_path):
    path = _write(tmp_path / "stated.ome.tif", np.full((5, 32, 32), 120, np.uint16))
    stated = replace(read_raw(path), camera=Camera(2.0, 100.0, 1.0))
    engine = Settings.model_validate({"camera": {"gain": 3.0}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zsdeconv.volume_files.read_raw", lambda _: stated)
        found = open_volume(path, engine)
    assert (found.camera.gain, found.camera.offset) == (3.0, 100.0)


def test_camera_numbers_are_given_once(stack_file, tmp_path):
    engine = _record(tmp_path / "ok.h5", "ok")
    twice = engine.camera.model_copy(update={"gain": 3.0})
    with pytest.raises(UsageError, match="once"):
        open_volume(stack_file, engine.model_copy(update={"camera": twice}))
