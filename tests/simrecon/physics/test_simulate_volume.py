"""Simulated volumes against the light and the PSF of one emitter, written out here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.camera import Camera
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.physics.lattice import Lattice
from simrecon.physics.pupil import pupil_psf
from simrecon.physics.simulate_volume import OPTICS_3D, OPTICS_LLS, simulate_volume

SHAPE, PIXEL_UM, DZ_UM, EXTENT_UM = (5, 26, 30), 0.08, 0.2, 5.0
POINT_SAMPLED = replace(OPTICS_3D, pixel_integration=False)
COMMON = {
    "shape": SHAPE,
    "pixel_um": PIXEL_UM,
    "dz_um": DZ_UM,
    "extent_um": EXTENT_UM,
    "fine_z": 2,
    "camera": Camera(1.0, 100.0, 0.0),
}


@pytest.fixture(scope="module")
def plain():
    return simulate_volume(optics=POINT_SAMPLED, kind="beads", **COMMON)


def one_emitter(field, voxel):
    density = np.zeros(field.box.shape, dtype=np.float32)
    density[voxel] = 1.0
    return density


def position(field, voxel):
    return [
        o + p * i for o, p, i in zip(field.box.origin_um, field.box.pitch_um, voxel, strict=True)
    ]


def psf_at(optics, y_um, x_um, z_um, pixel_um=PIXEL_UM):
    """Picture (Y, X) of an emitter, from a PSF on a finer grid."""
    fine = 2
    size = fine * 64
    plane = pupil_psf(optics, Grid((size, size), pixel_um / fine), z_um=[z_um])[0]
    rows = np.rint((np.arange(SHAPE[1]) * pixel_um - y_um) / (pixel_um / fine * 0.5)) / 2
    columns = np.rint((np.arange(SHAPE[2]) * pixel_um - x_um) / (pixel_um / fine * 0.5)) / 2
    # emitters lie a quarter of a camera pixel beside pixel centres: shift by half a fine pixel
    ky, kx = (np.fft.fftfreq(size)[s] for s in (np.s_[:, None], np.s_[None]))
    dy, dx = rows[0] - np.floor(rows[0]), columns[0] - np.floor(columns[0])
    moved = np.fft.ifft2(np.fft.fft2(plane) * np.exp(2j * np.pi * (ky * dy + kx * dx))).real
    at_y = (np.floor(rows) + size // 2).astype(int)
    at_x = (np.floor(columns) + size // 2).astype(int)
    return moved[np.ix_(at_y, at_x)] * fine**2


def relative(frames):
    return frames / frames.max()


def test_one_emitter_under_three_beams(plain):
    """Light of the emitter's distance from the focal plane times the PSF of that distance."""
    field = plain[1].field
    voxel = (field.lead_planes + 5, 2 * (field.lead_px[0] + 12), 2 * (field.lead_px[1] + 14) + 1)
    _, truth = simulate_volume(
        optics=POINT_SAMPLED, fine_object=one_emitter(field, voxel), phase_jitter_rad=0.2, **COMMON
    )
    z, y, x = position(field, voxel)
    wave = 1.515 / 0.488
    kz1 = wave - np.sqrt(wave**2 - (1.2 / 0.488) ** 2)
    expected = np.empty_like(truth.expected_e)
    for i in range(SHAPE[0]):
        behind = z - i * DZ_UM
        picture = psf_at(POINT_SAMPLED, y, x, behind)
        for a, d in enumerate(truth.pattern.directions):
            fy, fx = d.frequency_per_um
            assert np.hypot(fy, fx) == pytest.approx(1.2 / 0.488)
            for j, phase in enumerate(d.phase_rad):
                turn = 2 * np.pi * (fy * y + fx * x) + phase
                light = 1 + 0.9 * np.cos(2 * np.pi * kz1 * behind) * np.cos(turn)
                light += 0.6 * np.cos(2 * turn)
                expected[a, j, i] = light * picture
    np.testing.assert_allclose(relative(truth.expected_e), relative(expected), atol=4e-3)
    # sum 1 in every plane, spread over the length of the tapered PSF: 0.75 of its extent
    scale = truth.fine_object.max() * (0.5**2) * (0.5 * DZ_UM) / (0.75 * EXTENT_UM)
    assert truth.expected_e.max() / expected.max() == pytest.approx(scale, rel=0.01)


def test_one_emitter_on_a_stage_under_a_lattice():
    lattice = Lattice("hexagonal", 0.5, 0.4, 488.0)
    optics = replace(OPTICS_LLS, pixel_integration=False)
    settings = {
        **COMMON, "mode": "lls", "scan": "stage", "stage_angle_rad": np.arctan(2.0),
        "lattice": lattice, "sheet_offset_um": 0.25, "phase_step_um": 0.3, "margin_um": 0.5,
        "optics": optics,
    }  # fmt: skip
    _, first = simulate_volume(kind="beads", **settings)
    field = first.field
    assert first.grid.shear == pytest.approx((0.5, 0.0))
    voxel = (field.lead_planes + 4, 2 * (field.lead_px[0] + 14), 2 * (field.lead_px[1] + 15))
    _, truth = simulate_volume(fine_object=one_emitter(field, voxel), **settings)
    z, y, x = position(field, voxel)
    (d,) = truth.pattern.directions
    p = lattice.fundamental_per_um
    np.testing.assert_allclose(d.frequency_per_um, (0.0, p), atol=1e-12)
    steps = np.diff(np.unwrap(d.phase_rad))
    np.testing.assert_allclose(steps, 2 * np.pi * 0.3 * p)
    expected = np.empty_like(truth.expected_e)
    for i in range(SHAPE[0]):
        behind = z - i * DZ_UM
        picture = psf_at(optics, y - 0.5 * i * DZ_UM, x, behind)
        orders = lattice.orders(np.array([behind - 0.25]))[:, 0]
        for j, phase in enumerate(d.phase_rad):
            turn = 2 * np.pi * p * x + phase
            light = orders[0] + 2 * orders[1] * np.cos(turn) + 2 * orders[2] * np.cos(2 * turn)
            expected[0, j, i] = light * picture
    np.testing.assert_allclose(relative(truth.expected_e), relative(expected), atol=6e-3)


