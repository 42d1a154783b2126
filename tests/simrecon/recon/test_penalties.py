"""Penalties against explicit sums, their transposes, the proximal step against its optimality."""

import numpy as np
import pytest

from simrecon.backend import to_numpy
from simrecon.recon.penalties import Penalty, Proximal


def image(seed=0, shape=(11, 14)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["tv", "hessian"])
def test_transpose(kind, to_library):
    penalty = Penalty(kind)
    rng = np.random.default_rng(1)
    p = rng.normal(size=(penalty.components, 11, 14)).astype(np.float32)
    x = image()
    there = to_numpy(penalty.apply(to_library(x))).astype(float)
    back = to_numpy(penalty.transpose(to_library(p))).astype(float)
    scale = np.linalg.norm(there) * np.linalg.norm(p)
    assert abs(np.vdot(there, p) - np.vdot(x, back)) < 1e-6 * scale
    assert np.linalg.norm(back) > 1


def test_values_are_explicit_sums():
    x = image().astype(np.float64)
    tv = hessian = 0.0
    for i in range(11):
        for j in range(14):
            dy = x[i + 1, j] - x[i, j] if i < 10 else 0
            dx = x[i, j + 1] - x[i, j] if j < 13 else 0
            yy = x[i + 1, j] - 2 * x[i, j] + x[i - 1, j] if 0 < i < 10 else 0
            xx = x[i, j + 1] - 2 * x[i, j] + x[i, j - 1] if 0 < j < 13 else 0
            xy = 0
            if i < 10 and j < 13:
                xy = x[i + 1, j + 1] - x[i + 1, j] - x[i, j + 1] + x[i, j]
            tv += np.hypot(dy, dx)
            hessian += np.sqrt(yy**2 + xx**2 + 2 * xy**2)
    assert Penalty("tv").value(x) == pytest.approx(tv, rel=1e-6)
    assert Penalty("hessian").value(x) == pytest.approx(hessian, rel=1e-6)


def test_a_ramp_costs_nothing_in_the_hessian_and_its_slope_in_tv():
    y, x = np.mgrid[0:9, 0:12].astype(np.float32)
    ramp = 2 * y + x
    assert Penalty("hessian").value(ramp) == pytest.approx(0, abs=1e-4)
    assert Penalty("tv").value(ramp[:, :1] * np.ones_like(ramp)) == pytest.approx(2 * 8 * 12)


@pytest.mark.parametrize("kind", ["tv", "hessian"])
def test_bound_holds(kind):
    """No image has ‖K x‖² above bound · ‖x‖²; the roughest comes near."""
    penalty = Penalty(kind)
    checkers = (-1.0) ** np.add.outer(np.arange(32), np.arange(32))
    ratio = np.sum(penalty.apply(checkers) ** 2) / np.sum(checkers**2)
    assert 0.7 * penalty.bound < ratio <= penalty.bound


@pytest.mark.parametrize("kind", ["tv", "hessian"])
def test_proximal_point_is_optimal(kind, to_library):
    """Primal minus dual value is zero only at the minimum: a gap, not a comparison of codes."""
    penalty = Penalty(kind)
    rng = np.random.default_rng(2)
    v = (1 + image(3)).astype(np.float32)
    d = rng.uniform(0.5, 50, v.shape).astype(np.float32)
    weight = 2.0
    prox = Proximal(penalty, to_library(d), weight, iterations=300)
    start = to_library(np.zeros((penalty.components, *v.shape), np.float32))
    point, dual = (to_numpy(a).astype(float) for a in prox(to_library(v), start))
    assert (point >= 0).all()
    assert (point == 0).any()
    assert np.sqrt((dual**2).sum(axis=0)).max() <= weight * (1 + 1e-6)
    primal = 0.5 * (d * (point - v) ** 2).sum() + weight * penalty.value(point)
    pulled = penalty.transpose(dual)
    lowest = 0.5 * (d * (point - v) ** 2).sum() + (pulled * point).sum()
    assert primal - lowest < 2e-4 * primal
    for other in (np.zeros_like(v), np.maximum(v, 0)):
        assert primal < 0.99 * (0.5 * (d * (other - v) ** 2).sum() + weight * penalty.value(other))
