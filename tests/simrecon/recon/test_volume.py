"""The operator on volumes: point emitters summed by hand, and the identities of the plane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sim_examples import ideal_otf
from volume_examples import (
    constant_volume,
    make_volume_pattern,
    volume_frames,
    volume_otf,
)

from simrecon.backend import to_numpy
from simrecon.errors import InputError, UsageError
from simrecon.model.grid import Grid, VolumeGrid
from simrecon.model.local_field import LocalField
from simrecon.model.psf import DirectionalVolumeOTF
from simrecon.physics.otf_volume import mirrored_in_z
from simrecon.physics.simulate_volume import simulate_volume
from simrecon.recon.attenuation import DISTANT_LIGHT, DISTANT_LIGHT_OF_SHEET, Attenuation
from simrecon.recon.operator import Reconstructor, Regularization
from simrecon.recon.solver import IterativeSolver

SIZES = [(12, 30, 32), (7, 29, 31), (5, 24, 37)]
STAGE = (0.0, 1.2)


def build(grid: VolumeGrid, directions: int = 3, orders: int = 2, **options) -> Reconstructor:
    options = {
        "frame_variance_e2": 100.0,
        "regularization": Regularization(wiener_constant=0.1),
        **options,
    }
    pattern = make_volume_pattern(grid, directions, 2 * orders + 1, orders)
    return Reconstructor(pattern, volume_otf(), grid, **options)


def emitters(grid: VolumeGrid, seed: int = 1):
    """Points in the middle of the array, at arbitrary places in space."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(3):
        z, y, x = (
            n * d * rng.uniform(0.42, 0.58)
            for n, d in zip(grid.shape, (grid.dz_um, grid.pixel_um, grid.pixel_um), strict=True)
        )
        out.append((z, y + grid.shear[0] * z, x + grid.shear[1] * z, rng.uniform(50, 500)))
    return out


def blurred(op: Reconstructor, points) -> np.ndarray:
    """T ⊛ S on the SR grid, S being emitters in space."""
    grid = op.grid
    kz, ky, kx = op.padded_sr_grid.frequencies_per_um()
    sy, sx = grid.shear
    # emitters lie between planes: the frequency itself, not the one the planes show it at
    kz = op.padded_sr_grid.axial_in_space(kz, ky, kx) + sy * ky + sx * kx
    spectrum = np.zeros(op.padded_sr_grid.shape, complex)
    for z, y, x, weight in points:
        y, x = y - sy * z, x - sx * z  # in the array
        y, x = y - op.sr_grid.offset_um, x - op.sr_grid.offset_um
        spectrum += weight * np.exp(-2j * np.pi * (kz * z + ky * y + kx * x))
    image = op.zoom**2 * np.fft.ifftn(spectrum * op.effective_otf()).real
    return image[tuple(slice(n) for n in op.sr_grid.shape)]


