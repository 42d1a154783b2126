"""Bead stacks with known truth: what is recovered, and how well it knows its errors."""

from dataclasses import replace

import bead_field
import numpy as np
import pytest
from bead_field import ABERRATIONS, BEAD_UM, DZ_UM, OPTICS, PIXEL_UM

from calibration.psf.beadsize import bead_note, compensate
from calibration.psf.detect import Spot
from calibration.psf.expected import expected_widths
from calibration.psf.fieldmap import field_trends
from calibration.psf.fit import fit_pupil, planes_um
from calibration.psf.gates import check_scale
from calibration.psf.measure import measure_psf
from calibration.psf.screen import Judged
from calibration.psf.settings import BeadSetup, PsfSettings
from calibration.psf.width import psf_widths
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.physics.bead_image import Camera3D

SETUP = BeadSetup(PIXEL_UM, DZ_UM, OPTICS, BEAD_UM)
SETTINGS = PsfSettings(window_um=2.1)
TO_PX = np.array([DZ_UM, PIXEL_UM, PIXEL_UM])


@pytest.fixture(scope="module")
def field():
    stack, truth, defects = bead_field.planted()
    return measure_psf([stack], SETUP, SETTINGS), truth, defects


def spot_of(found, bead):
    """The judged spot nearest to a true bead."""
    place = np.array(bead.position_um)[1:] / PIXEL_UM
    apart = [np.hypot(*(np.array(b.spot.position_px)[1:] - place)) for b in found.beads]
    assert min(apart) < 3.5
    return found.beads[int(np.argmin(apart))]


def test_every_planted_defect_is_rejected_for_its_reason(field):
    found, truth, defects = field
    kinds = {i: spot_of(found, truth[i]).kind for i in defects}
    assert kinds == defects
    hot = [b for b in found.beads if np.hypot(b.spot.position_px[1] - 35,
                                              b.spot.position_px[2] - 95) < 1.5]  # fmt: skip
    assert [b.kind for b in hot] == ["small"]
    assert all(b.reason for b in found.beads if b.kind)


def test_every_good_bead_is_used_at_its_place(field):
    found, truth, defects = field
    good = [b for i, b in enumerate(truth) if i not in defects]
    assert len(found.used) == len(good) == 10
    errors = []
    for bead in good:
        place = np.array(bead.position_um) / TO_PX
        errors.append(min(found.aligned.positions_px - place, key=lambda e: np.hypot(e[1], e[2])))
    errors = np.array(errors)
    assert np.max(np.abs(errors)) < 0.2  # coma shifts the brightest place of all beads alike
    apart = errors - errors.mean(axis=0)
    assert np.max(np.abs(apart)) < 0.1
    assert 0.6 < np.sqrt(np.mean((apart / found.aligned.position_sd_px) ** 2)) < 1.5


def test_aberrations_within_three_sd(field):
    fit = field[0].fit
    assert fit.verdict == "ok"
    for j, value in fit.aberrations_nm.items():
        error = abs(value - ABERRATIONS.get(j, 0.0))
        assert error < 5.0
        assert error < 3.0 * fit.aberrations_sd_nm[j]
    assert max(fit.aberrations_sd_nm.values()) < 1.0
    assert fit.named()["primary spherical"]["rms_rad"] == pytest.approx(
        2 * np.pi * fit.aberrations_nm[11] / 520.0
    )


def truth_stack(found, bead_um):
    planes, side = found.aligned.mean.shape[:2]
    camera = Camera3D((side, side), PIXEL_UM, planes_um(planes, SETUP), True, bead_um)
    return camera.image(OPTICS, aberrations_nm=ABERRATIONS, position_um=tuple(
        found.fit.values[name] for name in ("z_um", "y_um", "x_um")))  # fmt: skip


def test_widths_within_two_percent_of_noise_free_beads(field):
    found = field[0]
    expected = found.expected
    guesses = (expected.axial_um, expected.lateral_um, expected.lateral_um)
    exact = psf_widths(truth_stack(found, BEAD_UM), tuple(TO_PX), guesses)
    np.testing.assert_allclose(found.widths.gaussian, exact.gaussian, rtol=0.02)
    np.testing.assert_allclose(found.widths.half_maximum, exact.half_maximum, rtol=0.02)
    point = psf_widths(truth_stack(found, 0.0), tuple(TO_PX), guesses)
    np.testing.assert_allclose(found.compensated_widths.gaussian, point.gaussian, rtol=0.02)


def test_errors_of_the_mean_are_errors(field):
    found = field[0]
    exact = found.fit.values["flux"] * truth_stack(found, BEAD_UM)
    pull = (found.aligned.mean - exact) / found.aligned.standard_error
    assert 0.9 < np.sqrt(np.mean(pull**2)) < 1.15
    assert found.noise.gain == pytest.approx(2.0, rel=0.15)
    assert 0.9 < found.aligned.scatter < 1.15


