"""Per-order OTFs from SIM beads: against the OTF and the pattern they were made with."""

from dataclasses import replace

import numpy as np
import pytest
from sim_bead_maker import recording

from calibration.otf.carrier import chance_of, find_carrier
from calibration.otf.light import common_phase, light_along_z
from calibration.otf.measure import measure_otf
from calibration.otf.separate import separate
from calibration.otf.settings import OtfSettings
from calibration.otf.tables import without_bead
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.errors import InputError, QualityError
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import sphere_otf
from simrecon.physics.otf import evaluate_otf, theoretical_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.theory_volume import axial_shift_per_um

ANGLES = np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False)


@pytest.fixture(scope="module")
def plane():
    made = recording("2d")
    return made, measure_otf([made.frames], made.setup, OtfSettings("2d"))


@pytest.fixture(scope="module")
def volume():
    made = recording("3d")
    settings = OtfSettings("3d", psf=PsfSettings(terms=(11,)))
    return made, measure_otf([made.frames], made.setup, settings)


@pytest.fixture(scope="module")
def sheet():
    made = recording("lls")
    settings = OtfSettings("lls", psf=PsfSettings(terms=(11,)))
    return made, measure_otf([made.frames], made.setup, settings)


def correlation(one, other, order):
    """Of the azimuthal means of two volume OTFs, weighted by the radius."""
    kz = np.linspace(-3.0, 3.0, 25)[:, None, None]
    kr = np.linspace(0.1, 5.0, 30)[None, None]

    def mean(otf):
        rings = [evaluate_volume_otf(otf, order, kz, kr * np.sin(a), kr * np.cos(a))
                 for a in ANGLES]  # fmt: skip
        return np.mean(rings, axis=0)

    a, b = mean(one), mean(other)
    power = np.sum(kr * np.abs(a) ** 2) * np.sum(kr * np.abs(b) ** 2)
    return np.sum(kr * a * b.conj()) / np.sqrt(power)


def step_error(found, direction):
    """Of the phase steps, up to a common phase, rad."""
    off = np.angle(np.exp(1j * (found.step_rad - np.array(direction.phase_rad))))
    return np.abs(np.angle(np.exp(1j * (off - np.angle(np.exp(1j * off).sum()))))).max()


def test_plane_gives_the_aberrated_otf(plane):
    made, found = plane
    k = np.linspace(0.0, 0.9 * made.setup.optics.cutoff_per_um, 60)
    true = np.mean([np.real(evaluate_otf(made.otf, k * np.sin(a), k * np.cos(a)))
                    for a in ANGLES], axis=0)  # fmt: skip
    measured = evaluate_otf(found.otf(), np.zeros(1), k)
    theory = evaluate_otf(theoretical_otf(made.setup.optics, pixel_um=0.065), np.zeros(1), k)
    assert np.abs(measured - true).max() < 0.045
    assert np.abs(theory - true).max() > 0.1
    assert found.verdict == "ok"
    assert found.model == "measured"


def test_plane_tells_the_pattern(plane):
    made, found = plane
    for one, direction, contrast, carrier in zip(
        found.separations, made.directions, found.contrast, found.carriers, strict=True
    ):
        assert step_error(one, direction) < min(0.03, 4.0 * one.step_sd_rad.max())
        assert contrast[0] == pytest.approx(direction.modulation[0], abs=0.03)
        assert np.allclose(carrier.frequency_per_um, direction.frequency_per_um, atol=0.01)


def test_volume_gives_the_orders(volume):
    made, found = volume
    assert found.verdict == "ok"
    assert found.model == "pupil"
    assert found.detection.fit.aberrations_nm[11] == pytest.approx(40.0, abs=1.5)
    for order in range(3):
        assert np.abs(correlation(found.otf(), made.otf, order)) > 0.998
    # the orders' common phase and sign as the engine means them: real light, positive in focus
    assert abs(np.angle(correlation(found.otf(), made.otf, 1))) < 0.05
    assert abs(np.angle(correlation(found.otf(), made.otf, 2))) < 0.05


def test_volume_tells_light_and_pattern(volume):
    made, found = volume
    optics = made.setup.optics
    assert found.light.shift_per_um == pytest.approx(axial_shift_per_um(optics), rel=0.02)
    assert found.light.axial_phase_rad == pytest.approx(0.0, abs=0.1)
    assert found.carriers == (None,)  # four beads do not tell the frequency, and it is said
    assert any("size stays" in text for text in found.notes)
    p = np.hypot(*made.directions[0].frequency_per_um)
    left = sphere_otf(np.hypot([p, 2 * p], [1.2, 0.0]), 0.1)
    assert np.allclose(found.contrast[0] / left, made.directions[0].modulation, atol=0.03)
    assert step_error(found.separations[0], made.directions[0]) < 0.04
    errors = found.separations[0].step_sd_rad
    assert np.all((errors > 1e-4) & (errors < 0.02))


