"""Pieces of the estimator against slow or hand-made counterparts."""

import numpy as np
import pytest

from simrecon.estimate.acceptance import Evidence, coincidence_note, coinciding, judge
from simrecon.estimate.band_field import BandField
from simrecon.estimate.frequency import contrasts, zoomed_dft
from simrecon.estimate.mixing import DirectionState, mixing, unmixing
from simrecon.estimate.noise import measured_noise, noise_moments, row_noise
from simrecon.estimate.otf_table import otf_function
from simrecon.estimate.phase import phases_from_carrier
from simrecon.estimate.redundancy import Redundancy
from simrecon.estimate.rows import BandImages
from simrecon.estimate.uncertainty import sandwich
from simrecon.estimate.window import FieldWindow, phase_at_origin, tukey, wrap
from simrecon.model.psf import GridOTF


@pytest.mark.parametrize("phases", [3, 4, 5, 7])
def test_contrasts_are_orthonormal_and_blind_to_the_mean(phases):
    c = contrasts(phases)
    assert c.shape == (phases - 1, phases)
    assert c @ c.T == pytest.approx(np.eye(phases - 1), abs=1e-12)
    assert c.sum(axis=1) == pytest.approx(np.zeros(phases - 1), abs=1e-12)


@pytest.mark.parametrize("steps", [(0, 120, 240), (0, 90, 200), (0, 130, 255), (10, 80, 170, 300)])
def test_phases_from_the_circle_of_coefficients(steps):
    true = np.radians(steps)
    wave = 3.0 * np.exp(1j * true)
    got = phases_from_carrier(wave - wave.mean())
    assert np.abs(wrap(got - true)).max() < 1e-9


def test_unmixing_undoes_mixing():
    phase, g = np.array([0.1, 2.0, 4.4]), np.array([1.1, 0.9, 1.0])
    parameters = np.concatenate([phase, g, [np.log(0.6)]])
    product = unmixing(parameters, 3) @ mixing(phase, g)
    assert product == pytest.approx(np.diag([1.0, 1 / 0.3, 1 / 0.3]), abs=1e-12)


def test_zoomed_dft_is_the_dft():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 12, 10)).astype(np.float32)
    f = (np.fft.fftfreq(12, 0.1), np.fft.fftfreq(10, 0.1))
    got = zoomed_dft(image, 0.1 * np.arange(12), 0.1 * np.arange(10), *f)
    assert got[0] == pytest.approx(np.fft.fft2(image[0]), abs=1e-4)


def test_phase_moves_from_the_centre_to_pixel_zero():
    window = FieldWindow.on((20, 31), 0.1)
    p, phase = (1.3, 0.7), 0.4
    cy, cx = window.centre_um
    direct = np.cos(2 * np.pi * (p[0] * (0 - cy) + p[1] * (0 - cx)) + phase)
    assert np.cos(phase_at_origin(np.array([phase]), p, window))[0] == pytest.approx(direct)


@pytest.mark.parametrize("shape", [(40, 48), (45, 36), (36, 45)])
def test_noise_beyond_the_cutoff_is_that_of_the_whole_plane(shape):
    frames = np.random.default_rng(3).normal(size=(1, 2, *shape)).astype(np.float32)
    window = FieldWindow.on(shape, 0.1, 0.2)
    whole = np.abs(np.fft.fft2(frames * window.tapers[0], s=window.padded.shape)) ** 2
    beyond = np.hypot(*window.padded.frequencies_per_um()) > 1.05 * 2.0
    got = measured_noise(window.transform(frames), window, 2.0)
    assert got == pytest.approx(whole[..., beyond].mean(axis=-1), rel=1e-5)
    assert window.images(window.transform(frames))[..., : shape[0], : shape[1]] == pytest.approx(
        frames * window.tapers[0], abs=1e-5
    )


def test_tukey_flanks_are_symmetric_and_its_slope_sums_to_zero():
    assert tukey(41, 0.2) == pytest.approx(tukey(41, 0.2)[::-1])
    window = FieldWindow.on((40, 41), 0.1, 0.2)
    assert np.abs(window.tapers[1:].sum(axis=(1, 2))).max() < 1e-3


