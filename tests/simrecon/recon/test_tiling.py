"""Tiles against the whole: seams below the noise, the same Γ, weights that add up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sim_examples import ideal_otf, make_pattern
from volume_examples import make_volume_pattern, volume_otf

from simrecon.errors import InputError, UsageError
from simrecon.model.grid import Grid, VolumeGrid
from simrecon.physics.simulate_volume import simulate_volume
from simrecon.recon.attenuation import DISTANT_LIGHT, DISTANT_LIGHT_OF_SHEET
from simrecon.recon.memory import TILE_MARGIN_UM, frames_memory, operator_memory
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.spectrum import SignalPower
from simrecon.recon.tiling import AxisTiles, TiledReconstructor, reconstructor_within


def test_weights_add_up_and_leave_out_the_cut_edges():
    axis = AxisTiles(101, 40, 5)
    total = np.zeros(202)
    for start, weight in zip(axis.starts, axis.weights(2), strict=True):
        total[2 * start : 2 * start + 80] += weight
        assert start == 0 or np.all(weight[:10] == 0)
        assert start == 61 or np.all(weight[-10:] == 0)
    assert np.allclose(total, 1.0)
    assert axis.starts[-1] == 61
    assert AxisTiles(30, 40, 5).starts == [0]


@pytest.fixture(scope="module")
def volume():
    """A volume with shot noise: frames and their expectation, whole operator, tiled one."""
    grid = VolumeGrid((10, 40, 240), 0.1, 0.25)
    pattern, otf = make_volume_pattern(grid, 1), volume_otf()
    regularization = Regularization(SignalPower(1e5, 0.3, 1.5))
    options = {"frame_variance_e2": 100.0, "regularization": regularization}
    options |= {"margin_um": TILE_MARGIN_UM}
    whole = Reconstructor(pattern, otf, grid, **options)
    rng = np.random.default_rng(0)
    spots = (rng.random(whole.sr_grid.shape) < 2e-3) * 1e4
    scene = gaussian_filter(spots, (0.6, 1.2, 1.2)) + 10
    clean = np.maximum(whole.forward(scene.astype(np.float32)), 1)
    frames = rng.poisson(clean).astype(np.float32)
    tiled = TiledReconstructor(pattern, otf, grid, tile=(64, 150), **options)
    return frames, clean, whole, tiled


def test_seams_are_below_the_noise(volume):
    frames, clean, whole, tiled = volume
    assert len(list(tiled.tiles())) == 3
    sigma = np.sqrt(whole.variance(clean))
    difference = np.abs(tiled.reconstruct(frames) - whole.reconstruct(frames)) / sigma
    assert np.sqrt(np.mean(difference**2)) < 0.03
    assert difference.max() < 0.3
    assert np.abs(tiled.variance(clean) / sigma**2 - 1).max() < 0.02


def test_automatic_regularisation_is_that_of_the_whole(volume):
    frames, _, whole, _ = volume
    options = {"frame_variance_e2": 100.0, "margin_um": TILE_MARGIN_UM}
    parts = (whole.pattern, whole.otf, whole.grid)
    one = Reconstructor.from_frames(frames, *parts, **options).regularization.signal_power
    two = TiledReconstructor.from_frames(frames, *parts, tile=(40, 150), **options)
    k = np.array([1.5, 3.0])  # below, a small volume has too few frequencies
    assert np.allclose(two.regularization.signal_power(k), one(k), rtol=0.2)


def test_planes_can_be_tiled_too():
    grid = Grid((70, 131), 0.065)
    power = SignalPower(1e6, 0.3, 1.5)
    options = {"frame_variance_e2": 50.0, "regularization": Regularization(power)}
    whole = Reconstructor(make_pattern(grid), ideal_otf(), grid, **options)
    tiled = TiledReconstructor(make_pattern(grid), ideal_otf(), grid, tile=(70, 80), **options)
    frames = np.random.default_rng(1).poisson(50, whole.frames_shape).astype(np.float32)
    sigma = np.sqrt(whole.variance(frames))
    assert np.abs((tiled(frames) - whole(frames)) / sigma).max() < 0.5
    assert tiled.effective_psf((9, 9)).shape == (9, 9)


def test_a_limit_of_memory_makes_tiles():
    grid = VolumeGrid((4, 160, 480), 0.1, 0.25)
    pattern, otf = make_volume_pattern(grid, 1), volume_otf()
    frames = np.random.default_rng(2).poisson(50.0, (1, 5, *grid.shape)).astype(np.float32)
    parts = (frames, pattern, otf, grid)
    limit_gb = 0.75e-9 * operator_memory(pattern, otf, grid).peak
    limit_gb += 1e-9 * frames_memory(pattern, grid, zoom=2, variance=False)
    assert isinstance(reconstructor_within(None, *parts, frame_variance_e2=1.0), Reconstructor)
    tiled = reconstructor_within(limit_gb, *parts, frame_variance_e2=1.0)
    assert isinstance(tiled, TiledReconstructor)
    assert tiled.operator.grid.shape[2] < grid.shape[2]
    constant = Regularization(wiener_constant=0.05)
    for limit, kind in ((None, Reconstructor), (limit_gb, TiledReconstructor)):
        made = reconstructor_within(limit, *parts, regularization=constant, frame_variance_e2=1.0)
        assert isinstance(made, kind)
        assert made.regularization is constant


def test_bad_tiles_are_refused(volume):
    _, _, whole, tiled = volume
    parts = (whole.pattern, whole.otf, whole.grid)
    with pytest.raises(UsageError, match="too small"):
        TiledReconstructor(*parts, tile=(64, 20), frame_variance_e2=1.0, regularization=None)
    with pytest.raises(InputError, match="wrong shape"):
        tiled.reconstruct(np.zeros((1, 5, 16, 56, 129), np.float32))


@pytest.mark.parametrize("mode", ["3d", "lls"])
def test_seams_of_simulated_volumes_are_below_the_noise(mode):
    """With the weights against distant light, and out-of-focus light that reaches far."""
    stack, truth = simulate_volume(mode=mode, shape=(6, 96, 240), peak_e=1000.0, seed=3)
    frames = stack.camera.electrons(np.asarray(stack.data)[0, 0]).astype(np.float32)
    variance = np.maximum(frames, 1.0) + 2.0
    options = {
        "frame_variance_e2": float(variance.mean()),
        "attenuation": DISTANT_LIGHT if mode == "3d" else DISTANT_LIGHT_OF_SHEET,
        "margin_um": TILE_MARGIN_UM,
    }
    parts = (truth.pattern, truth.otf, truth.grid)
    whole = Reconstructor.from_frames(frames, *parts, **options)
    sigma = np.sqrt(whole.variance(variance))
    options |= {"regularization": whole.regularization, "reference": frames}
    tiled = TiledReconstructor(*parts, tile=(96, 200), **options)
    assert len(list(tiled.tiles())) > 1
    difference = np.abs(tiled.reconstruct(frames) - whole.reconstruct(frames)) / sigma
    assert np.sqrt(np.mean(difference**2)) < 0.2
    assert np.quantile(difference, 0.99) < 0.9
    assert difference.max() < 1.6
    assert np.abs(tiled.variance(variance) / sigma**2 - 1).max() < 0.05
