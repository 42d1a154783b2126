"""``simcal camera`` from the outside: files, exit codes, and frames that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from camera_maker import SimulatedCamera

from calibration.cli import app
from simrecon.io import read_camera_record, read_record
from simrecon.provenance import sha256_file
from simrecon.shell import execute


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Folder with dark.tif (100 frames) and flat60.tif … flat900.tif (60 frames each)."""
    folder = tmp_path_factory.mktemp("stacks")
    camera = SimulatedCamera(seed=3, prnu=0.02)
    tifffile.imwrite(folder / "dark.tif", camera.stack(0, 100))
    for light in (60, 300, 900):
        frames = camera.stack(light, 60, 0.02)
        tifffile.imwrite(folder / f"flat{light}.tif", frames, compression="zlib")
    for number, frame in enumerate(camera.stack(300, 12)):
        tifffile.imwrite(folder / f"single_{number}.tif", frame)
    return folder


@pytest.fixture
def attempt(tmp_path, capsys):
    """Run the command with -o in an empty folder; gives exit code, output and files."""

    def run(dark, *flats, more=()):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        options = [part for flat in flats for part in ("--flat", str(flat))]
        argv = ["camera", "--dark", str(dark), *options, "-o", str(out / "cam.h5"), *more]
        code = execute(app, argv)
        said = capsys.readouterr()
        return code, said.out + said.err, sorted(p.name for p in out.iterdir()), out / "cam.h5"

    return run


def test_record_report_and_numbers(stacks, attempt):
    flats = [stacks / f"flat{light}.tif" for light in (60, 300, 900)]
    options = ["--report", "--instrument", "Orca <4711>", "--condition", "readout=slow",
               "--exposure-ms", "6", "--exposure-ms", "30", "--exposure-ms", "90"]  # fmt: skip
    code, said, files, path = attempt(stacks / "dark.tif", *flats, more=options)
    assert (code, files) == (0, ["cam.h5", "cam.qc.json", "cam.report.html"])
    for text in ("gain: 2.", "readout: slow", "valid until: ", "response: within", "verdict: ok"):
        assert text in said
    record = read_record(path)
    assert (record.instrument, record.conditions) == ("Orca <4711>", {"readout": "slow"})
    assert record.expires > record.created
    hashes = {Path(s["path"]).name: s["sha256"] for s in record.sources}
    assert hashes == {p.name: sha256_file(p) for p in (stacks / "dark.tif", *flats)}
    assert record.provenance["command"].startswith("simcal camera --dark")
    camera = read_camera_record(path).camera
    assert np.median(camera.gain) == pytest.approx(2.2, rel=0.02)
    numbers = json.loads(path.with_suffix(".qc.json").read_text())
    assert numbers["results"]["gain"]["value"] == record.results["gain"]["value"]
    page = path.with_suffix(".report.html").read_text()
    assert page.count("data:image/png;base64,") == 1
    assert "Orca &lt;4711&gt;" in page
    assert execute(app, ["check", str(path)]) == 0


def test_several_files_and_a_glob_per_level(stacks, attempt):
    flats = (stacks / "flat60.tif", stacks / "single_*.tif")
    code, said, _, path = attempt(stacks / "dark.tif", *flats, more=["--json"])
    assert code == 0
    facts = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert facts["frames"] == {"dark": 100, "flat": [60, 12]}
    assert facts["files"] == [str(path), str(path.with_suffix(".qc.json"))]
    assert [level["name"] for level in facts["levels"]][1] == "single_0.tif … single_11.tif"


def write(folder: Path, name: str, frames: np.ndarray) -> Path:
    tifffile.imwrite(folder / name, frames)
    return folder / name


