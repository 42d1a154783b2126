"""``simcal otf``: files, exit codes, exports, and the record in a reconstruction."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from sim_bead_maker import recording

from calibration.cli import app
from simrecon import simulate
from simrecon.cli.main import app as simrecon_app
from simrecon.io import (
    holds_volume_otf,
    read_otf,
    read_record,
    read_volume_otf,
    write_raw,
    write_record,
)
from simrecon.io.otf_record import otf_doubts
from simrecon.model.psf import GridVolumeOTF
from simrecon.model.stack import SimStack
from simrecon.physics.otf import evaluate_otf
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.shell import execute


def written(folder, made, name="beads.ome.tif"):
    stack = SimStack(made.frames[None, None], made.setup.pixel_um, (made.setup.optics,),
                     dz_um=made.setup.dz_um, order="PZA")  # fmt: skip
    write_raw(folder / name, stack, provenance={})
    return str(folder / name)


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plane")
    made = recording("2d")
    exports = [a for n in ("o.mrc", "o.xml", "o.tif") for a in ("--export", str(folder / n))]
    code = execute(app, ["otf", written(folder, made), "-o", str(folder / "otf.h5"), "--report",
                         "--instrument", "Test 2", *exports])  # fmt: skip
    return made, folder, code


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volume")
    made = recording("3d")
    source = written(folder, made)
    exports = [a for n in ("o.mrc", "o.tif") for a in ("--export", str(folder / n))]
    codes = [
        execute(app, ["otf", source, "-o", str(folder / "otf.h5"), "--mode", "3d", "--terms", "11",
                      "--report", *exports]),
        execute(app, ["otf", source, "-o", str(folder / "full.h5"), "--mode", "3d", "--model",
                      "measured", "--full"]),
    ]  # fmt: skip
    return made, folder, codes


def test_plane_leaves_record_numbers_report_and_exports(plane):
    _, folder, code = plane
    assert code == 0
    names = {p.name for p in folder.iterdir()}
    assert names == {"beads.ome.tif", "otf.h5", "otf.qc.json", "otf.report.html", "o.mrc", "o.xml",
                     "o.tif"}  # fmt: skip
    record = read_record(folder / "otf.h5")
    assert (record.kind, record.instrument, record.verdict) == ("otf", "Test 2", "ok")
    assert record.sources[0]["sha256"]
    results = json.loads((folder / "otf.qc.json").read_text())["results"]
    assert results["beads_used"] == 16
    assert len(results["directions"]) == 2
    page = (folder / "otf.report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page
    for name in ("contrast", "otf_real", "phase_step_rad", "frequency_per_um"):
        assert np.all(np.asarray(record.quantities[name].sd) > 0), name


def test_check_measures_new_beads(plane, capsys):
    _, folder, _ = plane
    argv = ["check", str(folder / "otf.h5"), str(folder / "beads.ome.tif")]
    assert execute(app, argv) == 0
    assert "drift: unknown, not compared; give new beads with --beads" in capsys.readouterr().out
    assert execute(app, [*argv, "--beads"]) == 0
    said = capsys.readouterr().out
    assert "check OTF: ok, differs by 0.0 % rms" in said
    assert execute(app, [*argv, "--emission-nm", "620"]) == 4
    assert execute(app, [*argv, "--dark"]) == 2
    assert "--dark with records of camera" in capsys.readouterr().err


def test_every_form_of_a_planar_otf_is_the_same(plane):
    made, folder, _ = plane
    optics = made.setup.optics
    k = np.linspace(0.0, 4.5, 40)
    zero = np.zeros(1)
    record = np.real(evaluate_otf(read_otf(folder / "otf.h5", optics), zero, k)).ravel()
    for name, tolerance in (("o.mrc", 1e-4), ("o.xml", 1e-4), ("o.tif", 0.05)):
        other = np.real(evaluate_otf(read_otf(folder / name, optics), zero, k)).ravel()
        assert np.abs(other - record).max() < tolerance, name


def test_every_form_of_a_volume_otf_is_the_same(volume):
    made, folder, codes = volume
    assert codes == [0, 0]
    optics = made.setup.optics
    kz = np.linspace(-2.5, 2.5, 11)[:, None, None]
    kr = np.linspace(0.2, 4.5, 20)[None, None]

    def values(otf):
        return np.array([evaluate_volume_otf(otf, m, kz, 0 * kr, kr) for m in range(3)])

    assert holds_volume_otf(folder / "otf.h5")
    record = values(read_volume_otf(folder / "otf.h5", optics)[0])
    mrc = values(read_volume_otf(folder / "o.mrc", optics)[0])
    pitches = {"pixel_um": made.setup.pixel_um, "dz_um": made.setup.dz_um}
    tiff = values(read_volume_otf(folder / "o.tif", optics, **pitches)[0])
    assert np.abs(mrc - record).max() < 1e-4
    assert np.abs(tiff - record).max() < 1e-4
    page = (folder / "otf.report.html").read_text()
    assert page.count("data:image/png;base64,") == 3


def test_full_arrays_are_read_as_they_are(volume):
    made, folder, _ = volume
    otf = read_volume_otf(folder / "full.h5", made.setup.optics)[0]
    assert isinstance(otf, GridVolumeOTF)
    assert np.iscomplexobj(otf.psf)
    assert max(otf.axial_cutoff_per_um) <= 0.5 / made.setup.dz_um


def test_plane_of_a_volume_record_serves_planes(volume):
    made, folder, _ = volume
    otf = read_otf(folder / "otf.h5", made.setup.optics)
    value = np.real(evaluate_otf(otf, np.zeros(1), np.array([2.0])))
    assert 0.1 < float(value[0]) < 0.4


def test_reconstruction_takes_the_record_and_doubts_a_weak_one(plane, tmp_path, capsys):
    made, folder, _ = plane
    stack, _ = simulate(shape=(96, 96), pixel_um=made.setup.pixel_um, optics=made.setup.optics,
                        otf=made.otf, period_um=0.23, seed=2)  # fmt: skip
    write_raw(tmp_path / "cell.ome.tif", stack, provenance={})
    record = read_record(folder / "otf.h5")
    weak = type(record)(**{**record.__dict__, "verdict": "weak", "notes": ("One bead only.",)})
    write_record(tmp_path / "weak.h5", weak)
    assert "One bead only." in otf_doubts([tmp_path / "weak.h5"])[0]
    code = execute(simrecon_app, ["reconstruct", str(tmp_path / "cell.ome.tif"), "-o",
                                  str(tmp_path / "sim.ome.tif"), "--otf",
                                  str(tmp_path / "weak.h5")])  # fmt: skip
    said = capsys.readouterr().out
    assert code in (0, 4)
    assert "note: The otf record is weak: One bead only." in said
    made_by = json.loads((tmp_path / "sim.prov.json").read_text())
    assert made_by["otf_files"][0]["sha256"]
    assert "record weak.h5" in made_by["otf"][0]["source"]


@pytest.fixture
def attempt(tmp_path, capsys):
    """Run on frames; returns code, what was said and the files under the output's names."""

    def run(arrays, *options, setup):
        paths = []
        for i, frames in enumerate(arrays):
            stack = SimStack(frames[None, None], setup.pixel_um, (setup.optics,),
                             dz_um=setup.dz_um, order="PZA")  # fmt: skip
            paths.append(str(tmp_path / f"in{i}.ome.tif"))
            write_raw(paths[-1], stack, provenance={})
        out = tmp_path / "out"
        out.mkdir()
        code = execute(app, ["otf", *paths, "-o", str(out / "otf.h5"), "--export",
                             str(out / "o.mrc"), *options])  # fmt: skip
        said = capsys.readouterr()
        return code, said.err, sorted(p.name for p in out.iterdir())

    return run


