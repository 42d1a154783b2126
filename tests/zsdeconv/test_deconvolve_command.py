from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from simrecon.io import write_image
from simrecon.io.ome_tiff import read_provenance
from simrecon.model.optics import Optics
from simrecon.physics.bead_image import Camera3D
from simrecon.shell import execute
from zsdeconv.cli import app

KNOWN = ["--pixel-um", "0.065", "--na", "1.3", "--emission-nm", "525"]
PSF = Camera3D((33, 33), 0.065, (0.0,)).image(Optics(1.3, 525.0))[0]
CAMERA = ["--gain", "2", "--offset", "100", "--read-noise-e", "1"]


def counts(shape: tuple[int, ...], seed: int, stripes: float = 0.0) -> np.ndarray:
    """Spots through the optics, gain 2, offset 100, read noise 1 e."""
    rng = np.random.default_rng(seed)
    spots = np.zeros(shape[-2:])
    spots[rng.integers(8, shape[-2] - 8, 20), rng.integers(8, shape[-1] - 8, 20)] = 400.0
    clean = np.maximum(fftconvolve(spots, PSF, "same"), 0) + 20.0
    electrons = rng.poisson(np.broadcast_to(clean, shape)) + rng.normal(0, 1, shape)
    electrons = electrons + stripes * rng.normal(size=shape[-1])
    return np.rint(2 * electrons + 100).astype(np.uint16)


@pytest.fixture
def attempt(tmp_path, capsys):
    """Write counts and deconvolve them; returns (exit code, what was said, output or None)."""

    def attempt_(array: np.ndarray, *options: str):
        raw, out = tmp_path / "raw.tif", tmp_path / "out.ome.tif"
        tifffile.imwrite(raw, array, photometric="minisblack")
        code = execute(app, ["deconvolve", str(raw), "-o", str(out), *options])
        said = capsys.readouterr()
        return code, said.out + said.err, tifffile.imread(out) if out.exists() else None

    return attempt_


@pytest.mark.parametrize("method", ["rl", "sparse"])
def test_a_picture(attempt, tmp_path, method):
    array = counts((72, 80), 0)
    code, said, made = attempt(array, *KNOWN, *CAMERA, "--method", method)
    assert code == 0, said
    assert "stopped: " in said
    assert "chi2" in said
    electrons = (array - 100.0) / 2
    assert made.shape == (72, 80)
    assert made.sum() == pytest.approx(electrons.sum(), rel=0.05)
    assert made.max() > 1.15 * gaussian_filter(electrons, 1).max()
    facts = read_provenance(tmp_path / "out.ome.tif")
    assert facts["method"].endswith(method)
    assert facts["iterations"]
    assert facts["reasons"]
    assert facts["inputs"][0]["sha256"]


def test_a_movie_frame_by_frame_and_joined(attempt):
    movie = counts((3, 64, 64), 1)
    code, said, made = attempt(movie, *KNOWN, *CAMERA, "--iterations", "6")
    assert code == 0, said
    assert made.shape == (3, 64, 64)
    assert said.count("6 iterations, as asked") == 3
    joined = attempt(movie, *KNOWN, *CAMERA, "--method", "sparse", "--continuity", "1")
    assert joined[0] == 0, joined[1]
    assert joined[2].shape == (3, 64, 64)
    assert np.std(joined[2][0] - joined[2][1]) < 0.3 * np.std(made[0] - made[1])


def test_a_volume_with_a_bead_as_psf(attempt, tmp_path):
    optics = Optics(1.3, 525.0)
    psf = Camera3D((33, 33), 0.065, tuple(0.2 * (np.arange(9) - 4))).image(optics)
    bead = tmp_path / "bead.ome.tif"
    write_image(bead, 1e4 * psf, pixel_um=0.065, dz_um=0.2, provenance={})
    rng = np.random.default_rng(2)
    clean = np.full((12, 48, 48), 4.0)
    clean[6, 24, 24] += 2e4
    blurred = gaussian_filter(clean, (1.6, 1.4, 1.4))
    array = np.rint(2 * rng.poisson(blurred) + 100.0).astype(np.uint16)
    code, said, made = attempt(
        array, "--volume", "--dz-um", "0.2", *KNOWN, *CAMERA, "--psf", str(bead),
        "--iterations", "10",
    )  # fmt: skip
    assert code in (0, 4), said  # the blur is not that of the PSF
    assert made.shape == (12, 48, 48)
    assert np.unravel_index(made.argmax(), made.shape) == (6, 24, 24)
    assert made[6, 24, 24] / made[:, 24, 24].sum() > blurred[6, 24, 24] / blurred[:, 24, 24].sum()


def test_stripes_are_said_and_taken_off(attempt):
    array = counts((96, 96), 3, stripes=5.0)
    code, said, made = attempt(array, *KNOWN, *CAMERA, "--fixed-pattern", "auto", "--json")
    facts = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert code in (0, 4)
    assert facts["fixed_pattern"]["columns_sd"] == pytest.approx(2.0 * 5.0, rel=0.4)  # in counts
    assert facts["fixed_pattern"]["rows_sd"] == 0.0
    assert "(counts)" in facts["fixed_pattern"]["said"]
    kept = attempt(array, *KNOWN, *CAMERA, "--iterations", str(facts["iterations"][0]))[2]
    assert np.std(made.mean(axis=0)) < 0.8 * np.std(kept.mean(axis=0))


def test_wrong_gain_is_weak(attempt):
    code, said, made = attempt(
        counts((72, 72), 4), *KNOWN, "--gain", "0.5", "--offset", "100", "--read-noise-e", "1"
    )
    assert code == 4
    assert "verdict: weak" in said
    assert made is not None


BAD = {
    "nan": (lambda a: np.where(a == a.max(), np.nan, a).astype(np.float32), [], 3, "NaN"),
    "negative": (lambda a: a.astype(np.float32) - 1e5, [], 3, "no light"),
    "tiny": (lambda a: a[:1, :1], [], 3, ""),
    "tv": (lambda a: a, ["--tv", "-1"], 2, "tv"),
    "strength": (lambda a: a, ["--method", "sparse", "--strength", "-1"], 2, "strength"),
    "continuity": (lambda a: a, ["--continuity", "1"], 2, "--continuity"),
    "dz": (lambda a: a, ["--dz-um", "0.2"], 2, "--volume"),
    "iterations": (lambda a: a, ["--iterations", "0"], 2, "iteration"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_leaves_nothing(attempt, name):
    spoil, options, expected, word = BAD[name]
    code, said, made = attempt(spoil(counts((64, 64), 5)), *KNOWN, *CAMERA, *options)
    assert code == expected, said
    assert word in said
    assert "Traceback" not in said
    assert made is None


def test_a_psf_of_another_microscope_is_refused(attempt, tmp_path):
    """Seen with a third of the resolution: a wrong pixel size, or the wrong file."""
    y, x = np.mgrid[-40:41, -40:41]
    bead = tmp_path / "bead.tif"
    tifffile.imwrite(bead, (1e4 * np.exp(-(x**2 + y**2) / (2 * 1.4**2))).astype(np.uint16))
    code, said, made = attempt(
        counts((64, 64), 6), *KNOWN, *CAMERA, "--psf", str(bead), "--psf-pixel-um", "0.25"
    )
    assert code == 3, said
    assert made is None
