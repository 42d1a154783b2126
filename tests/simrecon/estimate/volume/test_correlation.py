"""Correlation of the orders: its definition, and what it says of bands that agree and do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon.estimate.volume.correlation import CHANCE_SD, order_correlation
from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.fit import demodulated
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import PRIOR_FACTOR, Weights
from simrecon.estimate.window import phase_at_origin
from simrecon.model.psf import VolumeOTF
from simrecon.physics.theory_volume import axial_shift_per_um, theoretical_volume_otf
from tests.simrecon.estimate.volume.scene import OPTICS, Scene, displaced, make_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(angles_rad=(0.4,), beyond=4, seed=2)


def drawn(scene: Scene, peak_e: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Frames of one direction and their variance; None: no noise where 10⁵ e are believed."""
    frames = scene.frames[0] * ((peak_e or 1e5) / 1000.0)
    if peak_e is not None:
        frames = np.random.default_rng(3).poisson(frames).astype(np.float32)
    return frames.astype(np.float32), np.maximum(frames, 1.0).astype(np.float32)


def weighed(
    scene: Scene, otf: VolumeOTF, peak_e: float | None, turn_rad: float = 0.0, most: int = 700
) -> tuple[Weights, VolumeState]:
    """Weights at the true state, its phases turned."""
    frames, variance = drawn(scene, peak_e)
    field = VolumeField.on(scene.grid, otf).some(most)
    centre = -phase_at_origin(np.zeros(1), scene.frequency_per_um[0], field.window)
    state = VolumeState(
        scene.frequency_per_um[0], scene.phase_rad[0] + centre + turn_rad, scene.intensity[0],
        np.array(scene.modulation),
    )  # fmt: skip
    rows, kernels = demodulated(frames, variance, field, otf, state)
    return Weights.frozen(rows, kernels, field, state), state


def both(*arguments, **more) -> tuple[float, float]:
    weights, state = weighed(*arguments, **more)
    one, two = (order_correlation(weights, state, m).value for m in (1, 2))
    return one, two


def test_it_is_that_of_the_definition(scene: Scene) -> None:
    weights, state = weighed(scene, scene.otf, 300.0, 0.6, most=40)
    kernels, bands = weights.kernels, weights.rows.bands(state)
    told = kernels.used[[0, 3, 4]].any(axis=0)
    cross, pp, yy, unknown, chance = (0.0,) * 5
    for i in (1, 2):
        for k in np.flatnonzero(kernels.used[i] & told):
            a, n = kernels.matrices(i, np.array([k]))[0].astype(complex), weights.band_noise[i]
            prior = weights.power[k] / PRIOR_FACTOR
            inverse, back = np.eye(a.shape[1]) / prior, np.zeros(a.shape[1], complex)
            for r in (0, 3, 4):
                other = kernels.matrices(r, np.array([k]))[0].astype(complex)
                inverse = inverse + np.conj(other.T) @ other / weights.band_noise[r]
                back = back + np.conj(other.T) @ bands[r][:, k] / weights.band_noise[r]
            left = np.linalg.inv(inverse)
            p, y = a @ left @ back, bands[i][:, k]
            about = n * np.eye(len(y)) + a @ left @ np.conj(a.T)
            total = n * np.eye(len(y)) + prior * a @ np.conj(a.T)
            w = np.linalg.inv(about) - np.linalg.inv(total)
            cross += np.real(np.conj(p) @ w @ y)
            pp += np.real(np.conj(p) @ w @ p)
            yy += np.real(np.conj(y) @ w @ y)
            unknown += np.real(np.trace(w @ about))
            chance += 0.5 * np.real(np.conj(w @ p) @ about @ (w @ p))
    found = order_correlation(weights, state, 1)
    value = np.sqrt((cross**2 - CHANCE_SD**2 * chance) / (pp * yy) * (1 + unknown / pp))
    assert 0.5 < value < 1.0
    assert found.value == pytest.approx(value, rel=1e-3)
    assert found.significance == pytest.approx(cross / np.sqrt(chance), rel=1e-3)


@pytest.mark.parametrize("peak_e", [None, 1000.0, 100.0])
def test_bands_that_agree_correlate_whatever_the_light(scene: Scene, peak_e: float | None) -> None:
    assert min(both(scene, scene.otf, peak_e)) > 0.98


@pytest.mark.parametrize("peak_e", [None, 1000.0, 100.0])
def test_an_order_in_another_plane_does_not_correlate(scene: Scene, peak_e: float | None) -> None:
    """A quarter of a fringe along z: order 1 is that of no object that the others show."""
    quarter = 0.25 / axial_shift_per_um(OPTICS)
    right, near, far = (both(scene, displaced(d), peak_e)[0] for d in (0.0, 0.4 * quarter, quarter))
    assert right > 0.98
    assert 0.75 < near < 0.92
    assert far < 0.2


@pytest.mark.parametrize("peak_e", [None, 1000.0, 100.0])
def test_bands_turned_against_each_other_do_not_correlate(
    scene: Scene, peak_e: float | None
) -> None:
    one, two = both(scene, scene.otf, peak_e, turn_rad=np.pi / 2)
    assert one < 0.2
    assert two == 0.0, "order 2 is turned by half a turn"


def test_the_otf_of_other_optics_lowers_it(scene: Scene) -> None:
    narrow = theoretical_volume_otf(replace(OPTICS, na=1.0, excitation_na=0.95), extent_um=4.0)
    one, two = both(scene, narrow, None)
    assert max(one, two) < 0.9


def test_noise_alone_gives_none(scene: Scene) -> None:
    flat = np.broadcast_to(scene.frames.mean(axis=1, keepdims=True), scene.frames.shape)
    dark = replace(scene, frames=flat)
    assert max(both(dark, scene.otf, 100.0)) < 0.3
