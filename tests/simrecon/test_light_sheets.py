"""Lattice light-sheet SIM through the pipeline, with the objective or the stage moving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon import pipeline
from simrecon.config import build_settings
from simrecon.errors import MetadataError
from simrecon.model.stack import SimStack
from simrecon.physics.simulate_volume import LATTICE, STAGE_ANGLE_RAD, VolumeTruth, simulate_volume


def settings(**more: object):
    return build_settings(("test", {"mode": "lls", **more}))


def simulated(scan: str) -> tuple[SimStack, VolumeTruth]:
    return simulate_volume(
        mode="lls", scan=scan, shape=(14, 56, 64), peak_e=1000.0, extent_um=3.0, seed=3
    )


def test_a_stage_scan_comes_out_deskewed() -> None:
    stack, truth = simulated("stage")
    angle = float(np.degrees(STAGE_ANGLE_RAD))
    chosen = settings(scan="stage", stage_angle_deg=angle)
    result = pipeline.reconstruct(stack, chosen, otf=truth.otf)
    planes, ny, nx = truth.grid.shape
    travel = (planes - 1) * truth.grid.dz_um * truth.grid.shear[0] / truth.grid.pixel_um
    image = result.image[0, 0]
    assert image.shape == (planes, 2 * ny + round(2 * travel), 2 * nx)
    assert result.variance is not None
    assert result.variance.shape == result.image.shape
    # the same place in space: planes lean in the array, columns of light stand upright here
    first, last = (np.flatnonzero(np.abs(image[z]).sum(axis=1) > 0) for z in (0, -1))
    assert first[0] == 0
    assert last[-1] == image.shape[1] - 1
    found, true = result.pattern.directions[0], truth.pattern.directions[0]
    assert abs(found.frequency_per_um[1]) == pytest.approx(true.frequency_per_um[1], rel=0.01)
    assert found.modulation == pytest.approx(true.modulation, rel=0.15)
    assert result.effective_psf.sum() == pytest.approx(1.0, abs=1e-4)


def test_the_lattice_makes_the_otf_and_the_expected_period() -> None:
    stack, truth = simulated("objective")
    optics = replace(stack.optics[0], excitation_nm=LATTICE.excitation_nm)
    stack = replace(stack, optics=(optics,))
    chosen = settings(
        lattice="square", lattice_na_max=LATTICE.na_max, lattice_na_min=LATTICE.na_min
    )
    fit = pipeline.estimate_pattern(stack, None, chosen)
    found, true = fit.directions[0], truth.pattern.directions[0]
    assert fit.verdict != "failed", fit.notes
    assert found.period_um == pytest.approx(true.period_um, rel=0.01)


def test_what_is_missing_is_asked_for() -> None:
    stack, truth = simulated("objective")
    with pytest.raises(MetadataError, match="annulus"):
        pipeline.reconstruct(stack, settings())
    with pytest.raises(MetadataError, match="angle of the stage"):
        pipeline.reconstruct(stack, settings(scan="stage"), otf=truth.otf)
