"""The forward model against sums written out pixel by pixel, and against analytic waves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern
from simrecon.physics.forward import Detector, FineField, displaced, expected_frames
from simrecon.physics.illumination import illumination
from simrecon.physics.otf import evaluate_otf, theoretical_otf

PIXEL = 0.1
OTF = theoretical_otf(Optics(na=0.9, emission_nm=600.0), pixel_um=PIXEL, model="ideal")


def _otf_at(k: float) -> float:
    v = k * 0.6 / 1.8
    return 2 / math.pi * (math.acos(v) - v * math.sqrt(1 - v * v)) if v < 1 else 0.0


def _sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


def test_frames_equal_the_written_out_sum_over_object_pixels():
    field = FineField(Grid((4, 5), PIXEL), fine=2, margin=1)
    rows, columns = 12, 14  # (4 + 2) * 2, (5 + 2) * 2
    assert field.grid.shape == (rows, columns)
    rng = np.random.default_rng(3)
    density = rng.random((rows, columns)).astype(np.float32)
    direction = DirectionPattern(
        frequency_per_um=(1.3, -2.1),
        phase_rad=(0.4, 2.0),
        modulation=(0.6, 0.25),
        intensity=(1.2, 0.7),
    )
    got = expected_frames(density, [direction], Detector(field, OTF))
    assert got.shape == (1, 2, 4, 5)
    fine_um = PIXEL / 2
    height, width = rows * fine_um, columns * fine_um

    def psf(dy: float, dx: float) -> float:
        """Periodic PSF as a Fourier series over the padded field."""
        total = 0.0
        for v in range(-rows // 2, rows // 2):
            for u in range(-columns // 2, columns // 2):
                ky, kx = v / height, u / width
                h = _otf_at(math.hypot(ky, kx)) * _sinc(ky * PIXEL) * _sinc(kx * PIXEL)
                if h:
                    total += h * math.cos(2 * math.pi * (ky * dy + kx * dx))
        return total / (rows * columns)

    for j, (phase, g) in enumerate(((0.4, 1.2), (2.0, 0.7))):
        for cy, cx in ((0, 0), (2, 3), (3, 4)):
            total = 0.0
            for i in range(rows):
                for k in range(columns):
                    y = (i + 0.5) * fine_um - 0.5 * PIXEL - PIXEL  # one camera pixel of margin
                    x = (k + 0.5) * fine_um - 0.5 * PIXEL - PIXEL
                    turn = 2 * math.pi * (1.3 * y - 2.1 * x) + phase
                    light = g * (1 + 0.6 * math.cos(turn) + 0.25 * math.cos(2 * turn))
                    total += density[i, k] * light * psf(cy * PIXEL - y, cx * PIXEL - x)
            assert got[0, j, cy, cx] == pytest.approx(total, rel=2e-5)


@pytest.mark.parametrize("shape, fine", [((24, 30), 4), ((23, 31), 3), ((16, 17), 6)])
def test_a_wave_under_a_pattern_becomes_three_waves(shape, fine):
    field = FineField(Grid(shape, PIXEL), fine, margin=2)
    height, width = field.grid.extent_um
    y, x = field.grid.positions_um()
    k = (3 / height, -2 / width)  # periodic over the padded field, so that nothing wraps wrongly
    p = (-4 / height, 5 / width)
    density = (1 + 0.5 * np.cos(2 * np.pi * (k[0] * y + k[1] * x) + 0.3)).astype(np.float32)
    direction = DirectionPattern(p, phase_rad=(1.1,), modulation=(0.8,), intensity=(1.5,))
    got = expected_frames(density, [direction], Detector(field, OTF))[0, 0]
    for row, column in ((0, 0), (shape[0] - 1, shape[1] // 2), (5, 11)):

        def wave(fy: float, fx: float, phase: float, row: int = row, column: int = column) -> float:
            h = _otf_at(math.hypot(fy, fx)) * _sinc(fy * PIXEL) * _sinc(fx * PIXEL)
            return h * math.cos(2 * math.pi * (fy * row * PIXEL + fx * column * PIXEL) + phase)

        expected = 1.5 * (
            1
            + 0.5 * wave(*k, 0.3)
            + 0.8 * wave(*p, 1.1)
            + 0.2 * wave(k[0] + p[0], k[1] + p[1], 1.4)
            + 0.2 * wave(p[0] - k[0], p[1] - k[1], 0.8)
        )
        assert got[row, column] == pytest.approx(expected, abs=2e-5)


def test_constant_object_under_uniform_light_stays_constant():
    field = FineField(Grid((17, 13), PIXEL), fine=4, margin=3)
    image = Detector(field, OTF)(np.full(field.grid.shape, 7.0, np.float32))
    np.testing.assert_allclose(image, 7.0, rtol=1e-6)


def test_higher_orders_follow_the_fundamental():
    grid = Grid((3, 4), PIXEL)
    light = illumination(grid, (2.0, 1.0), 0.5, (0.4, 0.2), 1.0)
    for i in range(3):
        for j in range(4):
            turn = 2 * math.pi * (2.0 * i * PIXEL + 1.0 * j * PIXEL) + 0.5
            assert light[i, j] == pytest.approx(
                1 + 0.4 * math.cos(turn) + 0.2 * math.cos(2 * turn), abs=1e-6
            )


def test_object_on_another_grid_is_refused():
    field = FineField(Grid((8, 8), PIXEL), fine=2, margin=1)
    with pytest.raises(UsageError, match="fine grid"):
        Detector(field, OTF)(np.ones((8, 8), np.float32))


def test_crop_to_camera_matches_the_camera_field():
    field = FineField(Grid((8, 9), PIXEL), fine=2, margin=3)
    y, x = np.broadcast_arrays(*field.grid.positions_um())
    cropped_y, cropped_x = field.crop_to_camera(y), field.crop_to_camera(x)
    assert cropped_y.shape == (16, 18)
    np.testing.assert_allclose(cropped_y[0], -0.25 * PIXEL)
    np.testing.assert_allclose(cropped_x[:, -1], 8.25 * PIXEL)


def test_evaluate_otf_is_the_formula_used_here():
    assert evaluate_otf(OTF, np.array(0.7), np.array(1.1)) == pytest.approx(
        _otf_at(math.hypot(0.7, 1.1)) * _sinc(0.07) * _sinc(0.11), abs=1e-6
    )


def test_the_object_drifts_and_the_light_stays():
    """A displacement of whole fine pixels is a rolled object; half a pixel there and back none."""
    field = FineField(Grid((6, 7), PIXEL), fine=2, margin=2)
    density = np.random.default_rng(4).random(field.grid.shape).astype(np.float32)
    still = DirectionPattern((1.3, -2.1), (0.4, 2.0, 1.0), (0.6,), (1.0, 1.1, 0.9))
    step = field.grid.pixel_um
    drift = ((0.0, 0.0), (3 * step, -2 * step), (0.0, step))
    detector = Detector(field, OTF)
    got = expected_frames(density, [replace(still, drift_um=drift)], detector)[0]
    for j, rolled in enumerate(((0, 0), (3, -2), (0, 1))):
        expected = expected_frames(np.roll(density, rolled, (0, 1)), [still], detector)[0, j]
        np.testing.assert_allclose(got[j], expected, rtol=1e-4)
    smooth = gaussian_filter(density, 2, mode="wrap")
    half = displaced(smooth, (0.5 * step, 0.0), step)
    np.testing.assert_allclose(displaced(half, (-0.5 * step, 0.0), step), smooth, rtol=1e-4)
    assert np.abs(half - smooth).max() > 0.005
