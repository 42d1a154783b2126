import numpy as np
import pytest
import tifffile

from simrecon.cli.main import app
from simrecon.io import read_camera_record, read_provenance
from simrecon.io.frame_stream import stream_frames
from simrecon.model.camera import Camera
from simrecon.physics.simulate_camera import Sensor, sensor
from simrecon.shell import execute


def test_mean_and_variance_are_those_of_the_model():
    camera = Camera(np.full((6, 7), 2.0), np.full((6, 7), 100.0), np.full((6, 7), 3.0))
    response = np.linspace(0.5, 1.5, 42).reshape(6, 7)
    rng = np.random.default_rng(0)
    frames = np.stack(list(Sensor(camera, response).frames(50.0, 4000, rng))).astype(float)
    mean, variance = 100 + 2 * 50 * response, 4 * (50 * response + 9) + 1 / 12
    np.testing.assert_allclose(frames.mean(axis=0), mean, atol=5 * np.sqrt(400 / 4000))
    assert (frames.var(axis=0) / variance).mean() == pytest.approx(1, abs=0.02)
    assert frames.dtype == float


def test_flicker_and_full_scale():
    one, none = np.ones((9, 9)), np.zeros((9, 9))
    chip = Sensor(Camera(one, none, none), one, 1000)
    rng = np.random.default_rng(0)
    means = np.array([f.mean() for f in chip.frames(500.0, 400, rng, flicker=0.1)])
    assert means.std() / 500 == pytest.approx(0.1, rel=0.15)
    assert max(f.max() for f in chip.frames(1000.0, 3, rng)) == 1000


def test_sensor_has_the_fixed_pattern_that_was_asked():
    chip = sensor((200, 200), Camera(2.0, 100.0, 1.5), dsnu_adu=3.0, prnu=0.02, hot_fraction=0.01)
    hot = chip.camera.read_noise_e > 10
    assert hot.mean() == pytest.approx(0.01, rel=0.2)
    assert chip.camera.offset[~hot].std() == pytest.approx(3.0, rel=0.02)
    assert chip.response.std() == pytest.approx(0.02, rel=0.02)
    assert chip.response.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("suffix", [".ome.tif", ".tif"])
def test_command(tmp_path, suffix):
    for name, *options in (("dark", "--seed", "1"), ("flat", "--peak-e", "300", "--seed", "2")):
        argv = ["simulate", "-o", str(tmp_path / f"{name}{suffix}"), "--kind", name]
        assert execute(app, [*argv, "--size", "32", "--frames", "12", *options]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [f"dark{suffix}", "dark.truth.h5", f"flat{suffix}", "flat.truth.h5"]
    )
    dark, flat = (
        np.stack(list(stream_frames(tmp_path / f"{n}{suffix}"))) for n in ("dark", "flat")
    )
    assert dark.shape == flat.shape == (12, 32, 32)
    truth = read_camera_record(tmp_path / "dark.truth.h5").camera
    again = read_camera_record(tmp_path / "flat.truth.h5").camera
    np.testing.assert_array_equal(truth.offset, again.offset)
    noise = np.std(dark.mean(axis=0) - truth.offset)
    assert noise == pytest.approx(2 * 1.5 / np.sqrt(12), rel=0.1)
    assert flat.mean() - dark.mean() == pytest.approx(600, rel=0.02)
    if suffix == ".ome.tif":
        assert read_provenance(tmp_path / "flat.ome.tif")["settings"]["light_e"] == 300
    else:
        with tifffile.TiffFile(tmp_path / "flat.tif") as file:
            assert '"light_e": 300' in file.pages.first.description
