"""``simrecon otf``."""

import json

import numpy as np
import pytest
import tifffile
from mrc_maker import make_mrc

from simrecon.cli.main import app
from simrecon.model.optics import Optics
from simrecon.physics.pupil import pupil_otf
from simrecon.shell import execute

OPTICS = Optics(1.2, 520, 1.33)
KNOWN = ("--na", "1.2", "--emission-nm", "520", "--index", "1.33")


@pytest.fixture(scope="module")
def table():
    """(orders, kr, kz): order 0 of 32 planes 0.15 µm apart, twice."""
    kr = np.arange(33) / (2 * 0.09 * 32)
    through_focus = pupil_otf(OPTICS, kr, z_um=0.15 * np.fft.fftfreq(32, 1 / 32))
    return np.stack([np.fft.fft(through_focus, axis=0).T] * 2)


def run(*argv):
    return execute(app, ["otf", *map(str, argv)])


def test_volume_file_in_words_and_drawn(tmp_path, table, capsys):
    spacing = (1 / (32 * 0.15), 1 / (2 * 0.09 * 32), 0.0)
    path = make_mrc(tmp_path / "otf.mrc", table, mode=4, spacing=spacing, wave=520)
    assert run(path, *KNOWN, "-o", tmp_path / "otf.png", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["otfs"][0]["orders"] == 2
    assert (tmp_path / "otf.png").read_bytes().startswith(b"\x89PNG")
    assert run(path, *KNOWN, "--orders", "1") == 0
    assert capsys.readouterr().out.count("orders       1") == 2
    assert run(path, "--na", "1.2", "--emission-nm", "650", "--index", "1.33") == 3
    assert "another wavelength" in capsys.readouterr().err


def test_table_without_scale(tmp_path, table, capsys):
    pairs = np.stack([table.real, table.imag], axis=-1).reshape(2, 33, -1).astype(np.float32)
    tifffile.imwrite(tmp_path / "otf.tif", pairs / pairs.max(), photometric="minisblack")
    assert run(tmp_path / "otf.tif", *KNOWN) == 3
    assert "--dz-um" in capsys.readouterr().err
    assert run(tmp_path / "otf.tif", *KNOWN, "--pixel-um", "0.09", "--dz-um", "0.15") == 0


def test_psf_picture(tmp_path, capsys):
    y, x = np.mgrid[-16:16, -16:16]
    psf = 1000 * np.exp(-(y**2 + x**2) / 3.0)
    tifffile.imwrite(tmp_path / "psf.tif", psf.astype(np.uint16))
    assert run(tmp_path / "psf.tif", *KNOWN, "--pixel-um", "0.08", "-o", tmp_path / "h.svg") == 0
    assert "PSF psf.tif, pixel 0.08 µm" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "h.svg").read_text()


@pytest.mark.parametrize(
    "options, code, text",
    [
        (["-o", "a.jpg"], 2, ".png, .pdf or .svg"),
        (["--na", "1.2"], 2, "--na and --emission-nm"),
        ([], 3, "does not exist"),
    ],
)
def test_refusals(tmp_path, capsys, options, code, text):
    assert run(tmp_path / "none.mrc", *options) == code
    assert text in capsys.readouterr().err