def noise(shape):
    return np.random.default_rng(0).poisson(100, shape).astype(np.uint16)


def test_no_beads(plane, attempt):
    code, said, files = attempt([noise((2, 3, 1, 80, 80))], setup=plane[0].setup)
    assert (code, files) == (4, [])
    assert "No bead was found" in said


def test_all_saturated(plane, attempt):
    made = plane[0]
    code, said, files = attempt([np.minimum(made.frames, 700)], setup=made.setup)
    assert (code, files) == (4, [])
    assert "saturated" in said


def test_pixels_twice_as_large(plane, attempt):
    made = plane[0]
    code, said, files = attempt([made.frames], "--pixel-um", "0.13", setup=made.setup)
    assert (code, files) == (4, [])
    assert "pixels of 72 nm would fit" in said


def test_shapes_that_differ(plane, attempt):
    made = plane[0]
    code, said, files = attempt([made.frames, made.frames[..., 10:, :]], setup=made.setup)
    assert (code, files) == (3, [])
    assert "different shapes" in said


def test_recordings_of_two_colours(plane, tmp_path, capsys):
    made = plane[0]
    paths = []
    for nm in (made.setup.optics.emission_nm, 620.0):
        stack = SimStack(made.frames[None, None], made.setup.pixel_um,
                         (replace(made.setup.optics, emission_nm=nm),), order="PZA")  # fmt: skip
        paths.append(str(tmp_path / f"{nm:g}.ome.tif"))
        write_raw(paths[-1], stack, provenance={})
    assert execute(app, ["otf", *paths, "-o", str(tmp_path / "otf.h5")]) == 3
    assert "differ in their optics" in capsys.readouterr().err
    assert not (tmp_path / "otf.h5").exists()


