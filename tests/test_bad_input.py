"""What goes wrong at a microscope's desk: each case has its message and its exit code."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from simrecon.backend import gpu_status
from simrecon.cli.main import app
from simrecon.physics.simulate import simulate
from simrecon.shell import execute

OPTICS = ["--na", "1.4", "--emission-nm", "525"]
KNOWN = ["--pixel-um", "0.065", *OPTICS]
CAMERA = ["--gain", "2", "--offset", "100", "--read-noise-e", "1.5"]


@pytest.fixture(scope="module")
def frames():
    """Nine good frames, PA order, uint16."""
    stack, _ = simulate(shape=(96, 96), kind="mixed", peak_e=2000.0, background=20.0, seed=5)
    return np.asarray(stack.data).reshape(9, 96, 96)


@pytest.fixture
def attempt(tmp_path, capsys):
    """Write frames and reconstruct them; returns (exit code, message, files written)."""

    def attempt_(
        array: np.ndarray | None, *options: str, source: Path | None = None
    ) -> tuple[int, str, set[str]]:
        raw = source or tmp_path / "raw.tif"
        if array is not None:
            tifffile.imwrite(raw, array)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        argv = ["reconstruct", str(raw), "-o", str(out / "p.ome.tif"), *options]
        code = execute(app, argv)
        said = capsys.readouterr()
        return code, said.out + said.err, {p.name for p in out.iterdir()}

    return attempt_


def assert_refused(outcome, code, *texts):
    """Right code, every text said, and not a single file left."""
    got, message, written = outcome
    assert got == code, message
    for text in texts:
        assert text in message
    assert "Traceback" not in message
    assert written == set()


def test_the_frames_are_good(frames, attempt):
    code, message, written = attempt(frames, *KNOWN, *CAMERA)
    assert code == 0, message
    assert "p.ome.tif" in written


def test_wrong_number_of_frames(frames, attempt):
    outcome = attempt(frames[:5], *KNOWN)
    assert_refused(outcome, 3, "5 frames", "3 directions × 3 phases", "--phases")


def test_one_frame_missing(frames, attempt):
    outcome = attempt(frames[:8], *KNOWN)
    assert_refused(outcome, 3, "One frame is missing?", "8 frames", "what to do")


def test_unknown_pixel_size(frames, attempt):
    assert_refused(attempt(frames, *OPTICS), 3, "pixel size", "--pixel-um")


@pytest.mark.parametrize("missing, option", [(0, "--na"), (2, "--emission-nm")])
def test_unknown_optics(frames, attempt, missing, option):
    rest = OPTICS[:missing] + OPTICS[missing + 2 :]
    assert_refused(attempt(frames, "--pixel-um", "0.065", *rest), 3, option)


def test_saturated_frames_stop(frames, attempt):
    blown = np.minimum(frames.astype(np.float64) * 60, 65535).astype(np.uint16)
    assert (blown == 65535).mean() > 0.05
    assert_refused(attempt(blown, *KNOWN, *CAMERA), 4, "saturated", "65535", "less light")


def test_some_saturation_is_marked(frames, attempt):
    level = np.percentile(frames, 99.5)
    clipped = np.where(frames > level, 65535, frames).astype(np.uint16)
    code, message, written = attempt(clipped, *KNOWN, *CAMERA, "--on-fit-failure", "widefield")
    assert code == 4
    assert "saturated" in message
    assert any(name.endswith(".qc.json") for name in written)


def test_constant_frame(frames, attempt):
    dark = frames.copy()
    dark[4] = 100
    assert_refused(attempt(dark, *KNOWN), 3, "constant", "direction 2, phase 2")


def test_nan(frames, attempt):
    broken = frames.astype(np.float32)
    broken[2, 5, 5] = np.nan
    assert_refused(attempt(broken, *KNOWN), 3, "NaN", "direction 1, phase 3")


def test_tiny_float_values_are_fitted_and_marked(frames, attempt):
    tiny = (frames.astype(np.float32) - 100) * np.float32(3e-7)
    code, message, written = attempt(tiny, *KNOWN)
    assert code == 4
    assert "not camera counts" in message
    assert "direction 1: period 21" in message
    assert "p.ome.tif" in written


def test_uint8_is_marked(frames, attempt):
    shown = (255.0 * frames / frames.max()).astype(np.uint8)
    code, message, written = attempt(shown, *KNOWN)
    assert code == 4
    assert "8-bit" in message
    assert "p.ome.tif" in written


def test_all_directions_the_same(frames, attempt):
    one = np.concatenate([frames[:3]] * 3)
    outcome = attempt(one, *KNOWN, *CAMERA)
    assert_refused(outcome, 4, "could not be fitted", "same", "--order")


def test_wrong_frame_order(frames, attempt):
    outcome = attempt(frames, *KNOWN, *CAMERA, "--order", "AP")
    assert_refused(outcome, 4, "could not be fitted", "--order")


def test_expected_pattern_outside_the_otf(frames, attempt):
    options = [*KNOWN, *CAMERA, "--set", "period_um=0.08"]
    assert_refused(attempt(frames, *options), 3, "outside the detection OTF", "80 nm")


def test_given_pattern_outside_the_otf(frames, attempt, tmp_path):
    directions = [{"frequency_per_um": [0.0, 11.0]}, {"frequency_per_um": [9.5, 5.5]},
                  {"frequency_per_um": [9.5, -5.5]}]  # fmt: skip
    pattern = tmp_path / "pattern.json"
    pattern.write_text(
        json.dumps({"schema": "simrecon/pattern/1", "pixel_um": 0.065, "shape": [96, 96],
                    "directions": directions})
    )  # fmt: skip
    outcome = attempt(frames, *KNOWN, *CAMERA, "--pattern", str(pattern))
    assert_refused(outcome, 3, "pattern of direction 1 lies outside", "91 nm")


def test_wrong_optics_put_the_pattern_outside_the_otf(frames, attempt):
    options = ["--pixel-um", "0.065", "--na", "0.4", "--emission-nm", "525", *CAMERA]
    assert_refused(attempt(frames, *options), 4, "outside the OTF", "check NA")


@pytest.mark.parametrize("content", [b"", b"II*\0junk", b"no image at all"])
def test_unreadable_file(attempt, tmp_path, content):
    path = tmp_path / "raw.tif"
    path.write_bytes(content)
    assert_refused(attempt(None, *KNOWN), 3, "raw.tif")


def test_truncated_tiff(frames, attempt, tmp_path):
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, frames)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_refused(attempt(None, *KNOWN), 3, "raw.tif")


def test_missing_file(attempt, tmp_path):
    assert_refused(attempt(None, *KNOWN, source=tmp_path / "no.tif"), 3, "does not exist")


def test_unknown_format(attempt, tmp_path):
    path = tmp_path / "raw.czi"
    path.write_bytes(b"ZISRAWFILE" * 10)
    assert_refused(attempt(None, *KNOWN, source=path), 3, "Unknown file format")


def test_unwritable_output(frames, tmp_path, capsys):
    raw = tmp_path / "raw.tif"
    tifffile.imwrite(raw, frames)
    argv = ["reconstruct", str(raw), *KNOWN, "-o", str(tmp_path / "no" / "p.ome.tif")]
    assert execute(app, argv) == 3
    said = capsys.readouterr()
    assert "cannot be written" in said.err
    assert "existing, writable folder" in said.err
    assert "plan:" not in said.out  # refused before any work


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_read_only_folder(frames, tmp_path, capsys):
    raw = tmp_path / "raw.tif"
    tifffile.imwrite(raw, frames)
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert execute(app, ["reconstruct", str(raw), *KNOWN, "-o", str(folder / "p.tif")]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_output_must_not_replace_the_input(frames, tmp_path, capsys):
    raw = tmp_path / "raw.tif"
    tifffile.imwrite(raw, frames)
    before = raw.read_bytes()
    assert execute(app, ["reconstruct", str(raw), *KNOWN, "-o", str(raw)]) == 2
    assert "replace an input" in capsys.readouterr().err
    assert raw.read_bytes() == before


def test_unknown_output_format(frames, tmp_path, capsys):
    raw = tmp_path / "raw.tif"
    tifffile.imwrite(raw, frames)
    assert execute(app, ["reconstruct", str(raw), *KNOWN, "-o", str(tmp_path / "p.png")]) == 2
    assert ".ome.tif" in capsys.readouterr().err


@pytest.mark.skipif(gpu_status(7).usable, reason="this machine has eight GPUs")
def test_gpu_that_is_not_there(frames, attempt):
    outcome = attempt(frames, *KNOWN, *CAMERA, "--device", "cuda:7")
    assert_refused(outcome, 5, "GPU cannot be used", "--device cpu")


@pytest.mark.parametrize(
    "option", [["--device", "gpu"], ["--set", "zoom=9"], ["--max-memory", "x"]]
)
def test_impossible_settings(frames, attempt, option):
    assert_refused(attempt(frames, *KNOWN, *option), 2, "expected")


def test_unknown_option(frames, attempt):
    assert_refused(attempt(frames, "--pixel-size", "0.065"), 2, "--pixel-size")


def test_too_little_memory(frames, attempt):
    outcome = attempt(frames, *KNOWN, *CAMERA, "--max-memory", "100MB")
    assert_refused(outcome, 2, "more memory than allowed", "at most 0.1 GB")


def test_no_light_at_all_is_not_made_into_a_picture(attempt):
    noise = np.random.default_rng(0).poisson(3.0, (9, 96, 96)).astype(np.uint16) + 100
    outcome = attempt(noise.astype(np.uint16), *KNOWN, "--gain", "1", "--offset", "100")
    assert_refused(outcome, 4, "could not be fitted")
    assert "no carrier found" in outcome[1]


def test_camera_record_of_another_size(frames, attempt, tmp_path):
    from simrecon.io import write_camera_record
    from simrecon.model.camera import Camera

    record = tmp_path / "camera.h5"
    write_camera_record(record, Camera(2.0, np.full((32, 32), 100.0), 1.5))
    assert_refused(attempt(frames, *KNOWN, "--camera", str(record)), 3, "32", "96")


@pytest.mark.parametrize(
    "verdict, expires, code, text",
    [("weak", "", 4, "is weak: few frames"), ("ok", "2020-01-01", 4, "expired on 2020-01-01"),
     ("failed", "", 3, "failed calibration")],
)  # fmt: skip
def test_doubtful_camera_record(frames, attempt, tmp_path, verdict, expires, code, text):
    from simrecon.io.calibration_record import CalibrationRecord, write_record
    from simrecon.io.camera_record import camera_quantities
    from simrecon.model.camera import Camera

    quantities = camera_quantities(Camera(2.0, 100.0, 1.5))
    notes = ("few frames",) if verdict == "weak" else ()
    record = CalibrationRecord("camera", quantities, expires=expires, verdict=verdict, notes=notes)
    write_record(tmp_path / "camera.h5", record)
    got, message, _ = attempt(frames, *KNOWN, "--camera", str(tmp_path / "camera.h5"))
    assert got == code, message
    assert text in message
    if code == 4:
        found = next((tmp_path / "out").glob("*.qc.json"))
        assert json.loads(found.read_text())["verdicts"]["noise_model"] == "weak"


def test_more_otfs_than_channels(frames, attempt):
    outcome = attempt(frames, *KNOWN, "--otf", "a.tif", "--otf", "b.tif")
    assert_refused(outcome, 2, "one per channel")


@pytest.mark.parametrize("name", ["pattern", "otf", "config", "camera"])
def test_missing_side_files(frames, attempt, tmp_path, name):
    options = [f"--{name}", str(tmp_path / "nowhere.json")]
    assert_refused(attempt(frames, *KNOWN, *options), 3, "nowhere.json", "file does not exist")


def test_offset_above_the_signal(frames, attempt):
    outcome = attempt(frames, *KNOWN, "--gain", "2", "--offset", "60000")
    assert_refused(outcome, 3, "no light would be left", "60000", f"{frames.mean():.4g}")


@pytest.mark.parametrize("gain, verdict", [("4", "weak"), ("8", "failed"), ("0.5", "failed")])
def test_gain_that_the_noise_contradicts(frames, attempt, tmp_path, gain, verdict):
    options = ["--gain", gain, "--offset", "100", "--read-noise-e", "0"]
    code, message, _ = attempt(frames, *KNOWN, *options, "--on-fit-failure", "widefield")
    assert code == 4
    assert "times what gain, offset and read noise" in message
    found = next((tmp_path / "out").glob("*.qc.json"))
    assert json.loads(found.read_text())["verdicts"]["noise_model"] == verdict


def test_unknown_offset_leaves_the_scale_unknown(frames, attempt):
    code, message, _ = attempt(frames, *KNOWN)
    assert code == 4
    assert "zero and scale of the photo-electrons are unknown" in message
    assert "good to some 10 %" not in message


def test_exchanged_wavelengths(frames, attempt):
    options = ["--pixel-um", "0.065", "--na", "1.4", "--emission-nm", "488"]
    outcome = attempt(frames, *options, "--excitation-nm", "525")
    assert_refused(outcome, 3, "longer wavelength", "488", "525")


def test_excitation_na_above_the_detection_na_is_noted(frames, attempt):
    options = ["--excitation-nm", "488", "--excitation-na", "1.45", "--set", "period_um=0.21"]
    _, message, _ = attempt(frames, *KNOWN, *CAMERA, *options)
    assert "excitation NA (1.45) is above the detection NA" in message


@pytest.mark.parametrize("pixel, hint", [("65", "nm given instead of µm? Then it is 0.065"),
                                         ("0.0001", "magnification")])  # fmt: skip
def test_pixel_size_in_a_wrong_unit(frames, attempt, pixel, hint):
    assert_refused(attempt(frames, "--pixel-um", pixel, *OPTICS), 3, "pixel size", hint)


@pytest.mark.parametrize("option", ["--time", "--channel"])
def test_estimate_of_a_time_that_is_not_there(frames, tmp_path, capsys, option):
    raw = tmp_path / "raw.tif"
    tifffile.imwrite(raw, frames)
    assert execute(app, ["estimate", str(raw), *KNOWN, *CAMERA, option, "7"]) == 2
    assert "expected: 0 to 0" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["1.5", "nan", "-0.5"])
def test_attenuation_says_its_range(frames, attempt, value):
    outcome = attempt(frames, *KNOWN, f"--attenuation={value}")
    assert_refused(outcome, 2, "off, auto, or a share x with 0 < x < 1", "--attenuation")


def test_unknown_device_lists_the_choices(frames, attempt):
    outcome = attempt(frames, *KNOWN, "--device", "tpu")
    assert_refused(outcome, 2, "auto, cpu, cuda or cuda:N")


def test_two_wavelengths_for_one_channel(frames, attempt):
    outcome = attempt(frames, *KNOWN, "--emission-nm", "600")
    assert_refused(outcome, 2, "1 (channels of")
    assert "1 or 1" not in outcome[1]


@pytest.mark.parametrize(
    "name, value, count", [("gain", 0.0, 2), ("gain", -1.0, 2), ("read-noise", -0.1, 2)]
)
def test_maps_with_impossible_values(frames, attempt, tmp_path, name, value, count):
    values = np.full((96, 96), 2.0, np.float32)
    values[0, :count] = value
    tifffile.imwrite(tmp_path / "map.tif", values)
    outcome = attempt(frames, *KNOWN, f"--{name}-map", str(tmp_path / "map.tif"))
    assert_refused(outcome, 3, "map.tif", f"{count} of 9216 pixels")


@pytest.mark.parametrize(
    "options, text",
    [
        (["--kind", "dark", "--frames", "0"], "--frames"),
        (["--drift-um", "nan"], "must be finite"),
        (["--modulation", "1.5"], "between 0 and 1"),
    ],
)
def test_simulations_that_cannot_be_meant(tmp_path, capsys, options, text):
    argv = ["simulate", "-o", str(tmp_path / "s.ome.tif"), "--size", "32", *options]
    assert execute(app, argv) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_output_in_a_folder_that_is_not_there(frames, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "raw.tif", frames)
    out = tmp_path / "nodir" / "q.tif"
    assert execute(app, ["reconstruct", str(tmp_path / "raw.tif"), "-o", str(out), *KNOWN]) == 3
    said = capsys.readouterr().err
    assert f"the folder {out.parent} does not exist" in said
    assert ".part" not in said


def test_pixel_size_that_contradicts_the_file_is_noted(frames, tmp_path):
    from simrecon.io import read

    tifffile.imwrite(tmp_path / "r.ome.tif", frames, metadata={
        "axes": "TYX", "PhysicalSizeX": 0.08, "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.08, "PhysicalSizeYUnit": "µm"})  # fmt: skip
    known = {"na": 1.4, "emission_nm": 525.0}
    noted = read(tmp_path / "r.ome.tif", pixel_um=0.065, **known).notes
    assert any("0.065 µm as given; the file says 0.08 µm" in note for note in noted)
    assert not any(
        "as given" in n for n in read(tmp_path / "r.ome.tif", pixel_um=0.079, **known).notes
    )


def test_one_emission_wavelength_for_several_channels_is_noted(frames, tmp_path):
    from simrecon.io import read

    tifffile.imwrite(tmp_path / "r.tif", np.concatenate([frames, frames]))
    known = {"na": 1.4, "pixel_um": 0.065, "channels": 2, "order": "PAC"}
    noted = read(tmp_path / "r.tif", emission_nm=525.0, **known).notes
    assert any("used for all 2 channels" in note for note in noted)
    both = read(tmp_path / "r.tif", emission_nm=(525.0, 600.0), **known).notes
    assert not any("used for all" in note for note in both)
