from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from simrecon.errors import InputError, UsageError
from simrecon.model.camera import Camera
from zsdeconv.fpn import estimate_fixed_pattern, refuse_maps, without_fixed_pattern

CUTOFF_PX = 0.3


def sample(seed: int = 0, size: tuple[int, int] = (160, 144)) -> np.ndarray:
    """Band-limited: blobs, a lamp profile, a long vertical and a long horizontal filament."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(size)
    picture[rng.integers(0, size[0], 120), rng.integers(0, size[1], 120)] = 3000.0
    picture[5:150, 60] += 400.0
    picture[100, :] += 400.0
    y, x = np.mgrid[: size[0], : size[1]]
    lamp = np.exp(-((y - 70) ** 2 + (x - 90) ** 2) / (2 * 90.0**2))
    return (gaussian_filter(picture, 1.6) + 60.0) * lamp


def pattern(size: int, rms: float, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=size)
    drawn -= drawn.mean()
    return rms * drawn / drawn.std()


@pytest.fixture(scope="module")
def stripes():
    clean = sample()
    rng = np.random.default_rng(1)
    noisy = rng.poisson(clean) + rng.normal(0, 1.5, clean.shape)
    columns = pattern(clean.shape[1], 6.0, 2)
    return clean, noisy, columns


def left(found: np.ndarray, true: np.ndarray) -> float:
    """Share of a pattern's rms that remains."""
    return float((true - found).std() / true.std())


def test_stripes_are_attenuated_and_their_strength_is_found(stripes):
    clean, noisy, columns = stripes
    done, found = without_fixed_pattern(noisy + columns, cutoff_px=CUTOFF_PX)
    assert found.columns_sd == pytest.approx(6.0, rel=0.25)
    assert found.rows_sd == 0.0
    assert left(found.columns, columns) < 0.5
    before = np.std((noisy + columns - clean).mean(axis=0))
    assert np.std((done - clean).mean(axis=0)) < 0.5 * before
    assert "columns" in found.sentence()


def test_dc_lamp_and_filaments_stay(stripes):
    """Against a mask that cuts the line: what is taken from the sample itself."""
    clean, noisy, columns = stripes
    done, _ = without_fixed_pattern(noisy + columns, cutoff_px=CUTOFF_PX)
    kept, _ = without_fixed_pattern(noisy, cutoff_px=CUTOFF_PX)
    assert done.mean() == pytest.approx((noisy + columns).mean(), rel=1e-5)
    np.testing.assert_array_equal(kept, noisy.astype(np.float32))  # nothing there, nothing done
    profile = clean.mean(axis=0)
    loss = np.std(done.mean(axis=0) - profile) / np.std(profile)
    cut = noisy - noisy.mean(axis=0) + noisy.mean()
    assert loss < 0.2
    assert np.std(cut.mean(axis=0) - profile) / np.std(profile) > 0.9
    line, beside = done[20:95, 60].mean(), done[20:95, 50:56].mean()
    true = clean[20:95, 60].mean() - clean[20:95, 50:56].mean()
    assert line - beside == pytest.approx(true, rel=0.15)


def test_rows_as_well_as_columns(stripes):
    clean, noisy, columns = stripes
    rows = pattern(clean.shape[0], 5.0, 5)
    _, found = without_fixed_pattern(noisy + columns + rows[:, None], cutoff_px=CUTOFF_PX)
    assert left(found.rows, rows) < 0.75
    assert left(found.columns, columns) < 0.75
    assert found.rows_sd == pytest.approx(5.0, rel=0.25)


def test_a_movie_shows_a_weaker_pattern():
    clean = sample(3)
    rng = np.random.default_rng(4)
    columns = pattern(clean.shape[1], 0.8, 6)
    movie = rng.poisson(clean, (12, *clean.shape)) + columns
    alone = estimate_fixed_pattern(movie[0], cutoff_px=CUTOFF_PX)
    done, found = without_fixed_pattern(movie, cutoff_px=CUTOFF_PX)
    assert left(found.columns, columns) < 0.8 < left(alone.columns, columns)
    assert found.columns_sd == pytest.approx(0.8, rel=0.3)
    assert done.shape == movie.shape


def test_no_false_alarms():
    clean = sample(7)
    rng = np.random.default_rng(8)
    alarms = [
        estimate_fixed_pattern(rng.poisson(clean), cutoff_px=CUTOFF_PX).found for _ in range(20)
    ]
    assert sum(alarms) == 0


def test_refusals(stripes):
    _, noisy, _ = stripes
    with pytest.raises(UsageError):
        estimate_fixed_pattern(noisy[:20])
    with pytest.raises(InputError):
        estimate_fixed_pattern(np.where(noisy == noisy.max(), np.nan, noisy))


def test_maps_hold_the_pattern_already() -> None:
    refuse_maps(Camera(2.0, 100.0, 1.0))
    with pytest.raises(UsageError, match="maps hold its fixed pattern"):
        refuse_maps(Camera(2.0, np.full((48, 48), 100.0, np.float32), 1.0))
