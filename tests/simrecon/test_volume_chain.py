"""The simulator's frames through the reconstruction: two independent ways to T ⊛ S."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.model.camera import Camera
from simrecon.physics.simulate_volume import simulate_volume
from simrecon.recon.operator import Reconstructor, Regularization


def emitters(truth, seed=0):
    """Fine voxels near the middle of the frames, wherever the stage has carried them."""
    field, rng = truth.field, np.random.default_rng(seed)
    planes, rows, columns = truth.grid.shape
    density = np.zeros(field.box.shape, dtype=np.float32)
    for _ in range(4):
        plane = int(field.fine_z * planes * rng.uniform(0.45, 0.55))
        travel = truth.grid.shear[0] * plane * field.fine_dz_um / field.box.pitch_um[1]
        row = 2 * (field.lead_px[0] + int(rows * rng.uniform(0.45, 0.55))) + round(travel)
        column = 2 * (field.lead_px[1] + int(columns * rng.uniform(0.45, 0.55)))
        density[field.lead_planes + plane, row, column] = rng.uniform(0.5, 2.0)
    return density


def blurred(operator, truth):
    """T ⊛ S from the places of the emitters."""
    padded, (sy, sx) = operator.padded_sr_grid, truth.grid.shear
    kz, ky, kx = padded.frequencies_per_um()
    kz = padded.axial_in_space(kz, ky, kx) + sy * ky + sx * kx
    spectrum = np.zeros(padded.shape, dtype=complex)
    box, offset = truth.field.box, operator.sr_grid.offset_um
    for voxel in np.argwhere(truth.fine_object):
        z, y, x = np.asarray(box.origin_um) + voxel * np.asarray(box.pitch_um)
        y, x = y - sy * z - offset, x - sx * z - offset
        light = truth.fine_object[tuple(voxel)] / truth.field.fine_z
        spectrum += light * np.exp(-2j * np.pi * (kz * z + ky * y + kx * x))
    spectrum *= operator.effective_otf() * (operator.zoom / truth.field.fine) ** 2
    image = np.fft.ifftn(spectrum).real
    return image[tuple(slice(n) for n in operator.sr_grid.shape)]


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "3d", "shape": (32, 66, 64), "extent_um": 1.5},
        {"mode": "lls", "shape": (32, 90, 56), "dz_um": 0.13, "extent_um": 2.0, "scan": "stage",
         "stage_angle_rad": 0.9, "sheet_offset_um": 0.3, "phase_step_um": 0.25},
    ],
)  # fmt: skip
def test_noise_free_frames_become_the_effective_picture(settings):
    settings = {**settings, "camera": Camera(1.0, 100.0, 0.0)}
    _, first = simulate_volume(kind="beads", **settings)
    _, truth = simulate_volume(fine_object=emitters(first), otf=first.otf, **settings)
    operator = Reconstructor(
        truth.pattern, truth.otf, truth.grid, frame_variance_e2=100.0,
        regularization=Regularization(wiener_constant=0.05),
    )  # fmt: skip
    image, expected = operator.reconstruct(truth.expected_e), blurred(operator, truth)
    assert np.linalg.norm(image - expected) < 2e-3 * np.linalg.norm(expected)
