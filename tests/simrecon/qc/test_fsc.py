"""Shell correlation: known signal-to-noise, sectors, what is left out, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from simrecon.errors import InputError, UsageError
from simrecon.qc.fsc import fsc

VOXEL_UM = (0.2, 0.1, 0.1)
SHAPE = (40, 64, 72)
LATERAL, AXIAL = 0.9, 0.3
"""Widths of the signal: power exp(-k²/w), noise power 0.05."""


@pytest.fixture(scope="module")
def pair() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    kz, ky, kx = np.meshgrid(
        *(np.fft.fftfreq(n, v) for n, v in zip(SHAPE, VOXEL_UM, strict=True)), indexing="ij"
    )
    amplitude = np.exp(-0.5 * ((ky**2 + kx**2) / LATERAL + kz**2 / AXIAL))
    signal = np.fft.ifftn(np.fft.fftn(rng.normal(size=SHAPE)) * amplitude).real
    return [signal + rng.normal(0, np.sqrt(0.05), SHAPE) for _ in range(2)]


@pytest.mark.parametrize(
    ("sector", "from_axis_deg"), [("lateral", (70.0, 90.0)), ("axial", (0.0, 30.0))]
)
def test_crossing_lies_where_signal_and_noise_put_it(pair, sector, from_axis_deg):
    angle = np.radians(np.linspace(*from_axis_deg, 91))
    rate = np.sin(angle) ** 2 / LATERAL + np.cos(angle) ** 2 / AXIAL
    solid = np.sin(angle) / np.sin(angle).sum()
    # mean S over the sector = N/6, i.e. S/(S + N) = 1/7
    wanted = brentq(lambda k: solid @ np.exp(-(k**2) * rate) - 0.05 / 6, 0.1, 4.0)
    result = fsc(*pair, VOXEL_UM, sector)
    assert result.crossing_per_um == pytest.approx(wanted, rel=0.08)
    assert f"FSC ({sector})" in result.note


def test_frequencies_that_are_not_imaged_do_not_count(pair):
    """What both volumes share beyond the support of the imaging is no resolution."""
    ghost = 3.0 * np.cos(2 * np.pi * 4.0 * VOXEL_UM[2] * np.arange(SHAPE[2]))
    a, b = (v + ghost for v in pair)
    ky, kx = (np.fft.fftfreq(n, 0.1) for n in SHAPE[1:])
    passed = np.broadcast_to(np.hypot(ky[:, None], kx) < 3.0, SHAPE)
    whole, part = (fsc(a, b, VOXEL_UM, "lateral", passed=p) for p in (None, passed))
    at = int(np.argmin(np.abs(whole.frequency_per_um - 4.0)))
    assert whole.correlation[at] > 0.9
    assert part.correlation[at] == 0.0
    clean = fsc(*pair, VOXEL_UM, "lateral").crossing_per_um
    assert part.crossing_per_um == pytest.approx(clean, rel=0.03)


def test_what_cannot_be_compared_is_refused(pair):
    a, b = pair
    with pytest.raises(InputError, match="differ in size"):
        fsc(a, b[:-1], VOXEL_UM, "axial")
    with pytest.raises(InputError, match="needs volumes"):
        fsc(a[0], b[0], VOXEL_UM, "axial")
    with pytest.raises(InputError, match="NaN"):
        fsc(np.where(a > 0, np.nan, a), b, VOXEL_UM, "axial")
    with pytest.raises(UsageError, match="sector"):
        fsc(a, b, VOXEL_UM, "diagonal")
