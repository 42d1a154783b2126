import numpy as np
import pytest
import tifffile

from simrecon.errors import InputError, MetadataError, UsageError
from simrecon.io import (
    CalibrationRecord,
    read,
    read_raw,
    write_camera_record,
    write_raw,
    write_record,
)
from simrecon.io.camera_record import camera_quantities
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack

GIVEN = {"pixel_um": 0.065, "na": 1.4, "emission_nm": 525.0}


def frames(count: int, shape=(8, 7), dtype=np.uint16) -> np.ndarray:
    """Frame i holds i·1000 + noise, so that frames can be told apart."""
    noise = np.random.default_rng(count).integers(0, 200, (count, *shape))
    return (1000 * np.arange(count)[:, None, None] + noise).astype(dtype)


def write(path, array, **kwargs):
    tifffile.imwrite(path, array, photometric="minisblack", **kwargs)
    return path


def label(stack, *index) -> int:
    """Number of the file's frame at (t, c, a, p, z)."""
    return int(stack.data[index].min()) // 1000


def test_nine_frames(tmp_path):
    path = write(tmp_path / "a.tif", frames(9))
    stack = read(path, **GIVEN)
    assert stack.data.shape == (1, 1, 3, 3, 1, 8, 7)
    assert [label(stack, 0, 0, a, p, 0) for a in range(3) for p in range(3)] == list(range(9))
    assert stack.order == "PA"
    assert stack.pixel_um == 0.065
    assert stack.optics[0].na == 1.4
    assert isinstance(stack.data, np.memmap)
    assert any("PA (phase fastest) assumed" in note for note in stack.notes)


@pytest.mark.parametrize(
    ("order", "count", "shape", "where"),
    [
        ("PA", 45, (3, 1, 3, 5, 1), lambda t, a, p, z: (t * 3 + a) * 5 + p),
        ("AP", 30, (2, 1, 3, 5, 1), lambda t, a, p, z: (t * 5 + p) * 3 + a),
        ("PZA", 60, (1, 1, 3, 5, 4), lambda t, a, p, z: (a * 4 + z) * 5 + p),
        ("PAZ", 60, (1, 1, 3, 5, 4), lambda t, a, p, z: (z * 3 + a) * 5 + p),
        ("ZAP", 60, (1, 1, 3, 5, 4), lambda t, a, p, z: (p * 3 + a) * 4 + z),
    ],
)
def test_orders_put_every_frame_in_its_place(tmp_path, order, count, shape, where):
    path = write(tmp_path / "a.tif", frames(count))
    stack = read(path, angles=3, phases=5, order=order, **GIVEN)
    assert stack.data.shape == (*shape, 8, 7)
    for t, _, a, p, z in np.ndindex(*shape):
        assert label(stack, t, 0, a, p, z) == where(t, a, p, z)


def test_channels_of_a_hyperstack_wherever_they_stand(tmp_path):
    for name, axes, shape in (("tc", "TCYX", (9, 2)), ("ct", "CTYX", (2, 9))):
        path = write(
            tmp_path / f"{name}.ome.tif", frames(18).reshape(*shape, 8, 7), metadata={"axes": axes}
        )
        stack = read(path, **{**GIVEN, "emission_nm": [525.0, 605.0]})
        assert stack.data.shape == (1, 2, 3, 3, 1, 8, 7)
        expected = (3 * 2 + 1) * 2 + 1 if name == "tc" else 9 + 3 * 2 + 1
        assert label(stack, 0, 1, 2, 1, 0) == expected
        assert stack.optics[1].emission_nm == 605.0


def test_frames_declared_as_channels_are_frames(tmp_path):
    path = write(tmp_path / "a.ome.tif", frames(9), metadata={"axes": "CYX"})
    stack = read(path, **GIVEN)
    assert stack.data.shape == (1, 1, 3, 3, 1, 8, 7)


def test_declared_time_axis_stays(tmp_path):
    path = write(tmp_path / "a.ome.tif", frames(36).reshape(4, 9, 8, 7), metadata={"axes": "TZYX"})
    stack = read(path, **GIVEN)
    assert stack.data.shape == (4, 1, 3, 3, 1, 8, 7)
    assert label(stack, 3, 0, 1, 2, 0) == 27 + 5


def test_two_stacks_per_declared_time_point_need_planes(tmp_path):
    path = write(tmp_path / "a.ome.tif", frames(36).reshape(2, 18, 8, 7), metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match="more frames per time point"):
        read(path, order="PA", **GIVEN)
    assert read(path, order="PZA", **GIVEN).data.shape == (2, 1, 3, 3, 2, 8, 7)


