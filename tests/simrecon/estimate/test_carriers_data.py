"""Nonlinear SIM of 25 frames that another program simulated: pattern and picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from real_data import real

from simrecon.estimate.carriers import CarrierMode, estimate_carriers
from simrecon.model.grid import Grid
from simrecon.model.psf import RadialOTF
from simrecon.qc.metrics import equalised_psnr
from simrecon.recon.operator import Reconstructor

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.data
PIXEL_UM = 0.05
"""Taken for the raw pixel, of which nothing is said; the object has four times as many."""


def picture(name: str) -> np.ndarray:
    values = np.asarray(Image.open(real(name)), dtype=float)
    return values if values.ndim == 2 else values[..., 0]


def measured_otf(name: str) -> RadialOTF:
    """Ring means of the PSF's transform, down to where its eight bits end."""
    psf = picture(name)
    n, c = 512, psf.shape[0] // 2
    field = np.zeros((n, n))
    field[: psf.shape[0], : psf.shape[1]] = psf
    transfer = np.fft.fft2(np.roll(field, (-c, -c), (0, 1))).real
    ring = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(n, 1 / n)] * 2))).astype(int).ravel()
    mean = np.bincount(ring, transfer.ravel()) / np.bincount(ring)
    end = int(np.argmax(mean < 0.004 * mean[0]))
    values = (mean[: end + 1] - mean[end]) / (mean[0] - mean[end])
    k_per_um = np.arange(end + 1) / n * 4 / PIXEL_UM
    return RadialOTF(k_per_um, values, float(k_per_um[-1]), None, "measured")


def test_nonlinear_frames_of_another_simulator():
    folder = "pinn-simulated/NL_SIM/er"
    frames = tifffile.imread(real(f"{folder}/input_frames/1.tif")).astype(np.float32)
    frames = frames.reshape(5, 5, *frames.shape[1:])
    otf = measured_otf(f"{folder}/psf.png")
    fit = estimate_carriers(frames, PIXEL_UM, otf, CarrierMode(2))
    assert fit.verdict == "ok", fit.notes
    for n, d in enumerate(fit.directions):
        assert 4 * d.period_um / PIXEL_UM == pytest.approx(18.0, abs=0.03)
        assert np.rad2deg(d.angle_rad) % 180 == pytest.approx(36 * n, abs=0.3)
        # the pictures of the patterns in that folder have contrasts of about 1.4 and 0.5
        assert d.modulation == pytest.approx((1.4, 0.5), abs=0.06)
    grid = Grid(frames.shape[-2:], PIXEL_UM)
    lower = tuple(replace(d, modulation=d.modulation[:1]) for d in fit.directions)
    truth = picture(f"{folder}/ground_truth/1.png")
    score = []
    for pattern in (replace(fit, directions=lower), fit):
        operator = Reconstructor.from_frames(
            frames, pattern, otf, grid, frame_variance_e2=4.0, zoom=4
        )
        score.append(equalised_psnr(operator.reconstruct(frames), truth, margin_px=24))
    assert score[0] > 27.5
    assert score[1] > score[0] + 2.0  # order 2 is worth it
