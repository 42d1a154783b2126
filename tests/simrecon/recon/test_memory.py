"""Predicted memory of volumes, and tiles that keep to a limit.

``benchmarks/bench_volume.py --memory`` holds the prediction against the measured peak.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from volume_examples import make_volume_pattern, volume_frames, volume_otf

from simrecon.errors import UsageError
from simrecon.model.grid import VolumeGrid
from simrecon.recon.memory import TILE_MARGIN_UM, frames_memory, operator_memory, tile_for
from simrecon.recon.operator import Reconstructor

GRID = VolumeGrid((24, 64, 64), 0.1, 0.25)


@pytest.mark.parametrize("variance", [False, True])
def test_prediction_matches_what_is_allocated(variance):
    pattern, otf = make_volume_pattern(GRID), volume_otf()
    points = [(2.9, 3.1, 3.3, 5e4), (3.2, 2.2, 4.0, 4e4)]
    expected = 50 + np.maximum(volume_frames(GRID, pattern, points), 0)
    frames = np.random.default_rng(0).poisson(expected).astype(np.float32)
    tracemalloc.start()
    op = Reconstructor.from_frames(frames, pattern, otf, GRID, frame_variance_e2=50.0)
    image = op.reconstruct(frames)
    if variance:
        op.variance(frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    predicted = operator_memory(pattern, otf, GRID, variance=variance).peak + image.nbytes
    assert 0.75 < predicted / peak < 1.25  # the FFT library's own buffers are not traced


def test_tiles_keep_to_the_limit():
    pattern, otf = make_volume_pattern(GRID), volume_otf()
    grid = VolumeGrid((24, 512, 512), 0.1, 0.25)
    held = frames_memory(pattern, grid, zoom=2, variance=False)
    whole = operator_memory(pattern, otf, grid, variance=False).peak
    assert tile_for(pattern, otf, grid, 1.01 * (held + whole), variance=False) == (512, 512)
    tile = tile_for(pattern, otf, grid, held + 0.5 * whole, variance=False)
    part = VolumeGrid((24, *tile), 0.1, 0.25)
    assert operator_memory(pattern, otf, part, margin_um=TILE_MARGIN_UM).peak <= 0.5 * whole
    assert min(tile) > 100
    with pytest.raises(UsageError, match="even in tiles"):
        tile_for(pattern, otf, grid, held, variance=False)
