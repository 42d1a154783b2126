"""``simcal pattern``: files, exit codes, and what a reconstruction makes of the record."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import tifffile
from instrument import recording

from calibration.cli import app
from simrecon.cli.main import app as simrecon_app
from simrecon.errors import InputError
from simrecon.io import read_pattern_record, read_patterns, read_record, write_raw, write_record
from simrecon.model.optics import Optics
from simrecon.shell import execute

SIZE = 96
KNOWN = ["--na", "1.49", "--emission-nm", "525", "--gain", "2", "--offset", "100",
         "--read-noise-e", "1.5"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three bright recordings and a dim one of one instrument, and its record."""
    path = tmp_path_factory.mktemp("pattern")
    for n in (1, 2, 3):
        write_raw(path / f"bright{n}.ome.tif", recording("filaments", SIZE, 1500.0, n)[0],
                  provenance={})  # fmt: skip
    write_raw(path / "dim.ome.tif", recording("rings", SIZE, 60.0, 8)[0], provenance={})
    bright = [str(path / f"bright{n}.ome.tif") for n in (1, 2, 3)]
    code = execute(app, ["pattern", *bright, "-o", str(path / "pattern.h5"), "--report",
                         "--pattern-json", str(path / "steps.json"), "--instrument", "Test 2",
                         "--condition", "grating=1"])  # fmt: skip
    assert code == 0
    return path


def test_record_numbers_and_report_are_there(folder):
    record = read_record(folder / "pattern.h5")
    assert (record.kind, record.instrument, record.verdict) == ("pattern", "Test 2", "ok")
    assert record.quantities["frequency_per_um"].value.shape == (1, 3, 2)
    assert (record.quantities["frequency_per_um"].sd > 0).all()
    assert record.quantities["phase_step_rad"].value.shape == (1, 3, 3)
    assert record.conditions["grating"] == "1"
    assert len(record.sources) == 3
    assert "simcal pattern" in record.provenance["command"]
    facts = json.loads((folder / "pattern.qc.json").read_text())["results"]
    direction = facts["channels"][0]["directions"][0]
    assert direction["line_spacing_nm"] == pytest.approx(210.0, abs=0.2)
    assert {"phase_step_std_deg", "k0_angle_stability_deg", "line_spacing_stability_nm",
            "phase_step_stability_deg"} <= set(direction)  # fmt: skip
    page = (folder / "pattern.report.html").read_text()
    assert page.count("data:image/png;base64,") >= 2
    assert "http" not in page


def test_reconstruction_cites_the_record(folder, tmp_path):
    out = tmp_path / "p.ome.tif"
    code = execute(simrecon_app, ["reconstruct", str(folder / "dim.ome.tif"), "-o", str(out),
                                  "--pattern", str(folder / "pattern.h5")])  # fmt: skip
    assert code == 0
    made = json.loads((tmp_path / "p.prov.json").read_text())
    assert made["pattern_files"][0]["path"].endswith("pattern.h5")
    assert made["pattern_files"][0]["sha256"]
    notes = json.loads((tmp_path / "p.qc.json").read_text())["notes"]
    assert any("record pattern.h5 (sha256" in n and "Test 2" in n for n in notes)
    kept = np.asarray(read_record(folder / "pattern.h5").quantities["frequency_per_um"].value)[0]
    used = [d["frequency_per_um"] for d in made["patterns"][0][0]["directions"]]
    np.testing.assert_allclose(used, kept)


def test_pattern_file_does_the_same_as_the_record(folder):
    one = read_patterns(folder / "steps.json", ())
    (other,) = read_patterns(folder / "pattern.h5", [Optics(1.49, 525.0)])
    assert one.directions == other.directions


def test_check_holds_data_against_the_record(folder, capsys):
    code = execute(app, ["check", str(folder / "pattern.h5"), str(folder / "bright2.ome.tif")])
    assert code == 0
    assert "check direction 3 phase steps: ok" in capsys.readouterr().out


def test_doubtful_and_expired_records_make_doubtful_pictures(folder, tmp_path):
    record = read_record(folder / "pattern.h5")
    write_record(tmp_path / "weak.h5", replace(record, verdict="weak", notes=("old grating",)))
    found = read_pattern_record(tmp_path / "weak.h5").patterns[0]
    assert found.verdict == "weak"
    assert any("old grating" in n for n in found.notes)
    late = read_pattern_record(folder / "pattern.h5", date(2999, 1, 1)).patterns[0]
    assert late.verdict == "weak"
    assert any("expired" in n for n in late.notes)
    code = execute(simrecon_app, ["reconstruct", str(folder / "dim.ome.tif"),
                                  "-o", str(tmp_path / "p.ome.tif"),
                                  "--pattern", str(tmp_path / "weak.h5")])  # fmt: skip
    assert code == 4


