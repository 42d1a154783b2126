"""The reference image: right place, right resolution, right brightness."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.physics.forward import Detector
from simrecon.physics.reference import reference_image, reference_otf
from simrecon.physics.simulate import fine_field, simulate


@pytest.mark.parametrize("zoom", [1, 2, 4])
def test_a_wave_is_sampled_at_sr_pixel_centres(zoom):
    field = fine_field((20, 23), 0.1, 4)
    height, width = field.grid.extent_um
    k = (5 / height, -7 / width)
    y, x = field.grid.positions_um()
    density = (1 + np.cos(2 * np.pi * (k[0] * y + k[1] * x) + 0.4)).astype(np.float32)
    image = Detector(field, reference_otf(6.0), zoom=zoom)(density)
    assert image.shape == (20 * zoom, 23 * zoom)
    v = float(np.hypot(*k)) / 6.0
    gain = 2 / np.pi * (np.arccos(v) - v * np.sqrt(1 - v * v))
    yq, xq = Grid((20, 23), 0.1).zoomed(zoom).positions_um()
    expected = 1 + gain * np.cos(2 * np.pi * (k[0] * yq + k[1] * xq) + 0.4)
    np.testing.assert_allclose(image, expected, atol=2e-5)


def test_default_reference_has_the_resolution_and_flux_of_sim():
    _, truth = simulate(shape=(64, 64), kind="filaments", peak_e=500, background=10.0)
    image = reference_image(truth)
    assert image.shape == (128, 128)
    assert image.mean() == pytest.approx(truth.object_e.mean(), rel=0.01)
    assert image.max() > 1.5 * truth.widefield_e.max()
    finest = truth.otf.cutoff_per_um + 1 / truth.pattern.directions[0].period_um
    window = np.outer(np.hanning(128), np.hanning(128))
    spectrum = np.abs(np.fft.fft2((image - image.mean()) * window))
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(128, 0.0325)] * 2))
    ring = [spectrum[np.abs(k - r) < 0.3].mean() for r in (0.8 * finest, 1.15 * finest)]
    assert ring[1] < 0.03 * ring[0]


def test_zoom_must_divide_the_fine_grid():
    _, truth = simulate(shape=(20, 20), fine=2)
    with pytest.raises(UsageError, match="divide"):
        reference_image(truth, zoom=3)
