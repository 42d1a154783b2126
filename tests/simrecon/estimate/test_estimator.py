"""The whole fit against simulated truth."""

from dataclasses import replace

import numpy as np
import pytest
from fit_errors import errors

from simrecon.errors import InputError, UsageError
from simrecon.estimate import estimate_pattern
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import simulate
from simrecon.recon.preprocess import raw_variance

OPTICS = Optics(na=1.4, emission_nm=525.0)
PIXEL = 0.065


def acquire(shape=(192, 192), peak_e=1000.0, seed=1, **settings):
    chosen = {"phase_jitter_rad": 0.1, "intensity_jitter": 0.03, **settings}
    stack, truth = simulate(
        shape=shape, pixel_um=PIXEL, optics=OPTICS, peak_e=peak_e, seed=seed, **chosen
    )
    frames = stack.frames_e()
    return frames, raw_variance(frames, stack.camera), truth


@pytest.fixture(scope="module")
def bright():
    frames, variance, truth = acquire()
    return frames, variance, truth, estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)


def test_everything_is_found_with_jittered_steps_and_intensities(bright):
    _, _, truth, fit = bright
    e = errors(fit, truth)
    assert fit.verdict == "ok"
    assert np.hypot(*e["f"].T).mean() < 0.006
    assert np.degrees(np.abs(e["phi"]).mean()) < 0.6
    assert np.abs(e["m"]).max() < 0.01
    assert np.abs(e["g"]).max() < 0.008


def test_phases_belong_to_pixel_zero(bright):
    _, _, truth, fit = bright
    got, true = fit.directions[0], truth.pattern.directions[0]
    sign = np.sign(np.dot(got.frequency_per_um, true.frequency_per_um))
    off = np.exp(1j * (sign * np.array(got.phase_rad) - np.array(true.phase_rad)))
    assert np.abs(np.angle(off)).max() < 0.05


def test_errors_are_of_the_size_that_is_claimed():
    ratios = {"f": [], "phi": [], "m": []}
    for seed in range(6):
        frames, variance, truth = acquire(shape=(128, 128), peak_e=300.0, seed=10 + seed)
        fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
        e = errors(fit, truth)
        for n, d in enumerate(fit.directions):
            extent = np.array(truth.pattern.shape) * PIXEL
            ratios["f"] += list(e["f"][n] / extent / np.array(d.frequency_sd_per_um))
            ratios["phi"] += list(e["phi"][n] / np.array(d.phase_sd_rad))
            ratios["m"].append(e["m"][n] / d.modulation_sd[0])
    for name, values in ratios.items():
        rms = np.sqrt(np.mean(np.square(values)))
        assert 0.5 < rms < 1.8, (name, rms)


def test_unequal_steps_anywhere():
    frames, variance, truth = acquire(phase_jitter_rad=0.35, seed=4)
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    assert np.degrees(np.abs(errors(fit, truth)["phi"]).max()) < 2.0


@pytest.mark.parametrize("shape", [(131, 160), (127, 127)])
def test_odd_prime_and_oblong_fields(shape):
    frames, variance, truth = acquire(shape=shape, seed=7)
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    assert np.hypot(*errors(fit, truth)["f"].T).max() < 0.03


def test_unmodulated_haze_does_not_lower_the_modulation_much():
    frames, variance, truth = acquire(haze=1.0, seed=5)
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    assert np.abs(errors(fit, truth)["m"]).max() < 0.03
    assert fit.verdict == "ok"


def test_noise_is_measured_when_no_variance_is_given(bright):
    frames, _, truth, _ = bright
    fit = estimate_pattern(frames, PIXEL, truth.otf)
    assert np.abs(errors(fit, truth)["m"]).max() < 0.01
    assert any("beyond the cut-off" in n for n in fit.notes)


def test_wrong_variance_is_rescaled_and_told(bright):
    frames, variance, truth, _ = bright
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance / 10)
    assert np.abs(errors(fit, truth)["m"]).max() < 0.01
    assert any("do not fit these data" in n for n in fit.notes)


def test_expected_period_and_angles_may_be_given(bright):
    frames, variance, truth, _ = bright
    angles = [d.angle_rad + 0.05 for d in truth.pattern.directions]
    fit = estimate_pattern(
        frames,
        PIXEL,
        truth.otf,
        variance_e2=variance,
        expected_frequency_per_um=1 / 0.22,
        expected_angles_rad=angles,
    )
    assert fit.verdict == "ok"


def test_given_frequencies_are_kept(bright):
    frames, variance, truth, _ = bright
    given = [d.frequency_per_um for d in truth.pattern.directions]
    fit = estimate_pattern(
        frames, PIXEL, truth.otf, variance_e2=variance, fixed_frequencies_per_um=given
    )
    assert [d.frequency_per_um for d in fit.directions] == [pytest.approx(g) for g in given]
    assert np.degrees(np.abs(errors(fit, truth)["phi"]).max()) < 1.5


