"""OTFs against sums written out by hand, and against the pupil quadrature."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from simrecon.errors import InputError, UsageError
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.model.psf import GridOTF, RadialOTF
from simrecon.physics.measured import _background
from simrecon.physics.otf import check_otf, evaluate_otf, otf_from_psf, theoretical_otf
from simrecon.physics.pupil import pupil_otf, pupil_psf

OPTICS = Optics(na=1.2, emission_nm=600.0)  # cut-off exactly 4 per µm


def test_ideal_otf_is_the_overlap_of_two_discs():
    otf = theoretical_otf(OPTICS, model="ideal")
    n = 401
    axis = np.linspace(-1.0, 1.0, n)
    for v in (0.1, 0.45, 0.8):
        inside = both = 0
        for y in axis:
            row = axis**2 + y**2 <= 1.0
            shifted = (axis - 2.0 * v) ** 2 + y**2 <= 1.0
            inside += int(row.sum())
            both += int((row & shifted).sum())
        value = evaluate_otf(otf, np.zeros(1), np.array([v * 4.0]))[0]
        assert value == pytest.approx(both / inside, abs=4e-3)


@pytest.mark.parametrize("model", ["ideal", "scalar", "vectorial", "auto"])
def test_theoretical_otf_starts_at_one_falls_and_ends_at_the_cutoff(model):
    otf = theoretical_otf(OPTICS, model=model)
    assert otf.values[0] == 1.0
    assert otf.values[-1] == 0.0
    assert otf.cutoff_per_um == pytest.approx(4.0)
    assert np.all(np.diff(otf.values) < 0)
    beyond = evaluate_otf(otf, np.array([4.0, 2.9]), np.array([0.0, 2.9]))
    assert np.all(beyond == 0.0)


def test_auto_is_vectorial_above_na_0_7_only():
    high, low = OPTICS, Optics(na=0.6, emission_nm=600.0)
    np.testing.assert_array_equal(
        theoretical_otf(high).values, theoretical_otf(high, model="vectorial").values
    )
    np.testing.assert_array_equal(
        theoretical_otf(low).values, theoretical_otf(low, model="scalar").values
    )
    assert (
        np.max(np.abs(theoretical_otf(high, model="scalar").values - theoretical_otf(high).values))
        > 0.05
    )


def test_small_aperture_gives_the_ideal_otf():
    tiny = Optics(na=0.05, emission_nm=600.0, immersion_index=1.0)
    for model in ("scalar", "vectorial"):
        difference = (
            theoretical_otf(tiny, model=model).values - theoretical_otf(tiny, model="ideal").values
        )
        assert np.max(np.abs(difference)) < 1.5e-3


@pytest.mark.parametrize("sample_index", [None, 1.33])
def test_table_agrees_with_the_quadrature_between_its_points(sample_index):
    optics = Optics(na=1.49, emission_nm=525.0, sample_index=sample_index)
    k = np.sort(np.random.default_rng(1).uniform(0.0, optics.cutoff_per_um, 40))
    table = evaluate_otf(theoretical_otf(optics), np.zeros(40), k)
    assert np.max(np.abs(table - pupil_otf(optics, k)[0])) < 1e-4


def test_pixel_sinc_multiplies_both_axes():
    plain = theoretical_otf(OPTICS, model="ideal")
    pixelated = theoretical_otf(OPTICS, model="ideal", pixel_um=0.1)
    ky, kx = np.array([[0.0], [1.5]]), np.array([[0.7, 2.0]])
    got = evaluate_otf(pixelated, ky, kx) / evaluate_otf(plain, ky, kx)
    for i, y in enumerate((0.0, 1.5)):
        for j, x in enumerate((0.7, 2.0)):
            expected = math.sin(math.pi * x * 0.1) / (math.pi * x * 0.1)
            if y:
                expected *= math.sin(math.pi * y * 0.1) / (math.pi * y * 0.1)
            assert got[i, j] == pytest.approx(expected, rel=1e-12)


def test_unknown_model_is_refused():
    with pytest.raises(UsageError, match="Unknown pupil model"):
        theoretical_otf(OPTICS, model="gaussian")


@pytest.mark.parametrize("shape", [(6, 7), (7, 6)])
def test_grid_otf_equals_the_written_out_fourier_sum(shape):
    psf = np.random.default_rng(2).random(shape)
    psf /= psf.sum()
    otf = GridOTF(psf, 0.12, cutoff_per_um=3.0)
    ky, kx = np.array([[0.0], [-0.83], [2.31]]), np.array([[0.41, -1.77, 2.5]])
    open_grid = evaluate_otf(otf, ky, kx)
    full_y, full_x = np.broadcast_arrays(ky, kx)
    assert open_grid.dtype == np.complex128
    np.testing.assert_allclose(
        evaluate_otf(otf, full_y.copy(), full_x.copy()), open_grid, atol=1e-12
    )
    for i in range(3):
        for j in range(3):
            total = 0j
            for y in range(shape[0]):
                for x in range(shape[1]):
                    turn = ky[i, 0] * (y - shape[0] // 2) + kx[0, j] * (x - shape[1] // 2)
                    total += psf[y, x] * cmath.exp(-2j * math.pi * turn * 0.12)
            if math.hypot(ky[i, 0], kx[0, j]) >= 3.0:
                total = 0j
            assert abs(open_grid[i, j] - total) < 1e-12


def _spot(shape, pixel_um, shift_px, optics=OPTICS):
    """A band-limited PSF moved by (dy, dx) pixels."""
    psf = pupil_psf(optics, Grid(shape, pixel_um))[0].astype(np.float64)
    ky = np.fft.fftfreq(shape[0])[:, None]
    kx = np.fft.fftfreq(shape[1])[None, :]
    ramp = np.exp(-2j * np.pi * (ky * shift_px[0] + kx * shift_px[1]))
    return np.fft.ifft2(np.fft.fft2(psf) * ramp).real


@pytest.mark.parametrize("shape", [(64, 65), (65, 64)])
def test_measured_psf_is_cleaned_centred_and_normalised(shape):
    picture = 5000.0 * _spot(shape, 0.08, (3.37, -5.81)) + 104.0
    otf = otf_from_psf(picture, 0.08, cutoff_per_um=OPTICS.cutoff_per_um, background=104.0)
    assert otf.psf.sum() == pytest.approx(1.0)
    truth = theoretical_otf(OPTICS)
    ky = np.fft.fftfreq(shape[0], 0.08)[:, None]
    kx = np.fft.fftfreq(shape[1], 0.08)[None, :]
    got, expected = evaluate_otf(otf, ky, kx), evaluate_otf(truth, ky, kx)
    assert np.max(np.abs(got - expected)) < 2e-4
    automatic = otf_from_psf(picture, 0.08, cutoff_per_um=OPTICS.cutoff_per_um)
    assert np.max(np.abs(evaluate_otf(automatic, ky, kx) - expected)) < 0.03


@pytest.mark.parametrize("size", [64, 65])
def test_the_tail_of_a_spot_is_not_taken_for_background(size):
    wide = 5000.0 * _spot((512, 512), 0.08, (3.37, -5.81)) + 104.0
    low, high = 256 - size // 2, 256 - size // 2 + size
    level = _background(wide[low:high, low:high])
    assert level == pytest.approx(104.0, abs=0.004)  # the border's median is 0.012 higher


@pytest.mark.parametrize(
    "picture, message",
    [
        (np.zeros((3, 20, 20)), "one plane"),
        (np.full((20, 20), np.nan), "NaN"),
        (np.full((20, 20), 7.0), "no spot"),
        (np.random.default_rng(0).normal(100, 5, (20, 20)), "no spot"),
    ],
)
def test_what_is_no_psf_is_refused(picture, message):
    with pytest.raises(InputError, match=message):
        otf_from_psf(picture, 0.1, cutoff_per_um=4.0)


def test_check_accepts_the_right_otf_of_both_kinds():
    assert check_otf(theoretical_otf(OPTICS, pixel_um=0.08), OPTICS) == []
    measured = otf_from_psf(_spot((64, 64), 0.08, (0, 0)), 0.08, cutoff_per_um=4.0, background=0.0)
    assert check_otf(measured, OPTICS) == []


def test_check_refuses_a_cutoff_that_is_two_times_off_with_both_numbers():
    with pytest.raises(InputError, match=r"2\.00x") as error:
        check_otf(theoretical_otf(OPTICS), Optics(na=0.6, emission_nm=600.0))
    assert "2.00 per µm" in error.value.expected
    assert "4.00 per µm" in error.value.got


@pytest.mark.parametrize("wrong_pixel_um", [0.045, 0.16])
def test_check_sees_a_wrong_pixel_size_of_a_measured_psf(wrong_pixel_um):
    picture = _spot((64, 64), 0.08, (0, 0))
    otf = otf_from_psf(picture, wrong_pixel_um, cutoff_per_um=4.0, background=0.0)
    with pytest.raises(InputError, match="measured width"):
        check_otf(otf, OPTICS)


def test_check_notes_a_small_disagreement():
    k = np.linspace(0.0, 3.4, 50)
    notes = check_otf(RadialOTF(k, 1.0 - k / 3.4, 3.4), OPTICS)
    assert len(notes) == 1
    assert "3.40 per µm" in notes[0]
    assert "4.00 per µm" in notes[0]
