from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from simrecon.errors import InputError, UsageError
from simrecon.model.camera import Camera
from zsdeconv import losses
from zsdeconv.config import VOLUME_DEFAULTS, build_settings
from zsdeconv.data import PairBatch
from zsdeconv.interleaved import filled, make_halves, shown_planes
from zsdeconv.pairs_volume import (
    camera_volume,
    cutoffs_px,
    margins_px,
    sharper_gaussian,
    volume_measurement,
    widths_px,
)
from zsdeconv.parts import only_shown
from zsdeconv.psf_layer import PsfLayer
from zsdeconv.recorrupt import draw_noise, recorrupt
from zsdeconv.start import ClassicalStart
from zsdeconv.train import fit
from zsdeconv.training import prepare

SHAPE = (12, 32, 40)


def gaussian_psf(sigmas=(1.5, 0.9, 0.9), shape=(9, 7, 7)):
    waves = [
        np.exp(-0.5 * ((np.arange(n) - n // 2) / s) ** 2)
        for n, s in zip(shape, sigmas, strict=True)
    ]
    psf = waves[0][:, None, None] * waves[1][:, None] * waves[2]
    return psf / psf.sum()


def clean_volume(peak=30.0):
    z, y, x = np.indices(SHAPE)
    blob = np.exp(-((z - 6) ** 2 / 8 + (y - 15) ** 2 / 30 + (x - 18) ** 2 / 40))
    line = np.exp(-((z - 4) ** 2 + (y - 0.5 * x - 5) ** 2) / 3)
    return 2.0 + peak * (blob + line)


@pytest.fixture(scope="module")
def volume():
    """A measurement of 12 × 32 × 40 voxels: a blob and a line."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(clean_volume()) + rng.normal(0, 1.0, SHAPE)
    return camera_volume(counts, gaussian_psf(), 0.1, 0.2, Camera(read_noise_e=1.0))


@pytest.mark.parametrize("mapped", [False, True])
def test_recorrupted_volumes_have_independent_noise(mapped):
    """Correlation of the copies' noises over 400 simulated acquisitions, camera maps or not.

    Standard error 1/√(400·N voxels) per plane is far below the limit; with the gain forgotten (2
    instead of 1) the correlation is 0.3.
    """
    rng = np.random.default_rng(1)
    shape, plane = (5, 12, 12), (12, 12)
    gain = 2.0 + (0.5 * rng.random(plane) if mapped else 0.0)
    read = 1.5 + (2.0 * rng.random(plane) if mapped else 0.0)
    camera = Camera(gain=gain, offset=100.0, read_noise_e=read)
    mean = np.full(shape, 6.0)
    sums = np.zeros(3)
    for _ in range(400):
        electrons = rng.poisson(mean) + read * rng.normal(size=shape)
        y = camera.electrons(100.0 + gain * electrons)
        variance = np.broadcast_to(camera.variance_e2(mean), shape)
        one, other = recorrupt(y, draw_noise(variance, rng), 0.7)
        a, b = one - mean, other - mean
        sums += [(a * b).sum(), (a * a).sum(), (b * b).sum()]
    correlation = sums[0] / np.sqrt(sums[1] * sums[2])
    assert abs(correlation) < 0.015
    assert sums[1] / (400 * np.prod(shape)) == pytest.approx(
        (1 + 0.7**2) * variance.mean(), rel=0.02
    )


def test_variance_of_a_volume_is_that_of_its_camera_maps(volume):
    expected = clean_volume() + 1.0
    inner = np.s_[2:-2, 4:-4, 4:-4]
    ratio = volume.variance_e2[0][inner] / fftconvolve(expected, gaussian_psf(), "same")[inner]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    gains = np.full(SHAPE[1:], 2.0)
    gains[:, 20:] = 4.0
    counts = 10.0 * gains * np.ones(SHAPE)
    mapped = camera_volume(counts, gaussian_psf(), 0.1, 0.2, Camera(gain=gains, read_noise_e=1.0))
    np.testing.assert_allclose(mapped.variance_e2, 11.0, rtol=1e-4)


def test_halves_do_not_see_what_they_are_judged_by():
    rng = np.random.default_rng(2)
    stack = rng.random((11, 4, 5)).astype(np.float32)
    for half in (0, 1):
        seen = filled(stack, half)
        other = stack.copy()
        other[1 - half :: 2] = 99.0
        np.testing.assert_array_equal(filled(other, half), seen)
        np.testing.assert_array_equal(seen[half::2], stack[half::2])
        middle = 4 if half == 1 else 5
        np.testing.assert_allclose(seen[middle], 0.5 * (stack[middle - 1] + stack[middle + 1]))
    np.testing.assert_array_equal(filled(stack, 1)[0], stack[1])
    np.testing.assert_array_equal(filled(stack, 0)[-1], stack[-1])


def test_starts_and_targets_of_interleaved_halves(volume):
    """The start of a half does not change with the planes that it is judged by, and the reverse."""
    padding = volume.padding
    halves = make_halves(volume, padding, torch.device("cpu"))
    changed = volume.frames_e.copy()
    changed[:, 1::2] *= 3.0
    same, moved = (halves.classical[h](filled(changed[0], h)[None]) for h in (0, 1))
    assert torch.equal(same, halves.starts[0])
    assert float((moved - halves.starts[1]).abs().max()) > 1.0
    judged = padding.crop_frames(halves.weights[:, 0].numpy()) > 0
    assert judged[0][1::2].all()
    assert not judged[0][0::2].any()
    assert not (judged[0] & judged[1]).any()
    assert np.isinf(only_shown(volume, shown_planes(SHAPE[0], 0)).noise.shot_e[0, 1]).all()


def _batch(weights, target):
    ones = torch.ones((len(weights), 1, 1, 1, 1))
    return PairBatch(
        target, target, target, target, weights, 1 / weights, ones, [(0, 0, 0)] * 2, []
    )


def test_gap_loss_compares_only_shown_planes_with_the_hidden_prediction():
    weights = torch.zeros(2, 1, 4, 3, 3)
    weights[0, :, 1::2], weights[1, :, 0::2] = 0.25, 0.25
    batch = _batch(weights, torch.zeros_like(weights))
    predicted = torch.zeros_like(weights)
    predicted[0, :, 0::2] = 2.0  # half 0 shows the even planes: its own prediction there is off
    predicted.requires_grad_()
    loss = losses.gap_loss(predicted, batch, (0, 0, 0))
    assert float(loss.detach()) == pytest.approx(0.25 * 4.0 / 2)
    loss.backward()
    assert bool((predicted.grad[0, :, 0::2] != 0).all())
    assert not bool(predicted.grad[1].any())  # the hidden planes' prediction is held fixed
    again = predicted.detach().clone()
    again[0, :, 1::2] = 7.0
    again[1, :, 1::2] = 7.0
    assert float(losses.gap_loss(again, batch, (0, 0, 0))) == pytest.approx(0.5)


def test_convolution_of_volumes_is_true_and_asymmetric():
    rng = np.random.default_rng(3)
    psf = rng.random((5, 7, 4))
    psf[:2] *= 3.0
    volume = rng.random((16, 20, 24)).astype(np.float32)
    layer = PsfLayer(psf)(torch.from_numpy(volume)).numpy()
    padded = np.pad(psf, [(0, 1 - n % 2) for n in psf.shape])
    direct = fftconvolve(volume, padded, "same")
    inner = np.s_[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(layer[inner], direct[inner], rtol=1e-4)
    mirrored = fftconvolve(volume, padded[::-1, ::-1, ::-1], "same")
    assert np.abs(layer[inner] - mirrored[inner]).max() > 0.1


def test_priors_of_volumes_measure_along_z_in_pixels():
    z, y, x = torch.meshgrid(*(torch.arange(8.0) for _ in range(3)), indexing="ij")
    steps = (2.0, 1.0, 1.0)
    ramp = 3.0 * z + 4.0 * y + 5.0 * x
    assert float(losses.total_variation(ramp, 1.0, steps)) == pytest.approx(1.5 + 4 + 5)
    assert float(losses.hessian_l1(ramp, 1.0, steps)) == pytest.approx(0.0, abs=1e-5)
    bent = z**2 + y**2 + 3.0 * z * x
    assert float(losses.hessian_l1(bent, 1.0, steps)) == pytest.approx(2 / 4 + 2 + 2 * 3 / 2)


@pytest.mark.parametrize("pairs", ["recorrupted", "interleaved"])
def test_a_volume_trains_and_its_loss_is_in_units_of_noise(volume, pairs):
    settings = build_settings(
        **{**VOLUME_DEFAULTS, "iterations": 6, "width": 4, "patch": 48, "bank": 2,
           "device": "cpu", "precision": "float32", "gap_weight": 0.1, "hessian_weight": 1e-3,
           "pairs": pairs}
    )  # fmt: skip
    run = fit(prepare(volume, settings, torch.device("cpu")))
    batch = run.sampler.pairs()
    assert batch.image.shape == batch.target.shape == (2, 1, *run.sampler.patch)
    assert run.iteration == 6
    assert np.isfinite(run.history[-1][1])
    assert 0.5 < run.history[-1][1] < 3.0


def test_light_from_beyond_the_stack_is_kept_with_the_object():
    """A bright blob three planes below the stack: its light in the last planes is explained by the
    restored object's surroundings, and not by mirror images of the object."""
    z, y, x = np.indices((16, 32, 32))
    objects = 2.0 + 3000.0 * ((z == 14) & (y == 16) & (x == 16))
    psf = gaussian_psf((2.0, 1.2, 1.2), (13, 9, 9))
    light = fftconvolve(np.pad(objects, 8, mode="edge"), psf, "same")[8:20, 8:-8, 8:-8]
    measurement = volume_measurement(light, light, psf, 0.1, 0.2)
    start = ClassicalStart(measurement, measurement.padding, iterations=40)
    found = start(measurement.frames_e).numpy()
    assert found.shape == measurement.padding.image_shape
    off = [
        np.abs(measurement.predict(f) - measurement.frames_e)[0, -1].max()
        for f in (found, measurement.inside(found))
    ]
    assert off[0] < 0.1 * light[-1].max()
    assert off[1] > 3 * off[0]
    blurred = measurement.blurred(found, psf)
    assert blurred.shape == found.shape
    np.testing.assert_allclose(
        measurement.inside(blurred), measurement.predict(found)[0], rtol=1e-3, atol=1e-2
    )


def test_a_network_of_planes_is_refused_for_a_volume(volume):
    with pytest.raises(UsageError, match="not one of volumes"):
        prepare(volume, build_settings(device="cpu"), torch.device("cpu"))
    from zsdeconv.pairs_image import image_measurement

    plane = image_measurement(np.ones((64, 64)), 1.0, np.ones((3, 3)), 0.1)
    for wrong in ({"network": "compact3d"}, {"pairs": "interleaved"}):
        with pytest.raises(UsageError):
            prepare(plane, build_settings(device="cpu", **wrong), torch.device("cpu"))


def test_widths_cutoffs_and_margins_of_a_psf():
    psf = gaussian_psf((2.0, 1.2, 1.2), (21, 15, 15))
    np.testing.assert_allclose(widths_px(psf), np.multiply((2.0, 1.2, 1.2), 2.355), rtol=0.03)
    np.testing.assert_allclose(
        widths_px(sharper_gaussian(psf, 1.5)), np.divide(widths_px(psf), 1.5), rtol=0.06
    )
    z, y, x = cutoffs_px(psf)
    assert z < y
    assert y == x
    assert margins_px(psf, (40, 60, 60)) == (5, 3, 3)  # 98 % lie within 2.33 σ
    assert margins_px(psf, (3, 60, 60))[0] == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"volume": np.ones((3, 32, 32))}, "too small"),
        ({"volume": np.ones((12, 1, 1))}, "too small"),
        ({"volume": np.ones((32, 32))}, "three axes"),
        ({"volume": np.full((12, 32, 32), np.nan)}, "not finite"),
        ({"psf": np.zeros((5, 5, 5))}, "positive sum"),
        ({"psf": np.full((5, 5, 5), np.nan)}, "NaN"),
        ({"psf": np.roll(gaussian_psf(), 3, axis=0)}, "not centred"),
        ({"psf": np.ones((5, 5))}, "other dimensions"),
        ({"camera": Camera(gain=np.ones((4, 4)))}, "do not fit"),
        ({"camera": Camera(offset=100.0)}, "below the camera's offset"),
    ],
)
def test_bad_volumes_are_refused(change, message):
    given = {"volume": np.ones((12, 32, 32)), "psf": gaussian_psf(), "camera": Camera(), **change}
    with pytest.raises((InputError, UsageError), match=message):
        camera_volume(given["volume"], given["psf"], 0.1, 0.2, given["camera"])


def test_too_few_planes_for_halves():
    thin = volume_measurement(np.ones((6, 16, 16)), 1.0, gaussian_psf(), 0.1, 0.2)
    with pytest.raises(InputError, match="too few planes"):
        make_halves(thin, thin.padding, torch.device("cpu"))