def test_long_sequence_is_read_as_time_and_says_so(tmp_path):
    stack = read(write(tmp_path / "a.tif", frames(27)), **GIVEN)
    assert stack.data.shape[0] == 3
    assert any("3 time points" in note for note in stack.notes)


@pytest.mark.parametrize(
    ("count", "message"),
    [(8, "One frame is missing"), (17, "One frame is missing"), (10, "too many"), (13, "not fit")],
)
def test_wrong_number_of_frames(tmp_path, count, message):
    path = write(tmp_path / "a.tif", frames(count))
    with pytest.raises(InputError, match=message) as info:
        read(path, **GIVEN)
    assert "9 frames" in (info.value.expected or "")
    assert info.value.got == f"{count} frames"
    assert "--phases" in (info.value.hint or "")


@pytest.mark.parametrize(
    ("name", "option"),
    [("pixel_um", "--pixel-um"), ("na", "--na"), ("emission_nm", "--emission-nm")],
)
def test_missing_facts_are_refused_by_the_option_that_gives_them(tmp_path, name, option):
    path = write(tmp_path / "a.tif", frames(9), resolution=(72, 72), resolutionunit="INCH")
    rest = {key: value for key, value in GIVEN.items() if key != name}
    with pytest.raises(MetadataError) as info:
        read(path, **rest)
    assert option in (info.value.expected or "")
    assert info.value.exit_code == 3


def test_given_values_win_over_the_file(tmp_path):
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.1, "Channel": {"EmissionWavelength": 610.0}}
    path = write(tmp_path / "a.ome.tif", frames(9), metadata=metadata)
    assert read(path, na=1.4).pixel_um == 0.1
    assert read(path, na=1.4).optics[0].emission_nm == 610.0
    stack = read(path, na=1.4, pixel_um=0.05, emission_nm=525)
    assert (stack.pixel_um, stack.optics[0].emission_nm) == (0.05, 525.0)


def test_all_optical_numbers_arrive(tmp_path):
    path = write(tmp_path / "a.tif", frames(9))
    stack = read(
        path, **GIVEN, index=1.406, sample_index=1.38, depth_um=2.0, excitation_nm=488,
        excitation_na=1.17, pixel_integration=False, dz_um=0.2,
    )  # fmt: skip
    assert stack.optics[0] == Optics(1.4, 525.0, 1.406, 1.38, 2.0, 488.0, 1.17, False)
    assert stack.dz_um == 0.2
    assert not any("index" in note for note in stack.notes)


def test_assumed_index_is_noted(tmp_path):
    stack = read(write(tmp_path / "a.tif", frames(9)), **GIVEN)
    assert stack.optics[0].immersion_index == 1.515
    assert any("--index" in note for note in stack.notes)


def test_wrong_number_of_wavelengths(tmp_path):
    path = write(tmp_path / "a.tif", frames(9))
    with pytest.raises(UsageError, match="wavelengths"):
        read(path, **{**GIVEN, "emission_nm": [500.0, 600.0]})


def test_directions_is_another_name_of_angles(tmp_path):
    path = write(tmp_path / "a.tif", frames(15))
    assert read(path, directions=3, phases=5, **GIVEN).data.shape[2:4] == (3, 5)
    with pytest.raises(UsageError):
        read(path, directions=3, angles=5, **GIVEN)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(tmp_path, bad):
    array = frames(9, dtype=np.float32)
    array[4, 2, 3] = bad
    with pytest.raises(InputError, match="NaN or infinite") as info:
        read(write(tmp_path / "a.tif", array), **GIVEN)
    assert "direction 2, phase 2" in (info.value.where or "")


def test_constant_frame(tmp_path):
    array = frames(9)
    array[7] = 100
    with pytest.raises(InputError, match="constant") as info:
        read(write(tmp_path / "a.tif", array), **GIVEN)
    assert "direction 3, phase 2" in (info.value.where or "")


def test_eight_bit_and_saturated_data_are_noted(tmp_path):
    array = frames(9) % 256
    array[:, :2] = 255
    stack = read(write(tmp_path / "a.tif", array.astype(np.uint8)), **GIVEN)
    assert any("8-bit" in note for note in stack.notes)
    assert any("saturated (at 255)" in note for note in stack.notes)


