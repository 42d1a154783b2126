"""One geometry for all channels, scaled by the excitation wavelength."""

from dataclasses import replace

import numpy as np
import pytest
from fit_errors import errors

from simrecon.config import build_settings
from simrecon.errors import InputError, QualityError, UsageError
from simrecon.estimate.sharing import share_geometry
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.simulate import simulate
from simrecon.pipeline import estimate_pattern, reconstruct

COLOURS = ((488.0, 525.0, 1000.0), (561.0, 600.0, 15.0))
"""Excitation nm, emission nm, peak e: a bright channel and a dim one."""


@pytest.fixture(scope="module")
def two_channels():
    made = [
        simulate(
            shape=(128, 128),
            optics=Optics(
                na=1.45, emission_nm=emission, excitation_nm=excitation, excitation_na=1.15
            ),
            peak_e=peak,
            seed=3 + n,
            fine=2,
        )
        for n, (excitation, emission, peak) in enumerate(COLOURS)
    ]
    first = made[0][0]
    stack = replace(
        first,
        data=np.concatenate([np.asarray(s.data) for s, _ in made], axis=1),
        optics=tuple(s.optics[0] for s, _ in made),
    )
    return stack, [truth for _, truth in made]


def chosen(**keys):
    return build_settings(("test", {"device": "cpu", "drift": "off", **keys}))


def test_the_bright_channel_helps_the_dim_one(two_channels):
    stack, truths = two_channels
    alone = estimate_pattern(stack, settings=chosen(), channel=1)
    shared = estimate_pattern(stack, settings=chosen(share_channels=True), channel=1)
    error = [np.hypot(*errors(fit, truths[1])["f"].T) for fit in (alone, shared)]
    assert error[1].max() < 0.02
    assert error[1].mean() < 0.5 * error[0].mean()
    sd = [np.array([d.frequency_sd_per_um for d in fit.directions]) for fit in (alone, shared)]
    assert (sd[1] > 0).all()
    assert sd[1].max() < 0.5 * sd[0].max()


def test_reconstruction_says_that_channels_share(two_channels):
    stack, _ = two_channels
    found = reconstruct(stack, chosen(share_channels=True, variance=False))
    assert any("one geometry for 2 channels" in note for note in found.qc["notes"])
    periods = [[d.period_um for d in fit.directions] for row in found.patterns for fit in row]
    assert np.array(periods[1]) / periods[0] == pytest.approx(561.0 / 488.0, rel=1e-9)


def with_an_empty_channel(stack):
    """The second channel holds the noise of even light only."""
    data = np.array(stack.data)
    data[:, 1] = np.random.default_rng(2).poisson(100.0, data[:, 1].shape) + 100
    return replace(stack, data=data)


def test_an_empty_channel_stays_failed(two_channels):
    stack = with_an_empty_channel(two_channels[0])
    fit = estimate_pattern(stack, settings=chosen(share_channels=True), channel=1)
    assert fit.verdict == "failed"
    assert any("shared with the other channels" in note for note in fit.notes)
    assert not any("given pattern" in note for note in fit.notes)
    with pytest.raises(QualityError, match="could not be fitted") as error:
        reconstruct(stack, chosen(share_channels=True))
    assert "the given pattern" not in str(error.value)


def test_a_preset_helps_a_shared_channel_that_failed(two_channels):
    stack, truths = two_channels
    angles = [d.angle_rad for d in truths[0].pattern.directions]
    keys = {"share_channels": True, "on_fit_failure": "preset", "angles_rad": angles}
    found = reconstruct(with_an_empty_channel(stack), chosen(variance=False, **keys))
    assert any("preset used" in reason for reason in found.qc["reasons"])


@pytest.mark.parametrize("sharing", [True, False])
def test_widefield_of_one_channel_leaves_the_other(two_channels, sharing):
    stack = with_an_empty_channel(two_channels[0])
    first = replace(stack, data=np.asarray(stack.data)[:, ::-1].copy(), optics=stack.optics[::-1])
    keys = {"share_channels": sharing, "on_fit_failure": "widefield", "variance": False}
    found = reconstruct(first, chosen(**keys))
    assert [row is None for row in found.reconstructors[0]] == [True, False]
    assert found.kind == "widefield"
    assert [one["kind"] for one in found.qc["acquisitions"]] == ["widefield", "sim"]
    assert any("time 0, channel 0" in n and "WIDEFIELD" in n for n in found.qc["notes"])


def test_sharing_needs_every_wavelength_and_no_pattern(two_channels):
    stack, truths = two_channels
    blind = replace(stack, optics=(stack.optics[0], Optics(na=1.45, emission_nm=600.0)))
    with pytest.raises(InputError, match="excitation wavelengths"):
        reconstruct(blind, chosen(share_channels=True))
    with pytest.raises(UsageError, match="cannot share"):
        reconstruct(stack, chosen(share_channels=True), pattern=truths[0].pattern)


def fit_of(vectors, sd, verdicts=("ok", "ok")):
    directions = tuple(
        DirectionPattern(
            frequency_per_um=v,
            phase_rad=(0.0, 2.0, 4.0),
            modulation=(0.5,),
            intensity=(1.0, 1.0, 1.0),
            frequency_sd_per_um=(sd, sd),
            verdict=verdict,
        )
        for v, verdict in zip(vectors, verdicts, strict=True)
    )
    return PatternFit(0.065, (128, 128), directions)


def test_weighted_mean_sign_and_failed_directions():
    one = fit_of([(0.0, 5.0), (3.0, 1.0)], 0.01, ("ok", "failed"))
    other = fit_of([(-0.01, -4.02), (2.4, 0.8)], 0.02)
    first, second = share_geometry([one, other], [400.0, 500.0])
    weights = np.array([1 / 4.0**2, 1 / 10.0**2])
    mean = (weights @ np.array([[0.0, 2000.0], [5.0, 2010.0]])) / weights.sum()
    assert first.directions[0].frequency_per_um == pytest.approx(mean / 400.0)
    assert second.directions[0].frequency_per_um == pytest.approx(mean / 500.0)
    assert first.directions[1].frequency_per_um == pytest.approx((3.0, 1.0))
    assert not first.complete
    lost = fit_of([(0.0, 5.0), (3.0, 1.0)], 0.01, ("failed", "ok"))
    assert share_geometry([lost, lost], [400.0, 500.0]) == [None, None]


def test_channels_that_do_not_scale_are_refused():
    fits = [fit_of([(0.0, 5.0), (3.0, 1.0)], 0.001)] * 2
    with pytest.raises(QualityError, match="do not scale"):
        share_geometry(fits, [488.0, 561.0])
