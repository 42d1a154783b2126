"""Fourier rings are round in physical frequency for any size, and lose no sample."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.qc._rings import make_rings


@pytest.mark.parametrize("shape", [(32, 32), (33, 33), (31, 50)])
def test_every_sample_below_nyquist_lies_within_half_a_ring_of_its_centre(shape):
    rings = make_rings(shape)
    width = 0.5 / rings.count
    used = 0
    for y, fy in enumerate(np.fft.fftfreq(shape[0])):
        for x, fx in enumerate(np.fft.fftfreq(shape[1])):
            k = np.hypot(fy, fx)
            ring = rings.index[y, x]
            assert (ring == rings.count) == (k >= 0.5)
            if ring < rings.count:
                used += 1
                assert abs(k - rings.frequency_per_px[ring]) <= width / 2 + 1e-12
    assert rings.samples.sum() == used
    assert rings.total(np.ones(shape)) == pytest.approx(rings.samples)


def test_a_wedge_keeps_one_direction_and_its_opposite():
    rings = make_rings((64, 64), direction_rad=np.pi / 2)
    assert rings.index[10, 0] < rings.count
    assert rings.index[-10, 0] < rings.count
    assert rings.index[0, 10] == rings.count