def test_expected_noise_of_the_rows_matches_draws():
    """Monte Carlo of the demodulated rows against their closed form, unequal variances."""
    rng = np.random.default_rng(1)
    shape, pixel = (48, 40), 0.065
    window = FieldWindow.on(shape, pixel, 0.2)
    field = BandField.on(window, 8.0)
    state = DirectionState(
        np.array([2.1, 3.3]), np.array([0.2, 2.2, 4.5]), np.array([1.0, 1.1, 0.9]), 0.6
    )
    variance = rng.uniform(1, 9, (3, *shape)).astype(np.float32)
    variance[:, 10:20, 5:20] *= 4
    along = state.frequency_per_um[0] * window.y_um[:, None]
    along = along + state.frequency_per_um[1] * window.x_um
    variance *= (1 + 0.9 * np.cos(2 * np.pi * along + 1.0)).astype(np.float32)
    total, draws = 0.0, 60
    for _ in range(draws):
        noise = (rng.normal(size=variance.shape) * np.sqrt(variance)).astype(np.float32)
        images = BandImages.of(
            noise[None], field, lambda ky, kx: np.ones(np.shape(ky)), window.transform(noise[None])
        )
        rows = images.rows(0, state).astype(np.complex128)
        total = total + np.conj(rows) @ rows.T / (rows.shape[1] * draws)
    parameters = unmixing(state.parameters, 3)
    expected = row_noise(noise_moments(variance, state.frequency_per_um, window), parameters)
    scale = np.sqrt(np.diag(expected).real)
    relative = np.abs(total - expected) / np.outer(scale, scale)
    assert np.abs(np.diag(relative)).max() < 0.06
    assert relative.max() < 0.08


def test_coarse_grid_gives_the_same_rows_where_the_band_is():
    """Demodulated on the grid of the detection band and on the raw grid."""
    rng = np.random.default_rng(2)
    window = FieldWindow.on((75, 64), 0.065, 0.2)
    cutoff = 4.0
    white = np.fft.fft2(rng.normal(size=(1, 3, 75, 64)))
    k = np.hypot(np.fft.fftfreq(75, 0.065)[:, None], np.fft.fftfreq(64, 0.065))
    frames = np.fft.ifft2(white * np.maximum(1 - k / cutoff, 0)).real.astype(np.float32)
    state = DirectionState(
        np.array([-1.7, 2.9]), np.array([0.2, 2.2, 4.5]), np.array([1.0, 1.1, 0.9]), 0.6
    )

    def flat(ky, kx):
        return np.ones(np.broadcast(ky, kx).shape)

    spectra = window.transform(frames)
    coarse = BandImages.of(frames, BandField.on(window, cutoff), flat, spectra)
    raw = BandImages.of(frames, BandField.on(window, 50.0), flat, spectra)
    assert coarse.field.shape < raw.field.shape == window.padded.shape
    place = {k: n for n, k in enumerate(zip(raw.half.ky, raw.half.kx, strict=True))}
    same = [place[k] for k in zip(coarse.half.ky, coarse.half.kx, strict=True)]
    got, want = coarse.rows(0, state), raw.rows(0, state)[:, same]
    for rows, b in ((slice(0, 3), 0), (slice(3, 6), 1), (slice(8, 11), -1)):
        fy, fx = b * state.frequency_per_um
        inside = np.hypot(coarse.half.ky + fy, coarse.half.kx + fx) < cutoff
        scale = np.abs(want[rows]).max()
        assert inside.any()
        assert np.abs(got[rows] - want[rows])[:, inside].max() < 3e-3 * scale


def redundant_frames(phases):
    """Cross powers of frames that mix three random bands, noise-free but for their account."""
    rng = np.random.default_rng(3)
    angles = 2 * np.pi * np.arange(phases) / phases + rng.normal(0, 0.2, phases)
    g = 1 + rng.normal(0, 0.05, phases)
    bands = (rng.normal(size=(3, 400)) + 1j * rng.normal(size=(3, 400))) * 50
    noise = np.linspace(0.5, 2.0, phases)
    draws = rng.normal(size=(2, phases, 400)) * np.sqrt(noise / 2)[:, None]
    zero = (mixing(angles, g) @ bands + draws[0] + 1j * draws[1])[None].astype(np.complex64)
    return zero, noise[None], np.concatenate([angles, g, [np.log(0.6)]])


