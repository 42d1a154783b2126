"""The fit of volumes: truth found, errors honest, wrong orders and empty frames refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon.errors import InputError
from simrecon.estimate.volume import estimate_volume_pattern
from simrecon.model.pattern import PatternFit, line_distance_rad
from simrecon.model.psf import DirectionalVolumeOTF
from simrecon.physics.simulate_volume import simulate_volume
from tests.simrecon.estimate.volume.scene import Scene, displaced, make_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(beyond=4)


@pytest.fixture(scope="module")
def bright(scene: Scene) -> PatternFit:
    return estimate_volume_pattern(noisy(scene, 1000.0, 1), scene.grid, scene.otf)


def one(scene: Scene) -> Scene:
    """The first direction alone."""
    return replace(
        scene,
        frames=scene.frames[:1],
        frequency_per_um=scene.frequency_per_um[:1],
        phase_rad=scene.phase_rad[:1],
        intensity=scene.intensity[:1],
    )


def noisy(scene: Scene, peak_e: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    share = peak_e / float(np.percentile(scene.frames.mean(axis=(0, 1)), 99.9))
    return rng.poisson(scene.frames * share).astype(np.float32)


def errors(fit: PatternFit, scene: Scene) -> dict[str, np.ndarray]:
    """Errors over claimed standard deviations, and frequency errors in DFT samples."""
    found: dict[str, list[float]] = {"frequency": [], "phase": [], "pixels": [], "modulation": []}
    centre = 0.5 * (np.array(scene.grid.shape[1:]) - 1) * scene.grid.pixel_um
    extent = np.array(scene.grid.shape[1:]) * scene.grid.pixel_um
    for d, one in enumerate(fit.directions):
        f, true = np.array(one.frequency_per_um), scene.frequency_per_um[d]
        sign = 1.0 if float(f @ true) > 0 else -1.0
        off = sign * f - true
        if any(one.frequency_sd_per_um):
            found["frequency"] += list(off / np.array(one.frequency_sd_per_um))
        found["pixels"].append(float(np.hypot(*(off * extent))))
        there = sign * (np.array(one.phase_rad) + 2 * np.pi * f @ centre)
        turned = there - scene.phase_rad[d] - 2 * np.pi * true @ centre
        found["phase"] += list(np.angle(np.exp(1j * turned)) / np.array(one.phase_sd_rad))
        found["modulation"] += list(np.subtract(one.modulation, scene.modulation))
    return {name: np.array(values) for name, values in found.items()}


def test_finds_the_fundamental_and_all_orders_of_every_direction(
    scene: Scene, bright: PatternFit
) -> None:
    found = errors(bright, scene)
    assert bright.verdict in ("ok", "weak"), bright.notes
    assert found["pixels"].max() < 0.05
    assert np.abs(found["modulation"]).max() < 0.06
    assert all(len(d.modulation) == 2 and len(d.correlation) == 2 for d in bright.directions)
    assert min(min(d.correlation) for d in bright.directions) > 0.9
    assert "finest spacing (order 2)" in bright.notes[0]


def test_every_direction_is_fitted_with_its_own_otf(scene: Scene, bright: PatternFit) -> None:
    """Half the order-1 transfer for one direction: twice the contrast there, nothing elsewhere."""
    half = replace(scene.otf, values=scene.otf.values * np.array([1.0, 0.5, 1.0])[:, None, None])
    directions = len(scene.frames)
    otf = DirectionalVolumeOTF((half, *[scene.otf] * (directions - 1)))
    fit = estimate_volume_pattern(noisy(scene, 1000.0, 1), scene.grid, otf)
    for d, (one, plain) in enumerate(zip(fit.directions, bright.directions, strict=True)):
        times = one.modulation[0] / plain.modulation[0]
        assert times == pytest.approx(2.0 if d == 0 else 1.0, rel=0.05)
    few = DirectionalVolumeOTF((half,) * (directions + 1))
    with pytest.raises(InputError, match="one for each"):
        estimate_volume_pattern(scene.frames, scene.grid, few)


def test_light_from_beyond_the_stack_leaves_the_modulation_right() -> None:
    deep = make_scene(angles_rad=(0.5,), beyond=8, jitter_rad=0.0, seed=5)
    fit = estimate_volume_pattern(noisy(deep, 1000.0, 0), deep.grid, deep.otf)
    assert fit.directions[0].modulation == pytest.approx(deep.modulation, abs=0.05)


def test_errors_are_what_the_fit_claims_at_low_light(scene: Scene) -> None:
    alone = one(scene)
    ratios = []
    for seed in range(3):
        fit = estimate_volume_pattern(noisy(alone, 150.0, seed), alone.grid, alone.otf)
        found = errors(fit, alone)
        ratios += [*found["frequency"], *found["phase"]]
    spread = float(np.sqrt(np.mean(np.square(ratios))))
    assert 0.4 < spread < 2.2


def test_contrasts_are_right_at_low_light(scene: Scene) -> None:
    """Noise where order 0 ends must not set the prior: it made contrasts too small."""
    alone = one(scene)
    off = []
    for seed in range(3):
        fit = estimate_volume_pattern(
            noisy(alone, 60.0, seed), alone.grid, alone.otf,
            fixed_frequencies_per_um=alone.frequency_per_um.tolist(),
        )  # fmt: skip
        off.append(errors(fit, alone)["modulation"])
    assert np.abs(np.mean(off, axis=0)).max() < 0.05, np.mean(off, axis=0)


def test_uneven_steps_need_no_hint() -> None:
    uneven = make_scene(angles_rad=(0.7,), step_rad=0.9 * 2 * np.pi / 5, seed=3)
    fit = estimate_volume_pattern(noisy(uneven, 1000.0, 0), uneven.grid, uneven.otf)
    assert fit.verdict != "failed", fit.notes
    found = errors(fit, uneven)
    assert found["pixels"].max() < 0.05
    steps = np.diff(np.unwrap(fit.directions[0].phase_rad))
    assert np.abs(steps) == pytest.approx(np.abs(np.diff(uneven.phase_rad[0])), abs=0.1)


def test_phases_and_planes_mixed_up_do_not_pass(scene: Scene) -> None:
    frames = noisy(one(scene), 1000.0, 1)
    planes, phases = scene.grid.shape[0], frames.shape[1]
    sequence = frames.reshape(1, planes * phases, *frames.shape[3:])
    mixed = sequence.reshape(1, planes, phases, *frames.shape[3:]).transpose(0, 2, 1, 3, 4)
    fit = estimate_volume_pattern(np.ascontiguousarray(mixed), scene.grid, scene.otf)
    assert fit.verdict == "failed"


def test_one_direction_twice_is_a_wrong_order(scene: Scene) -> None:
    same = np.repeat(noisy(scene, 1000.0, 1)[:1], 2, axis=0)
    fit = estimate_volume_pattern(same, scene.grid, scene.otf)
    assert fit.verdict == "failed"
    assert "same angle" in fit.notes[1]


def test_a_wrong_expectation_is_named_and_overruled(scene: Scene) -> None:
    alone = one(scene)
    angle = float(np.arctan2(*alone.frequency_per_um[0]))
    fit = estimate_volume_pattern(
        noisy(alone, 1000.0, 1),
        alone.grid,
        alone.otf,
        expected_frequency_per_um=2 * float(np.hypot(*alone.frequency_per_um[0])),
        expected_angles_rad=[-angle],
    )
    assert fit.verdict != "failed"
    assert line_distance_rad(fit.directions[0].angle_rad, angle) < 0.01
    text = " ".join(fit.notes)
    assert "it is twice that" in text
    assert "the rows of the file run the other way" in text


def test_known_frequencies_stay(scene: Scene) -> None:
    alone = one(scene)
    known = [tuple(float(v) for v in alone.frequency_per_um[0])]
    fit = estimate_volume_pattern(
        noisy(alone, 300.0, 2), alone.grid, alone.otf, fixed_frequencies_per_um=known
    )
    assert [d.frequency_per_um for d in fit.directions] == known
    assert fit.directions[0].frequency_sd_per_um == (0.0, 0.0)
    assert np.sqrt(np.mean(errors(fit, alone)["phase"] ** 2)) < 2.5


def test_the_pattern_may_lie_along_the_scan_of_a_stage() -> None:
    angle = np.pi / 4
    stack, truth = simulate_volume(
        mode="lls", shape=(12, 64, 64), dz_um=0.2, scan="stage", stage_angle_rad=0.8,
        first_angle_rad=angle, kind="filaments", extent_um=3.0, seed=3,
    )  # fmt: skip
    true = truth.pattern.directions[0]
    fit = estimate_volume_pattern(
        stack.camera.electrons(np.asarray(stack.data)[0, 0]),
        truth.grid,
        truth.otf,
        expected_frequency_per_um=float(np.hypot(*true.frequency_per_um)),
        expected_angles_rad=[angle],
    )
    found = fit.directions[0]
    assert min(found.correlation) > 0.9
    assert found.modulation == pytest.approx(true.modulation, rel=0.15)
    turned = np.exp(1j * np.subtract(found.phase_rad, true.phase_rad))
    assert np.degrees(np.std(np.angle(turned / turned.mean()))) < 2.0


def test_frames_without_a_pattern_fail(scene: Scene) -> None:
    frames = one(scene).frames
    flat = np.broadcast_to(frames.mean(axis=1, keepdims=True), frames.shape)
    drawn = np.random.default_rng(0).poisson(flat).astype(np.float32)
    fit = estimate_volume_pattern(drawn, scene.grid, scene.otf)
    assert fit.verdict == "failed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[:, :4], "not enough phase steps"),
        (lambda f: f[:, :, :-1], "not volumes on their grid"),
        (lambda f: np.where(f > 5, np.nan, f), "NaN"),
        (lambda f: np.full_like(f, 3.0), "constant"),
    ],
)
def test_impossible_frames_are_refused(scene: Scene, change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        estimate_volume_pattern(change(scene.frames), scene.grid, scene.otf)


def test_a_planar_otf_set_is_refused(scene: Scene) -> None:
    single = replace(scene.otf, values=scene.otf.values[:1], axial_cutoff_per_um=(1.0,))
    with pytest.raises(InputError, match="no order above 0"):
        estimate_volume_pattern(scene.frames, scene.grid, single)


def test_an_order_whose_light_is_elsewhere_makes_a_direction_weak(scene: Scene) -> None:
    alone = one(scene)
    fit = estimate_volume_pattern(
        noisy(alone, 1000.0, 1), alone.grid, displaced(0.18),
        fixed_frequencies_per_um=alone.frequency_per_um.tolist(),
    )  # fmt: skip
    assert fit.verdict == "weak"
    assert fit.directions[0].correlation[0] < 0.5
    assert "order 1 does not agree with the other orders" in " ".join(fit.notes)
