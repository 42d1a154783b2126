"""The noise of pictures: white or not, with what gain; and the pairs of correlated noise."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, zoom

from simrecon.errors import InputError
from simrecon.estimate.noise_colour import noise_colour
from simrecon.model.camera import Camera
from zsdeconv.demo_picture import simulate_picture
from zsdeconv.image_noise import find_noise
from zsdeconv.picture_files import open_pictures
from zsdeconv.picture_options import PictureOptions
from zsdeconv.picture_setup import imaging_of
from zsdeconv.recorrupt import draw_noise, recorrupt


@pytest.fixture(scope="module")
def scene():
    return simulate_picture(kind="filaments", size=192, peak_e=60.0, seed=3)


@pytest.fixture(scope="module")
def smooth(scene):
    """The same picture as one would get it from software that smoothed it a little."""
    return gaussian_filter(scene.counts.astype(float), 0.8)


def test_raw_camera_noise_is_white(scene):
    found = noise_colour([scene.counts])
    assert found.verdict == "white"
    assert abs(found.along_x) < 3.5 * found.sd
    assert found.sd < 0.1
    assert "independent" in found.sentence()
    tiny = noise_colour([scene.counts[:40, :40]])
    assert tiny.verdict == "unknown"
    np.testing.assert_array_equal(tiny.spectrum(np.zeros(1), np.zeros(1)), 1.0)


@pytest.mark.parametrize("kind", ["smoothed", "enlarged", "columns"])
def test_processed_and_patterned_noise_is_found(scene, smooth, kind):
    if kind == "smoothed":
        picture, wanted = smooth, "correlated"
    elif kind == "enlarged":
        picture, wanted = zoom(scene.counts.astype(float), 1.5, order=1), "correlated"
    else:
        lines = np.random.default_rng(0).normal(0.0, 4.0, scene.counts.shape[1])
        picture, wanted = scene.counts + lines, "lines"
    found = noise_colour([picture])
    assert found.verdict == wanted
    if kind == "smoothed":
        truth = np.exp(-1.0 / (4 * 0.8**2))
        assert found.along_x == pytest.approx(truth, abs=0.08)
        assert found.along_y == pytest.approx(truth, abs=0.08)
    assert "camera" in found.sentence()


def test_pairs_of_correlated_noise_are_independent(smooth):
    """Noise and draw have the same covariance, so the two copies of a picture have none."""
    kernel = noise_colour([smooth]).kernel()
    assert np.sum(kernel**2) == pytest.approx(1.0)
    rng = np.random.default_rng(1)
    variance = np.full((1, 160, 160), 9.0, np.float32)
    noise, draw = (draw_noise(variance, rng, kernel) for _ in range(2))
    assert noise.shape == variance.shape
    assert noise.var() == pytest.approx(9.0, rel=0.1)
    first, second = recorrupt(noise, draw, 0.7)
    shifts = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]
    for dy, dx in shifts:
        lag = np.mean(first * np.roll(second, (dy, dx), (1, 2))) / 9.0
        own = np.mean(noise * np.roll(noise, (dy, dx), (1, 2))) / 9.0
        assert abs(lag) < 0.06
        if dy + dx == 1:
            assert own > 0.5


def test_camera_given_or_estimated(scene, smooth):
    found = find_noise(lambda: [scene.counts], offset=100.0, cutoff_per_px=0.37)
    assert found.camera.gain == pytest.approx(2.2, abs=4 * found.errors["gain"])
    assert found.errors["gain"] < 0.2 * 2.2
    assert "±" in " ".join(found.notes)
    assert found.kernel is None
    assert found.doubts == ()
    coarse = find_noise(lambda: [scene.counts], offset=100.0, cutoff_per_px=0.5)
    blind = find_noise(lambda: [scene.counts], offset=100.0)
    assert coarse.camera == blind.camera
    assert ["too coarse" in " ".join(f.notes) for f in (found, coarse, blind)] == [0, 1, 0]
    assert ["Optics not given" in " ".join(f.notes) for f in (found, coarse, blind)] == [0, 0, 1]
    given = find_noise(lambda: [scene.counts], gain=2.0, read_noise_e=1.0)
    assert (given.camera.gain, given.errors) == (2.0, {})
    assert any("offset not given" in n for n in given.notes)
    assert given.doubts == ()
    off = find_noise(lambda: [scene.counts], gain=3.3, offset=100.0, read_noise_e=1.5,
                     cutoff_per_px=0.37)  # fmt: skip
    assert "is that of a gain of" in off.doubts[0]
    assert "which is used" in off.doubts[0]
    assert off.camera.gain == pytest.approx(2.2, abs=4 * off.errors["gain"])
    assert (off.camera.offset, off.camera.read_noise_e) == (100.0, 1.5)
    whole = find_noise(lambda: [smooth], camera=Camera(2.0, 3.0, 1.0))
    assert whole.camera.offset == 3.0
    assert whole.kernel is not None
    assert "NOT independent" in whole.doubts[0]


@pytest.mark.parametrize(
    ("ceiling", "pixels", "said"), [(4095, 40, True), (4095, 2, False), (4000, 40, False)]
)
def test_clipped_pictures_are_doubted(scene, ceiling, pixels, said, tmp_path):
    counts = scene.counts.copy()
    counts.ravel()[:pixels] = ceiling
    tifffile.imwrite(tmp_path / "a.tif", counts)
    options = PictureOptions(pixel_um=0.065, na=1.49, emission_nm=525.0, gain=2.2, offset=100.0)
    files = open_pictures([str(tmp_path / "a.tif")])
    imaging, notes = imaging_of(files, options, options.settings(None)[1])
    assert any("clipped" in d for d in imaging.doubts) == said
    assert any("clipped: 0.11 %" in n for n in notes) == said


def test_noise_that_tells_no_gain_is_taken_as_of_one_size():
    rng = np.random.default_rng(1)
    even = rng.normal(500.0, 6.0, (128, 128))
    found = find_noise(lambda: [even])
    assert not found.shot_noise
    assert found.camera.read_noise_e == pytest.approx(6.0, rel=0.05)
    assert "--gain" in found.doubts[0]
    with pytest.raises(InputError, match="no noise"):
        find_noise(lambda: [np.full((128, 128), 7.0)])
