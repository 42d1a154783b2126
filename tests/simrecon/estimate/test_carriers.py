"""Fit of several carriers: against truth, against one carrier's fit, refusals, honest verdicts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.estimate import estimate_pattern
from simrecon.estimate.carriers import CarrierMode, estimate_carriers
from simrecon.estimate.carriers.carrier_set import CarrierSet, SetState
from simrecon.estimate.carriers.decorrelation import Decorrelation
from simrecon.estimate.carriers.evidence import set_evidence
from simrecon.estimate.carriers.reach import on_field, reaching, wide_field
from simrecon.estimate.carriers.set_gram import SetGram, SetRows
from simrecon.estimate.carriers.set_search import SetSearch, negative
from simrecon.estimate.frequency import CarrierSearch
from simrecon.estimate.task import FitTask
from simrecon.physics.simulate import simulate

MODES = {
    "slice3": CarrierMode(2, strongest=2),
    "nonlinear": CarrierMode(2),
    "hex": CarrierMode(1, simultaneous=3),
}
modes = pytest.mark.parametrize("mode", MODES)


@cache
def recording(mode: str, peak_e: float = 1000.0, **given):
    """Frames, variance, truth and pixel size; steps and lamp not even, one direction fewer."""
    options = {
        "shape": (128, 120), "mode": mode, "peak_e": peak_e, "phase_jitter_rad": 0.08,
        "intensity_jitter": 0.03, "seed": 2, "background": 2.0, **given,
    }  # fmt: skip
    if mode == "nonlinear":
        options = {"directions": 2, **options}
    stack, truth = simulate(**options)
    variance = (np.maximum(truth.expected_e, 0) + 1.5**2).astype(np.float32)
    return stack.frames_e().astype(np.float32), variance, truth, stack.pixel_um


@cache
def fitted(mode: str, peak_e: float = 1000.0, **given):
    frames, variance, truth, pixel_um = recording(mode, peak_e, **given)
    return estimate_carriers(frames, pixel_um, truth.otf, MODES[mode], variance_e2=variance), truth


def true_direction(truth, direction):
    """The true direction nearest to a fitted one, with its sign."""
    found = np.array(direction.frequency_per_um)
    tried = [
        (float(np.hypot(*(found - s * np.array(t.frequency_per_um)))), s, n)
        for n, t in enumerate(truth.pattern.directions)
        for s in (1, -1)
    ]
    _, sign, n = min(tried)
    return truth.pattern.directions[n], sign


@modes
def test_fit_finds_the_truth_within_its_errors(mode):
    fit, truth = fitted(mode)
    assert fit.verdict == "ok", fit.notes
    assert fit.simultaneous == (mode == "hex")
    length = np.array(fit.shape) * fit.pixel_um
    ratios = []
    for d in fit.directions:
        t, sign = true_direction(truth, d)
        off = np.array(d.frequency_per_um) - sign * np.array(t.frequency_per_um)
        assert np.hypot(*(off * length)) < 0.02
        assert d.period_um == pytest.approx(t.period_um, rel=2e-3)
        turn = np.angle(np.exp(1j * (np.array(d.phase_rad) - sign * np.array(t.phase_rad))))
        assert np.rad2deg(np.sqrt(np.mean(turn**2))) < 3.0
        assert np.allclose(d.modulation, t.modulation, atol=0.05)
        assert np.std(np.array(d.intensity) - t.intensity) < 0.02
        ratios += [*(off / d.frequency_sd_per_um)]
        ratios += [*(np.subtract(d.modulation, t.modulation) / d.modulation_sd)]
    assert np.sqrt(np.mean(np.square(ratios))) < 2.0  # the errors are those that it states
    assert len({d.intensity for d in fit.directions}) == (1 if mode == "hex" else len(ratios) // 4)


def test_one_carrier_is_fitted_as_by_the_estimator_of_one_carrier():
    frames, variance, truth, pixel_um = recording("2d", directions=2)
    one = estimate_carriers(frames, pixel_um, truth.otf, CarrierMode(1), variance_e2=variance)
    other = estimate_pattern(frames, pixel_um, truth.otf, variance_e2=variance, local="off")
    length = np.array(one.shape) * pixel_um
    for a, b in zip(one.directions, other.directions, strict=True):
        assert np.hypot(*(np.subtract(a.frequency_per_um, b.frequency_per_um) * length)) < 0.01
        assert np.allclose(a.modulation, b.modulation, atol=0.02)
        # a direction by itself tells less of the single frames than all directions together
        assert np.allclose(a.phase_rad, b.phase_rad, atol=np.deg2rad(9))
        assert np.allclose(a.intensity, b.intensity, atol=0.03)


def test_saturated_light_has_a_negative_second_order():
    fit, truth = fitted("nonlinear", response="saturation", dose=2.0, directions=1)
    for d in fit.directions:
        t, _ = true_direction(truth, d)
        assert t.modulation[1] < -0.1
        assert np.allclose(d.modulation, t.modulation, atol=0.05)


def test_an_order_that_is_not_there_is_left_out_and_said():
    fit, _ = fitted("nonlinear", dose=0.08, modulation=(1.0,), directions=1)
    assert fit.verdict != "ok"
    assert all(len(d.modulation) == 1 for d in fit.directions if d.verdict != "failed")
    assert any("order 2 is not in the data" in note for note in fit.notes)


def test_order_one_may_be_missing_where_the_optics_tell_which_order_a_peak_is():
    fit, truth = fitted("slice3", central_amplitude=0.0, directions=2)
    assert fit.verdict == "weak"
    for d in fit.directions:
        t, _ = true_direction(truth, d)
        assert d.period_um == pytest.approx(t.period_um, rel=2e-3)  # not half of it
        assert d.modulation[1] == pytest.approx(t.modulation[1], abs=0.05)
    assert any("order 1 is not in the data" in note for note in fit.notes)


def test_coarse_lines_with_two_readings_are_settled_by_the_expected_period():
    given = {"central_amplitude": 0.0, "period_um": 0.72, "directions": 1}
    frames, variance, truth, pixel_um = recording("slice3", **given)
    options = {"variance_e2": variance}
    free = estimate_carriers(frames, pixel_um, truth.otf, MODES["slice3"], **options)
    assert free.verdict != "ok"
    assert any("do not tell" in note for note in free.notes)
    told = estimate_carriers(
        frames, pixel_um, truth.otf, MODES["slice3"], expected_frequency_per_um=1 / 0.72, **options
    )
    assert all(d.period_um == pytest.approx(0.72, rel=5e-3) for d in told.directions)
    assert not any("do not tell" in note for note in told.notes)


@modes
def test_frequencies_that_are_known_stay(mode):
    frames, variance, truth, pixel_um = recording(mode)
    known = [d.frequency_per_um for d in truth.pattern.directions]
    fit = estimate_carriers(
        frames, pixel_um, truth.otf, MODES[mode], variance_e2=variance,
        fixed_frequencies_per_um=known,
    )  # fmt: skip
    assert [d.frequency_per_um for d in fit.directions] == [pytest.approx(f) for f in known]
    assert [d.frequency_sd_per_um for d in fit.directions] == [(0.0, 0.0)] * len(known)
    for d, t in zip(fit.directions, truth.pattern.directions, strict=True):
        assert np.allclose(d.modulation, t.modulation, atol=0.05)


@modes
def test_frames_without_a_pattern_fail(mode):
    frames, variance, truth, pixel_um = recording(mode, 100.0, kind="mixed", modulation=(0.0,))
    fit = estimate_carriers(frames, pixel_um, truth.otf, MODES[mode], variance_e2=variance)
    assert fit.verdict == "failed"
    assert all(d.verdict == "failed" for d in fit.directions)


@pytest.mark.parametrize(
    ("mode", "shape"), [("hex", (3, 3)), ("hex", (3, 7)), ("slice3", (3, 3)), ("nonlinear", (5, 4))]
)
def test_too_few_frames_are_refused(mode, shape):
    frames = np.random.default_rng(0).poisson(50, (*shape, 40, 40)).astype(np.float32)
    with pytest.raises(UsageError, match="not enough frames"):
        estimate_carriers(frames, 0.065, recording("slice3")[2].otf, MODES[mode])


# -- parts ----------------------------------------------------------------------------------------


def true_state(task: FitTask, truth, members) -> SetState:
    """The truth of one set in the form of the fit."""
    directions = [truth.pattern.directions[d] for d in members]
    cy, cx = task.window.centre_um
    phase = [
        np.array(d.phase_rad)
        + 2 * np.pi * (d.frequency_per_um[0] * cy + d.frequency_per_um[1] * cx)
        for d in directions
    ]
    return SetState(
        np.array([d.frequency_per_um for d in directions]),
        np.array(phase),
        np.array(directions[0].intensity),
        np.concatenate([d.modulation for d in directions]),
    )


@cache
def parts(mode: str):
    frames, variance, truth, pixel_um = recording(mode)
    task, _ = FitTask.of(frames, pixel_um, truth.otf, variance)
    carriers = MODES[mode].carriers(frames.shape[1])
    return task, carriers, true_state(task, truth, truth.pattern.frame_sets[0])


@modes
def test_bands_agree_at_the_truth_and_not_beside_it(mode):
    task, carriers, state = parts(mode)
    images = reaching(task.images, carriers, state)
    made = SetRows.at(carriers, state, images, 0, task.variance_e2[0], corrected=True)
    gram = SetGram.frozen(made, state, images)
    assert 0.85 < gram.mismatch_chi2(state) < 1.2
    for c in range(len(carriers.carriers)):
        assert gram.overlap(c).ratio == pytest.approx(1.0, abs=0.2)
    turned = replace(state, phase_rad=state.phase_rad + 0.3)
    assert gram.mismatch_chi2(turned) > gram.mismatch_chi2(state) + 0.02
    # a small step of the carrier by the derivative rows, and by demodulating anew
    step = 0.05 / np.array(task.window.padded.extent_um)
    there = replace(state, frequency_per_um=state.frequency_per_um + step)
    anew = SetRows.at(carriers, there, images, 0, task.variance_e2[0], corrected=True)
    for b in range(1, carriers.bands):
        own = made.plan.block(b)
        near = made.plan.coefficients(there)[own] @ made.rows[own]
        exact = anew.plan.coefficients(there)[own] @ anew.rows[own]
        before = made.plan.coefficients(state)[own] @ made.rows[own]
        assert np.linalg.norm(near - exact) < 0.3 * np.linalg.norm(before - exact)


@modes
def test_expected_noise_of_rows_is_that_of_noise(mode):
    task, carriers, state = parts(mode)
    otf, pixel_um = recording(mode)[2].otf, recording(mode)[3]
    rng = np.random.default_rng(0)
    measured, expected = 0.0, 0.0
    for _ in range(3):
        noise = (rng.normal(size=task.variance_e2.shape) * np.sqrt(task.variance_e2)).astype("f4")
        drawn, _ = FitTask.of(noise, pixel_um, otf, task.variance_e2)
        images = reaching(drawn.images, carriers, state)
        made = SetRows.at(carriers, state, images, 0, task.variance_e2[0], corrected=False)
        gram = SetGram.frozen(made, state, images)
        c = made.plan.coefficients(state)
        expected += float(np.real(np.conj(c) @ gram.noise @ c))
        measured += float(np.real(np.conj(c) @ (gram.matrix + gram.noise) @ c))
    assert measured == pytest.approx(expected, rel=0.05)


@modes
def test_evidence_is_strong_at_the_truth_and_none_beside_it(mode):
    task, carriers, state = parts(mode)
    right = set_evidence(carriers, state, task.images, 0, task.noise[0])
    assert right.nats.min() > 15
    away = replace(state, frequency_per_um=state.frequency_per_um * 1.13)
    wrong = set_evidence(carriers, away, task.images, 0, task.noise[0])
    assert wrong.total < 0.1 * right.total  # filaments repeat themselves a little
    # the ratio is the modulation over that of the start, 0.5
    assert np.allclose(np.abs(right.ratio), 2 * np.abs(state.modulation), rtol=0.25)


@modes
def test_bands_are_uncorrelated_at_the_truth(mode):
    task, carriers, state = parts(mode)
    apart = Decorrelation.of(carriers, state, task.images, 0, task.noise[0])
    assert apart.chance(state) < 3.0
    rng = np.random.default_rng(1)
    mixed = replace(state, phase_rad=state.phase_rad + 0.3 * rng.normal(size=state.phase_rad.shape))
    assert apart.value(mixed) > 2 * apart.value(state)
    gradient, hessian = apart.system(mixed)
    values, step = mixed.parameters, 1e-4
    for i in (0, carriers.parameters_of("intensity").start):
        moved = [
            apart.value(mixed.with_parameters(values + s * step * np.eye(values.size)[i]))
            for s in (1, -1)
        ]
        assert gradient[i] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-3)
        assert hessian[i, i] > 0


@modes
def test_samples_reach_as_far_as_two_bands_overlap(mode):
    task, carriers, state = parts(mode)
    images = reaching(task.images, carriers, state)
    half, cutoff = images.half, task.cutoff_per_um
    shown = [
        np.hypot(half.ky + qy, half.kx + qx) <= cutoff
        for qy, qx in carriers.carrier_per_um(state.frequency_per_um)
    ]
    assert np.sum(shown, axis=0).min() >= 2
    top = np.hypot(half.ky, half.kx).max()
    if mode == "nonlinear":
        assert top > 1.5 * cutoff
    wide = on_field(half, wide_field(images))
    places = np.concatenate([wide.index, wide.mirrored])
    assert np.unique(places).size == places.size
    inside = np.hypot(half.ky, half.kx) <= cutoff
    old = {(round(y, 6), round(x, 6)): n for n, (y, x) in enumerate(
        zip(task.images.half.ky, task.images.half.kx, strict=True))}  # fmt: skip
    for n in np.flatnonzero(inside)[:: max(1, inside.sum() // 50)]:
        there = old[(round(half.ky[n], 6), round(half.kx[n], 6))]
        assert np.array_equal(images.zero[0, :, n], task.images.zero[0, :, there])
    assert not images.zero[..., ~inside].any()


def test_parameters_of_a_state_survive_their_vector():
    carriers = CarrierSet.harmonics(3, 7)
    rng = np.random.default_rng(0)
    state = SetState(
        rng.normal(size=(1, 2)), rng.normal(size=(1, 7)), rng.uniform(0.9, 1.1, 7),
        np.array([1.2, -0.4, 0.1]),
    )  # fmt: skip
    again = state.with_parameters(state.parameters)
    assert state.parameters.size == carriers.size
    for name in ("frequency_per_um", "phase_rad", "intensity", "modulation"):
        assert np.allclose(getattr(again, name), getattr(state, name))


def test_carriers_are_the_same_whatever_their_sign():
    task, carriers, state = parts("hex")
    rings = CarrierSearch(task.spectra, task.window, task.cutoff_per_um)
    search = SetSearch(task, rings, carriers, 1)
    known = [(float(fy), float(fx)) for fy, fx in state.frequency_per_um]
    found = search.simultaneous_at(0, known).best
    turned = replace(found, peaks=tuple(negative(p) for p in found.peaks))
    other = replace(found, peaks=(*turned.peaks[:2], rings.at(0, (known[2][0] * 1.2, known[2][1]))))
    assert search._shared_peaks(turned, found) == 3
    assert search._shared_peaks(other, found) == 2