def test_direction_without_pattern_is_never_ok(bright):
    frames, variance, truth, _ = bright
    rng = np.random.default_rng(0)
    blind = frames.copy()
    level = frames.mean(axis=(0, 1))
    blind[1] = rng.poisson(np.maximum(level, 0), (3, *level.shape))
    fit = estimate_pattern(blind, PIXEL, truth.otf, variance_e2=variance)
    assert fit.directions[1].verdict == "failed"
    assert fit.directions[1].phase_sd_rad[0] > 1.5
    assert [fit.directions[d].verdict for d in (0, 2)] == ["ok", "ok"]
    assert fit.verdict == "failed"


def test_wrong_frame_order_is_called_by_name(bright):
    frames, variance, truth, _ = bright
    swapped = np.ascontiguousarray(frames.swapaxes(0, 1))
    fit = estimate_pattern(swapped, PIXEL, truth.otf, variance_e2=variance.swapaxes(0, 1))
    assert fit.verdict == "failed"
    assert any("same angle – wrong frame order?" in n for n in fit.notes)


def test_pattern_outside_the_otf_fails_and_names_the_period(bright):
    frames, _, _, _ = bright
    narrow = theoretical_otf(Optics(na=0.8, emission_nm=525.0), pixel_um=PIXEL)
    fit = estimate_pattern(frames, PIXEL, narrow)
    assert fit.verdict == "failed"
    assert any("outside the OTF" in n for n in fit.notes)


def test_noise_alone_fails():
    rng = np.random.default_rng(3)
    frames = rng.poisson(50.0, (3, 3, 128, 128)).astype(np.float32)
    otf = theoretical_otf(OPTICS, pixel_um=PIXEL)
    fit = estimate_pattern(frames, PIXEL, otf, variance_e2=np.full_like(frames, 50.0))
    assert [d.verdict for d in fit.directions] == ["failed"] * 3


def test_bad_frames_are_refused():
    otf = theoretical_otf(OPTICS, pixel_um=PIXEL)
    rng = np.random.default_rng(0)
    good = rng.poisson(50.0, (3, 3, 64, 64)).astype(np.float32)
    broken = good.copy()
    broken[1, 2, 5, 5] = np.nan
    with pytest.raises(InputError, match="NaN"):
        estimate_pattern(broken, PIXEL, otf)
    dark = good.copy()
    dark[2, 0] = 7.0
    with pytest.raises(InputError, match="constant"):
        estimate_pattern(dark, PIXEL, otf)
    with pytest.raises(InputError, match="cannot carry"):
        estimate_pattern(good[:, :2], PIXEL, otf)
    with pytest.raises(UsageError, match="one of the expected angles per direction"):
        estimate_pattern(good, PIXEL, otf, expected_angles_rad=[0.0])


def test_fit_survives_the_pattern_file(bright):
    fit = bright[3]
    again = type(fit).from_dict(fit.to_dict())
    assert again.directions[2].phase_rad == pytest.approx(fit.directions[2].phase_rad)
    assert replace(again, notes=()).verdict == fit.verdict


def test_camera_scale_does_not_matter(bright):
    frames, variance, truth, fit = bright
    doubled = estimate_pattern(2 * frames, PIXEL, truth.otf, variance_e2=4 * variance)
    assert doubled.directions[0].modulation == pytest.approx(fit.directions[0].modulation, abs=1e-4)
    assert Camera().gain == 1.0


@pytest.mark.parametrize(("phases", "jitter"), [(4, 0.1), (5, 0.1), (5, 0.4), (7, 0.1)])
def test_more_than_three_phases(phases, jitter):
    frames, variance, truth = acquire(
        shape=(256, 256), phases=phases, phase_jitter_rad=jitter, seed=7
    )
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    e = errors(fit, truth)
    assert [d.verdict for d in fit.directions] == ["ok"] * 3
    assert np.degrees(np.abs(e["phi"]).max()) < 1.0
    assert np.hypot(*e["f"].T).max() < 0.006
    assert np.abs(e["m"]).max() < 0.005
    assert np.abs(e["g"]).max() < 0.008


@pytest.mark.parametrize("seed", [9, 11])
def test_side_lobe_of_a_narrow_peak_is_not_taken_for_it(seed):
    """Small sparse fields whose carrier falls between two DFT samples."""
    frames, variance, truth = acquire(shape=(127, 127), seed=seed)
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    assert np.hypot(*errors(fit, truth)["f"].T).max() < 0.05
    assert fit.verdict == "ok"