def test_constant_volume_gives_its_own_value():
    _, truth = simulate_volume(kind="constant", peak_e=50.0, margin_um=4.0, **COMMON)
    middle = truth.widefield_e[:, 8:-8, 8:-8]
    np.testing.assert_allclose(middle, 50.0, rtol=0.05)
    np.testing.assert_allclose(truth.object_e[:, 8:-8, 8:-8], 50.0, rtol=0.1)


def test_drift_moves_object_and_phase(plain):
    """An object moved by one camera pixel, seen one pixel beside, under a pattern that stays."""
    _, still = plain
    drift = np.broadcast_to([PIXEL_UM, -2 * PIXEL_UM], (3, 5, SHAPE[0], 2))
    _, moved = simulate_volume(optics=POINT_SAMPLED, kind="beads", drift_um=drift, **COMMON)
    carried = np.roll(still.fine_object, (2, -4), (1, 2))
    _, expected = simulate_volume(optics=POINT_SAMPLED, fine_object=carried, **COMMON)
    scale = still.expected_e.mean() / expected.expected_e.mean()
    near = np.s_[..., 3:-3, 3:-3]
    np.testing.assert_allclose(
        moved.expected_e[near] / still.fine_object.max(),
        expected.expected_e[near] / expected.fine_object.max(),
        atol=2e-3 * scale * still.expected_e.max() / still.fine_object.max(),
    )
    assert np.abs(moved.expected_e - still.expected_e).max() > 0.2 * still.expected_e.max()


def test_bleaching_follows_the_acquisition(plain):
    for order, axes in (("PZA", (0, 2, 1)), ("PAZ", (2, 0, 1)), ("APZ", (2, 1, 0))):
        _, truth = simulate_volume(
            optics=POINT_SAMPLED, kind="beads", bleaching=0.5, order=order,
            otf=plain[1].otf, **COMMON,
        )  # fmt: skip
        time = truth.intensity.transpose(axes).ravel()
        assert np.all(np.diff(time) < 0)
        assert time[-1] / time[0] == pytest.approx(0.5)
        assert truth.intensity.mean() == pytest.approx(1.0)
        bright = np.asarray([d.intensity for d in truth.pattern.directions])
        np.testing.assert_allclose(bright, truth.intensity.mean(axis=2))


def test_stack_states_what_it_is(plain):
    stack, truth = plain
    assert stack.data.shape == (1, 1, 3, 5, *SHAPE)
    assert (stack.dz_um, stack.pixel_um, stack.order) == (DZ_UM, PIXEL_UM, "PZA")
    again, _ = simulate_volume(
        optics=POINT_SAMPLED, kind="beads", noise_seed=5, otf=truth.otf, **COMMON
    )
    difference = again.data.astype(float) - stack.data
    shot = difference.var() / (2.0 * truth.expected_e.mean())
    assert shot == pytest.approx(1.0, abs=0.05)


def test_camera_maps_are_used(plain):
    offset = np.full(SHAPE[1:], 100.0)
    offset[3, 4] = 400.0
    settings = {**COMMON, "camera": Camera(1.0, offset, 0.0)}
    stack, _ = simulate_volume(optics=POINT_SAMPLED, kind="beads", otf=plain[1].otf, **settings)
    assert (stack.data[..., 3, 4] > 399).all()


@pytest.mark.parametrize(
    "settings, what",
    [
        ({"mode": "2d"}, "Unknown mode"),
        ({"phases": 4}, "more phases"),
        ({"modulation": (1.5, 0.0)}, "negative in places"),
        ({"scan": "line"}, "Unknown scan"),
        ({"scan": "stage", "stage_angle_rad": 1.57}, "at an angle"),
        ({"dz_um": 0.0}, "distance of the planes"),
        ({"optics": Optics(1.4, 525.0)}, "excitation"),
        ({"drift_um": np.zeros((3, 5, 2))}, "drift_um"),
        ({"fine": 3}, "multiple of 2"),
        ({"kind": "rings"}, "Unknown 3-D phantom"),
        ({"order": "PZ"}, "Unknown frame order"),
    ],
)
def test_impossible_settings_are_refused(settings, what, plain):
    with pytest.raises(UsageError, match=what):
        simulate_volume(**{"shape": SHAPE, "otf": plain[1].otf, **settings})


def test_two_orders_need_three_phases(plain):
    _, truth = simulate_volume(phases=3, modulation=(0.8,), otf=plain[1].otf, **COMMON)
    assert truth.expected_e.shape == (3, 3, *SHAPE)
