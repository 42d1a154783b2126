"""``calibration.pattern``: means, errors, drift, sheets and verdicts against known instruments."""

from dataclasses import replace

import numpy as np
import pytest
from instrument import instrument, recording

from calibration.pattern.compare import check_pattern
from calibration.pattern.gates import check_period
from calibration.pattern.measure import measure_pattern
from calibration.pattern.report import to_pattern, to_record, to_text
from calibration.pattern.series import series
from calibration.pattern.slide import EVEN, fit_slide, structure
from calibration.pattern.statistics import combine, drift
from calibration.pattern.support import reach
from simrecon.config import as_settings
from simrecon.errors import InputError, QualityError
from simrecon.model.optics import Optics
from simrecon.model.pattern import PatternFit
from simrecon.physics.simulate import simulate

SIZE = 96


@pytest.fixture(scope="module")
def recordings():
    return [recording("filaments", SIZE, 1500.0, seed)[0] for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def measured(recordings):
    return measure_pattern(recordings)


def steps_away(found, true) -> np.ndarray:
    """Measured minus true steps, their common part removed."""
    away = np.angle(np.exp(1j * (found - np.asarray(true))))
    return np.angle(np.exp(1j * (away - np.angle(np.exp(1j * away).mean()))))


def test_instrument_is_found_within_its_errors(measured):
    for one, true in zip(measured.channels[0].directions, instrument(), strict=True):
        assert len(one.used) == 3
        sign = np.sign(np.dot(one.frequency.value, true.frequency_per_um))
        away = (sign * one.frequency.value - true.frequency_per_um) / one.frequency.sd
        assert np.abs(away).max() < 4.0
        assert float(one.period_um.value) == pytest.approx(0.21, rel=5e-4)
        steps = steps_away(sign * one.step_rad.value, true.phase_rad)
        assert np.degrees(np.abs(steps).max()) < 1.5
        assert np.abs(steps / one.step_rad.sd).max() < 4.0
        assert abs(one.modulation.value - true.modulation[0]) < 4.0 * one.modulation.sd
        assert 0.0 < float(one.modulation.sd) < 0.02


def test_scatter_between_recordings_is_in_the_errors(measured):
    repeat = [one.step_rad.repeat for one in measured.channels[0].directions]
    assert 0.3 < np.degrees(np.sqrt(np.mean(np.square(repeat)))) < 2.0  # 1° planted


def test_one_recording_is_weak(recordings):
    found = measure_pattern(recordings[:1])
    assert found.verdict == "weak"
    assert any("one usable acquisition only" in n for n in found.notes)
    said = "drift not known (four acquisitions tell it); over the field: no variation told"
    assert said in to_text(found)


def test_text_tells_drift_of_eight_acquisitions(measured):
    """Eight times the same fit stands still; a modulation that fades 3 % each time drifts."""
    (channel,) = measured.channels
    first = channel.acquisitions[0]
    for fade, said in ((1.0, "acquisitions: no drift told"), (0.97, "drift of modulation (see")):
        fits = [
            replace(first.fit, directions=tuple(
                replace(d, modulation=tuple(m * fade**n for m in d.modulation))
                for d in first.fit.directions))
            for n in range(8)
        ]  # fmt: skip
        eight = replace(channel, directions=tuple(series(fits, n) for n in range(3)),
                        acquisitions=tuple(replace(first, fit=f) for f in fits))  # fmt: skip
        text = to_text(replace(measured, channels=(eight,)))
        assert text.count(said) == 3


def test_means_cover_the_truth_and_know_the_scatter():
    rng = np.random.default_rng(1)
    sd = rng.uniform(0.5, 2.0, (5, 4000))
    for between in (0.0, 3.0):
        found = combine(rng.normal(0.0, np.hypot(sd, between)), sd)
        inside = np.mean(np.abs(found.value) < found.sd)
        assert 0.64 < inside < 0.78
        assert np.median(found.between) == pytest.approx(between, abs=0.4)


def test_drift_is_found_and_not_made_up():
    rng = np.random.default_rng(2)
    time, sd = np.arange(8.0), np.full(8, 0.1)
    alarms = [drift(time, rng.normal(0, 0.1, 8), sd).significant for _ in range(500)]
    assert sum(alarms) <= 3
    line = drift(time, 0.2 * time + rng.normal(0, 0.1, 8), sd)
    assert line.significant
    assert line.total == pytest.approx(1.4, abs=0.3)
    assert drift(time[:3], time[:3], sd[:3]) is None


def test_the_sign_of_a_frequency_does_not_matter(measured):
    fits = [a.fit for a in measured.channels[0].acquisitions]
    d = fits[1].directions[0]
    turned = replace(d, frequency_per_um=tuple(-f for f in d.frequency_per_um),
                     phase_rad=tuple(-p for p in d.phase_rad))  # fmt: skip
    other = replace(fits[1], directions=(turned, *fits[1].directions[1:]))
    same, found = series(fits, 0), series([fits[0], other, fits[2]], 0)
    np.testing.assert_allclose(found.frequency.value, same.frequency.value, rtol=1e-9)
    np.testing.assert_allclose(found.step_rad.value, same.step_rad.value, atol=1e-9)


def test_another_carrier_is_left_out_with_its_reason(measured):
    fits = [a.fit for a in measured.channels[0].acquisitions]
    d = fits[2].directions[1]
    wrong = replace(d, frequency_per_um=tuple(1.1 * f for f in d.frequency_per_um))
    odd = replace(fits[2], directions=(fits[2].directions[0], wrong, fits[2].directions[2]))
    found = series([*fits[:2], odd], 1)
    assert [e.used for e in found.entries] == [True, True, False]
    assert "another carrier (190.9" in found.entries[2].reason


def test_record_and_pattern_file_say_the_same(measured):
    record = to_record(measured, sources=(), provenance={})
    assert record.kind == "pattern"
    pattern = to_pattern(measured, 0)
    again = PatternFit.from_dict(pattern.to_dict())
    assert again == pattern
    assert not again.complete
    kept = record.quantities["phase_step_rad"].value[0]
    np.testing.assert_allclose([d.phase_step_rad for d in again.directions], kept)


def test_check_tells_a_pattern_that_moved(measured, recordings):
    record = to_record(measured, sources=(), provenance={})
    settings = as_settings(None)
    same = check_pattern(record, recordings[1], settings)
    assert {f.verdict for f in same} == {"ok"}
    other, _, _ = recording("filaments", SIZE, 1500.0, 9, directions=instrument(0.214))
    found = {f.name: f.verdict for f in check_pattern(record, other, settings)}
    assert found["direction 1 spacing"] == "failed"
    assert found["direction 1 angle"] == "ok"
    bad = [replace(d, phase_rad=(d.phase_rad[0] + 0.5, *d.phase_rad[1:])) for d in instrument()]
    other, _, _ = recording("filaments", SIZE, 1500.0, 9, directions=bad)
    found = {f.name: f.verdict for f in check_pattern(record, other, settings)}
    assert found["direction 2 phase steps"] == "failed"
    assert found["direction 2 spacing"] == "ok"


@pytest.mark.parametrize("kind", ["slide", "constant"])
def test_even_sheets_show_the_pattern_directly(kind):
    pulls, contrast = [], []
    for seed in range(3):
        stack, truth = simulate(shape=(SIZE, SIZE), kind=kind, peak_e=3000.0, seed=seed,
                                phase_jitter_rad=0.1, intensity_jitter=0.03)  # fmt: skip
        frames = stack.frames_e()
        variance = np.maximum(truth.expected_e, 1.0) + stack.camera.read_noise_e**2
        assert structure(frames, variance, stack.pixel_um) < EVEN
        fit = fit_slide(frames, variance, stack.pixel_um, truth.otf)
        assert fit.verdict == "ok"
        for d, t in zip(fit.directions, truth.pattern.directions, strict=True):
            sign = np.sign(np.dot(d.frequency_per_um, t.frequency_per_um))
            away = sign * np.array(d.frequency_per_um) - t.frequency_per_um
            pulls += list(away / d.frequency_sd_per_um)
            steps = steps_away(sign * np.array(d.phase_rad), t.phase_rad)
            assert np.degrees(np.abs(steps).max()) < 8.0
            contrast.append(d.modulation[0] / t.modulation[0])
            pulls.append((d.modulation[0] - t.modulation[0]) / d.modulation_sd[0])
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.5
    assert np.mean(contrast) == pytest.approx(1.0, abs=0.02)


def test_a_bent_pattern_is_seen_on_a_sheet():
    stack, truth = simulate(shape=(160, 160), kind="slide", peak_e=3000.0, seed=1,
                            phase_bend_rad=(1.5,))  # fmt: skip
    variance = truth.expected_e + stack.camera.read_noise_e**2
    fit = fit_slide(stack.frames_e(), variance, stack.pixel_um, truth.otf)
    assert all(d.local is not None for d in fit.directions)
    even, truth = simulate(shape=(160, 160), kind="slide", peak_e=3000.0, seed=1)
    variance = truth.expected_e + even.camera.read_noise_e**2
    fit = fit_slide(even.frames_e(), variance, even.pixel_um, truth.otf)
    assert all(d.local is None for d in fit.directions)


def test_spectra_reach_as_far_as_the_pixel_size_says(recordings):
    frames, cutoff = recordings[0].frames_e(), recordings[0].optics[0].cutoff_per_um
    assert reach(frames, 0.065, cutoff) > 0.7
    assert reach(frames, 0.130, cutoff) < 0.5


def test_periods_that_cannot_be_are_refused(measured):
    directions = measured.channels[0].directions
    with pytest.raises(QualityError, match="this light cannot make"):
        check_period(Optics(1.2, 900.0, 1.33), directions, 0.065, None)
    with pytest.raises(QualityError, match="far above"):
        check_period(Optics(1.49, 270.0), directions, 0.065, 0.8)
    with pytest.raises(QualityError, match="far above"):
        check_period(Optics(1.49, 400.0), directions, 0.065, 0.4)
    check_period(Optics(1.49, 400.0), directions, 0.065, 0.8)
    check_period(Optics(1.49, 270.0, excitation_nm=250.0, excitation_na=0.6), directions, 0.065,
                 0.4)  # fmt: skip
    limit_nm = 1e3 * float(directions[0].period_um.value) / 2.4  # period: 2.4 diffraction limits
    coarse = Optics(1.25, 2.5 * limit_nm, 1.33)
    with pytest.raises(QualityError, match="far above"):
        check_period(coarse, directions[:1], 0.065, None)
    used = directions[0].used[0]
    both = replace(used, direction=replace(used.direction, modulation=(0.6, 0.8),
                                           modulation_sd=(0.1, 0.1)))  # fmt: skip
    check_period(coarse, [replace(directions[0], entries=(both,))], 0.065, None)


def test_recordings_of_other_settings_are_refused(recordings):
    other, _ = simulate(shape=(SIZE, SIZE), directions=2, seed=1)
    with pytest.raises(InputError, match="directions and phases"):
        measure_pattern([recordings[0], other])
    with pytest.raises(InputError, match="pixel sizes"):
        measure_pattern([recordings[0], replace(recordings[1], pixel_um=0.07)])