def test_sheet_ends_where_its_light_ends(sheet):
    made, found = sheet
    for order in range(3):
        assert np.abs(correlation(found.otf(), made.otf, order)) > 0.99
    assert np.allclose(found.contrast[0], made.directions[0].modulation, rtol=0.08)
    assert found.detection.fit.aberrations_nm[11] == pytest.approx(40.0, abs=3.0)


def test_measured_beads_without_a_pupil(volume):
    made, _ = volume
    found = measure_otf([made.frames], made.setup, OtfSettings("3d", "measured", full=True))
    assert found.detection is None
    assert found.psfs.shape[:2] == (1, 3)
    otf = found.otf()
    kz = np.zeros((1, 1, 1))
    kr = np.linspace(1.0, 4.0, 30)[None, None]
    # order 1 has its light at ± kz1, order 0 in the plane
    there = np.abs(evaluate_volume_otf(otf, 1, kz + 1.2, 0 * kr, kr)).sum()
    assert there > 1.5 * np.abs(evaluate_volume_otf(otf, 1, kz, 0 * kr, kr)).sum()
    assert any("mean beads themselves" in text for text in found.notes)


def test_one_bead_is_weak_but_works(volume):
    _, many = volume
    one = recording("3d", count=1, jitter=0.0)
    found = measure_otf([one.frames], one.setup, OtfSettings("3d", "measured"))
    assert found.verdict == "weak"
    assert "One bead only" in found.notes[0]
    assert np.allclose(found.contrast, many.contrast, rtol=0.08)
    assert found.light.shift_per_um == pytest.approx(many.light.shift_per_um, rel=0.05)


def test_phases_that_do_not_move_are_refused(plane):
    made, _ = plane
    still = np.repeat(made.frames[:, :1], 3, axis=1)
    found = measure_otf([still], made.setup, OtfSettings("2d"))
    assert found.verdict == "failed"
    assert any("contrast" in text for text in found.notes)


def test_frames_of_two_directions_mixed_up_fail(plane):
    made, _ = plane
    mixed = made.frames.swapaxes(0, 1).reshape(made.frames.shape)
    found = measure_otf([mixed], made.setup, OtfSettings("2d"))
    assert found.verdict == "failed"
    assert any("frame order" in text for text in found.notes)


def test_modes_need_their_phases_and_planes(plane):
    made, _ = plane
    with pytest.raises(InputError, match="orders cannot be told apart"):
        measure_otf([made.frames], replace(made.setup, dz_um=0.1), OtfSettings("3d"))
    five = np.repeat(made.frames, 2, axis=1)
    with pytest.raises(InputError, match="needs a z-stack"):
        measure_otf([five], replace(made.setup, dz_um=0.1), OtfSettings("lls"))


def test_wrong_scale_is_refused(plane):
    made, _ = plane
    with pytest.raises(QualityError, match="nm wide"):
        measure_otf([made.frames], replace(made.setup, pixel_um=0.13), OtfSettings("2d"))


def test_separation_recovers_numbers_of_noise_free_frames():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-6:7, -6:7]
    spot = np.exp(-0.1 * (x**2 + y**2))[None]
    first = spot * (1.0 + 0.3j * x / 6.0)
    beads, phases = 6, 3
    psi, bright = rng.uniform(-3, 3, beads), np.ones(beads)
    step = 2 * np.pi * np.arange(phases) / phases + np.array([0.0, 0.1, -0.08])
    level = np.array([1.0, 1.05, 0.95])
    angle = psi[:, None] + step
    wave = np.exp(1j * angle)[..., None, None, None] * first
    frames = level[:, None, None, None] * (spot + 0.7 * np.real(wave))
    found = separate(100.0 * frames, bright, 2, 0.01)
    assert np.allclose(np.diff(found.step_rad), np.diff(step), atol=2e-3)
    assert np.allclose(found.intensity, level, atol=2e-3)
    assert np.abs(np.sum(np.exp(1j * (found.phase_rad - psi)))) > 0.99999 * beads
    assert found.unexplained < 1e-3
    ratio = np.abs(found.orders[1]).sum() / np.abs(70.0 * first).sum()
    assert ratio == pytest.approx(1.0, abs=5e-3)