def test_psf_without_noise_is_the_true_one(field):
    found = field[0]
    psf = found.psf()
    middle = psf.shape[0] // 2
    exact = Camera3D(psf.shape[1:], PIXEL_UM, planes_um(psf.shape[0], SETUP), True).image(
        OPTICS, aberrations_nm=ABERRATIONS
    )
    exact = exact / exact[middle].sum()
    assert np.linalg.norm(psf - exact) < 0.01 * np.linalg.norm(exact)
    assert psf[middle].sum() == pytest.approx(1.0, abs=0.02)


def test_camera_numbers_give_the_same_noise(field):
    found = field[0]
    stack, _, _ = bead_field.planted()
    given = measure_psf([stack], SETUP, replace(SETTINGS, terms=()), camera=bead_field.CAMERA)
    assert given.noise.source == "camera"
    assert found.noise.floor == pytest.approx(given.noise.floor, rel=0.25)
    assert given.fit is None
    assert given.psf().shape == given.aligned.mean.shape


def exact_mean(aberrations, optics=OPTICS, bead_um=BEAD_UM, planes=9, side=17, noise=3.0, **more):
    """A mean bead with white noise, and its error."""
    camera = Camera3D((side, side), PIXEL_UM, planes_um(planes, SETUP), True, bead_um)
    clean = 20000.0 * camera.image(optics, aberrations_nm=aberrations, **more)
    rng = np.random.default_rng(0)
    return clean + rng.normal(0, noise, clean.shape), np.full(clean.shape, noise)


def test_missing_terms_make_the_fit_doubtful():
    mean, error = exact_mean({11: 60.0, 7: 30.0}, planes=7, side=13)
    fit = fit_pupil(mean, error, SETUP, PsfSettings(terms=(5, 6)))
    assert fit.verdict in ("weak", "failed")
    assert fit.chi2 > 2.0


def test_na_is_recovered():
    mean, error = exact_mean({6: 20.0}, replace(OPTICS, na=1.1))
    fit = fit_pupil(mean, error, SETUP, PsfSettings(terms=(6,), fit_na=True))
    assert abs(fit.values["na"] - 1.1) < min(0.01, 3.0 * fit.sd["na"] + 1e-3)


def test_depth_is_recovered():
    near = replace(OPTICS, na=1.0, sample_index=1.40, depth_um=6.0)
    mean, error = exact_mean({}, near)
    start = replace(SETUP, optics=replace(near, depth_um=2.0))
    fit = fit_pupil(mean, error, start, PsfSettings(terms=(6,), fit_depth=True))
    assert abs(fit.values["depth_um"] - 6.0) < 3.0 * fit.sd["depth_um"] + 0.01
    assert fit.sd["depth_um"] < 0.5


def test_apodisation_is_found_when_it_is_there():
    mean, error = exact_mean({6: 20.0}, apodisation=0.6)
    fit = fit_pupil(mean, error, SETUP, PsfSettings(terms=(6,)))
    assert abs(fit.values["apodisation"] - 0.6) < 3.0 * fit.sd["apodisation"]
    assert fit.verdict == "ok"


def test_reversed_planes_mirror_the_sign_of_even_aberrations():
    mean, error = exact_mean({11: 30.0, 7: 20.0})
    flipped = fit_pupil(
        mean[::-1], error, replace(SETUP, reverse_z=True), PsfSettings(terms=(7, 11))
    )
    assert flipped.aberrations_nm[11] == pytest.approx(30.0, abs=1.0)
    wrong = fit_pupil(mean[::-1], error, SETUP, PsfSettings(terms=(7, 11)))
    assert wrong.aberrations_nm[11] == pytest.approx(-30.0, abs=1.0)


def test_size_of_large_beads_is_taken_out_and_noted():
    setup = replace(SETUP, bead_um=0.25)
    mean, error = exact_mean({}, bead_um=0.25, noise=0.3)
    point, _ = exact_mean({}, bead_um=0.0, noise=1e-9)
    pitches, guesses = tuple(TO_PX), (0.6, 0.25, 0.25)
    blurred, fixed, exact = (psf_widths(s, pitches, guesses).gaussian[2]
                             for s in (mean, compensate(mean, error, setup), point))  # fmt: skip
    assert blurred > 1.08 * exact
    assert fixed == pytest.approx(exact, rel=0.01)
    assert "pass 17 %" in bead_note(setup)[1]
    assert bead_note(replace(SETUP, bead_um=0.35))[0] == "weak"
    assert bead_note(SETUP) == ("ok", "")


def test_expected_widths_follow_abbe():
    found = expected_widths(replace(SETUP, bead_um=0.0))
    assert found.limit_um == pytest.approx(0.51 * 0.52 / 1.2, rel=0.12)
    assert found.lateral_um > found.limit_um
    assert expected_widths(SETUP).lateral_um > found.lateral_um


