"""The camera from ordinary pictures: within its own errors of the truth, or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from calibration.cli import app
from simrecon import simulate
from simrecon.errors import InputError, QualityError
from simrecon.estimate.image_noise import (
    block_noise,
    camera_from_images,
    gain_of_known_camera,
    line_of_least_absolutes,
)
from simrecon.io import read_camera_record, read_record, write_raw
from simrecon.model.camera import Camera
from simrecon.recon.noise_floor import estimate_gain
from simrecon.shell import execute

TRUTH = Camera(2.2, 100.0, 1.5)
CUTOFF = 2 * 1.49 * 0.065 / 0.525


@pytest.fixture(scope="module", params=["filaments 60", "mixed 800"])
def stack(request):
    kind, peak = request.param.split()
    return simulate(shape=(128, 128), peak_e=float(peak), kind=kind, camera=TRUTH, seed=3)[0]


@pytest.fixture(scope="module")
def frames(stack):
    return np.asarray(stack.data).reshape(-1, 128, 128)


@pytest.mark.parametrize(
    "known",
    [{}, {"cutoff_per_px": CUTOFF}, {"cutoff_per_px": CUTOFF, "offset": 100.0},
     {"cutoff_per_px": CUTOFF, "offset": 100.0, "read_noise_e": 1.5},
     {"cutoff_per_px": CUTOFF, "read_noise_e": 1.5}],
    ids=["nothing", "optics", "offset", "both", "read"],
)  # fmt: skip
def test_gain_within_its_error(frames, known):
    found = camera_from_images(frames, **known)
    assert abs(found.gain - 2.2) < 3.5 * found.gain_sd
    assert found.gain_sd < 0.05 * 2.2
    if "offset" in known and "read_noise_e" not in known:
        assert abs(found.read_noise_e - 1.5) < 3.5 * found.read_noise_sd_e
    if known.get("read_noise_e") and "offset" not in known:
        assert abs(found.offset - 100.0) < 3.5 * found.offset_sd
    if not {"offset", "read_noise_e"} & set(known):
        # where the noise vanishes, as the note says
        assert abs(found.offset + found.gain * 1.5**2 - 100.0) < 3.5 * found.offset_sd
        assert any("square of the read noise" in note for note in found.notes)


def test_agrees_with_the_noise_floor_of_the_engine():
    # without read noise both measure the same; the floor has one number for gain and read noise
    stack = simulate(shape=(128, 128), peak_e=300.0, camera=Camera(2.2, 100.0, 0.0), seed=3)[0]
    frames = np.asarray(stack.data).reshape(-1, 128, 128)
    known = {"cutoff_per_px": CUTOFF, "offset": 100.0, "read_noise_e": 0.0}
    found = camera_from_images(frames, **known)
    floor = estimate_gain(frames, Camera(1.0, 100.0, 0.0), 0.065, CUTOFF / 0.065)
    assert floor is not None
    assert found.gain == pytest.approx(float(floor.gain), rel=0.05)


def test_hot_pixels_do_not_count(frames):
    rng = np.random.default_rng(0)
    hot = frames.astype(float)
    for y, x in rng.integers(0, 128, (12, 2)):
        hot[:, y, x] += 3000
    known = {"cutoff_per_px": CUTOFF, "offset": 100.0, "read_noise_e": 1.5}
    clean, spoilt = (camera_from_images(f, **known) for f in (frames, hot))
    assert abs(spoilt.gain - clean.gain) < 4 * clean.gain_sd


def test_block_variance_is_unbiased():
    noise = np.random.default_rng(0).normal(7.0, 3.0, (12, 130, 95))
    found = block_noise(noise, 0.3)
    assert found.mean.size == 12 * 8 * 5
    assert found.variance.mean() == pytest.approx(9.0, rel=0.02)
    spread = found.variance.std() / 9.0
    assert spread == pytest.approx(np.sqrt(2 / found.freedom), rel=0.25)


def test_the_median_over_blocks_is_unbiased():
    light = 100.0 - 60.0 * np.cos(np.pi * (np.arange(256) + 0.5) / 256)
    frames = np.random.default_rng(2).poisson(light, (50, 256, 256)) * 2.0 + 100
    found = camera_from_images(frames, cutoff_per_px=0.3, offset=100.0, read_noise_e=0.0)
    assert found.gain == pytest.approx(2.0, rel=0.005)  # without the correction: 0.990 * 2


def test_given_numbers_that_contradict_the_pictures_are_noted(frames):
    known = {"cutoff_per_px": CUTOFF, "read_noise_e": 1.5}
    assert len(camera_from_images(frames, offset=100.0, **known).notes) == 1
    wrong = camera_from_images(frames, offset=20.0, **known)
    assert "do not fit" in wrong.notes[-1]


def test_lines():
    x = np.linspace(100, 900, 81)
    y = 5 + 2 * (x - 100)
    y[::8] += 4000
    intercept, slope = line_of_least_absolutes(x, y)
    assert (intercept, slope) == (pytest.approx(-195, abs=1), pytest.approx(2, abs=1e-2))
    light = np.array([0.0, 10.0, 300.0])
    variance = 2.2 * light + 2.2**2 * 1.5**2
    assert gain_of_known_camera(light, variance, 1.5) == pytest.approx(2.2)
    assert gain_of_known_camera(light[1:], 2.2 * light[1:], 0.0) == pytest.approx(2.2)


def test_pictures_that_do_not_tell():
    rng = np.random.default_rng(1)
    even = rng.poisson(50.0, (1, 128, 128)) + 100
    with pytest.raises(QualityError, match="cannot be seen"):
        camera_from_images(even)
    with pytest.raises(InputError, match="too small"):
        camera_from_images(even[:, :64, :64])
    with pytest.raises(InputError, match="too coarsely"):
        camera_from_images(even, cutoff_per_px=0.62)


def test_command(stack, tmp_path, capsys):
    raw, out = tmp_path / "raw.ome.tif", tmp_path / "cam.h5"
    write_raw(raw, stack, provenance={})
    argv = ["camera", "--image", str(raw), "-o", str(out), "--offset", "100"]
    assert execute(app, [*argv, "--report", "--json"]) == 4
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"] == "weak"
    assert facts["gain"]["value"] == pytest.approx(2.2, rel=0.1)
    assert not any("Optics not given" in note for note in facts["notes"])  # the file has them
    assert "data:image/png" in out.with_suffix(".report.html").read_text()
    assert read_record(out).verdict == "weak"
    assert read_camera_record(out).map_shape is None
    out.unlink()
    even = np.random.default_rng(1).poisson(50.0, stack.data.shape).astype(np.uint16)
    write_raw(raw, replace(stack, data=even), provenance={})
    assert execute(app, ["camera", "--image", str(raw), "-o", str(out)]) == 4
    assert "cannot be seen" in capsys.readouterr().err
    assert not out.exists()
