"""Cases in which searches for the pattern go wrong: the right answer, or a clean stop."""

import numpy as np
import pytest
from fit_errors import errors

from simrecon.errors import InputError
from simrecon.estimate import estimate_pattern
from simrecon.estimate.window import wrap
from simrecon.model.optics import Optics
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import fine_field, simulate
from simrecon.recon.preprocess import raw_variance

OPTICS = Optics(na=1.4, emission_nm=525.0)
PIXEL = 0.065
PERIOD = 0.21


def acquire(size=128, pixel_um=PIXEL, optics=OPTICS, seed=5, **settings):
    chosen = {"peak_e": 500.0, "phase_jitter_rad": 0.1, "fine": 2, **settings}
    stack, truth = simulate(
        shape=(size, size), pixel_um=pixel_um, optics=optics, seed=seed, **chosen
    )
    frames = stack.frames_e()
    return frames, raw_variance(frames, stack.camera), truth


def fitted(data, **expected):
    frames, variance, truth = data
    return estimate_pattern(
        frames, truth.pattern.pixel_um, truth.otf, variance_e2=variance, **expected
    )


def worst_px(fit, truth):
    """Largest frequency error, DFT samples of the field."""
    return np.hypot(*errors(fit, truth)["f"].T).max()


@pytest.fixture(scope="module")
def plain():
    return acquire()


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (2.0, "it is half that"),
        (0.5, "it is twice that"),
        (1.06, "(-6 %)"),
        (1 / 1.06, "(+6 %)"),
        (1.02, None),
    ],
)
def test_wrong_line_spacing_is_corrected(plain, factor, sentence):
    fit = fitted(plain, expected_frequency_per_um=1 / (factor * PERIOD))
    assert fit.verdict == "ok"
    assert worst_px(fit, plain[2]) < 0.03
    said = [n for n in fit.notes if "the pattern's period is" in n]
    assert len(said) == (sentence is not None)
    assert sentence is None or sentence in said[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: [-one for one in a], "mirrored: the rows of the file run the other way"),
        (lambda a: a[1:] + a[:1], "in another sequence"),
        (lambda a: [one + 0.35 for one in a], "not the expected ones"),
        (lambda a: [one + np.pi for one in a], None),
    ],
)
def test_wrong_angles_are_corrected(plain, change, sentence):
    angles = [d.angle_rad for d in plain[2].pattern.directions]
    fit = fitted(plain, expected_angles_rad=change(angles))
    assert fit.verdict == "ok"
    assert worst_px(fit, plain[2]) < 0.03
    said = [n for n in fit.notes if "the directions are" in n]
    assert len(said) == (sentence is not None)
    assert sentence is None or sentence in said[0]


def test_exchanged_wavelengths_are_refused():
    with pytest.raises(InputError, match="are they exchanged"):
        Optics(na=1.4, emission_nm=488.0, excitation_nm=525.0)


def test_excitation_given_as_emission_does_not_move_the_carrier(plain):
    frames, variance, truth = plain
    wrong = theoretical_otf(Optics(na=1.4, emission_nm=488.0), pixel_um=PIXEL)
    fit = estimate_pattern(frames, PIXEL, wrong, variance_e2=variance)
    assert worst_px(fit, truth) < 0.05


@pytest.mark.parametrize("peak_e", [1000.0, 100.0])
def test_pattern_near_the_cut_off(peak_e):
    """TIRF: the beams use nearly the whole aperture."""
    optics = Optics(na=1.49, emission_nm=525.0, excitation_nm=488.0, excitation_na=1.47)
    data = acquire(192, optics=optics, peak_e=peak_e)
    fit = fitted(data)
    assert fit.verdict == ("ok" if peak_e > 500 else "weak")
    assert worst_px(fit, data[2]) < 0.05


@pytest.mark.parametrize("period_px", [2.05, 2.1, 2.2])
def test_pattern_near_nyquist(period_px):
    optics = Optics(na=1.49, emission_nm=525.0)
    data = acquire(pixel_um=0.085, optics=optics, period_um=0.085 * period_px, peak_e=1000.0)
    fit = fitted(data)
    assert fit.verdict == "ok"
    assert worst_px(fit, data[2]) < 0.03