class TestCamera:
    @pytest.fixture
    def path(self, tmp_path):
        return write(tmp_path / "a.tif", frames(9) + 95)

    def test_unknown_camera_is_assumed_and_noted_with_the_darkest_pixel(self, path):
        stack = read(path, **GIVEN)
        assert (stack.camera.gain, stack.camera.offset) == (1.0, 0.0)
        assert stack.camera.source == "assumed"
        note = next(n for n in stack.notes if "Camera not known" in n)
        assert "--offset" in note
        assert f"darkest pixel is {int(np.asarray(stack.data).min())}" in note

    def test_given_numbers(self, path):
        stack = read(path, gain=2.0, offset=100.0, read_noise_e=1.5, **GIVEN)
        assert stack.camera == Camera(2.0, 100.0, 1.5, "given")
        assert not any("Camera" in n for n in stack.notes)

    def test_half_given_numbers_name_the_other_half(self, path):
        notes = read(path, offset=100.0, **GIVEN).notes
        assert any("gain 1 ADU/e assumed" in n for n in notes)

    def test_record(self, path, tmp_path):
        maps = np.linspace(90, 110, 56, dtype=np.float32).reshape(8, 7)
        record = tmp_path / "cam.h5"
        write_camera_record(record, Camera(2.0, maps, 1.5))
        stack = read(path, camera=record, **GIVEN)
        expected = (np.asarray(stack.data[0, 0, :, :, 0], np.float64) - maps) / 2.0
        np.testing.assert_allclose(stack.frames_e(), expected, rtol=1e-5)
        assert "cam.h5" in stack.camera.source

    def test_weak_and_expired_records_are_noted(self, path, tmp_path):
        quantities = camera_quantities(Camera(2.0, 100.0, 1.5))
        weak = CalibrationRecord(
            "camera", quantities, expires="2020-01-01", notes=("from pictures",), verdict="weak"
        )
        write_record(tmp_path / "cam.h5", weak)
        notes = read(path, camera=tmp_path / "cam.h5", **GIVEN).notes
        assert "The camera record is weak: from pictures" in notes
        assert any("expired on 2020-01-01" in note for note in notes)

    def test_record_of_another_size(self, path, tmp_path):
        record = tmp_path / "cam.h5"
        write_camera_record(record, Camera(2.0, np.ones((8, 8)), 1.5))
        with pytest.raises(InputError, match="do not fit the frames") as info:
            read(path, camera=record, **GIVEN)
        assert "ROI" in (info.value.hint or "")

    def test_record_and_numbers_together(self, path, tmp_path):
        record = tmp_path / "cam.h5"
        write_camera_record(record, Camera(2.0, 100.0, 1.5))
        with pytest.raises(UsageError):
            read(path, camera=record, gain=2.0, **GIVEN)


def test_written_raw_frames_need_no_options(tmp_path):
    data = np.random.default_rng(3).integers(90, 900, (2, 2, 3, 5, 4, 6, 7)).astype(np.uint16)
    optics = tuple(Optics(1.4, wave, 1.5, None, 0.0, 488.0, 1.2, False) for wave in (520.0, 600.0))
    stack = SimStack(data, 0.0633, optics, Camera(2.2, 99.0, 1.3), dz_um=0.14, order="PAZ")
    path = tmp_path / "raw.ome.tif"
    write_raw(path, stack, provenance={"seed": 7})
    back = read(path)
    np.testing.assert_array_equal(np.asarray(back.data), data)
    assert back.optics == optics
    assert back.pixel_um == 0.0633
    assert back.dz_um == 0.14
    assert (back.camera.gain, back.camera.offset, back.camera.read_noise_e) == (2.2, 99.0, 1.3)
    assert back.notes == ()


def test_what_is_given_replaces_what_the_file_says(tmp_path):
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.1, "Channel": {"EmissionWavelength": 610.0}}
    path = write(tmp_path / "a.ome.tif", frames(15), metadata=metadata)
    assert read_raw(path).emission_nm == (610.0,)
    raw = read_raw(
        path, pixel_um=0.06, emission_nm=525, directions=3, phases=5, offset=100.0, na=None,
        sample_index=1.38,
    )  # fmt: skip
    assert (raw.pixel_um, raw.emission_nm, raw.angles, raw.phases) == (0.06, (525.0,), 3, 5)
    assert raw.camera == Camera(offset=100.0)
    with pytest.raises(UsageError, match="Unknown reader argument"):
        read_raw(path, pixel_size=3)


def test_an_offset_alone_leaves_the_gain_unknown(tmp_path):
    frames = np.random.default_rng(0).integers(100, 900, (9, 32, 32), dtype=np.uint16)
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, frames)
    known = {"pixel_um": 0.065, "na": 1.4, "emission_nm": 525.0}
    assert read(path, **known, offset=100.0).camera.source == "assumed"
    assert read(path, **known, offset=100.0, gain=2.0).camera.source == "given"