def bad(kind: str, stacks: Path, folder: Path) -> tuple[Path, list[Path]]:
    """Dark and flats of one kind of mistake."""
    dark = stacks / "dark.tif"
    flats = [stacks / "flat60.tif", stacks / "flat900.tif"]
    camera = SimulatedCamera(seed=3, prnu=0.02)
    array = {
        "lit dark": lambda: camera.stack(40, 60),
        "dark between the flats": lambda: camera.stack(200, 60),
        "light in some dark frames": lambda: np.r_[camera.stack(0, 40), camera.stack(30, 20)],
        "dark cut off": lambda: np.maximum(camera.stack(0, 60), 100) - 100,
        "copies": lambda: np.repeat(camera.stack(0, 1), 20, axis=0),
        "few darks": lambda: camera.stack(0, 9),
        "NaN": lambda: np.where(np.arange(20)[:, None, None] == 7, np.nan, camera.stack(0, 20)),
    }
    if kind in array:
        return write(folder, "dark.tif", array[kind]()), flats
    if kind == "exchanged":
        return flats[1], [dark, flats[0]]
    if kind == "one level":
        return dark, flats[:1]
    if kind == "same level twice":
        return dark, [flats[0], write(folder, "again.tif", camera.stack(63, 60))]
    if kind == "saturated":
        clipped = SimulatedCamera(seed=3, top=1023)
        return dark, [write(folder, f"{e}.tif", clipped.stack(e, 20)) for e in (415, 900)]
    if kind == "mixed shapes":
        return dark, [flats[0], write(folder, "crop.tif", camera.stack(900, 20)[:, :16])]
    if kind == "mixed within":
        write(folder, "part_1.tif", camera.stack(900, 20))
        write(folder, "part_2.tif", camera.stack(900, 20)[:, 1:])
        return dark, [flats[0], folder / "part_*.tif"]
    if kind == "few flats":
        return dark, [flats[0], write(folder, "few.tif", camera.stack(900, 9))]
    if kind == "missing":
        return dark, [flats[0], folder / "nowhere.tif"]
    assert kind == "unreadable"
    content = flats[1].read_bytes()
    (folder / "broken.tif").write_bytes(content[: len(content) // 2])
    return dark, [flats[0], folder / "broken.tif"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("lit dark", "not dark: the response pattern"),
        ("light in some dark frames", "frames differ in brightness"),
        ("dark cut off", "cut off at zero"),
        ("copies", "no noise"),
        ("few darks", "too few frames"),
        ("NaN", "frame 7"),
        ("exchanged", "exchanged"),
        ("dark between the flats", "not brighter than the dark stack"),
        ("one level", "one level of light only"),
        ("same level twice", "one level of light only"),
        ("saturated", "saturated"),
        ("mixed shapes", "differ in size"),
        ("mixed within", "part_2.tif, frame 0"),
        ("few flats", "too few frames"),
        ("missing", "nowhere.tif"),
        ("unreadable", "broken.tif"),
    ],
)
def test_frames_that_cannot_be_used(kind, words, stacks, attempt, tmp_path):
    dark, flats = bad(kind, stacks, tmp_path)
    code, said, files, _ = attempt(dark, *flats)
    assert code == 3
    assert words in said
    assert files == []


def test_saturated_level_is_left_out(stacks, attempt, tmp_path):
    camera = SimulatedCamera(seed=3, prnu=0.02, top=1023)
    flats = []
    for e in (40, 250, 900):  # equal names in different folders
        (tmp_path / str(e)).mkdir()
        flats.append(write(tmp_path / str(e), "flat.tif", camera.stack(e, 60)))
    code, said, _, path = attempt(stacks / "dark.tif", *flats)
    assert code == 0
    assert "flat.tif: saturated; left out." in said
    assert np.median(read_camera_record(path).camera.gain) == pytest.approx(2.2, rel=0.02)


def test_flats_that_were_averaged_are_no_counts(stacks, attempt, tmp_path):
    rng = np.random.default_rng(0)
    still = [np.rint(s + rng.normal(0, 1.5, (20, 32, 48))) for s in (1200, 3000)]
    flats = [write(tmp_path, f"{i}.tif", f.astype(np.uint16)) for i, f in enumerate(still)]
    code, said, files, _ = attempt(stacks / "dark.tif", *flats)
    assert (code, files) == (4, [])
    assert "variance does not grow" in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-o", "cam.json"], "ends in .h5"),
        (["-o", "cam.h5", "--condition", "slow"], "NAME=VALUE"),
        (["-o", "dark.h5", "--exposure-ms", "3"], "Exposures"),
    ],
)
def test_options_that_cannot_be_meant(stacks, argv, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = ["--dark", str(stacks / "dark.tif"), "--flat", str(stacks / "flat60.tif")]
    more = ["--flat", str(stacks / "flat900.tif")]
    assert execute(app, ["camera", *files, *more, *argv]) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--dark", "a"],
        ["--image", "a", "--flat", "b"],
        ["--image", "a", "--dark", "b"],
        ["--image", "a", "--exposure-ms", "1"],
        ["--dark", "a", "--flat", "b", "--na", "1"],
    ],
)
def test_frames_that_do_not_go_together(options, capsys):
    assert execute(app, ["camera", "-o", "x.h5", *options]) == 2
    assert "--image" in capsys.readouterr().err


def test_an_old_report_does_not_stay_beside_a_new_record(stacks, attempt, tmp_path):
    flats = (stacks / "flat60.tif", stacks / "flat900.tif")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cam.report.html").write_text("old")
    assert attempt(stacks / "dark.tif", *flats)[2] == ["cam.h5", "cam.qc.json"]
