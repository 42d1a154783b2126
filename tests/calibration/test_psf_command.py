"""``simcal psf``: files, exit codes, and a reconstruction with what it measured."""

import json
from dataclasses import replace

import bead_field
import numpy as np
import pytest
import tifffile
from bead_field import ABERRATIONS, DZ_UM, OPTICS, PIXEL_UM
from real_data import real

from calibration.cli import app
from simrecon import reconstruct, simulate
from simrecon.cli.main import app as simrecon_app
from simrecon.io import CalibrationRecord, read_otf, read_provenance, read_record, write_record
from simrecon.io.camera_record import camera_quantities
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.psf import GridOTF
from simrecon.physics.bead_image import Camera3D
from simrecon.qc.metrics import nrmse
from simrecon.shell import execute

OPTIONS = ["--pixel-um", "0.1", "--dz-um", "0.25", "--na", "1.2", "--index", "1.33",
           "--emission-nm", "520"]  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("psf")
    stack, truth, defects = bead_field.planted()
    tifffile.imwrite(folder / "beads.tif", stack)
    code = execute(app, ["psf", str(folder / "beads.tif"), "-o", str(folder / "psf.h5"),
                         "--psf-tiff", str(folder / "psf.tif"), "--report", "--window-um", "2.1",
                         "--instrument", "Test 1", *OPTIONS])  # fmt: skip
    return code, folder, len(truth) - len(defects)


