"""The canonical 3D-SIM file of the field, without a word about its order."""

from __future__ import annotations

import numpy as np
import pytest
from real_data import real

from simrecon import pipeline
from simrecon.config import build_settings
from simrecon.loading import load_otfs, load_stack

pytestmark = pytest.mark.data


@pytest.mark.parametrize("mirrored", [False, True])
def test_cudasirecon_stack(mirrored: bool) -> None:
    """The authors' angles are those of the stored rows, which run upwards in the DV file."""
    path = real("cudasirecon-3dsim/raw.tif" if mirrored else "cudasirecon-3dsim/raw.dv")
    angles = (-0.8043, -1.8555, 0.2388)
    given = {"mode": "3d", "angles_rad": angles, "period_um": 0.407}
    if mirrored:
        given |= {"pixel_um": 0.08, "dz_um": 0.125, "na": 1.42, "emission_nm": 528.0}
    settings = build_settings(("test", given))
    stack = load_stack([str(path)], settings)
    assert stack.order == "PZA"
    otf = load_otfs([real("cudasirecon-3dsim/otf.dv")], stack, settings)
    fit = pipeline.estimate_pattern(stack, otf, settings)
    assert fit.verdict == "ok", fit.notes
    for found, angle in zip(fit.directions, angles, strict=True):
        # our row 0 is the top of the picture: angles have the other sign
        assert np.abs((found.angle_rad + angle + np.pi / 2) % np.pi - np.pi / 2) < 0.02
        assert 0.5 * found.period_um == pytest.approx(0.2035, rel=0.01)
        assert min(found.correlation) > 0.94
    assert "the rows of the file run the other way" in " ".join(fit.notes)
