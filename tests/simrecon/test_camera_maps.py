"""Per-pixel maps of the camera through conversion, fit, reconstruction and variance."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scmos import expose, pattern_errors, scmos

from simrecon import pipeline
from simrecon.config import Settings
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.io import read
from simrecon.io.calibration_record import CalibrationRecord, Quantity, write_record
from simrecon.io.camera_record import camera_quantities
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import DEFAULT_OPTICS, simulate
from simrecon.preparation import acquisition, prepare_channel
from simrecon.recon.bad_pixels import bad_pixels
from simrecon.recon.operator import Reconstructor

SHAPE = (112, 104)
GIVEN = {"pixel_um": 0.065, "na": 1.49, "emission_nm": 525.0}


@pytest.fixture(scope="module")
def scene():
    """Stack as a bad camera sees it, and the truth."""
    stack, truth = simulate(shape=SHAPE, peak_e=300.0, seed=5, phase_jitter_rad=0.1)
    camera = scmos(SHAPE)
    counts = expose(truth.expected_e, camera, np.random.default_rng(1))
    return replace(stack, data=counts[None, None, :, :, None], camera=camera), truth


def scalars(camera: Camera) -> Camera:
    return Camera(**camera.summary(), source="given")


def picture_error(result, stack, truth):
    """Rms difference to the same operator on noise-free frames, over the rms of that picture."""
    operator = Reconstructor.from_frames(
        truth.expected_e, truth.pattern, truth.otf, stack.grid,
        frame_variance_e2=truth.expected_e.mean(axis=(2, 3)) + 4.0,
    )  # fmt: skip
    ideal = np.asarray(operator.reconstruct(truth.expected_e))
    return np.sqrt(np.mean((result.image[0, 0, 0] - ideal) ** 2) / np.mean(ideal**2))


def test_fit_and_picture_with_a_bad_camera(scene):
    stack, truth = scene
    result = pipeline.reconstruct(stack)
    frequency_px, phase_deg = pattern_errors(result.pattern, truth.pattern)
    assert frequency_px < 0.03
    assert phase_deg < 3.0
    assert result.verdicts["noise_model"] == "ok"
    camera = result.qc["camera"][0]
    assert camera["maps"]
    assert camera["bad_pixels"] == 12
    assert any("12 bad pixels" in note for note in result.qc["notes"])


def test_maps_beat_their_means():
    stack, truth = simulate(shape=SHAPE, peak_e=40.0, seed=5, background=10.0)
    camera = scmos(SHAPE, bad=0)
    counts = expose(truth.expected_e, camera, np.random.default_rng(1))[None, None, :, :, None]
    results = [
        pipeline.reconstruct(replace(stack, data=counts, camera=c), pattern=truth.pattern)
        for c in (camera, scalars(camera))
    ]
    with_maps, without = (picture_error(r, stack, truth) for r in results)
    assert with_maps < 0.9 * without
    ratios = [r.qc["camera"][0]["noise_measured_over_predicted"] for r in results]
    assert abs(ratios[0] - 1) < 0.1
    assert ratios[1] > 1.15


def test_means_of_a_camera_with_dead_pixels_are_refused(scene):
    stack, _ = scene
    with pytest.raises(QualityError, match="could not be fitted"):
        pipeline.reconstruct(replace(stack, camera=scalars(stack.camera)))


def test_dead_pixels_do_not_spoil_their_neighbourhood(scene):
    stack, truth = scene
    whole = scmos(SHAPE, bad=0)
    bad = stack.camera.bad_pixels
    counts = np.where(bad, expose(truth.expected_e, whole, np.random.default_rng(1)),
                      stack.data[0, 0, :, :, 0])  # fmt: skip
    clean = replace(stack, data=counts[None, None, :, :, None], camera=whole)
    pictures = [
        pipeline.reconstruct(s, Settings(), pattern=truth.pattern).image[0, 0, 0]
        for s in (stack, clean)
    ]
    near = np.kron(bad, np.ones((2, 2))) > 0
    difference = np.abs(pictures[0] - pictures[1])
    noise = np.sqrt(np.mean((pictures[1] - pictures[1].mean()) ** 2))
    assert difference[~near].max() < noise
    assert difference[near].mean() < 0.2 * noise


def test_stripes_go_through_a_missing_pixel():
    """A pattern of 3.2 px period is filled in to 5 % of its amplitude, beside another to 30 %."""
    otf = theoretical_otf(DEFAULT_OPTICS, pixel_um=0.065)
    y, x = np.mgrid[:40, :40]
    frame = (100 + 50 * np.cos(2 * np.pi * (0.9 * x + 0.44 * y) / 3.2)).astype(np.float32)
    mask = np.zeros(frame.shape, bool)
    mask[[0, 10, 20, 20], [0, 12, 20, 21]] = True
    holes = np.where(mask, np.nan, frame).astype(np.float32)
    filled = bad_pixels(mask, otf, 0.065, 1e-3).fill(holes)
    np.testing.assert_array_equal(filled[~mask], frame[~mask])
    off = np.abs(filled - frame)[mask]
    assert off[1] < 2.5
    assert off[2:].max() < 15
    linear = bad_pixels(mask, otf, 0.065, 1e-3)
    np.testing.assert_allclose(linear.fill(2 * holes + 3), 2 * filled + 3, rtol=1e-5)


def test_variance_with_maps_is_that_of_many_draws(scene):
    stack, truth = scene
    channel = prepare_channel(stack, 0, Settings(), truth.otf)
    data = acquisition(stack, channel, 0, 0)
    operator = Reconstructor.from_frames(
        data.frames_e, truth.pattern, truth.otf, Grid(SHAPE, stack.pixel_um),
        frame_variance_e2=data.frame_variance_e2,
    )  # fmt: skip
    true_e2 = channel.bad.fill_variance(channel.camera.variance_e2(truth.expected_e))
    assert data.variance_e2.mean() == pytest.approx(true_e2.mean(), rel=0.01)
    predicted = operator.variance(true_e2)
    rng = np.random.default_rng(3)
    total = square = 0.0
    draws = 150
    for _ in range(draws):
        frames = channel.frames_e(expose(truth.expected_e, stack.camera, rng))
        image = operator.reconstruct(frames).astype(np.float64)
        total, square = total + image, square + image**2
    measured = (square - total**2 / draws) / (draws - 1)
    ratio = predicted / measured
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    near = np.kron(stack.camera.bad_pixels, np.ones((2, 2))) > 0
    assert np.median(ratio[near]) == pytest.approx(1.0, abs=0.15)


def test_variance_of_a_filled_pixel_beside_a_noisy_one_is_its_own_at_least():
    otf = theoretical_otf(DEFAULT_OPTICS, pixel_um=0.065)
    mask = np.zeros((24, 24), bool)
    mask[12, 12] = True
    noisy = np.ones(mask.shape, np.float32)
    noisy[:, 10] = noisy[:, 14] = 100.0  # columns of negative kriging weights
    found = bad_pixels(mask, otf, 0.065, 1e-3)
    with_correlations = found.weights**2 + 2.0 * found.weights
    assert np.sum(with_correlations * noisy.ravel()[found.neighbours]) < 0
    own = np.sum(found.weights**2 * noisy.ravel()[found.neighbours])
    assert found.fill_variance(noisy)[12, 12] == pytest.approx(own, rel=1e-5)
    assert found.fill_variance(np.ones_like(noisy))[12, 12] > 2.0


def test_maps_from_tiff_files(tmp_path):
    camera = scmos((40, 36))
    frames = np.random.default_rng(0).poisson(200.0, (9, 40, 36)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "raw.tif", frames, photometric="minisblack")
    paths = {}
    for name, key in (("gain", "gain_map"), ("offset", "offset_map"),
                      ("read_noise_e", "read_noise_map")):  # fmt: skip
        paths[key] = tmp_path / f"{name}.tif"
        tifffile.imwrite(paths[key], getattr(camera, name))
    stack = read(tmp_path / "raw.tif", **GIVEN, **paths)
    np.testing.assert_array_equal(stack.camera.gain, camera.gain)
    np.testing.assert_array_equal(stack.camera.bad_pixels, camera.bad_pixels)
    assert stack.camera.offset_known
    assert "gain.tif sha256" in stack.camera.source
    with pytest.raises(UsageError, match="once"):
        read(tmp_path / "raw.tif", **GIVEN, **paths, gain=2.0)
    tifffile.imwrite(tmp_path / "small.tif", camera.gain[:20])
    with pytest.raises(InputError, match="does not fit"):
        read(tmp_path / "raw.tif", **GIVEN, gain_map=tmp_path / "small.tif")


def test_mask_of_a_record_marks_bad_pixels(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.poisson(200.0, (9, 40, 36)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "raw.tif", frames, photometric="minisblack")
    mask = np.zeros((40, 36), np.uint8)
    mask[[3, 4, 5], [6, 7, 8]] = 1, 2, 4
    quantities = {**camera_quantities(scmos((40, 36), bad=0)), "mask": Quantity(mask, "")}
    write_record(tmp_path / "camera.h5", CalibrationRecord("camera", quantities))
    camera = read(tmp_path / "raw.tif", **GIVEN, camera=tmp_path / "camera.h5").camera
    assert np.argwhere(camera.bad_pixels).tolist() == [[3, 6], [5, 8]]
    assert "camera.h5 sha256" in camera.source


def test_too_many_bad_pixels_are_refused():
    otf = theoretical_otf(DEFAULT_OPTICS, pixel_um=0.065)
    mask = np.zeros((40, 40), bool)
    mask[::3, ::3] = True
    with pytest.raises(InputError, match="Too many"):
        bad_pixels(mask, otf, 0.065, 0.01)
    mask = np.zeros((100, 100), bool)
    mask[5:25, 5:25] = True
    with pytest.raises(InputError, match="hardly any"):
        bad_pixels(mask, otf, 0.065, 0.01)
