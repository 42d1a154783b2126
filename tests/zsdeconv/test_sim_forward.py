from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from mode_examples import mode_pattern

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.model.grid import Grid
from simrecon.model.optics import Optics
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.physics.illumination import bent_field
from simrecon.physics.otf import evaluate_otf, theoretical_otf
from simrecon.pipeline import reconstruct
from simrecon.recon.operator import Reconstructor
from zsdeconv.measurement import Padding
from zsdeconv.pairs_sim import illuminations, sim_forward, sim_measurement
from zsdeconv.sim_forward import SimForward


@pytest.mark.parametrize("drift_um", [0.0, 0.05])
def test_agrees_with_the_engine(scene, drift_um):
    """Direct modulation on the SR grid against the engine's demodulated bands, also with drift."""
    stack, truth, result, measurement = scene
    if drift_um:
        moving = drifting(truth.pattern, drift_um)
        result = reconstruct(stack, pattern=moving)
        measurement = sim_measurement(stack, result, Settings())
    shape = measurement.image_shape
    window = np.hanning(shape[0])[:, None] * np.hanning(shape[1])[None, :]
    inside = (truth.object_e * window**2).astype(np.float32)  # the two extend borders differently
    ours = measurement.predict(inside)
    theirs = result.reconstructor.forward(inside).reshape(ours.shape)
    error = np.std(ours - theirs)  # far PSF tails wrap differently: a constant
    assert error < 3e-3 * theirs.std()
    assert not np.allclose(ours[0], ours[1], rtol=0, atol=0.1 * ours.std())
    assert truth.expected_e.std() > 1.0


def drifting(pattern: PatternFit, sd_um: float) -> PatternFit:
    steps = np.random.default_rng(5).normal(0, sd_um, (len(pattern.directions), 3, 2)).tolist()
    directions = [
        replace(d, drift_um=tuple((y, x) for y, x in u))
        for d, u in zip(pattern.directions, steps, strict=True)
    ]
    return replace(pattern, directions=tuple(directions))


@pytest.mark.parametrize("zoom", [1, 2, 3])
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("shape", [(20, 24), (15, 21)])
def test_transpose(scene, zoom, coarse, shape):
    """Also when the camera undersamples the OTF (aliases) and for odd sizes."""
    _, truth, _, _ = scene
    pixel_um = 0.13 if coarse else 0.065
    forward = SimForward(
        illuminations(drifting(truth.pattern, 0.05) if zoom == 2 else truth.pattern),
        lambda ky, kx: evaluate_otf(truth.otf, ky, kx),
        truth.otf.cutoff_per_um, pixel_um, zoom,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    f = torch.from_numpy(rng.standard_normal([n * zoom for n in shape]).astype(np.float32))
    g = torch.from_numpy(rng.standard_normal((9, *shape)).astype(np.float32))
    origin = (-3 * zoom, 5 * zoom)
    left = float((forward(f[None, None], [origin])[0] * g).sum())
    right = float((f * forward.transpose(g, origin)).sum())
    assert abs(left - right) < 2e-5 * float(f.norm() * g.norm())


def test_patches_carry_their_origin(scene):
    """A patch of a large object gives the frames of the whole, away from its border."""
    _, _, result, measurement = scene
    forward = sim_forward(result.reconstructor)
    image = torch.from_numpy(result.image[0, 0, 0])
    whole = forward(image[None, None], [(0, 0)])[0]
    forward.prepare((0, 0), tuple(image.shape))
    part = forward(image[None, None, 16:112, 20:120], [(16, 20)])[0]
    expected = whole[:, 8:56, 10:60]
    inner = np.s_[:, 16:-16, 16:-16]
    error = (part - expected)[inner].abs().max()
    assert float(error) < 0.03 * float(expected.std())
    moved = forward(image[None, None, 16:112, 20:120], [(16, 22)])[0]
    assert float((moved - expected)[inner].abs().max()) > 3 * float(error)
    assert measurement.zoom == 2


def test_padding_round_trip():
    padding = Padding.around((33, 47), 2, 16, least=128)
    assert all(n % 16 == 0 and n >= 128 for n in padding.image_shape)
    picture = np.random.default_rng(0).random((66, 94))
    padded = padding.image(picture)
    assert padded.shape == padding.image_shape
    np.testing.assert_array_equal(padding.crop_image(padded), picture)
    m = -padding.origin[0]
    np.testing.assert_array_equal(padded[m - 3, m : m + 94], picture[2])  # edge mirror
    frames = np.ones((9, 33, 47))
    assert padding.frames(frames).sum() == frames.sum()


def test_pattern_that_varies_over_the_field_agrees_with_the_engine():
    grid = Grid((64, 60), 0.065)
    local = bent_field((63 * 0.065, 59 * 0.065), 2.0, 0.5)
    steps = (0.3, 2.5, 4.4)
    plain = DirectionPattern((2.0, 4.2), steps, (0.8,), (1.0, 1.1, 0.9))
    otf = theoretical_otf(Optics(na=1.4, emission_nm=525.0), pixel_um=0.065)
    y, x = grid.zoomed(2).positions_um()
    blob = 30 * np.exp(-((y - 2.8) ** 2 + (x - 1.9) ** 2) / (2 * 0.1**2)).astype(np.float32)
    frames = {}
    for name, direction in {"plain": plain, "bent": replace(plain, local=local)}.items():
        pattern = PatternFit(0.065, grid.shape, (direction,))
        operator = Reconstructor(pattern, otf, grid, frame_variance_e2=1.0, regularization=None)
        forward = sim_forward(operator)
        ours = forward(torch.from_numpy(blob)[None, None], [(0, 0)])[0].numpy()
        theirs = operator.forward(blob)[0]
        assert np.std(ours - theirs) < 1e-2 * theirs.std()  # their borders differ
        part = forward(torch.from_numpy(blob)[None, None, 32:, 12:], [(32, 12)])[0].numpy()
        assert np.abs(part - ours[:, 16:, 6:])[:, 14:-8, 10:-8].max() < 0.02 * ours.std()
        frames[name] = ours
    assert np.std(frames["plain"] - frames["bent"]) > 0.05 * frames["plain"].std()


def test_directions_that_share_their_frames_are_refused():
    with pytest.raises(UsageError, match="simultaneous"):
        illuminations(mode_pattern("hex", Grid((32, 32), 0.065)))
    assert len(illuminations(mode_pattern("slice3", Grid((32, 32), 0.065)))) == 15
