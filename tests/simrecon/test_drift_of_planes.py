"""Motion belongs to one acquisition: other planes and times keep what the instrument says."""

from dataclasses import replace

import numpy as np
import pytest

from simrecon import steps
from simrecon.config import build_settings
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from simrecon.qc.metrics import nrmse

PIXEL = 0.065
DRIFT = PIXEL * np.array([[1.0, -0.5], [-0.7, 0.9], [-0.3, -0.4]])


def chosen(**keys):
    return build_settings(("test", {"device": "cpu", "variance": False, **keys}))


@pytest.fixture(scope="module")
def made():
    """A still and a moving acquisition of one sample, and the truth."""
    options = {"shape": (128, 128), "peak_e": 300.0, "background": 5.0, "seed": 1}
    still, truth = simulate(kind="filaments", **options)
    return still, simulate(kind="filaments", drift_um=DRIFT, **options)[0], truth


def decibels(picture, truth):
    return -20 * np.log10(nrmse(picture, truth.object_e, margin_px=8))


def joined(*stacks, axis):
    data = np.concatenate([np.asarray(s.data) for s in stacks], axis=axis)
    return replace(stacks[0], data=data, dz_um=0.2 if axis == 4 else None)


@pytest.fixture(scope="module")
def alone(made):
    still, moving, truth = made
    return [decibels(reconstruct(s, chosen()).image[0, 0, 0], truth) for s in (still, moving)]


@pytest.fixture
def built(monkeypatch):
    """Every operator that is built."""
    made, build = [], steps.build_operator
    monkeypatch.setattr(steps, "build_operator", lambda *a: made.append(build(*a)) or made[-1])
    return made


@pytest.mark.parametrize("middle_moves", [True, False])
def test_a_still_plane_beside_a_moving_one(made, alone, built, middle_moves):
    still, moving, truth = made
    planes, expected = [still, moving, still], [alone[0], alone[1], alone[0]]
    if not middle_moves:
        planes, expected = [moving, still], alone[::-1]
    found = reconstruct(joined(*planes, axis=4), chosen())
    quality = [decibels(picture, truth) for picture in found.image[0, 0]]
    assert np.abs(np.subtract(quality, expected)).max() < 0.1
    assert len(built) == 2
    assert found.verdicts["raw_consistency"] == "ok"
    others = found.qc["acquisitions"][0]["other_planes"]
    assert ["drift_um" in one for one in others] == ([False] * 2 if middle_moves else [True])


def test_still_planes_share_one_operator(made, alone, built):
    still, _, truth = made
    found = reconstruct(joined(still, still, axis=4), chosen())
    assert len(built) == 1
    assert [decibels(p, truth) for p in found.image[0, 0]] == pytest.approx([alone[0]] * 2)


def test_times_that_share_the_pattern_move_by_themselves(made, alone):
    still, moving, truth = made
    found = reconstruct(joined(still, moving, axis=0), chosen(share_pattern=True))
    quality = [decibels(picture, truth) for picture in found.image[:, 0, 0]]
    assert [row[0].drifting for row in found.patterns] == [False, True]
    assert np.subtract(quality, alone).min() > -0.1
    moved = [n for n in found.qc["notes"] if "the sample moved" in n]
    assert len(moved) == 1
    assert moved[0].startswith("time 1, channel 0")


def test_drift_off_reaches_every_plane(made):
    still, moving, _ = made
    found = reconstruct(joined(moving, still, axis=4), chosen(drift="off"))
    assert not any("the sample moved" in n for n in found.qc["notes"])
