"""Files and options of a careless day: each is refused or said, and nothing good is destroyed."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from simrecon.cli.main import app
from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io import CalibrationRecord, Quantity, read, read_raw, write_record
from simrecon.io.reader import expand_paths
from simrecon.physics.simulate import simulate
from simrecon.shell import execute

KNOWN = {"na": 1.4, "emission_nm": 525.0}
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def frames():
    """Nine good frames, PA order, uint16."""
    stack, _ = simulate(shape=(64, 64), kind="mixed", peak_e=2000.0, background=20.0, seed=5)
    return np.asarray(stack.data).reshape(9, 64, 64)


def ome(path: Path, frames, x_um: float, y_um: float) -> Path:
    tifffile.imwrite(path, frames, metadata={
        "axes": "TYX", "PhysicalSizeX": x_um, "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": y_um, "PhysicalSizeYUnit": "µm"})  # fmt: skip
    return path


def imagej(path: Path, frames, x_um: float, y_um: float) -> Path:
    tifffile.imwrite(path, frames, imagej=True, resolution=(1 / x_um, 1 / y_um),
                     metadata={"unit": "um", "axes": "TYX"})  # fmt: skip
    return path


def tags(path: Path, frames, x_um: float, y_um: float) -> Path:
    tifffile.imwrite(path, frames, metadata=None, photometric="minisblack",
                     resolution=(1e4 / x_um, 1e4 / y_um), resolutionunit=3)  # fmt: skip
    return path


@pytest.mark.parametrize("write", [ome, imagej, tags])
def test_pixels_that_are_not_square_are_no_pixel_size(frames, tmp_path, write):
    path = write(tmp_path / ("r.ome.tif" if write is ome else "r.tif"), frames, 0.065, 0.08)
    assert read_raw(path).pixel_um is None
    with pytest.raises(MetadataError, match=r"not square.*0\.065 µm along x, 0\.08 µm along y"):
        read(path, **KNOWN)
    assert any("not square" in n for n in read(path, pixel_um=0.065, **KNOWN).notes)


@pytest.mark.parametrize("write", [ome, imagej, tags])
def test_square_pixels_are_read_with_their_rounding(frames, tmp_path, write):
    path = write(tmp_path / "r.ome.tif" if write is ome else tmp_path / "r.tif", frames, 0.065,
                 0.0652)  # fmt: skip
    raw = read_raw(path)
    assert raw.pixel_um == pytest.approx(0.065, rel=1e-4)
    assert not any("not square" in n for n in raw.notes)


def test_hidden_files_of_a_folder_are_no_frames(frames, tmp_path):
    for i, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"cell_{i}.tif", frame)
    (tmp_path / "._cell_0.tif").write_bytes(b"\0\5\x16\7Mac OS X")  # what a Mac leaves on a stick
    assert [p.name for p in expand_paths(tmp_path)] == [f"cell_{i}.tif" for i in range(9)]
    assert read_raw(tmp_path).count == 9


def test_a_folder_without_tiffs_says_what_it_looked_for(tmp_path):
    (tmp_path / "raw.dv").write_bytes(b"x")
    with pytest.raises(InputError, match="folder of TIFFs") as caught:
        expand_paths(tmp_path)
    assert "give the file itself" in (caught.value.hint or "")


def test_byte_order_does_not_part_files(frames, tmp_path):
    for i, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"c{i}.tif", frame, byteorder="<>"[i % 2])
    np.testing.assert_array_equal(read_raw(tmp_path).frames, frames)


@pytest.mark.parametrize("kind, name", [(np.complex64, "complex64"), (bool, "bool")])
@pytest.mark.parametrize("command", ["inspect", "reconstruct"])
def test_values_that_no_camera_gives(frames, tmp_path, capsys, kind, name, command):
    tifffile.imwrite(tmp_path / "r.tif", frames.astype(kind), photometric="minisblack")
    more = ["-o", str(tmp_path / "p.ome.tif")] if command == "reconstruct" else []
    assert execute(app, [command, str(tmp_path / "r.tif"), *more]) == 3  # warnings are errors here
    said = capsys.readouterr().err
    for text in ("real numbers", name, "r.tif", "what to do"):
        assert text in said


@pytest.mark.parametrize("what, value", [("planes", 2), ("channels", 2)])
def test_planes_and_channels_that_do_not_count_are_refused(frames, tmp_path, what, value):
    double = np.concatenate([frames, frames])
    tifffile.imwrite(tmp_path / "r.tif", double, photometric="minisblack")
    with pytest.raises(UsageError, match=f"not read as 2 {what}") as caught:
        read(tmp_path / "r.tif", pixel_um=0.065, order="PA", **KNOWN, **{what: value})
    assert caught.value.where == f"--{what}"
    order = "PAZ" if what == "planes" else "PAC"
    stack = read(tmp_path / "r.tif", pixel_um=0.065, order=order, **KNOWN, **{what: value})
    assert stack.data.shape[4 if what == "planes" else 1] == 2


def test_an_unknown_preset_is_told_before_any_fit(frames, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "r.tif", frames)
    argv = ["reconstruct", str(tmp_path / "r.tif"), "-o", str(tmp_path / "p.ome.tif"),
            "--pixel-um", "0.065", "--na", "1.4", "--emission-nm", "525",
            "--preset", "nsim"]  # fmt: skip
    assert execute(app, argv) == 2
    said = capsys.readouterr().err
    assert "Unknown preset" in said
    assert "nsim-2d" in said
    assert [p.name for p in tmp_path.iterdir()] == ["r.tif"]


def test_inspect_does_not_promise_what_is_refused(frames, tmp_path, capsys):
    blown = np.where(frames > np.percentile(frames, 90), 65535, frames).astype(np.uint16)
    tifffile.imwrite(tmp_path / "blown.tif", blown)
    tifffile.imwrite(tmp_path / "small.tif", frames[:, :31, :33])
    assert execute(app, ["inspect", str(tmp_path / "blown.tif")]) == 0
    assert "cannot be reconstructed: 10 % of the pixels" in " ".join(
        capsys.readouterr().out.split()
    )
    assert execute(app, ["inspect", str(tmp_path / "small.tif")]) == 0
    assert "cannot be reconstructed: frames of 31 × 33" in " ".join(capsys.readouterr().out.split())


def run(argv: list[str], *, limit: int | None = None, **streams):
    """A program of its own; no file of it grows beyond `limit` bytes (a disk that is full)."""

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", "import sys; from simrecon.cli.main import run; sys.exit(run())",
         *argv], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        preexec_fn=None if limit is None else small, check=False, **streams,
    )  # fmt: skip


def test_a_full_disk_names_the_file_that_was_asked_for(tmp_path):
    out = tmp_path / "sim.ome.tif"
    done = run(["simulate", "-o", str(out), "--size", "128"], limit=50_000, capture_output=True)
    assert done.returncode == 3, done.stderr
    assert f"where: {out}" in done.stderr
    assert ".part-" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_record_on_a_full_disk_is_a_message_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "cam.h5"
    write_record(path, CalibrationRecord("camera", {"gain": Quantity(2.0, "ADU/e")}))
    before = path.read_bytes()
    code = (
        "import sys, numpy as np\n"
        "from simrecon.errors import InputError\n"
        "from simrecon.io import CalibrationRecord, Quantity, write_record\n"
        "noise = np.random.default_rng(0).random((200, 200))\n"
        "record = CalibrationRecord('camera', {'gain': Quantity(noise, '1')})\n"
        "try:\n"
        "    write_record(sys.argv[1], record)\n"
        "except InputError as error:\n"
        "    print(error); sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr  # HDF5 ended it by a segmentation fault
    assert "cannot be written" in done.stdout
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["cam.h5"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_standard_output_is_one_message(frames, tmp_path, more):
    tifffile.imwrite(tmp_path / "r.tif", frames)
    with open("/dev/full", "w") as full:
        done = run(["inspect", str(tmp_path / "r.tif"), *more], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert "standard output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Unexpected" not in done.stderr


def test_a_closed_standard_output_does_not_stop_the_work(tmp_path):
    script = (
        f'"{sys.executable}" -c "import sys; from simrecon.cli.main import run; sys.exit(run())" '
        f'simulate -o "{tmp_path / "s.ome.tif"}" --size 64 >&-'
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s.ome.tif").exists()
