"""One network for all time points of SIM recordings."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from simrecon.errors import InputError, QualityError, UsageError
from simrecon.io import write_raw
from simrecon.physics.simulate import simulate
from simrecon.shell import execute
from zsdeconv import ZsSettings
from zsdeconv.cli import app
from zsdeconv.held_out import HeldOut
from zsdeconv.losses import RawLikelihood
from zsdeconv.series import train_series
from zsdeconv.training import prepare

SHAPE = (96, 104)
QUICK = {"iterations": 12, "width": 8, "patch": 64, "bank": 2, "uncertainty_draws": 0,
         "held_out_draws": 0, "stacking_draws": 1, "precision": "float32", "probes": False,
         "resimulation": 0.0, "device": "cpu"}  # fmt: skip
BLANK = 2


@pytest.fixture(scope="module")
def movie():
    """Four time points of filaments; directions differ, and one holds background alone."""
    stacks = [
        simulate(shape=SHAPE, peak_e=300.0, seed=7, noise_seed=t, phase_jitter_rad=0.0,
                 first_angle_rad=0.25 + 0.02 * t)[0]
        for t in range(4)
    ]  # fmt: skip
    data = np.concatenate([s.data for s in stacks])
    data[BLANK] = 130 + np.random.default_rng(0).integers(-8, 9, data[BLANK].shape)
    return replace(stacks[0], data=data)


@pytest.fixture(scope="module")
def series(movie):
    return train_series(movie, ZsSettings(**QUICK), trained_on=2)


@pytest.fixture(scope="module")
def points(series):
    return list(series)


def test_every_time_point_is_restored_with_its_own_pattern(series, points):
    assert [p.time for p in points] == [0, 1, 2, 3]
    assert series.trained_on == (0, 3)
    angles = [np.arctan2(*p.pattern.directions[0].frequency_per_um) for p in points if p.pattern]
    assert np.ptp(np.unwrap(angles, period=np.pi)) == pytest.approx(0.06, abs=0.01)
    for p in points:
        if p.time != BLANK:
            assert p.predicted.chi2 == pytest.approx(1.0, abs=0.1)
            assert p.image.shape == p.variance.shape == p.predicted.deconvolved.shape
    blank = points[BLANK]
    assert (blank.verdict, blank.predicted, blank.image) == ("failed", None, None)
    assert "pattern" in blank.reason


def test_a_model_restores_as_its_training_did(series, points):
    """The time point of the training, through weights and card alone, to the last digits."""
    point = points[series.judged]
    np.testing.assert_allclose(point.predicted.denoised, series.trained.denoised, rtol=0,
                               atol=1e-4 * series.trained.denoised.max())  # fmt: skip
    np.testing.assert_allclose(point.predicted.deconvolved, series.trained.deconvolved, rtol=0,
                               atol=1e-3 * series.trained.deconvolved.max())  # fmt: skip
    np.testing.assert_array_equal(point.image, series.trained.image)


def test_a_network_that_loses_leaves_all_time_points_to_the_start(movie, monkeypatch):
    """Judged worse than the start it is not used: the movie shows what the training says."""
    monkeypatch.setattr("zsdeconv.enhancement.compare", lambda *_: HeldOut(-1.0, 0.01))
    judged = ZsSettings(**{**QUICK, "held_out_draws": 2})
    made = train_series(replace(movie, data=movie.data[:1]), judged, trained_on=1)
    assert made.trained.verdicts["training"] == "weak"
    (point,) = made
    np.testing.assert_allclose(point.predicted.deconvolved, made.trained.deconvolved, rtol=0,
                               atol=1e-3 * made.trained.deconvolved.max())  # fmt: skip


def test_patches_are_judged_by_the_light_of_their_own_time_point(series):
    """The likelihood of patches of both time points is that of either forward model."""
    first, second = (series.recording.measure(t)[1] for t in (0, 3))
    run = prepare(first, ZsSettings(**QUICK), torch.device("cpu"), others=[second])
    batch = run.sampler.pairs()
    batch = replace(batch, pictures=[0, 1])
    both = float(run.term(batch.start, batch, 4))
    alone = []
    for m in (first, second):
        term = RawLikelihood([m.forward], m.zoom)
        alone.append([
            float(term(batch.start[i : i + 1], _one(batch, i), 4)) for i in range(2)
        ])  # fmt: skip
    assert both == pytest.approx((alone[0][0] + alone[1][1]) / 2, rel=1e-4)
    assert abs(both - (alone[0][0] + alone[0][1]) / 2) > 1e-3


def _one(batch, i):
    """One patch of a batch."""
    parts = ("raw_target", "weights", "inflation")
    one = {name: getattr(batch, name)[i : i + 1] for name in parts}
    return replace(batch, **one, origins=batch.origins[i : i + 1], pictures=[0])


def test_program_writes_movies_and_names_the_dark_time_point(movie, tmp_path, capsys):
    write_raw(tmp_path / "movie.ome.tif", movie, provenance={})
    out = tmp_path / "out"
    code = execute(app, ["sim", str(tmp_path / "movie.ome.tif"), "-o", str(out), "--time", "all",
                         "--trained-on", "2",
                         *(f"--set=zsdeconv.{k}={v if isinstance(v, str) else json.dumps(v)}"
                           for k, v in QUICK.items())])  # fmt: skip
    said = capsys.readouterr()
    assert code == 4, said.err
    assert re.search("time points are not ok: .*2 failed ", said.out)
    for name in ("sim", "variance", "denoised", "deconvolved"):
        with tifffile.TiffFile(out / f"{name}.ome.tif") as file:
            assert file.series[0].axes == "TYX"
            pages = file.asarray()
        assert pages.shape == (4, 192, 208)
        assert [np.isnan(p).all() for p in pages] == [False, False, True, False]
        assert np.isfinite(pages[[0, 1, 3]]).all()
    report = json.loads((out / "qc.json").read_text())
    assert report["verdict"] == "weak"
    assert report["trained_on"] == [0, 3]
    assert [t["pattern"] is None for t in report["times"]] == [False, False, True, False]
    assert (out / "model/model.safetensors").is_file()
    assert (out / "overview.png").stat().st_size > 10_000


def test_what_a_series_cannot_be_made_of(movie):
    blank = replace(movie, data=movie.data[[BLANK, BLANK]])
    with pytest.raises(QualityError, match="pattern"):
        train_series(blank, ZsSettings(**QUICK))
    dark = replace(blank, data=np.full_like(blank.data, 100))
    with pytest.raises(InputError):
        train_series(dark, ZsSettings(**QUICK))
    with pytest.raises(UsageError, match="re-corrupted"):
        train_series(movie, ZsSettings(**{**QUICK, "pairs": "realigned"}))
    with pytest.raises(UsageError, match="frames themselves"):
        train_series(movie, ZsSettings(**{**QUICK, "alpha_inference": 0.5}))
    with pytest.raises(UsageError, match="nothing to train on"):
        train_series(movie, ZsSettings(**QUICK), trained_on=0)
