"""Which OTFs could tell the direction of z, and what stacks say with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simrecon.estimate.volume import estimate_volume_pattern
from simrecon.estimate.volume.handedness import axial_asymmetry, z_direction_note
from simrecon.model.pattern import PatternFit
from simrecon.model.psf import AnyVolumeOTF, DirectionalVolumeOTF, GridVolumeOTF, RadialVolumeOTF
from simrecon.physics.otf_volume import mirrored_in_z
from simrecon.physics.theory_volume import theoretical_volume_otf
from tests.simrecon.estimate.volume.scene import OPTICS, Scene, make_scene

BELOW_GLASS = replace(OPTICS, sample_index=1.40, depth_um=4.0)


def table(tilt: float) -> RadialVolumeOTF:
    """Two orders, the second one uneven in kz by `tilt`."""
    kr, kz = np.linspace(0, 4.0, 41), np.linspace(-1.5, 1.5, 61)
    even = np.clip(1 - kr / 4, 0, 1)[:, None] * np.clip(1 - np.abs(kz), 0, 1)
    values = np.stack([even, even * (1 + tilt * kz)]).astype(complex)
    return RadialVolumeOTF(kr, kz, values, 4.0, (1.0, 1.0), None, "test")


def test_even_and_uneven_tables() -> None:
    assert axial_asymmetry(table(0.0)) < 1e-12
    assert "cannot be known" in z_direction_note(table(0.0))
    uneven = table(0.5)
    found = axial_asymmetry(uneven)
    assert 0.2 < found < 1.0
    assert f"{100 * found:.0f} %" in z_direction_note(uneven)
    assert axial_asymmetry(mirrored_in_z(uneven)) == pytest.approx(found, rel=0.02)
    assert axial_asymmetry(DirectionalVolumeOTF((table(0.0), uneven))) == found


def test_psfs_above_and_below_the_focus() -> None:
    z, r = np.arange(-8, 9)[:, None, None], np.arange(-10, 11)
    plane = np.exp(-(r[:, None] ** 2 + r[None] ** 2) / 8.0)
    for shift, uneven in ((0, False), (2, True)):
        psf = np.exp(-((z - shift) ** 2) / 8.0) * plane
        otf = GridVolumeOTF((psf / psf.sum())[None], 0.15, 0.08, 4.0, (2.0,), "test")
        assert (axial_asymmetry(otf) > 0.05) == uneven


def fitted(scene: Scene, otf: AnyVolumeOTF) -> PatternFit:
    frames = np.random.default_rng(1).poisson(scene.frames).astype(np.float32)
    return estimate_volume_pattern(
        frames, scene.grid, otf, fixed_frequencies_per_um=scene.frequency_per_um.tolist()
    )


def test_frames_settle_the_direction_where_the_otf_is_uneven() -> None:
    scene = make_scene(shape=(8, 64, 64), angles_rad=(0.5,), beyond=4, optics=BELOW_GLASS, seed=4)
    assert axial_asymmetry(scene.otf) > 0.1
    right, turned = fitted(scene, scene.otf), fitted(scene, mirrored_in_z(scene.otf))
    assert "direction of z: as told" in right.notes[-1]
    assert "mirrored in z fits better" in turned.notes[-1]
    assert turned.verdict != "ok"


def test_an_otf_of_other_aberrations_settles_nothing() -> None:
    scene = make_scene(shape=(8, 64, 64), angles_rad=(0.5,), beyond=4, seed=4)
    fit = fitted(scene, theoretical_volume_otf(BELOW_GLASS, extent_um=4.0))
    assert "taken as told" in fit.notes[-1]
