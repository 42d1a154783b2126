"""Which way a stage scan goes: told by the user, and asked of the planes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.config import Settings, build_settings
from simrecon.errors import InputError
from simrecon.estimate.volume.stage_moves import WAYS, contradicting_way, unexpected_travel
from simrecon.model.stack import SimStack
from simrecon.physics.simulate_volume import LATTICE, STAGE_ANGLE_RAD, VolumeTruth, simulate_volume

TURNED = {
    "up": lambda a: a,
    "down": lambda a: a[..., ::-1, :],
    "left": lambda a: np.swapaxes(a, -1, -2),
    "right": lambda a: np.swapaxes(a, -1, -2)[..., ::-1],
}
"""What makes frames of a scan whose structures move up into those of the other ways."""


@cache
def scanned(scan: str = "stage", peak_e: float = 1000.0) -> tuple[SimStack, VolumeTruth]:
    return simulate_volume(
        mode="lls", scan=scan, peak_e=peak_e, extent_um=3.0, shape=(14, 64, 64), seed=3
    )


def settings(**more: object) -> Settings:
    sheet = {"scan": "stage", "stage_angle_deg": float(np.degrees(STAGE_ANGLE_RAD))}
    return build_settings(("test", {"mode": "lls", **sheet, **more}))


def turned(stack: SimStack, way: str) -> SimStack:
    return replace(stack, data=np.ascontiguousarray(TURNED[way](np.asarray(stack.data))))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("peak_e", [100.0, 1000.0])
def test_the_planes_tell_the_way(way: str, peak_e: float) -> None:
    stack, truth = scanned(peak_e=peak_e)
    planes = TURNED[way](np.asarray(stack.data)[0, 0].mean(axis=(0, 1)))
    step = truth.grid.shear[0] * truth.grid.dz_um / truth.grid.pixel_um
    for told in WAYS:
        found = contradicting_way(planes, step, truth.grid.dz_um, told)
        assert found == (None if told == way else way)
    moving = unexpected_travel(planes, truth.grid.dz_um)
    assert moving is not None
    assert moving[0] == way
    assert moving[1] == pytest.approx(step, abs=1.0)


def test_an_objective_scan_does_not_move() -> None:
    stack, truth = scanned("objective")
    planes = np.asarray(stack.data)[0, 0].mean(axis=(0, 1))
    assert unexpected_travel(planes, truth.grid.dz_um) is None


def test_noise_tells_nothing() -> None:
    planes = np.random.default_rng(1).poisson(20.0, (30, 64, 64)).astype(np.float32)
    assert contradicting_way(planes, 2.3, 0.15, "up") is None
    assert unexpected_travel(planes, 0.15) is None


def test_planes_that_cannot_be_compared_tell_nothing() -> None:
    planes = np.random.default_rng(1).poisson(20.0, (30, 64, 64)).astype(np.float32)
    assert contradicting_way(planes[:4], 2.3, 0.15, "up") is None  # too few
    assert contradicting_way(planes, 2.3, 1.2, "up") is None  # beyond the depth of field
    assert contradicting_way(planes, 0.1, 0.15, "up") is None  # hardly moving
    assert unexpected_travel(planes, 1.2) is None


@pytest.mark.parametrize("way", ["down", "left", "right"])
def test_every_way_gives_the_same_volume(way: str) -> None:
    stack, truth = scanned()
    upright = pipeline.reconstruct(stack, settings(), otf=truth.otf)
    other = pipeline.reconstruct(turned(stack, way), settings(stage_moves=way), otf=truth.otf)
    expected = TURNED[way](upright.image)
    assert other.image.shape == expected.shape
    there = np.isfinite(expected) & np.isfinite(other.image)
    assert there.mean() > 0.5  # where planes have been, to the pixel of a turned origin
    same = np.corrcoef(expected[there], other.image[there])[0, 1]
    assert same > 0.97


def test_a_stage_that_moves_the_other_way_is_refused() -> None:
    stack, truth = scanned()
    with pytest.raises(InputError, match="--stage-moves down"):
        pipeline.reconstruct(turned(stack, "down"), settings(), otf=truth.otf)
    with pytest.raises(InputError, match="--stage-moves down"):
        pipeline.estimate_pattern(turned(stack, "down"), truth.otf, settings())


def test_a_stage_scan_taken_for_an_objective_scan_is_said() -> None:
    stack, truth = scanned()
    fit = pipeline.estimate_pattern(stack, truth.otf, build_settings(("test", {"mode": "lls"})))
    assert any("--scan stage --stage-moves up" in note for note in fit.notes)


def test_an_annulus_that_cannot_make_the_period_is_weak() -> None:
    stack, _ = scanned("objective")
    optics = replace(stack.optics[0], excitation_nm=LATTICE.excitation_nm)
    stack = replace(stack, optics=(optics,))
    fits = [
        pipeline.estimate_pattern(
            stack,
            None,
            build_settings(("test", {"mode": "lls", "lattice_na_max": f * LATTICE.na_max,
                                     "lattice_na_min": f * LATTICE.na_min})),
        )
        for f in (1.0, 1.2)
    ]  # fmt: skip
    said = [any("annulus contradicts" in note for note in fit.notes) for fit in fits]
    assert said == [False, True]
    assert fits[1].verdict != "ok"
