import json
import os
import stat

import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.io import atomic_path, read_json, write_json


def test_content_appears_under_its_name_with_usual_permissions(tmp_path):
    target = tmp_path / "a.ome.tif"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".ome.tif")
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    assert list(tmp_path.iterdir()) == [target]


def test_failure_keeps_the_old_file_and_leaves_no_rest(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_missing_folder_is_an_input_error_with_the_path(tmp_path):
    target = tmp_path / "none" / "a.txt"
    with pytest.raises(InputError, match="cannot be written") as info, atomic_path(target):
        pass
    assert info.value.exit_code == 3
    assert info.value.where == str(target)


def test_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be written"),
        atomic_path(tmp_path / "file" / "a.txt"),
    ):
        pass


def test_folder_as_target(tmp_path):
    with pytest.raises(InputError, match="folder"), atomic_path(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="cannot be written"), atomic_path(tmp_path / "a"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_json_holds_numpy_values_and_turns_nan_into_null(tmp_path):
    path = tmp_path / "a.json"
    write_json(
        path,
        {"a": np.float32(0.5), "b": np.arange(3), "c": (1, float("nan")), "d": np.array([np.inf]),
         "µ": tmp_path, "e": np.int64(7), "f": np.bool_(True)},
    )  # fmt: skip
    expected = {"a": 0.5, "b": [0, 1, 2], "c": [1, None], "d": [None], "µ": str(tmp_path),
                "e": 7, "f": True}  # fmt: skip
    assert json.loads(path.read_text(encoding="utf-8")) == expected
    assert read_json(path) == expected


def test_json_refuses_what_has_no_json_form(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{", "[1]", "\udcff"])
def test_bad_json_is_an_input_error(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as info:
        read_json(path)
    assert info.value.where == str(path)


def test_missing_json(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_json(tmp_path / "none.json")
