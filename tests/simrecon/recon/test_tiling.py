"""Tiles against the whole: seams below the noise, the same Γ, weights that add up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sim_examples import ideal_otf, make_pattern
from volume_examples import make_volume_pattern, volume_otf

from simrecon.errors import InputError, UsageError
from simrecon.model.grid import Grid, VolumeGrid
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
    grid = VolumeGrid((16, 56, 130), 0.1, 0.25)
    pattern, otf = make_volume_pattern(grid, 1), volume_otf()
    regularization = Regularization(SignalPower(1e5, 0.3, 1.5))
    options = {"frame_variance_e2": 100.0, "regularization": regularization}
    whole = Reconstructor(pattern, otf, grid, **options)
    rng = np.random.default_rng(0)
    spots = (rng.random(whole.sr_grid.shape) < 2e-3) * 1e4
    scene = gaussian_filter(spots, (0.6, 1.2, 1.2)) + 10
    clean = np.maximum(whole.forward(scene.astype(np.float32)), 1)
    frames = rng.poisson(clean).astype(np.float32)
    tiled = TiledReconstructor(pattern, otf, grid, tile=(64, 84), **options)
    return frames, clean, whole, tiled


def test_seams_are_below_the_noise(volume):
    frames, clean, whole, tiled = volume
    assert len(list(tiled.tiles())) == 2
    sigma = np.sqrt(whole.variance(clean))
    difference = np.abs(tiled.reconstruct(frames) - whole.reconstruct(frames)) / sigma
    assert np.sqrt(np.mean(difference**2)) < 0.03
    assert difference.max() < 0.3
    assert np.abs(tiled.variance(clean) / sigma**2 - 1).max() < 0.02


def test_automatic_regularisation_is_that_of_the_whole(volume):
    frames, _, whole, _ = volume
    options = {"frame_variance_e2": 100.0}
    parts = (whole.pattern, whole.otf, whole.grid)
    one = Reconstructor.from_frames(frames, *parts, **options).regularization.signal_power
    two = TiledReconstructor.from_frames(frames, *parts, tile=(56, 84), **options)
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


def test_a_limit_of_memory_makes_tiles(volume):
    frames, _, whole, _ = volume
    parts = (frames, whole.pattern, whole.otf, whole.grid)
    assert isinstance(reconstructor_within(None, *parts, frame_variance_e2=1.0), Reconstructor)
    tiled = reconstructor_within(0.045, *parts, frame_variance_e2=1.0)
    assert isinstance(tiled, TiledReconstructor)
    assert tiled.operator.grid.shape[2] < whole.grid.shape[2]
    constant = Regularization(wiener_constant=0.05)
    for limit, kind in ((None, Reconstructor), (0.045, TiledReconstructor)):
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
