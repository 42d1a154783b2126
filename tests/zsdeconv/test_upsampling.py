"""Objects on a finer grid than the camera's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.otf import theoretical_otf
from zsdeconv.config import build_settings
from zsdeconv.enhancement import save_model
from zsdeconv.image_psf import psf_size, theoretical_psf
from zsdeconv.imaging import Imaging
from zsdeconv.picture_model import PictureModel
from zsdeconv.picture_training import train_pictures
from zsdeconv.upsampling import BinnedForward, interpolated, on_camera_grid

OPTICS, PIXEL_UM = Optics(na=1.4, emission_nm=525.0), 0.09


@pytest.fixture(scope="module")
def psf():
    return theoretical_psf(OPTICS, PIXEL_UM, "widefield", 2)


@pytest.mark.parametrize("zoom", [2, 3])
def test_waves_come_out_as_the_optics_and_the_camera_pass_them(zoom):
    """A wave on the fine grid is seen at the camera's pixels, in place, times its OTF."""
    n, turns = 60, 9
    kernel = theoretical_psf(OPTICS, PIXEL_UM, "widefield", zoom)
    assert kernel.shape == (psf_size(zoom),) * 2
    place = (np.arange(zoom * n) + 0.5) / zoom - 0.5
    wave = np.cos(2 * np.pi * turns * place / n + 0.3)
    objects = torch.tensor(np.tile(wave, (zoom * n, 1)), dtype=torch.float32)[None, None]
    seen = BinnedForward(kernel, zoom)(objects, [(0, 0)])[0, 0].numpy()
    otf = theoretical_otf(OPTICS, pixel_um=PIXEL_UM)
    passed = np.interp(turns / n / PIXEL_UM, otf.k_per_um, otf.values.real)
    expected = passed * np.cos(2 * np.pi * turns * np.arange(n) / n + 0.3)
    np.testing.assert_allclose(seen[n // 2], expected, atol=0.01)


def test_the_transpose_is_one(psf):
    rng = np.random.default_rng(1)
    forward = BinnedForward(psf, 2)
    f = torch.tensor(rng.random((200, 160)), dtype=torch.float32)
    y = torch.tensor(rng.random((1, 100, 80)), dtype=torch.float32)
    there = float((forward(f[None, None], [(0, 0)])[0] * y).sum())
    assert float((forward.transpose(y, (0, 0)) * f).sum()) == pytest.approx(there, rel=1e-5)


def test_interpolation_keeps_waves_in_place():
    x = np.arange(24) + 0.5
    wave = 5.0 + np.cos(np.pi * 7 * x / 24)  # a wave of the mirror-extended picture
    fine = interpolated(np.tile(wave, (1, 16, 1)), 2)
    assert fine.shape == (32, 48)
    wanted = 5.0 + np.cos(np.pi * 7 * (np.arange(48) + 0.5) / 48)
    np.testing.assert_allclose(fine, np.tile(wanted, (32, 1)), atol=1e-5)


def test_a_fine_psf_at_the_cameras_pixels_is_the_cameras(psf):
    coarse = on_camera_grid(psf, 2)
    wanted = theoretical_psf(OPTICS, PIXEL_UM, "widefield")
    middle = [slice(n // 2 - 5, n // 2 + 6) for n in coarse.shape]
    other = [slice(n // 2 - 5, n // 2 + 6) for n in wanted.shape]
    np.testing.assert_allclose(coarse[tuple(middle)], wanted[tuple(other)], atol=1e-3)
    assert coarse.sum() == pytest.approx(1.0)


def test_a_model_keeps_its_grid(psf, tmp_path):
    rng = np.random.default_rng(2)
    counts = 100.0 + 2.0 * rng.poisson(9.0, (34, 40))
    imaging = Imaging(PIXEL_UM, psf, OPTICS.cutoff_per_um, Camera(2.0, 100.0, 1.0), zoom=2)
    settings = build_settings(
        width=4, patch=48, bank=2, iterations=2, uncertainty_draws=0, held_out_draws=0,
        probes=False, self_ensemble=False, device="cpu",
    )  # fmt: skip
    made = train_pictures([counts], imaging, settings)
    assert made.deconvolved.shape == made.denoised.shape == made.image.shape == (68, 80)
    assert made.pixel_um == pytest.approx(PIXEL_UM / 2)
    assert made.qc["enhancement"]["chi2"] == pytest.approx(1.0, abs=0.3)
    save_model(made, tmp_path)
    model = PictureModel.read(tmp_path, device="cpu")
    assert model.imaging.zoom == 2
    assert model.imaging.fitted == replace(imaging, zoom=1).fitted
    found = model.predict(counts)
    np.testing.assert_allclose(found.deconvolved, made.deconvolved, rtol=1e-3, atol=1e-3)
