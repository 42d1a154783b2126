"""The quadratic form against its definition, written out at a few lateral frequencies."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.estimate.volume.field import VolumeField
from simrecon.estimate.volume.form import Form
from simrecon.estimate.volume.kernels import Kernels
from simrecon.estimate.volume.rows import Rows
from simrecon.estimate.volume.state import VolumeState
from simrecon.estimate.volume.weights import PRIOR_FACTOR
from tests.simrecon.estimate.volume.scene import make_scene

SAMPLES = 12


def test_form_and_its_expectations_are_those_of_the_definition() -> None:
    scene = make_scene(shape=(5, 40, 40), angles_rad=(0.4,), seed=2)
    state = VolumeState(
        scene.frequency_per_um[0], scene.phase_rad[0], scene.intensity[0], np.array([0.5, 0.8])
    )
    field = VolumeField.on(scene.grid, scene.otf).some(SAMPLES)
    rows = Rows.of(scene.frames[0], np.maximum(scene.frames[0], 1.0), field, state)
    kernels = Kernels.of(scene.otf, field, state)
    form = Form.frozen(rows, kernels, field, state)
    part = np.flatnonzero(kernels.used.any(axis=0))
    noise, bands = form.weights.band_noise, rows.bands(state)
    made = [kernels.matrices(i, part).astype(np.complex128) for i in range(len(noise))]
    value, left = 0.0, np.zeros(len(noise))
    for n, k in enumerate(part):
        a = np.concatenate([m[n] for m in made])
        seen = np.repeat(kernels.used[:, k], kernels.planes)
        weight = np.diag(seen / np.repeat(noise, kernels.planes))
        prior = form.weights.power[k]
        inner = np.linalg.inv(np.conj(a.T) @ weight @ a + np.eye(a.shape[1]) / prior)
        m = weight - weight @ a @ inner @ np.conj(a.T) @ weight
        y = np.concatenate(list(bands[:, :, k]))
        value += float(np.real(np.conj(y) @ m @ y))
        # of the object M leaves tr((M A)_b P_object A_b^H) in band b
        part_left = np.real(np.sum((m @ a) * np.conj(a), axis=1)) * prior / PRIOR_FACTOR
        left += part_left.reshape(len(noise), -1).sum(axis=1)
    c = rows.coefficients(state)
    assert np.real(np.conj(c) @ form.matrix @ c) == pytest.approx(value, rel=2e-3)
    told = [float(np.real(np.conj(c[r]) @ form.left[r])) for r in map(rows.members, range(5))]
    assert told == pytest.approx(left, rel=1e-2, abs=1e-6 * left.max())
    assert min(told) >= 0.0