def lattice(period_um, angle_rad=0.6):
    """A grating with one slow modulation: nothing in it is not repeated."""
    y, x = fine_field((128, 128), PIXEL, 2).grid.positions_um()
    across = np.sin(angle_rad) * y + np.cos(angle_rad) * x
    return (1.1 + np.cos(2 * np.pi * across / period_um)).astype(np.float32)


@pytest.mark.parametrize("period_um", [0.2, 0.25, 0.4, 1.0])
def test_periodic_sample_is_never_taken_for_the_pattern(period_um):
    data = acquire(fine_object=lattice(period_um))
    fit = fitted(data)
    wrong = np.hypot(*errors(fit, data[2])["f"].T) > 0.05
    assert not any(off and d.verdict == "ok" for off, d in zip(wrong, fit.directions, strict=True))


def test_beads_alone():
    data = acquire(192, kind="beads")
    fit = fitted(data)
    assert fit.verdict == "ok"
    assert worst_px(fit, data[2]) < 0.02


def test_one_curved_filament():
    y, x = fine_field((192, 192), PIXEL, 2).grid.positions_um()
    away = x - 6.0 - 1.5 * np.sin(y / 2.5)
    data = acquire(192, fine_object=np.exp(-0.5 * (away / 0.03) ** 2).astype(np.float32))
    fit = fitted(data)
    error = np.hypot(*errors(fit, data[2])["f"].T)
    assert error.min() < 0.05
    assert not any(
        e > 0.05 and d.verdict == "ok" for e, d in zip(error, fit.directions, strict=True)
    )


@pytest.mark.parametrize("steps_deg", [(0, 60, 200), (0, 35, 180), (0, 150, 190), (0, 250, 80)])
def test_unequal_steps_anywhere_in_the_circle(steps_deg):
    """Frames made from separated bands, so that the steps may be anything."""
    data = with_steps(np.radians(steps_deg))
    frames, variance, truth, phases = data
    fit = estimate_pattern(frames, PIXEL, truth.otf, variance_e2=variance)
    assert "failed" not in [d.verdict for d in fit.directions]
    for d, true in zip(fit.directions, phases, strict=True):
        moved = np.array(d.phase_rad) - d.phase_rad[0]
        sd = np.hypot(d.phase_sd_rad[1:], d.phase_sd_rad[0])
        off = [wrap(sign * moved - (true - true[0]))[1:] for sign in (1, -1)]
        assert min(np.abs(o / sd).max() for o in off) < 4.0


def with_steps(steps):
    """Noisy frames with these phases in every direction, from noise-free ones with equal steps."""
    _, truth = simulate(
        shape=(160, 160), pixel_um=PIXEL, optics=OPTICS, peak_e=1000.0, seed=6, fine=2
    )
    rng = np.random.default_rng(1)
    frames, phases = [], []
    for d, expected in zip(truth.pattern.directions, truth.expected_e, strict=True):
        made = np.exp(1j * np.outer((0, 1, -1), d.phase_rad)).T
        bands = np.tensordot(np.linalg.inv(made), expected, axes=1)
        wanted = np.exp(1j * np.outer((0, 1, -1), steps)).T
        frames.append(np.tensordot(wanted, bands, axes=1).real)
        phases.append(np.asarray(steps))
    light = np.maximum(np.array(frames), 0.0)
    noisy = rng.poisson(light) + 1.5 * rng.normal(size=light.shape)
    variance = np.broadcast_to(light.mean(axis=(0, 1)) + 2.25, light.shape)
    return noisy.astype(np.float32), variance.astype(np.float32), truth, phases


def test_little_modulation():
    data = acquire(192, modulation=(0.1,), peak_e=1000.0)
    fit = fitted(data)
    assert worst_px(fit, data[2]) < 0.15
    assert "failed" not in [d.verdict for d in fit.directions]
    assert np.abs(errors(fit, data[2])["m"]).max() < 0.02


def test_twenty_photons():
    data = acquire(256, peak_e=20.0)
    fit = fitted(data)
    assert worst_px(fit, data[2]) < 0.15
    assert "failed" not in [d.verdict for d in fit.directions]
