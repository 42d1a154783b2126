"""3D-SIM through the pipeline: from frames to a judged volume, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.config import build_settings
from simrecon.errors import InputError, MetadataError, QualityError, UsageError
from simrecon.model.optics import Optics
from simrecon.model.stack import SimStack
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate_volume import VolumeTruth, simulate_volume
from simrecon.result import Result

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


def test_theory_needs_the_excitation(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, _ = simulated
    bare = replace(stack, optics=(Optics(na=1.2, emission_nm=520.0),))
    with pytest.raises(UsageError, match="excitation"):
        pipeline.reconstruct(bare, settings())


def test_iterative_methods_are_refused(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, truth = simulated
    with pytest.raises(UsageError, match="linear"):
        pipeline.reconstruct(stack, settings(method="tv"), otf=truth.otf)


def test_a_wrong_order_stops_with_the_reason(simulated: tuple[SimStack, VolumeTruth]) -> None:
    stack, truth = simulated
    data = np.asarray(stack.data)[0, 0]
    directions, phases, planes, ny, nx = data.shape
    sequence = data.transpose(0, 2, 1, 3, 4).reshape(-1, ny, nx)
    wrong = sequence.reshape(planes, directions, phases, ny, nx).transpose(1, 2, 0, 3, 4)
    with pytest.raises(QualityError, match="pattern could not be fitted"):
        pipeline.reconstruct(replace(stack, data=wrong[None, None]), settings(), otf=truth.otf)
