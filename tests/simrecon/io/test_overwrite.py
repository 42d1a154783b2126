"""Inputs are never replaced by outputs."""

import os

import pytest

from simrecon.errors import UsageError
from simrecon.io import check_overwrite


def test_the_same_file_under_another_name(tmp_path, monkeypatch):
    raw, link = tmp_path / "raw.tif", tmp_path / "link.tif"
    raw.write_bytes(b"x")
    os.link(raw, link)
    monkeypatch.chdir(tmp_path)
    for name in (raw, "raw.tif", "./raw.tif", link):
        with pytest.raises(UsageError, match="replace an input") as caught:
            check_overwrite([tmp_path / "new.tif", name], [tmp_path / "otf.tif", raw])
        assert "raw.tif" in str(caught.value)


def test_other_files_may_be_written(tmp_path):
    (tmp_path / "old.tif").write_bytes(b"x")
    check_overwrite([tmp_path / "old.tif", tmp_path / "new.tif"], [tmp_path / "raw.tif"])