def test_all_files_are_there(measured):
    code, folder, used = measured
    assert code == 0
    names = {p.name for p in folder.iterdir()}
    assert names == {"beads.tif", "psf.h5", "psf.tif", "psf.qc.json", "psf.report.html"}
    facts = json.loads((folder / "psf.qc.json").read_text())["results"]
    assert facts["verdict"] == "ok"
    assert facts["beads_used"] == used
    reasons = [b["reason"] for b in facts["beads"] if not b["used"]]
    assert len(reasons) >= 7
    assert all(reasons)
    page = (folder / "psf.report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "4095 counts" in page
    assert "http" not in page


def test_record_holds_values_errors_and_sources(measured):
    _, folder, _ = measured
    record = read_record(folder / "psf.h5")
    assert (record.kind, record.instrument, record.verdict) == ("psf", "Test 1", "ok")
    assert record.quantities["psf"].value.ndim == 3
    mean = record.quantities["mean_bead"]
    assert mean.sd.shape == mean.value.shape
    waves = record.quantities["aberrations_nm"]
    found = dict(zip((5, 6, 7, 8, 9, 10, 11), waves.value, strict=True))
    for j, value in ABERRATIONS.items():
        assert abs(found[j] - value) < 1.0
    assert record.sources[0]["sha256"]
    assert "simcal psf" in record.provenance["command"]
    assert execute(app, ["check", str(folder / "psf.h5")]) == 0


def test_picture_is_an_otf_for_the_engine(measured):
    _, folder, _ = measured
    assert read_provenance(folder / "psf.tif")["quantity"].startswith("PSF")
    otf = read_otf(folder / "psf.tif", OPTICS)
    assert isinstance(otf, GridOTF)
    assert otf.pixel_um == pytest.approx(PIXEL_UM)


def test_reconstruction_with_the_measured_psf_is_as_good_as_with_the_true_one(measured):
    _, folder, _ = measured
    optics = Optics(na=1.2, emission_nm=520.0, immersion_index=1.33, excitation_nm=488.0)
    side = 65
    psf = Camera3D((side, side), PIXEL_UM, (0.0,)).image(OPTICS, aberrations_nm=ABERRATIONS)[0]
    true = GridOTF(psf / psf.sum(), PIXEL_UM, optics.cutoff_per_um)
    stack, truth = simulate(shape=(96, 96), pixel_um=PIXEL_UM, optics=optics, otf=true, seed=1,
                            period_um=0.26, peak_e=1000.0, kind="filaments")  # fmt: skip
    errors = {}
    for name, otf in (("true", true), ("measured", read_otf(folder / "psf.tif", optics)),
                      ("theory", None)):  # fmt: skip
        picture = reconstruct(stack, otf=otf, pattern=truth.pattern).image[0, 0, 0]
        errors[name] = nrmse(picture, truth.object_e, margin_px=8)
    assert errors["measured"] <= 1.05 * errors["true"]
    assert errors["theory"] > errors["measured"]


@pytest.fixture
def attempt(tmp_path, capsys):
    """Run on arrays; returns code, what was said and the files written beside the inputs."""

    def run(arrays, *options):
        paths = []
        for i, array in enumerate(arrays):
            paths.append(str(tmp_path / f"in{i}.tif"))
            tifffile.imwrite(paths[-1], array)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        argv = ["psf", *paths, "-o", str(out / "psf.h5"), "--psf-tiff", str(out / "psf.tif")]
        code = execute(app, [*argv, *options])
        said = capsys.readouterr()
        return code, said.out + said.err, {p.name for p in out.iterdir()}

    return run


def refused(outcome, code, *texts):
    got, said, files = outcome
    assert got == code, said
    assert files == set()
    for text in texts:
        assert text in said


def noise(shape=(7, 48, 48)):
    return np.random.default_rng(0).poisson(200, shape).astype(np.uint16)


def test_no_beads(attempt):
    refused(attempt([noise()], *OPTIONS), 4, "No bead was found", "--pixel-um")


def test_all_saturated(attempt):
    stack = bead_field.render(bead_field.beads(2, 2, 9e5, 4), 2, 2)
    refused(attempt([stack], *OPTIONS), 4, "4 saturated", "less light")


def test_pixel_size_wrong_by_two(attempt):
    stack = bead_field.render(bead_field.beads(2, 2, 3e4, 4), 2, 2)
    wrong = ["--pixel-um", "0.05", *OPTIONS[2:], "--window-um", "1.0"]
    refused(attempt([stack], *wrong), 4, "far below the diffraction limit", "would fit")


def test_mixed_shapes(attempt):
    refused(attempt([noise(), noise((7, 48, 50))], *OPTIONS), 3, "different shapes", "in1.tif")


def test_more_than_a_stack(attempt):
    refused(attempt([noise((2, 5, 48, 48))], *OPTIONS), 3, "not one z-stack")


@pytest.mark.parametrize("missing", ["--pixel-um", "--dz-um", "--na", "--emission-nm"])
def test_missing_facts(attempt, missing):
    at = OPTIONS.index(missing)
    refused(attempt([noise()], *OPTIONS[:at], *OPTIONS[at + 2 :]), 3, missing)


def test_impossible_options(attempt, tmp_path):
    refused(attempt([noise()], *OPTIONS, "--fit-depth"), 2, "--sample-index")
    refused(attempt([noise()], *OPTIONS, "--gain", "2"), 2, "--offset")
    refused(attempt([noise()], *OPTIONS, "--valid-days", "0"), 2, "--valid-days", "> 0")
    path = str(tmp_path / "in0.tif")
    assert execute(app, ["psf", path, "-o", path, *OPTIONS]) == 2
    assert (
        execute(app, ["psf", path, "-o", str(tmp_path / "a.h5"), "--psf-tiff", path, *OPTIONS]) == 2
    )


def test_simulated_stack_is_measured_with_what_its_file_says(tmp_path):
    beads, truth = tmp_path / "b.ome.tif", tmp_path / "b.truth.json"
    made = ["simulate", "-o", str(beads), "--kind", "bead-stack", "--size", "100", "--planes", "11",
            "--pixel-um", "0.1", "--dz-um", "0.25", "--na", "1.2", "--index", "1.33",
            "--emission-nm", "520", "--peak-e", "1000", "--aberration", "7=25"]  # fmt: skip
    assert execute(simrecon_app, made) == 0
    assert execute(simrecon_app, [*made, "--aberration", "coma"]) == 2
    known = json.loads(truth.read_text())
    argv = ["psf", str(beads), "-o", str(tmp_path / "p.h5"), "--window-um", "1.7",
            "--terms", "7", "--terms", "11"]  # fmt: skip
    assert execute(app, argv) == 0
    record = read_record(tmp_path / "p.h5")
    assert record.results["beads_used"] == len(known["beads"])
    assert record.quantities["aberrations_nm"].value == pytest.approx([25.0, 0.0], abs=1.0)


def test_one_bead_is_weak_and_json_is_one_document(tmp_path, capsys):
    stack = bead_field.render(bead_field.beads(1, 1, 3e4, 4), 1, 1)
    tifffile.imwrite(tmp_path / "one.tif", stack)
    argv = ["psf", str(tmp_path / "one.tif"), "-o", str(tmp_path / "p.h5"), *OPTIONS, "--no-fit",
            "--window-um", "1.7", "--json"]  # fmt: skip
    assert execute(app, argv) == 4
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"] == "weak"
    assert any("One bead only" in n for n in facts["notes"])
    assert facts["fwhm_nm"]["mean bead"]["x"]["sd"] is None
    assert read_record(tmp_path / "p.h5").quantities["dz_um"].value == DZ_UM


def test_a_measured_stack_of_one_bead(tmp_path, capsys):
    path = real("cryosim-psf/psf_wl520nm_z300nm_x130nm_na0.85_n1.0.tif")
    argv = ["psf", str(path), "-o", str(tmp_path / "p.h5"), "--na", "0.85", "--index", "1",
            "--emission-nm", "520", "--pixel-um", "0.13", "--dz-um", "0.3", "--json",
            "--terms", "6", "--terms", "8", "--window-um", "2"]  # fmt: skip
    assert execute(app, argv) == 4
    facts = json.loads(capsys.readouterr().out)
    assert (facts["verdict"], facts["beads_used"]) == ("weak", 1)
    assert facts["beads"][0]["position_px"] == pytest.approx([11.9, 127.6, 130.6], abs=0.1)
    width = facts["fwhm_nm"]["mean bead"]
    assert [width[a]["gaussian"] for a in "yx"] == pytest.approx([400, 383], abs=5)
    assert facts["expected_fwhm_nm"]["lateral"] == pytest.approx(352, abs=2)
    assert facts["fit"]["explained"] > 0.95 < facts["fit"]["chi2"]
    assert all(b["kind"] in ("halo", "dim") for b in facts["beads"] if not b["used"])


def test_a_doubtful_camera_record_makes_the_psf_doubtful(measured, tmp_path):
    _, folder, _ = measured
    camera = CalibrationRecord(
        "camera", camera_quantities(Camera(2.0, 100.0, 1.5)), "C", "2026-01-01"
    )
    codes = {}
    for verdict in ("ok", "weak"):
        write_record(tmp_path / "cam.h5", replace(camera, verdict=verdict, notes=("one level",)))
        codes[verdict] = execute(app, ["psf", str(folder / "beads.tif"), "-o",
                                       str(tmp_path / "psf.h5"), "--window-um", "2.1", "--no-fit",
                                       "--camera", str(tmp_path / "cam.h5"), *OPTIONS])  # fmt: skip
    assert codes == {"ok": 0, "weak": 4}
    notes = read_record(tmp_path / "psf.h5").notes
    assert any("The camera record is weak: one level" in n for n in notes)
