"""Attenuation of out-of-focus light: exact in the effective OTF, variance and adjoint."""

from __future__ import annotations

import numpy as np
import pytest
from sim_examples import constant_frames, ideal_otf, make_pattern, point_frames

from simrecon.backend import to_numpy
from simrecon.config import build_settings
from simrecon.errors import UsageError
from simrecon.estimate.out_of_focus import out_of_focus
from simrecon.model.grid import Grid
from simrecon.physics.simulate import simulate
from simrecon.pipeline import reconstruct
from simrecon.recon.attenuation import Attenuation
from simrecon.recon.operator import Reconstructor, Regularization


def build(grid: Grid, strength: float, **options) -> Reconstructor:
    attenuation = Attenuation(strength, 0.5) if strength else None
    options = {
        "frame_variance_e2": 100.0,
        "regularization": Regularization(wiener_constant=1e-3),
        "attenuation": attenuation,
        **options,
    }
    return Reconstructor(make_pattern(grid), ideal_otf(), grid, **options)


def test_light_in_focus_keeps_its_transfer():
    """L on noise-free frames is T ⊛ S with the operator's T, hardly changed."""
    grid = Grid((128, 120), 0.065)
    op, plain = build(grid, 0.9), build(grid, 0.0)
    rng = np.random.default_rng(1)
    points = [(*(4.0 + rng.uniform(-1, 1, 2)), rng.uniform(50, 500)) for _ in range(6)]
    image = op.reconstruct(point_frames(grid, op.pattern, points).astype(np.float32))
    ky, kx = op.padded_sr_grid.frequencies_per_um()
    spectrum = sum(
        w
        * np.exp(-2j * np.pi * (ky * (y - op.sr_grid.offset_um) + kx * (x - op.sr_grid.offset_um)))
        for y, x, w in points
    )
    expected = op.zoom**2 * np.fft.ifft2(spectrum * op.effective_otf()).real
    expected = expected[: op.sr_grid.shape[0], : op.sr_grid.shape[1]]
    assert np.linalg.norm(image - expected) < 2e-3 * np.linalg.norm(expected)
    assert op.effective_otf()[0, 0] == pytest.approx(1.0)
    assert np.abs(op.effective_otf() - plain.effective_otf()).max() < 0.05


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.9])
def test_uniform_light_stays_if_it_is_modulated_and_goes_if_not(strength):
    grid = Grid((61, 67), 0.065)
    op = build(grid, strength)
    modulated = constant_frames(grid, op.pattern, 42.0)
    unmodulated = constant_frames(grid, op.pattern, 42.0, lit=False)
    assert np.abs(op.reconstruct(modulated) - 42.0).max() < 42.0 * 1e-4
    left = op.reconstruct(unmodulated)
    if strength:
        assert op.unmodulated_response == pytest.approx(1 - strength)
    np.testing.assert_allclose(left, 42.0 * op.unmodulated_response, atol=42.0 * 1e-3)


def test_adjoint_and_variance(to_library):
    grid = Grid((12, 10), 0.065)
    rng = np.random.default_rng(3)
    host = rng.uniform(1, 9, (3, 3, *grid.shape)).astype(np.float32)
    frames, image = to_library(host), rng.normal(size=(24, 20)).astype(np.float32)
    op = build(grid, 0.9, reference=frames, margin_um=0.0)
    forward = to_numpy(op.reconstruct(frames)).astype(float)
    back = to_numpy(op.adjoint(to_library(image))).astype(float)
    scale = np.linalg.norm(forward) * np.linalg.norm(image)
    assert abs(np.vdot(forward, image) - np.vdot(host, back)) < 1e-5 * scale
    ref = build(grid, 0.9, margin_um=0.0)
    explicit = np.zeros(ref.sr_grid.shape)
    impulse = np.zeros(ref.frames_shape, np.float32)
    for index in np.ndindex(ref.frames_shape):
        impulse[index] = 1
        explicit += host[index] * ref.reconstruct(impulse).astype(float) ** 2
        impulse[index] = 0
    np.testing.assert_allclose(to_numpy(op.variance(frames)), explicit, rtol=5e-4)


def test_impossible_attenuations():
    with pytest.raises(UsageError, match="strength and a width"):
        Attenuation(1.0, 0.5)
    with pytest.raises(UsageError, match="strength and a width"):
        Attenuation(0.5, 0.0)


@pytest.fixture(scope="module")
def thick():
    return simulate(shape=(160, 150), kind="mixed", peak_e=1000.0, background=3.0, haze=2.0, seed=2)


def test_out_of_focus_light_is_detected(thick):
    stack, truth = thick
    thin, thin_truth = simulate(
        shape=(160, 150), kind="mixed", peak_e=1000.0, background=200.0, seed=2
    )
    found = []
    for one, known in ((stack, truth), (thin, thin_truth)):
        frames = one.frames_e()
        variance = np.maximum(frames, 1.0)
        found.append(out_of_focus(frames, variance, known.pattern, known.otf))
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].detected
    assert 0.4 < found[0].share < 0.95
    assert not found[1].detected
    assert abs(found[1].share) < 0.12  # a uniform background does not count


def test_attenuation_is_refused_where_it_would_do_nothing(thick):
    stack, truth = thick
    keys = {"reconstruction.attenuation": 0.5, "reconstruction.method": "tv"}
    with pytest.raises(UsageError, match="linear operator only"):
        reconstruct(stack, build_settings(("test", keys)), otf=truth.otf, pattern=truth.pattern)


def test_thick_sample_in_the_pipeline(thick):
    """Automatic attenuation: said, removed, kept within the flux gate, nearer to the object."""
    stack, truth = thick
    window = np.hanning(320)[:, None] * np.hanning(300)[None, :]
    error = {}
    for choice in ("off", "auto"):
        settings = build_settings(("test", {"reconstruction.attenuation": choice}))
        result = reconstruct(stack, settings, otf=truth.otf, pattern=truth.pattern)
        picture = result.image[0, 0, 0]
        error[choice] = np.linalg.norm((picture - truth.object_e) * window)
        assert any("out-of-focus light" in note for note in result.qc["notes"])
        assert result.verdicts["flux"] == "ok"
        numbers = result.qc["acquisitions"][0]
        assert numbers["unmodulated_share"]["value"] > 0.25
        assert (numbers["flux_ratio"] < 0.6) == (choice == "auto")
    assert error["auto"] < 0.4 * error["off"]
    assert result.qc["acquisitions"][0]["unmodulated_response"] == pytest.approx(0.1, abs=0.01)