@pytest.mark.parametrize(
    ("shape", "directions", "orders", "shear", "attenuation"),
    [
        ((36, 54, 54), 3, 2, (0.0, 0.0), None),
        ((36, 54, 54), 3, 2, (0.0, 0.0), DISTANT_LIGHT),
        ((37, 51, 53), 1, 1, (0.0, 0.0), None),
        ((36, 48, 128), 1, 2, STAGE, None),
    ],
)
def test_noise_free_equals_effective_psf_convolved_with_object(
    shape, directions, orders, shear, attenuation
):
    grid = VolumeGrid(shape, 0.1, 0.25, shear=shear)
    op = build(grid, directions, orders, attenuation=attenuation)
    points = emitters(grid)
    image = op.reconstruct(volume_frames(grid, op.pattern, points).astype(np.float32))
    expected = blurred(op, points)
    assert np.linalg.norm(image - expected) < 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("mode", "planes", "weights"), [("3d", 12, DISTANT_LIGHT), ("lls", 16, DISTANT_LIGHT_OF_SHEET)]
)
def test_light_from_beyond_the_stack_stays_outside(mode, planes, weights):
    """A real missing cone, structures in the stack and 1.2 µm beyond: no dark halo over it all."""
    _, truth = simulate_volume(
        mode=mode, shape=(planes, 64, 64), peak_e=1000.0, extent_um=6.0, seed=0
    )
    negative, likeness = [], []
    for attenuation in (None, weights):
        op = Reconstructor.from_frames(
            truth.expected_e, truth.pattern, truth.otf, truth.grid,
            frame_variance_e2=float(truth.expected_e.mean()), attenuation=attenuation,
        )  # fmt: skip
        image = op.reconstruct(truth.expected_e).astype(float)
        negative.append(-image[image < 0].sum() / np.abs(image).sum())
        seen = op._sr_padding.extend(truth.object_e.astype(float))
        seen = np.fft.ifftn(np.fft.fftn(seen) * op.effective_otf()).real
        inner = np.s_[3:-3, 24:-24, 24:-24]
        pair = image[inner], op._sr_padding.crop(seen)[inner]
        likeness.append(np.corrcoef(*(v.ravel() for v in pair))[0, 1])
    assert negative[1] < 0.7 * negative[0], negative
    assert 1 - likeness[1] < 0.5 * (1 - likeness[0]), likeness


def test_noise_free_with_lateral_drift():
    grid = VolumeGrid((36, 54, 54), 0.1, 0.25)
    pattern = make_volume_pattern(grid, 1)
    drift = ((0.0, 0.0), (0.05, -0.11), (0.05, -0.11), (-0.1, 0.07), (0.0, 0.04))
    pattern = replace(pattern, directions=(replace(pattern.directions[0], drift_um=drift),))
    regularization = Regularization(wiener_constant=0.1)
    op = Reconstructor(
        pattern, volume_otf(), grid, frame_variance_e2=100.0, regularization=regularization
    )
    points = emitters(grid)
    expected = blurred(op, points)
    image = op.reconstruct(volume_frames(grid, pattern, points).astype(np.float32))
    # frames that moved apart leave a ripple beside the border
    assert np.linalg.norm(image - expected) < 2e-3 * np.linalg.norm(expected)
    still = Reconstructor(
        pattern.at_rest(), volume_otf(), grid, frame_variance_e2=100.0,
        regularization=regularization,
    )  # fmt: skip
    image = still.reconstruct(volume_frames(grid, pattern, points).astype(np.float32))
    assert np.linalg.norm(image - expected) > 0.1 * np.linalg.norm(expected)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("shear", [(0.0, 0.0), STAGE])
def test_constant_object_stays_constant(shape, shear):
    grid = VolumeGrid(shape, 0.1, 0.2, shear=shear)
    op = build(grid, attenuation=None if any(shear) else DISTANT_LIGHT)
    image = op.reconstruct(constant_volume(grid, op.pattern, 42.0))
    assert image.shape == (shape[0], 2 * shape[1], 2 * shape[2])
    assert np.max(np.abs(image - 42.0)) < 42.0 * 2e-5


@pytest.mark.parametrize("shape", SIZES)
def test_adjoint(shape, to_library):
    grid = VolumeGrid(shape, 0.1, 0.2, shear=(0.3, 0.7) if shape[0] == 7 else (0.0, 0.0))
    rng = np.random.default_rng(3)
    frames = to_library(rng.normal(size=(3, 5, *shape)).astype(np.float32))
    image = to_library(rng.normal(size=grid.zoomed(2).shape).astype(np.float32))
    op = build(grid, reference=frames)
    if shape[0] == 5:  # a pattern that varies over the field, and a sample that moves
        local = LocalField.sampled(lambda y, x: (1 - 0.1 * y) * np.exp(0.3j * x), (2.4, 3.7))
        drift = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.0), (0.0, -0.2), (0.0, 0.0))
        directions = tuple(replace(d, local=local, drift_um=drift) for d in op.pattern.directions)
        op = Reconstructor(
            replace(op.pattern, directions=directions), op.otf, grid, frame_variance_e2=100.0,
            regularization=op.regularization, reference=frames,
        )  # fmt: skip
    for there, back in (
        (op.reconstruct(frames), op.adjoint(image)),
        (op.forward_adjoint(frames), op.forward(image)),
    ):
        one, two = to_numpy(there).astype(float), to_numpy(back).astype(float)
        left = np.vdot(one, to_numpy(image).astype(float))
        right = np.vdot(to_numpy(frames).astype(float), two)
        assert abs(left - right) < 1e-5 * np.linalg.norm(one) * np.linalg.norm(to_numpy(image))
        assert np.linalg.norm(two) > 0


