"""The window's flanks bias nothing once they are taken off the bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import fit_direction
from simrecon.estimate.volume.kernels import Kernels, LateralSlope
from simrecon.estimate.volume.state import VolumeState
from tests.simrecon.estimate.volume.scene import Scene, make_scene

PEAK_E = 30000.0


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(shape=(8, 64, 64), angles_rad=(0.5,), peak_e=PEAK_E, seed=7)


def true_state(scene: Scene) -> VolumeState:
    """Phases from the centre of the field."""
    centre = 0.5 * (np.array(scene.grid.shape[1:]) - 1) * scene.grid.pixel_um
    phase = scene.phase_rad[0] + 2 * np.pi * float(scene.frequency_per_um[0] @ centre)
    modulation = np.array(scene.modulation)
    return VolumeState(scene.frequency_per_um[0], phase, scene.intensity[0], modulation)


def test_frequency_is_not_pulled_by_the_window(scene: Scene) -> None:
    frames = np.random.default_rng(1).poisson(scene.frames[0]).astype(np.float32)
    field = VolumeField.on(scene.grid, scene.otf)
    variance = np.maximum(scene.frames[0], 1.0)
    fit = fit_direction(frames, variance, field, scene.otf, true_state(scene))
    off = fit.state.frequency_per_um - scene.frequency_per_um[0]
    # 0.054 with the flanks in
    assert np.hypot(*(off * np.array(field.window.padded.extent_um))) < 0.004


@pytest.mark.parametrize("shear", [(0.0, 0.0), (1.3, 0.4)])
def test_slope_is_that_of_the_matrices(scene: Scene, shear: tuple[float, float]) -> None:
    grid = replace(scene.grid, shear=shear)
    field = VolumeField.on(grid, scene.otf).some(60)
    state = true_state(scene)
    kernels = Kernels.of(scene.otf, field, state)
    part = np.arange(field.index.size)
    # far smaller than that of the slope: a shear turns quickly
    step = 0.02 / field.window.padded.extent_um[0]
    for axis, move in enumerate(((step, 0.0), (0.0, step))):
        slope = LateralSlope.of(scene.otf, kernels, field, state, axis)
        up, down = (
            replace(Kernels.of(scene.otf, field.moved(s * move[0], s * move[1]), state),
                    used=kernels.used)
            for s in (1, -1)
        )  # fmt: skip
        column = np.random.default_rng(0).normal(size=(part.size, kernels.column))
        for band in range(5):
            there, back = (one.matrices(band, part) @ column[..., None] for one in (up, down))
            direct = ((there - back) / (2 * step))[..., 0]
            made = slope.planes_of(band, part, column)
            assert np.abs(made - direct).max() < 0.1 * np.abs(direct).max()
