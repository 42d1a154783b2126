"""Decorrelation analysis on spectra with a known edge."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.physics.simulate import simulate
from simrecon.qc._rings import edge_taper
from simrecon.qc.decorrelation import decorrelation_resolution

PIXEL = 0.08


def _disc_limited(shape, cutoff_per_um, stretch_x=1.0, noise=0.02, seed=0):
    rng = np.random.default_rng(seed)
    ky = np.fft.fftfreq(shape[0], PIXEL)[:, None]
    kx = np.fft.fftfreq(shape[1], PIXEL)[None, :] * stretch_x
    inside = np.hypot(ky, kx) < cutoff_per_um
    image = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) * inside).real
    return image + noise * image.std() * rng.normal(size=shape)


@pytest.mark.parametrize("shape", [(256, 256), (257, 257), (200, 311)])
@pytest.mark.parametrize("cutoff", [2.0, 3.5])
def test_edge_of_a_flat_spectrum_is_found(shape, cutoff):
    result = decorrelation_resolution(_disc_limited(shape, cutoff), PIXEL)
    assert result.cutoff_per_um == pytest.approx(cutoff, rel=0.03)
    assert result.resolution_um == pytest.approx(1 / cutoff, rel=0.03)
    assert 0 < result.amplitude <= 1


def test_curves_equal_the_written_out_correlation():
    image = _disc_limited((32, 40), 3.0, noise=0.3)
    result = decorrelation_resolution(image, PIXEL)
    window = edge_taper((32, 40))
    mean = (image * window).sum() / window.sum()
    spectrum = np.fft.fft2((image - mean) * window)
    fy, fx = np.fft.fftfreq(32), np.fft.fftfreq(40)
    for i in (3, 8, 15):
        radius = (i + 1) / 16 * 0.5
        top = power = count = 0.0
        for y in range(32):
            for x in range(40):
                k = np.hypot(fy[y], fx[x])
                value = spectrum[y, x]
                if k < 0.5:
                    power += abs(value) ** 2
                if k < radius:
                    phase_only = value / abs(value)
                    top += (value * np.conj(phase_only)).real
                    count += 1
        assert result.curves[0, i] == pytest.approx(top / np.sqrt(power * count), rel=1e-9)
        assert result.frequency_per_um[i] == pytest.approx(radius / PIXEL)


def test_direction_sees_an_elongated_spectrum():
    image = _disc_limited((256, 256), 4.0, stretch_x=2.0)
    along_x = decorrelation_resolution(image, PIXEL, direction_rad=0.0)
    along_y = decorrelation_resolution(image, PIXEL, direction_rad=np.pi / 2)
    assert along_y.cutoff_per_um == pytest.approx(4.0, rel=0.05)
    assert along_x.cutoff_per_um == pytest.approx(2.0, rel=0.12)


def test_white_noise_has_no_resolution():
    noise = np.random.default_rng(1).normal(size=(256, 256))
    result = decorrelation_resolution(noise, PIXEL)
    assert result.resolution_um is None
    assert result.cutoff_per_um is None


def test_microscope_images_of_256_and_257_pixels_agree_and_stay_below_the_cutoff():
    answers = []
    for n in (256, 257):
        _, truth = simulate(shape=(n, n), kind="filaments", peak_e=1000, fine=2)
        noisy = truth.widefield_e + np.sqrt(truth.widefield_e) * np.random.default_rng(n).normal(
            size=truth.widefield_e.shape
        )
        answers.append(decorrelation_resolution(noisy, 0.065).cutoff_per_um)
    assert answers[0] == pytest.approx(answers[1], rel=0.05)
    assert 0.6 * truth.otf.cutoff_per_um < answers[0] <= 1.02 * truth.otf.cutoff_per_um