def test_carrier_of_few_beads_and_none_of_chance():
    rng = np.random.default_rng(1)
    place = rng.uniform(0, 12, (9, 2))
    p = np.array([1.3, -3.9])
    phase = 2 * np.pi * place @ p + 0.7 + 0.02 * rng.normal(size=9)
    found = find_carrier(phase, place, np.zeros(9, int), (0.3, 5.5))
    assert np.allclose(found.frequency_per_um, p, atol=0.003)
    assert found.scatter_rad < 0.06
    assert find_carrier(rng.uniform(-3, 3, 9), place, np.zeros(9, int), (0.3, 5.5)) is None
    assert find_carrier(phase[:5], place[:5], np.zeros(5, int), (0.3, 5.5)) is None
    grid = np.stack(np.meshgrid(np.arange(3) * 2.5, np.arange(3) * 2.5), -1).reshape(-1, 2)
    repeats = 2 * np.pi * grid @ p  # beads on a perfect lattice see p + 1/2.5 as well
    assert find_carrier(repeats, grid, np.zeros(9, int), (0.3, 5.5)) is None


def test_chance_of_agreement_is_the_share_of_random_phases():
    rng = np.random.default_rng(2)
    walks = np.abs(np.exp(1j * rng.uniform(-np.pi, np.pi, (200_000, 5))).mean(axis=1))
    for limit in (0.8, 0.9, 0.95):
        share = np.mean(walks > limit)
        assert share / 3 < chance_of(limit, 5) < 3 * share


def test_light_of_three_beams_is_extended_beyond_the_planes():
    z = np.linspace(-1.0, 1.0, 17)
    power = np.exp(-(z**2))
    factors = np.stack([np.ones(17), 0.8 * np.cos(2 * np.pi * 1.2 * z + 0.6),
                        np.full(17, 0.5)]).astype(complex)  # fmt: skip
    assert common_phase(factors, power) == pytest.approx(0.0, abs=1e-6)
    turned = factors * np.exp(1j * 0.9 * np.arange(3))[:, None]
    assert common_phase(turned, power) == pytest.approx(0.9, abs=1e-6)
    light = light_along_z([factors], power, z, sheet=False, expected_shift_per_um=None)
    assert light.shift_per_um == pytest.approx(1.2, abs=1e-4)
    assert light.axial_phase_rad == pytest.approx(0.6, abs=1e-3)
    far = light.profiles.at(np.array([3.3]))[:, 0]
    assert far[1].real == pytest.approx(0.8 * np.cos(2 * np.pi * 1.2 * 3.3 + 0.6), abs=2e-3)


def test_bead_size_is_taken_out_at_the_frequency_of_the_object():
    setup = BeadSetup(0.08, 0.125, Optics(1.4, 525.0), 0.15)
    rng = np.random.default_rng(3)
    spectrum = np.fft.fftn(rng.normal(size=(9, 24, 24)))
    kz, ky, kx = (np.fft.fftfreq(n, d) for n, d in zip((9, 24, 24), (0.125, 0.08, 0.08),
                                                       strict=True))  # fmt: skip
    low = np.hypot(ky[:, None], kx) < 4.0
    spectrum *= low * (np.abs(kz) < 2.0)[:, None, None]
    p = (0.5, 2.0)
    radius = np.sqrt(kz[:, None, None] ** 2 + (ky[:, None] - p[0]) ** 2 + (kx - p[1]) ** 2)
    seen = np.fft.ifftn(spectrum * sphere_otf(radius, 0.15))
    found = np.fft.fftn(without_bead(seen, 1, p, setup))
    found /= sphere_otf(np.array([np.hypot(*p)]), 0.15)[0]
    assert np.allclose(found, spectrum, atol=1e-6 * np.abs(spectrum).max())


def test_contrast_has_the_error_that_it_says():
    y, x = np.mgrid[-5:6, -5:6]
    spot = 60.0 * np.exp(-0.15 * (x**2 + y**2))[None]
    rng = np.random.default_rng(1)
    psi, step = rng.uniform(-3, 3, 8), 2 * np.pi * np.arange(3) / 3
    wave = 1.0 + 0.5 * np.cos(psi[:, None] + step)
    size, stated = [], []
    for _ in range(12):
        frames = wave[..., None, None, None] * spot
        frames = frames + rng.normal(0.0, 4.0, frames.shape)
        found = separate(frames, np.ones(8), 2, 16.0, psi, 1e-3)
        size.append(np.sum(found.orders[1].real * spot) / np.sum(found.orders[0].real * spot))
        stated.append(found.order_sd[0])
    assert np.mean(size) == pytest.approx(0.5, abs=0.01)
    assert np.std(size) / np.mean(size) == pytest.approx(np.mean(stated), rel=0.45)


def test_first_order_of_a_plane_looks_like_the_bead(plane):
    _, found = plane
    for one in found.separations:
        zero, first = one.orders[0].real, one.orders[1]
        assert np.sum(first.real * zero) > 0.99 * abs(np.sum(first * zero))