def test_a_trend_over_the_field_is_told_from_scatter():
    rng = np.random.default_rng(2)
    place = rng.uniform(0, 60, (20, 2))
    noise = rng.normal(0, 2.0, 20)
    found = field_trends(place, {"flat": 250 + noise, "tilted": 250 + 0.3 * place[:, 0] + noise})
    assert not found["flat"].significant
    tilted = found["tilted"]
    assert tilted.significant
    assert abs(tilted.slope_per_100um[0] - 30.0) < 3 * tilted.slope_sd_per_100um[0]
    assert field_trends(place[:4], {"few": noise[:4]}) == {}


def test_single_planes_give_a_lateral_psf():
    stack = bead_field.render(bead_field.beads(2, 3, 30000.0, 4), 2, 3, aberrations_nm={})
    found = measure_psf([stack[5]], replace(SETUP, dz_um=None), SETTINGS)
    assert found.fit is None
    assert any("single plane" in n for n in found.notes)
    assert len(found.used) == 6
    assert np.isnan(found.widths.gaussian[0])
    assert found.widths.gaussian[1] == pytest.approx(found.expected.lateral_um, rel=0.1)


@pytest.mark.parametrize(
    ("factor", "text"), [(0.5, "far below the diffraction"), (2.0, "far above")]
)
def test_pixel_size_wrong_by_two(factor, text):
    stack = bead_field.render(bead_field.beads(2, 2, 30000.0, 4), 2, 2)
    setup = replace(SETUP, pixel_um=factor * PIXEL_UM)
    with pytest.raises(QualityError, match=text) as caught:
        measure_psf([stack], setup, replace(SETTINGS, window_um=2.1 * factor))
    assert "--pixel-um" in caught.value.where


def test_one_wide_bead_is_no_aggregate_but_doubtful():
    stack = bead_field.render(bead_field.beads(1, 1, 60000.0, 4), 1, 1, bead_um=0.42)
    found = measure_psf([stack], SETUP, replace(SETTINGS, terms=()))
    assert len(found.used) == 1
    assert found.verdict == "weak"
    assert any("times as wide as the optics promise" in n for n in found.notes)
    with pytest.raises(QualityError, match="far above what these optics give"):
        measure_psf([stack], replace(SETUP, pixel_um=2 * PIXEL_UM), replace(SETTINGS, window_um=4))


def test_the_advice_is_about_the_bright_spots():
    place, sigma = (3.0, 20.0, 20.0), (1.0, 1.0)
    faint = [Judged(Spot(0, place, 8.0, 9.0, sigma), "too faint", "dim")] * 5
    bright = Judged(Spot(0, place, 900.0, 1000.0, sigma), "at 4095 counts", "saturated")
    with pytest.raises(QualityError, match="No bead passed") as caught:
        check_scale([*faint, bright], SETUP, expected_widths(SETUP))
    assert caught.value.hint == "less light or a shorter exposure"


def test_no_beads():
    rng = np.random.default_rng(0)
    with pytest.raises(QualityError, match="No bead was found"):
        measure_psf([rng.poisson(100, (7, 48, 48))], SETUP, SETTINGS)


def test_all_saturated():
    stack = bead_field.render(bead_field.beads(2, 2, 900000.0, 4), 2, 2)
    with pytest.raises(QualityError, match="No bead passed") as caught:
        measure_psf([stack], SETUP, SETTINGS)
    assert "4 saturated" in caught.value.got
    assert "less light" in caught.value.hint


@pytest.mark.parametrize(
    ("stacks", "text"),
    [
        ([np.ones((7, 40, 40)), np.ones((7, 40, 41))], "different shapes"),
        ([np.zeros((7, 40, 40))], "constant"),
        ([np.full((7, 40, 40), np.nan)], "NaN"),
        ([np.ones((3, 40, 40))], "Too few planes"),
        ([np.ones((2, 2, 40, 40))], "no stack of beads"),
        ([np.ones(40)], "no stack of beads"),
    ],
)
def test_impossible_stacks(stacks, text):
    with pytest.raises(InputError, match=text):
        measure_psf(stacks, SETUP, SETTINGS)


@pytest.mark.parametrize("wrong", [{"pixel_um": 100.0}, {"dz_um": 250.0}, {"bead_um": 100.0}])
def test_wrong_units(wrong):
    with pytest.raises(UsageError):
        replace(SETUP, **wrong)


def test_beads_too_large_for_a_psf_are_refused():
    with pytest.raises(UsageError, match="do not tell the PSF") as caught:
        expected_widths(replace(SETUP, bead_um=5.0))
    assert caught.value.got == "5000 nm"
    assert expected_widths(replace(SETUP, bead_um=0.4)).lateral_um > 0