def test_phases_too_few_for_three_orders(plane, attempt):
    made = plane[0]
    code, said, files = attempt([made.frames], "--mode", "3d", "--dz-um", "0.1", setup=made.setup)
    assert (code, files) == (2, [])  # as every program that reads frames of a mode
    assert "5 or more phases" in said


def test_file_that_is_no_recording(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "one.tif", noise((64, 64)))
    code = execute(app, ["otf", str(tmp_path / "one.tif"), "-o", str(tmp_path / "otf.h5"),
                         "--pixel-um", "0.065", "--na", "1.4", "--emission-nm", "525"])  # fmt: skip
    assert code == 3
    assert not (tmp_path / "otf.h5").exists()
    assert "error" in capsys.readouterr().err


def test_output_may_not_replace_the_beads(plane, capsys):
    _, folder, _ = plane
    code = execute(app, ["otf", str(folder / "beads.ome.tif"), "-o", str(folder / "x.h5"),
                         "--export", str(folder / "beads.ome.tif")])  # fmt: skip
    assert code == 2
    assert "would replace an input" in capsys.readouterr().err


def test_stage_scans_are_refused(volume, tmp_path, capsys):
    _, folder, _ = volume
    argv = ["otf", str(folder / "beads.ome.tif"), "-o", str(tmp_path / "x.h5")]
    code = execute(app, [*argv, "--mode", "lls", "--scan", "stage", "--stage-angle-deg", "32"])
    assert code == 2
    assert "--scan" in capsys.readouterr().err


def test_simulated_beads_are_measured(tmp_path):
    source = tmp_path / "b.ome.tif"
    argv = ["simulate", "-o", str(source), "--kind", "sim-beads", "--size", "128"]
    assert execute(simrecon_app, [*argv, "--peak-e", "800", "--aberration", "11=30"]) == 0
    truth = json.loads((tmp_path / "b.truth.json").read_text())
    assert truth["aberrations_nm"] == {"11": 30.0}
    assert execute(app, ["otf", str(source), "-o", str(tmp_path / "o.h5")]) == 0