def test_an_otf_for_each_direction():
    """Frames of a direction follow its own OTF, and L inverts them with it."""
    grid = VolumeGrid((12, 30, 32), 0.1, 0.25)
    narrow = volume_otf()
    wide = replace(narrow, values=narrow.values * np.array([1.0, 0.5, 0.8])[:, None, None])
    otf = DirectionalVolumeOTF((narrow, wide, narrow))
    pattern = make_volume_pattern(grid)
    options = {"frame_variance_e2": 100.0, "regularization": Regularization(wiener_constant=0.1)}
    op, one, other = (Reconstructor(pattern, h, grid, **options) for h in (otf, narrow, wide))
    image = np.random.default_rng(5).gamma(1.0, 9.0, op.sr_grid.shape).astype(np.float32)
    frames = op.forward(image)
    for d, single in enumerate((one, other, one)):
        assert np.allclose(frames[d], single.forward(image)[d], rtol=1e-5, atol=1e-3)
    assert not np.allclose(frames[1], one.forward(image)[1], rtol=1e-2)
    back = op.adjoint(image)
    assert np.vdot(op.reconstruct(frames), image) == pytest.approx(np.vdot(frames, back), rel=1e-4)
    assert op.otf.orders == 3
    turned = mirrored_in_z(otf)
    assert isinstance(turned, DirectionalVolumeOTF)
    assert np.array_equal(turned.directions[1].values, wide.values[:, :, ::-1])
    with pytest.raises(InputError, match="one OTF for all directions"):
        Reconstructor(pattern, DirectionalVolumeOTF((narrow, wide)), grid, **options)
    with pytest.raises(UsageError, match="same orders"):
        DirectionalVolumeOTF((narrow, volume_otf(2)))


def test_otf_must_fit_the_frames():
    volume, plane = VolumeGrid((6, 24, 24), 0.1, 0.2), Grid((24, 24), 0.1)
    with pytest.raises(InputError, match="different numbers of axes"):
        Reconstructor(
            make_volume_pattern(volume), ideal_otf(), volume, frame_variance_e2=1.0,
            regularization=None,
        )  # fmt: skip
    with pytest.raises(InputError, match="different numbers of axes"):
        Reconstructor(
            make_volume_pattern(volume), volume_otf(), plane, frame_variance_e2=1.0,
            regularization=None,
        )  # fmt: skip
    with pytest.raises(InputError, match="does not know all orders"):
        Reconstructor(
            make_volume_pattern(volume), volume_otf(2), volume, frame_variance_e2=1.0,
            regularization=None,
        )  # fmt: skip
    with pytest.raises(UsageError, match="are for planes"):
        IterativeSolver(build(volume), "tv")
    with pytest.raises(UsageError, match="Attenuation is for planes"):
        build(volume, attenuation=Attenuation(0.9, 0.5))