def test_channels_are_found_by_their_wavelength(folder, tmp_path):
    record = read_record(folder / "pattern.h5")
    many = {
        name: replace(q, value=np.concatenate([np.asarray(q.value), 1.1 * np.asarray(q.value)]),
                      sd=None)
        for name, q in record.quantities.items() if name != "pixel_um"
    }  # fmt: skip
    two = replace(record, quantities={**many, "pixel_um": record.quantities["pixel_um"]})
    write_record(tmp_path / "two.h5", two)
    known = read_pattern_record(tmp_path / "two.h5")
    assert known.emission_nm == pytest.approx((525.0, 577.5))
    red, green = known.for_channels([Optics(1.49, 580.0), Optics(1.49, 525.0)])
    assert (red, green) == (known.patterns[1], known.patterns[0])
    with pytest.raises(InputError, match="no such channel"):
        known.for_channels([Optics(1.49, 650.0)])


@pytest.mark.parametrize(
    ("drop", "text"), [("phase_step_rad", "malformed"), (None, 'kind = "psf"')]
)
def test_other_records_are_refused(folder, tmp_path, drop, text):
    record = read_record(folder / "pattern.h5")
    left = {n: q for n, q in record.quantities.items() if n != drop}
    kind = "pattern" if drop else "psf"
    write_record(tmp_path / "x.h5", replace(record, kind=kind, quantities=left))
    with pytest.raises(InputError, match=text) as caught:
        read_pattern_record(tmp_path / "x.h5")
    assert "x.h5" in str(caught.value)


def attempt(tmp_path, capsys, arrays, *options):
    """Exit code, what was said, and what lies under the final names."""
    names = []
    for n, array in enumerate(arrays):
        names.append(str(tmp_path / f"{n}.tif"))
        tifffile.imwrite(names[-1], array)
    (tmp_path / "out").mkdir()
    code = execute(app, ["pattern", *names, "-o", str(tmp_path / "out" / "p.h5"), *options])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out + said.err, sorted(p.name for p in (tmp_path / "out").iterdir())


def frames(size: int = SIZE) -> np.ndarray:
    return np.asarray(recording("filaments", size, 1500.0, 1)[0].data).reshape(9, size, size)


def test_double_pixel_size_is_refused(tmp_path, capsys):
    found = attempt(tmp_path, capsys, [frames()], "--pixel-um", "0.13", *KNOWN)
    assert found[0] == 4
    assert "--pixel-um" in found[1]
    assert found[2] == []


def test_half_pixel_size_is_refused(tmp_path, capsys):
    found = attempt(tmp_path, capsys, [frames()], "--pixel-um", "0.0325", *KNOWN)
    assert (found[0], found[2]) == (4, [])


def test_no_object_is_refused(tmp_path, capsys):
    empty = np.random.default_rng(0).poisson(20, (9, SIZE, SIZE)).astype(np.uint16) + 100
    found = attempt(tmp_path, capsys, [empty], "--pixel-um", "0.065", *KNOWN)
    assert found[0] == 4
    assert "No acquisition shows the pattern of direction(s) 1, 2, 3" in found[1]
    assert found[2] == []


def test_saturated_frames_are_refused(tmp_path, capsys):
    full = np.full((9, SIZE, SIZE), 4095, np.uint16)
    found = attempt(tmp_path, capsys, [full], "--pixel-um", "0.065", *KNOWN)
    assert (found[0], found[2]) == (3, [])
    most = np.minimum(frames().astype(int) * 40, 4095).astype(np.uint16)
    again = tmp_path / "again"
    again.mkdir()
    found = attempt(again, capsys, [most], "--pixel-um", "0.065", *KNOWN)
    assert found[0] == 4
    assert "saturated" in found[1]
    assert found[2] == []


def test_mixed_shapes_are_refused(tmp_path, capsys):
    found = attempt(tmp_path, capsys, [frames(), frames(80)], "--pixel-um", "0.065", *KNOWN)
    assert found[0] == 3
    assert "different frame sizes" in found[1]
    assert found[2] == []


def test_a_recording_given_twice_is_refused(tmp_path, capsys):
    raw = tmp_path / "raw.tif"
    raw.touch()
    out = tmp_path / "p.h5"
    assert execute(app, ["pattern", str(raw), str(raw), "-o", str(out)]) == 2
    assert "given twice" in capsys.readouterr().err
    assert not out.exists()
