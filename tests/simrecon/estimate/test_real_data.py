"""Real files: patterns of their authors, and a data set that must not be believed."""

import numpy as np
import pytest
import tifffile
from real_data import real

from simrecon.estimate import estimate_pattern
from simrecon.model.camera import Camera
from simrecon.model.optics import Optics
from simrecon.physics.otf import theoretical_otf
from simrecon.recon.preprocess import raw_variance

pytestmark = pytest.mark.data


def table(fit, pixel_um):
    return [(d.period_um / pixel_um, np.degrees(d.angle_rad), d.verdict) for d in fit.directions]


def test_tirfsim_periods_and_angles():
    """Of the data README; the pattern of all three directions varies over the field."""
    folder = real("tirfsim-mt")
    frames = np.stack([tifffile.imread(folder / f"1_X{i}.tif") for i in range(1, 10)])
    pixel = 0.08667
    otf = theoretical_otf(Optics(na=1.49, emission_nm=660.0), pixel_um=pixel)
    fit = estimate_pattern(frames.reshape(3, 3, 256, 256).astype(np.float32), pixel, otf)
    found = table(fit, pixel)
    published = ((2.698, -88.8), (2.662, -28.9), (2.662, 31.9))
    for (period, angle, verdict), true in zip(found, published, strict=True):
        assert period == pytest.approx(true[0], abs=0.02)
        assert angle == pytest.approx(true[1], abs=0.5)
        assert verdict in ("ok", "weak")
    assert all(d.local is not None for d in fit.directions)


@pytest.mark.filterwarnings("ignore")
def test_cristae_agree_with_their_authors():
    path = real("bsim/example_3_mitochondria_cristae/raw_images.tif")
    counts = tifffile.imread(path).astype(np.float32).reshape(3, 3, 120, 120)
    camera = Camera(gain=1.957, offset=100.0, read_noise_e=2.3)
    frames = camera.electrons(counts)
    otf = theoretical_otf(Optics(na=1.3, emission_nm=569.0), pixel_um=0.065)
    fit = estimate_pattern(frames, 0.065, otf, variance_e2=raw_variance(frames, camera))
    authors = ((4.901, -59.6), (4.935, 58.0), (4.704, 1.4))
    for (period, angle, verdict), true in zip(table(fit, 0.065), authors, strict=True):
        assert period == pytest.approx(true[0], rel=0.01)
        assert angle == pytest.approx(true[1], abs=0.5)
        assert verdict in ("ok", "weak")


def test_rdlsim_has_two_directions_that_nobody_should_believe():
    """The authors' angles are found, but only as far as the third, clear one says where to look."""
    path = real("rdlsim-mt/MT.mrc")
    raw = np.frombuffer(path.read_bytes()[-9 * 256 * 256 * 2 :], "<u2")
    frames = raw.reshape(3, 3, 256, 256).astype(np.float32)
    otf = theoretical_otf(Optics(na=1.41, emission_nm=525.0), pixel_um=0.0626)
    fit = estimate_pattern(frames, 0.0626, otf)
    found = table(fit, 0.0626)
    assert "ok" not in [v for _, _, v in found[:2]]
    assert found[2][0] == pytest.approx(2.887, abs=0.02)
    authors = np.degrees([-1.66, -0.6128, 0.4344])
    for (_, angle, _), true in zip(found, authors, strict=True):
        assert abs((angle - true + 90) % 180 - 90) < 0.7


def test_periodic_line_pairs_do_not_fool_the_search():
    """Vertical lines at equal distances repeat the carriers; one direction shows nothing."""
    path = real("bsim/example_1_simulated_line_pairs/raw_images.tif")
    counts = tifffile.imread(path).astype(np.float32).reshape(3, 3, 84, 84)
    camera = Camera(gain=1.957, offset=100.0, read_noise_e=2.3)
    frames = camera.electrons(counts)
    otf = theoretical_otf(Optics(na=1.3, emission_nm=569.0), pixel_um=0.065)
    fit = estimate_pattern(frames, 0.065, otf, variance_e2=raw_variance(frames, camera))
    found = table(fit, 0.065)
    assert fit.verdict == "failed"
    assert "ok" not in [v for _, _, v in found]
    assert any("the sample repeats itself" in note for note in fit.notes)
    for (period, angle, _), true in ((found[0], (3.107, -31.2)), (found[2], (3.102, 28.7))):
        assert period == pytest.approx(true[0], abs=0.03)
        assert angle == pytest.approx(true[1], abs=0.5)
