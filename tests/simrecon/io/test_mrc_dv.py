import numpy as np
import pytest
from mrc_maker import make_mrc

from simrecon.errors import InputError
from simrecon.io import read
from simrecon.io.mrc_dv import parse_title, read_header, read_mrc

RAMP = np.arange(9 * 5 * 7).reshape(9, 5, 7)
TITLE = "c18-488-0.3W-1.35-2ms"


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("mode", [0, 1, 2, 6])
def test_both_byte_orders_and_all_modes(tmp_path, endian, mode):
    samples = RAMP % 256 if mode == 0 else RAMP - (20 if mode in (1, 2) else 0)
    path = make_mrc(tmp_path / "a.mrc", samples, mode=mode, endian=endian)
    raw = read_mrc(path)
    np.testing.assert_array_equal(np.asarray(raw.frames).reshape(9, 5, 7), samples)
    assert raw.pixel_um == 0.0626
    assert raw.dz_um == 0.16
    assert raw.emission_nm == (525.0,)
    assert raw.metadata["byte_order"] == {"<": "little", ">": "big"}[endian]


def test_frames_are_memory_mapped(tmp_path):
    raw = read_mrc(make_mrc(tmp_path / "a.mrc", RAMP, mode=6))
    assert isinstance(raw.frames, np.memmap)


def test_extended_header_is_skipped(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", RAMP, mode=6, extended=b"\xff" * 2048)
    np.testing.assert_array_equal(np.asarray(read_mrc(path).frames).ravel(), RAMP.ravel())


def test_multi_sim_title_and_steps(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", RAMP, mode=6, titles=[TITLE], n1n2=(3, 3))
    raw = read_mrc(path)
    assert (raw.excitation_nm, raw.excitation_na) == ((488.0,), 1.35)
    assert (raw.angles, raw.phases, raw.flipped_y) == (3, 3, False)
    assert any("1.35" in note for note in raw.notes)


def test_title_in_the_file_name(tmp_path):
    raw = read_mrc(make_mrc(tmp_path / f"cell7-{TITLE[4:]}.mrc", RAMP, mode=6))
    assert (raw.excitation_nm, raw.excitation_na) == ((488.0,), 1.35)


def test_steps_that_do_not_divide_the_frames_are_not_believed(tmp_path):
    raw = read_mrc(make_mrc(tmp_path / "a.mrc", RAMP, mode=6, n1n2=(5, 3)))
    assert raw.phases is None
    assert raw.angles is None


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (TITLE, (488.0, 1.35)),
        ("x-560-120mW-1.4-10ms", (560.0, 1.4)),
        ("488-45nm-37m3.5-4", None),
        ("c1-1488-0.3W-1.35-2ms", None),
        ("c1-488-0.3W-7.35-2ms", None),
        ("", None),
    ],
)
def test_titles(title, expected):
    assert parse_title(title) == expected


@pytest.mark.parametrize("how", [{"name": "a.dv"}, {"name": "a.mrc", "lens": 10612}])
def test_deltavision_rows_are_turned_round(tmp_path, how):
    path = make_mrc(tmp_path / how.pop("name"), RAMP, mode=6, **how)
    raw = read_mrc(path)
    np.testing.assert_array_equal(np.asarray(raw.frames).reshape(9, 5, 7), RAMP[:, ::-1])
    assert raw.flipped_y
    assert any("bottom-up" in note for note in raw.notes)


def test_known_lens_gives_the_na(tmp_path):
    assert read_mrc(make_mrc(tmp_path / "a.dv", RAMP, mode=6, lens=10612)).na == 1.42


@pytest.mark.parametrize(
    ("sequence", "axes"),
    [(0, "CTS"), (1, "TSC"), (2, "TCS"), (5, "CTS")],
)
def test_section_sequences(tmp_path, sequence, axes):
    samples = np.arange(36 * 4).reshape(36, 2, 2)
    path = make_mrc(tmp_path / "a.mrc", samples, mode=6, waves=2, times=2, sequence=sequence)
    raw = read_mrc(path)
    assert "".join(name for name, _ in raw.axes) == axes
    assert dict(raw.axes) == {"C": 2, "T": 2, "S": 9}
    assert any("sequence 5" in note for note in raw.notes) == (sequence == 5)
    assert raw.emission_nm == (525.0, 605.0)


def test_channels_and_times_arrive_at_their_axes(tmp_path):
    # sequence 1: wavelength fastest, then section, then time
    t, s, c = np.meshgrid(range(2), range(9), range(2), indexing="ij")
    values = (100 * t + 10 * s + c).ravel()
    samples = values[:, None, None] * 4 + np.arange(4).reshape(1, 2, 2)
    path = make_mrc(tmp_path / "a.mrc", samples, mode=6, waves=2, times=2, sequence=1, n1n2=(3, 3))
    stack = read(path, na=1.3)
    assert stack.data.shape == (2, 2, 3, 3, 1, 2, 2)
    for index in np.ndindex(2, 2, 3, 3):
        time, channel, angle, phase = index
        expected = 4 * (100 * time + 10 * (3 * angle + phase) + channel)
        assert stack.data[*index, 0, 0, 0] == expected
    assert [o.emission_nm for o in stack.optics] == [525.0, 605.0]


def test_impossible_claim_of_waves_and_times_is_noted(tmp_path):
    raw = read_mrc(make_mrc(tmp_path / "a.mrc", RAMP, mode=6, times=4))
    assert raw.axes == (("S", 9),)
    assert any("4 time points" in note for note in raw.notes)


def test_truncated_file_names_bytes_and_whole_frames(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", RAMP, mode=6, cut=2 * 70 + 10)
    with pytest.raises(InputError, match="truncated") as info:
        read_mrc(path)
    assert "1654 bytes for 9 frames" in (info.value.expected or "")
    assert "1504 bytes, 6 whole frames" in (info.value.got or "")
    assert info.value.exit_code == 3


@pytest.mark.parametrize("content", [b"", b"x" * 500, b"\x00" * 2048, b"hello world " * 200])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.mrc"
    path.write_bytes(content)
    with pytest.raises(InputError) as info:
        read_header(path)
    assert info.value.where == str(path)


def test_otf_is_not_taken_for_frames(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", RAMP, mode=4)
    with pytest.raises(InputError, match="OTF") as info:
        read_mrc(path)
    assert "--otf" in (info.value.hint or "")


def test_oblong_pixels_are_refused(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", RAMP, mode=6, spacing=(0.06, 0.07, 0.1))
    with pytest.raises(InputError, match="square"):
        read_mrc(path)


def test_cell_lengths_are_divided_by_intervals(tmp_path):
    path = make_mrc(tmp_path / "a.mrc", RAMP, mode=6, spacing=(0.7, 0.5, 9.0))
    content = bytearray(path.read_bytes())
    content[28:40] = np.array([7, 5, 9], "<i4").tobytes()
    path.write_bytes(bytes(content))
    raw = read_mrc(path)
    assert raw.pixel_um == pytest.approx(0.1)
    assert raw.dz_um == pytest.approx(1.0)


def test_several_files_are_time_points(tmp_path):
    for i in (1, 2, 10):
        make_mrc(tmp_path / f"t{i}.mrc", RAMP + 1000 * i, mode=6, n1n2=(3, 3))
    stack = read(str(tmp_path / "t*.mrc"), na=1.3, order="PA")
    assert stack.data.shape == (3, 1, 3, 3, 1, 5, 7)
    assert [int(stack.data[t].min()) for t in range(3)] == [1000, 2000, 10000]
    assert not any("planes" in note for note in stack.notes)
