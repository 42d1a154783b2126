"""New beads against PSF and OTF records: the same objective, another one, another light."""

from dataclasses import replace

import bead_field
import numpy as np
import pytest
from sim_bead_maker import recording

from calibration.bead_check import WAVE_FAILED, WAVE_WEAK, check_otf_beads, check_psf_beads
from calibration.otf.measure import measure_otf
from calibration.otf.report import to_record
from calibration.otf.settings import OtfSettings
from calibration.psf.measure import measure_psf
from calibration.psf.report import to_record as psf_record
from calibration.psf.settings import BeadSetup, PsfSettings
from simrecon.io import CalibrationRecord

SETUP = BeadSetup(bead_field.PIXEL_UM, bead_field.DZ_UM, bead_field.OPTICS, bead_field.BEAD_UM)


def stack(**changes) -> np.ndarray:
    return bead_field.render(bead_field.beads(2, 2, 15000.0, 2), 2, 2, **changes)


@pytest.fixture(scope="module")
def plane() -> CalibrationRecord:
    made = recording("2d")
    found = measure_otf([made.frames], made.setup, OtfSettings("2d"))
    return to_record(found, sources=(), provenance={})


@pytest.fixture(scope="module")
def psf() -> CalibrationRecord:
    found = measure_psf([stack(aberrations_nm={11: 18.0})], SETUP, PsfSettings(terms=(11,)))
    return psf_record(found, sources=(), provenance={})


def verdicts(findings) -> dict[str, str | None]:
    return {f.name: f.verdict for f in findings}


def test_the_same_pattern_and_objective_fit(plane):
    made = recording("2d", seed=8)
    found = check_otf_beads(plane, [made.frames], made.setup)
    assert verdicts(found) == {"OTF": "ok", "contrast": "ok"}


def test_half_the_contrast_is_doubted(plane):
    made = recording("2d")
    even = made.frames.mean(axis=1, keepdims=True)
    dim = np.rint(0.5 * made.frames + 0.5 * even).astype(np.uint16)
    found = check_otf_beads(plane, [dim], made.setup)
    assert verdicts(found)["contrast"] == "weak"
    assert verdicts(found)["OTF"] == "ok"


def test_another_otf_is_told_apart(plane):
    made = recording("2d")
    row = np.arange(plane.quantities["otf_real"].value.shape[1])[None, :, None]
    for fall, verdict in ((40.0, "weak"), (400.0, "ok")):
        old = plane.quantities["otf_real"]
        bent = replace(old, value=old.value * np.exp(-row / fall), sd=None)
        record = replace(plane, quantities={**plane.quantities, "otf_real": bent})
        found = verdicts(check_otf_beads(record, [made.frames], made.setup))
        assert (found["OTF"] != "ok") == (verdict != "ok"), fall


def test_a_recording_without_beads_fails(plane):
    frames = np.random.default_rng(0).poisson(100, (2, 3, 1, 80, 80)).astype(np.uint16)
    (found,) = check_otf_beads(plane, [frames], recording("2d").setup)
    assert (found.name, found.verdict) == ("beads", "failed")
    assert "No bead" in found.text


@pytest.mark.parametrize(("change_nm", "verdict"), [(0.0, "ok"), (26.0, "weak"), (52.0, "failed")])
def test_wavefront_of_an_objective(psf, change_nm, verdict):
    nm = bead_field.OPTICS.emission_nm
    assert (WAVE_WEAK * nm, WAVE_FAILED * nm) == pytest.approx((18.6, 37.1), abs=0.1)
    frames = stack(aberrations_nm={11: 18.0 + change_nm}, seed=9)
    assert verdicts(check_psf_beads(psf, [frames], SETUP))["wavefront"] == verdict


def test_wider_beads_are_doubted(psf):
    other = {**psf.quantities}
    other["fwhm_um"] = replace(
        psf.quantities["fwhm_um"], value=psf.quantities["fwhm_um"].value / np.array([1.0, 1.1, 1.4])
    )
    record = replace(psf, quantities=other)
    frames = stack(aberrations_nm={11: 18.0}, seed=9)
    found = verdicts(check_psf_beads(record, [frames], SETUP))
    assert [found[f"FWHM along {a}"] for a in "zyx"] == ["ok", "weak", "failed"]
