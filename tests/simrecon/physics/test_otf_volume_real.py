"""Theory and OTF file against the bands of a 3D-SIM recording that other people simulated."""

from __future__ import annotations

import numpy as np
import pytest
from real_data import real

from simrecon.io.mrc_dv import read_header, read_samples
from simrecon.io.otf_volume_files import read_volume_otf
from simrecon.model.optics import Optics
from simrecon.physics.otf_volume import evaluate_volume_otf
from simrecon.physics.theory_volume import theoretical_volume_otf

pytestmark = pytest.mark.data

PIXEL_UM, DZ_UM, PADDED = 0.08, 0.125, 24
FINEST_UM = 0.2022
OMX = Optics(1.42, 528, 1.515, excitation_nm=488, excitation_na=0.488 / (2 * FINEST_UM))
LOW_PER_UM = 0.5
"""Nine planes cut off the light of low lateral frequencies, which comes from all depths."""


def compare(frames, otf, angle, order):
    """Correlation and complex contrast of band `order` against band 0 where both are seen."""
    p = np.array([np.sin(angle), np.cos(angle)]) / (2 * FINEST_UM)
    fy, fx = order * p
    y, x = np.mgrid[:64, :64] * PIXEL_UM
    window = np.hanning(66)[1:-1, None] * np.hanning(66)[None, 1:-1]

    def band(m, carrier):
        turn = np.exp(-2j * np.pi * m * np.arange(5) / 5)
        plain = np.tensordot(turn, frames, axes=(0, 1)) / 5 * window * carrier
        return np.fft.fftn(np.pad(plain, ((0, PADDED - len(plain)), (0, 0), (0, 0))))

    zero = band(0, 1.0)
    other = band(order, np.exp(-2j * np.pi * (fy * y + fx * x)))
    kz = np.fft.fftfreq(PADDED, DZ_UM)[:, None, None]
    ky, kx = np.fft.fftfreq(64, PIXEL_UM)[:, None], np.fft.fftfreq(64, PIXEL_UM)[None]
    h_zero = evaluate_volume_otf(otf, 0, kz, ky[None], kx[None])
    h_other = evaluate_volume_otf(otf, order, kz, ky[None] + fy, kx[None] + fx)
    seen = (np.abs(h_zero) > 0.006) & (np.abs(h_other) > 0.006)
    seen &= (np.hypot(ky, kx) > LOW_PER_UM) & (np.hypot(ky + fy, kx + fx) > LOW_PER_UM)
    weight = 1 / np.hypot(np.abs(h_zero), np.abs(h_other))[seen]
    a, b = zero[seen] * h_other[seen] * weight, other[seen] * h_zero[seen] * weight
    power = np.vdot(a, a).real
    return abs(np.vdot(a, b)) / np.sqrt(power * np.vdot(b, b).real), 2 * np.vdot(a, b) / power


@pytest.fixture(scope="module")
def frames():
    path = real("cudasirecon-3dsim/raw.dv")
    samples = np.asarray(read_samples(path, read_header(path)), dtype=float)
    return samples.reshape(3, 9, 5, 64, 64)[..., ::-1, :]


@pytest.mark.parametrize("source", ["theory", "file"])
def test_bands_of_all_orders_agree(frames, source):
    """Correlations; one phase for both orders; the contrasts of three equal beams, 4/3 and 2/3."""
    if source == "theory":
        otf = theoretical_volume_otf(OMX, extent_um=6.0)
    else:
        (otf,) = read_volume_otf(real("cudasirecon-3dsim/otf.dv"), OMX)
    for direction, angle in zip(frames, (0.8041, 1.8554, -0.2389), strict=True):
        first, c1 = compare(direction, otf, angle, 1)
        second, c2 = compare(direction, otf, angle, 2)
        assert second > 0.98
        assert first > 0.94
        assert abs(np.angle(c2 / c1**2)) < 0.1
        assert abs(c1) == pytest.approx(4 / 3, rel=0.05)
        assert abs(c2) == pytest.approx(2 / 3, rel=0.02 if source == "theory" else 0.2)


def test_planes_or_orders_that_do_not_belong_are_seen(frames):
    """Order 1 without its axial structure does not fit, and neither does another direction."""
    (otf,) = read_volume_otf(real("cudasirecon-3dsim/otf.dv"), OMX)
    flat = theoretical_volume_otf(OMX, illumination="two-beam", extent_um=6.0)
    assert compare(frames[0], flat, 0.8041, 1)[0] < 0.9
    assert compare(frames[1], otf, 0.8041, 2)[0] < 0.6