@pytest.mark.parametrize("phases", [4, 5, 7])
def test_redundant_frames_are_noise_at_the_truth_only(phases):
    zero, noise, true = redundant_frames(phases)
    at_truth = Redundancy.of(zero, noise, [true])
    spread = np.sqrt(400 * (phases - 3))
    assert abs(at_truth.value([true])) < 4 * spread
    assert at_truth.weight[0] == 1.0
    away = true.copy()
    away[1] += 0.1
    assert at_truth.value([away]) > 20 * spread
    assert Redundancy.of(zero, noise, [away]).weight[0] < 0.5


def test_gradient_of_the_redundancy():
    zero, noise, true = redundant_frames(5)
    redundancy = Redundancy.of(zero, noise, [true])
    away = true + 0.05 * np.random.default_rng(4).normal(size=true.size)
    gradient, _ = redundancy.system([away])
    for n in range(10):
        step = np.zeros_like(away)
        step[n] = 1e-4
        slope = (redundancy.value([away + step]) - redundancy.value([away - step])) / 2e-4
        assert gradient[n] == pytest.approx(slope, rel=1e-3, abs=1e-2)


def test_three_phases_have_no_redundancy():
    zero, noise, true = redundant_frames(3)
    assert Redundancy.of(zero, noise, [true]) is None


def test_few_blocks_enlarge_the_error():
    even = sandwich(np.ones((1, 100)))
    assert even[0, 0] == pytest.approx(100 * 100 / 98)
    few = sandwich(np.concatenate([np.ones((1, 6)), np.zeros((1, 94))], axis=1))
    assert few[0, 0] == pytest.approx(6 * 6 / 4)
    single = sandwich(np.eye(2, 50))
    np.testing.assert_allclose(np.diag(single), 4.0)


def test_measured_otf_is_interpolated_accurately():
    y, x = np.mgrid[-15:16, -15:16] * 0.05
    psf = np.exp(-(y**2 + (x - 0.01) ** 2) / (2 * 0.1**2))
    otf = GridOTF(psf / psf.sum(), 0.05, 4.0)
    ky, kx = np.random.default_rng(0).uniform(-2.5, 2.5, (2, 200))
    exact = np.sum(
        otf.psf[None] * np.exp(-2j * np.pi * (ky[:, None, None] * y + kx[:, None, None] * x)),
        axis=(1, 2),
    )
    assert otf_function(otf)(ky, kx) == pytest.approx(exact, abs=2e-3)


GOOD = Evidence(
    nats=300.0,
    rivalry=0.1,
    settled=False,
    known="nothing",
    correlation=0.95,
    modulation=0.7,
    modulation_sd=0.01,
    frequency_sd_px=0.005,
    moved_px=0.1,
    coverage=0.9,
    over_cutoff=0.9,
)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "ok"),
        ({"nats": 12.0}, "weak"),
        ({"nats": 5.0}, "failed"),
        ({"nats": 5.0, "known": "others"}, "weak"),
        ({"known": "others"}, "weak"),
        ({"rivalry": 0.8}, "weak"),
        ({"rivalry": 1.1}, "failed"),
        ({"rivalry": 1.1, "settled": True}, "weak"),
        ({"correlation": 0.4}, "weak"),
        ({"correlation": 0.75}, "weak"),
        ({"correlation": 0.1}, "failed"),
        ({"modulation": 0.05}, "weak"),
        ({"modulation": 0.05, "modulation_sd": 0.1}, "failed"),
        ({"frequency_sd_px": 0.2}, "weak"),
        ({"moved_px": 5.0}, "failed"),
        ({"over_cutoff": 1.6}, "failed"),
        ({"coverage": 0.1}, "weak"),
        ({"coverage": 0.1, "known": "frequency"}, "ok"),
    ],
)
def test_verdicts(change, verdict):
    evidence = Evidence(**{**GOOD.__dict__, **change})
    got, reasons = judge(evidence)
    assert got == verdict
    assert bool(reasons) == (verdict != "ok")


def test_coinciding_directions():
    a, b = np.array([3.0, 3.0]), np.array([-3.05, -3.0])
    assert coinciding([a, b, np.array([4.2, 0.0])]) == [(0, 1)]
    assert coinciding([a, np.array([3.0, -3.0]), np.array([4.2, 0.0])]) == []
    assert coincidence_note([(0, 1), (0, 2), (1, 2)], 3).startswith("All directions")