def test_libraries_agree(to_library):
    grid = VolumeGrid((7, 21, 24), 0.1, 0.2)
    rng = np.random.default_rng(4)
    host = rng.poisson(50, size=(3, 5, *grid.shape)).astype(np.float32)
    frames = to_library(host)
    op, ref = build(grid, reference=frames), build(grid)
    image = ref.reconstruct(host)
    for ours, theirs in [
        (op.reconstruct(frames), image),
        (op.variance(frames), ref.variance(host)),
        (op.forward(to_library(image)), ref.forward(image)),
        (op.adjoint(to_library(image)), ref.adjoint(image)),
    ]:
        assert np.linalg.norm(to_numpy(ours) - theirs) < 1e-5 * np.linalg.norm(theirs)


@pytest.mark.parametrize("shear", [(0.0, 0.0), STAGE])
def test_variance_matches_monte_carlo(shear):
    grid = VolumeGrid((6, 20, 20), 0.1, 0.25, shear=shear)
    op = build(grid, 1 if shear[1] else 2, margin_um=0.4)
    rng = np.random.default_rng(6)
    variance = np.full(op.frames_shape, 40.0)
    variance[..., 2:4, 6:14, 8:16] = 400.0
    variance *= rng.uniform(0.6, 1.5, (*op.frames_shape[:2], 1, 1, 1))
    variance = (variance + rng.gamma(2.0, 10.0, grid.lateral.shape)).astype(np.float32)
    predicted = op.variance(variance)
    assert np.array_equal(predicted, op.variance(variance))  # the second time from kept filters
    draws = 400
    total, square = np.zeros(op.sr_grid.shape), np.zeros(op.sr_grid.shape)
    sigma = np.sqrt(variance)
    for _ in range(draws):
        image = op.reconstruct(rng.normal(size=op.frames_shape).astype(np.float32) * sigma)
        total += image
        square += image.astype(float) ** 2
    ratio = predicted / ((square - total**2 / draws) / (draws - 1))
    ratio = ratio[:, 8:-8, 8:-8]  # all planes, but not the lateral border
    assert abs(np.median(ratio) - 1) < 0.02
    low, high = np.percentile(ratio, [5, 95])
    assert 0.84 < low < 1 < high < 1.18


def test_equal_steps_need_one_source_for_every_wave():
    """Nine terms, 2·2 + 1 waves; unequal steps need more."""
    grid = VolumeGrid((6, 20, 20), 0.1, 0.25)
    pattern = make_volume_pattern(grid, 1)
    equal = tuple(2 * np.pi * np.arange(5) / 5)
    counts = []
    for phases in (equal, (0.0, 0.9, 2.8, 3.4, 5.3)):
        direction = replace(pattern.directions[0], phase_rad=phases, intensity=(1.0,) * 5)
        op = Reconstructor(
            replace(pattern, directions=(direction,)), volume_otf(), grid,
            frame_variance_e2=100.0, regularization=Regularization(wiener_constant=0.1),
        )  # fmt: skip
        op.variance(np.ones(op.frames_shape, np.float32))
        counts.append(len(op._moments._made[0]))
    assert counts[0] == 5
    assert counts[1] > 5


@pytest.mark.parametrize("planes", [1, 2, 5])
def test_variance_of_planes_equals_explicit_kernel_sum(planes):
    """The response to every raw voxel, squared; few planes, which all meet their mirror images."""
    grid = VolumeGrid((planes, 8, 9), 0.1, 0.25)
    op = build(grid, 1, margin_um=0.0)
    variance = np.random.default_rng(7).uniform(1, 9, (1, 5, planes, 1, 1)).astype(np.float32)
    explicit = np.zeros(op.sr_grid.shape)
    impulse = np.zeros(op.frames_shape, np.float32)
    for index in np.ndindex(op.frames_shape):
        impulse[index] = 1
        explicit += variance[index[:3]].item() * op.reconstruct(impulse).astype(float) ** 2
        impulse[index] = 0
    predicted = op.variance(np.broadcast_to(variance, op.frames_shape))
    ratio = predicted.mean(axis=(1, 2)) / explicit.mean(axis=(1, 2))
    assert np.allclose(ratio, 1.0, atol=1e-2)
