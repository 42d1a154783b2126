"""3D-SIM through the pipeline: from frames to a judged volume, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.config import build_settings
from simrecon.errors import InputError, MetadataError, QualityError, UsageError
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate_volume import VolumeTruth, simulate_volume
from simrecon.physics.theory_volume import theoretical_volume_otf
from simrecon.preparation import prepare_channel
from simrecon.result import Result
from simrecon.volume_frames import mean_volume, volume_acquisition
from simrecon.volume_light import volume_light

OPTICS = Optics(na=1.2, emission_nm=520.0, excitation_nm=488.0, excitation_na=1.05)


def settings(**more: object):
    return build_settings(("test", {"mode": "3d", **more}))


@pytest.fixture(scope="module")
def simulated() -> tuple[SimStack, VolumeTruth]:
    return simulate_volume(
        mode="3d",
        shape=(8, 72, 72),
        optics=OPTICS,
        pixel_um=0.09,
        dz_um=0.15,
        kind="filaments",
        peak_e=1000.0,
        extent_um=3.0,
        seed=4,
    )


@pytest.fixture(scope="module")
def result(simulated: tuple[SimStack, VolumeTruth]) -> Result:
    stack, truth = simulated
    return pipeline.reconstruct(stack, settings(), otf=truth.otf)


def test_a_stack_becomes_a_volume_with_variance_and_psf(
    simulated: tuple[SimStack, VolumeTruth], result: Result
) -> None:
    stack, _ = simulated
    planes, side = stack.data.shape[4], 2 * stack.data.shape[5]
    assert result.image.shape == (1, 1, planes, side, side)
    assert result.variance is not None
    assert result.variance.shape == result.image.shape
    assert result.variance.min() > 0
    assert result.effective_psf.ndim == 4
    assert result.effective_psf.sum() == pytest.approx(1.0, abs=1e-4)
    assert result.verdicts["pattern"] in ("ok", "weak"), result.qc["reasons"]


def test_the_pattern_is_the_true_one(
    simulated: tuple[SimStack, VolumeTruth], result: Result
) -> None:
    _, truth = simulated
    extent = 72 * 0.09
    for found, true in zip(result.pattern.directions, truth.pattern.directions, strict=True):
        f, t = np.array(found.frequency_per_um), np.array(true.frequency_per_um)
        assert min(np.hypot(*(f - t)), np.hypot(*(f + t))) * extent < 0.06
        assert found.modulation == pytest.approx(true.modulation, rel=0.15)


def test_the_picture_is_closer_to_the_object_than_the_widefield(
    simulated: tuple[SimStack, VolumeTruth], result: Result
) -> None:
    _, truth = simulated
    inner = (slice(2, -2), slice(16, -16), slice(16, -16))
    wide = np.kron(result.widefield[0, 0], np.ones((1, 2, 2)))
    sharp = [np.corrcoef(v[inner].ravel(), truth.object_e[inner].ravel())[0, 1]
             for v in (result.image[0, 0], wide)]  # fmt: skip
    assert sharp[0] > sharp[1] + 0.05


def test_one_plane_is_no_volume(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, truth = simulated
    single = replace(stack, data=stack.data[:, :, :, :, :1])
    with pytest.raises(InputError, match="not a volume"):
        pipeline.reconstruct(single, settings(), otf=truth.otf)


def test_planes_need_their_distance(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, truth = simulated
    with pytest.raises(MetadataError, match="distance between the planes"):
        pipeline.reconstruct(replace(stack, dz_um=None), settings(), otf=truth.otf)


def test_otfs_belong_to_their_mode(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, truth = simulated
    with pytest.raises(UsageError, match="OTFs of all orders"):
        pipeline.reconstruct(stack, settings(), otf=theoretical_otf(OPTICS))
    with pytest.raises(UsageError, match="belongs to a volume"):
        pipeline.reconstruct(stack, build_settings(("test", {"mode": "2d"})), otf=truth.otf)


def test_a_model_without_depth_is_replaced_aloud(
    simulated: tuple[SimStack, VolumeTruth],
) -> None:
    stack, _ = simulated
    assert volume_light(stack, 0, settings(), None).notes == ()
    notes = volume_light(stack, 0, settings(otf_model="ideal"), None).notes
    assert "scalar" in notes[0]


def test_theory_needs_the_excitation(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, _ = simulated
    bare = replace(stack, optics=(Optics(na=1.2, emission_nm=520.0),))
    with pytest.raises(MetadataError, match="excitation") as refused:
        pipeline.reconstruct(bare, settings())
    assert refused.value.where == "--excitation-nm"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"method": "tv"}, "--method"),
        ({"attenuation": "auto"}, "--attenuation"),
        ({"local": "on"}, "--local"),
        ({"share_channels": True}, "share_channels"),
        ({"on_fit_failure": "preset"}, "--on-fit-failure"),
    ],
)
def test_what_volumes_do_not_have_is_refused(
    simulated: tuple[SimStack, VolumeTruth], wrong: dict[str, object], text: str
) -> None:
    stack, truth = simulated
    with pytest.raises(UsageError, match=f"{text} is not there for volumes"):
        pipeline.reconstruct(stack, settings(**wrong), otf=truth.otf)
    with pytest.raises(UsageError, match=f"{text} is not there for volumes"):
        pipeline.estimate_pattern(stack, truth.otf, settings(**wrong))


def test_patterns_are_one_or_one_per_channel(
    simulated: tuple[SimStack, VolumeTruth], result: Result
) -> None:
    stack, truth = simulated
    with pytest.raises(UsageError, match="one per channel"):
        pipeline.reconstruct(stack, settings(), otf=truth.otf, pattern=[result.pattern] * 2)


def test_a_complete_pattern_has_all_orders_of_the_light(
    simulated: tuple[SimStack, VolumeTruth],
) -> None:
    stack, truth = simulated
    poor = tuple(replace(d, modulation=d.modulation[:1]) for d in truth.pattern.directions)
    with pytest.raises(InputError, match="number of orders") as error:
        pipeline.reconstruct(
            stack, settings(), otf=truth.otf, pattern=replace(truth.pattern, directions=poor)
        )
    assert "2 (the OTF has orders 0 to 2)" in str(error.value)
    assert "simrecon estimate" in str(error.value)


def test_all_orders_of_a_given_pattern_must_be_visible(
    simulated: tuple[SimStack, VolumeTruth],
) -> None:
    stack, truth = simulated
    # the finest frequency told as the fundamental: order 2 lies at twice that
    fine = tuple(
        DirectionPattern((2 * d.frequency_per_um[0], 2 * d.frequency_per_um[1]), (), (), ())
        for d in truth.pattern.directions
    )
    with pytest.raises(InputError, match="order 2 of direction 1 of the pattern lies outside"):
        pipeline.estimate_pattern(
            stack, truth.otf, settings(), pattern=replace(truth.pattern, directions=fine)
        )


def test_given_frequencies_keep_their_errors_and_steps_are_said_to_be_unused(
    simulated: tuple[SimStack, VolumeTruth], result: Result
) -> None:
    stack, truth = simulated
    told = [
        DirectionPattern(d.frequency_per_um, (), (), (), frequency_sd_per_um=(1e-3, 2e-3),
                         phase_step_rad=(0.0, 1.2, 2.5, 3.8, 5.0))
        for d in result.pattern.directions[:1]
    ]  # fmt: skip
    given = PatternFit(stack.pixel_um, stack.grid.shape, tuple(told))
    single = replace(stack, data=stack.data[:, :, :1])
    fit = pipeline.estimate_pattern(single, truth.otf, settings(), pattern=given)
    for found, known in zip(fit.directions, told, strict=True):
        assert found.frequency_per_um == pytest.approx(known.frequency_per_um)
        assert found.frequency_sd_per_um == (1e-3, 2e-3)
    assert any("phase steps are not used" in note for note in fit.notes)


def test_a_shared_pattern_is_that_of_the_mean_of_all_times(
    simulated: tuple[SimStack, VolumeTruth],
) -> None:
    stack, _ = simulated
    data = np.asarray(stack.data)
    several = replace(stack, data=np.concatenate([data, data[::-1, :, :, :, ::-1]]))
    channel = prepare_channel(several, 0, settings(), None)
    first, second = (volume_acquisition(several, channel, t) for t in (0, 1))
    mean = mean_volume(several, channel)
    np.testing.assert_allclose(mean.frames_e, (first.frames_e + second.frames_e) / 2, rtol=1e-5)
    variance = (first.variance_e2 + second.variance_e2) / 4
    np.testing.assert_allclose(mean.variance_e2, variance, rtol=1e-5)
    np.testing.assert_allclose(mean.frame_variance_e2, variance.mean(axis=(2, 3, 4)), rtol=1e-4)


def test_a_wrong_order_stops_with_the_reason(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, truth = simulated
    data = np.asarray(stack.data)[0, 0]
    directions, phases, planes, ny, nx = data.shape
    sequence = data.transpose(0, 2, 1, 3, 4).reshape(-1, ny, nx)
    wrong = sequence.reshape(planes, directions, phases, ny, nx).transpose(1, 2, 0, 3, 4)
    read = replace(stack, data=wrong[None, None], order="PAZ")
    with pytest.raises(QualityError, match="pattern could not be fitted") as refused:
        pipeline.reconstruct(read, settings(), otf=truth.otf)
    assert "follow each other as PZA, not PAZ" in str(refused.value)


@pytest.mark.parametrize(("excitation_na", "verdict"), [(1.05, "ok"), (0.95, "ok"), (0.7, "weak")])
def test_an_otf_of_other_beams_is_doubted(
    simulated: tuple[SimStack, VolumeTruth],
    monkeypatch: pytest.MonkeyPatch,
    excitation_na: float,
    verdict: str,
) -> None:
    stack, truth = simulated
    found = replace(truth.pattern, verdict="ok")
    monkeypatch.setattr("simrecon.volumes.estimate_volume_pattern", lambda *_, **__: found)
    other = replace(OPTICS, excitation_na=excitation_na)
    otf = theoretical_volume_otf(other, illumination="three-beam", pixel_um=0.09)
    fit = pipeline.estimate_pattern(stack, otf, settings())
    assert fit.verdict == verdict
    said = "its order 1 lies at ±0.33 per µm along kz, three beams of the period found (465 nm)"
    assert any(said in note and "±0.87" in note for note in fit.notes) == (verdict == "weak")
