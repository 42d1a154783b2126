"""Bad camera pixels in pictures and volumes."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.model.camera import Camera
from zsdeconv.bad_pixels import mended
from zsdeconv.pairs_volume import camera_volume


def camera_with(bad) -> Camera:
    offset = np.full((32, 30), 100.0, np.float32)
    offset[bad] = np.nan
    return Camera(2.0, offset, 1.5)


def test_planes_are_mended_one_by_one():
    camera = camera_with((slice(None), 7))  # a dead column
    ramp = 100.0 + 10.0 * np.arange(12)[:, None, None] + np.zeros((12, 32, 30))
    counts = ramp.copy()
    counts[:, :, 7] = 65535.0
    found, whole = mended(counts, camera)
    np.testing.assert_allclose(found, ramp)
    assert whole.bad_pixels is None
    spot = np.zeros((7, 9, 9))
    spot[3, 4, 4] = 1.0
    made = camera_volume(counts, spot, 0.1, 0.2, camera)
    np.testing.assert_allclose(made.frames_e[0, :, 5, 7], 5.0 * np.arange(12), atol=1e-4)
    np.testing.assert_allclose(made.variance_e2[0, ..., 7], made.variance_e2[0, ..., 8], rtol=1e-4)


def test_good_cameras_change_nothing_and_dead_areas_are_refused():
    counts = np.random.default_rng(1).random((32, 30))
    assert mended(counts, Camera(2.0, 100.0, 1.5))[0] is counts
    with pytest.raises(InputError, match="areas of the camera are bad"):
        mended(counts, camera_with((slice(4, 9), slice(20, 25))))
    kept = mended(counts, camera_with((slice(4, 8), slice(20, 24))))[0]
    assert np.isfinite(kept).all()
