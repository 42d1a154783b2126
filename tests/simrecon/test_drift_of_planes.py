"""Motion belongs to one acquisition: other planes and times keep what the instrument says."""

from dataclasses import replace

import numpy as np
import pytest

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


def both_alone(made):
    still, moving, truth = made
    return [decibels(reconstruct(s, chosen()).image[0, 0, 0], truth) for s in (still, moving)]


def test_a_still_plane_beside_a_moving_one(made):
    still, moving, truth = made
    for order in ((still, moving), (moving, still)):  # the pattern is that of the second
        found = reconstruct(joined(*order, axis=4), chosen())
        quality = [decibels(picture, truth) for picture in found.image[0, 0]]
        alone = both_alone(made)[:: 1 if order[0] is still else -1]
        print(quality, alone, found.verdicts, found.qc["notes"], found.qc["reasons"])
        assert np.abs(np.subtract(quality, alone)).max() < 0.1


def test_times_that_share_the_pattern_move_by_themselves(made):
    still, moving, truth = made
    found = reconstruct(joined(still, moving, axis=0), chosen(share_pattern=True))
    quality = [decibels(picture, truth) for picture in found.image[:, 0, 0]]
    print(quality, both_alone(made), found.verdicts, found.qc["notes"], found.qc["reasons"])
    assert [row[0].drifting for row in found.patterns] == [False, True]
    assert np.subtract(quality, both_alone(made)).min() > -0.1
