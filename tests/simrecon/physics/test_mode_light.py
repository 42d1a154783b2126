"""Contrasts of the orders against the light itself, and simulated recordings of every mode."""

from __future__ import annotations

import numpy as np
import pytest

from simrecon.errors import UsageError
from simrecon.model.mode import MODES
from simrecon.model.optics import Optics
from simrecon.physics.mode_light import (
    axial_factor,
    hexagonal_directions,
    nonlinear_orders,
    three_beam_orders,
)
from simrecon.physics.simulate import simulate

THETA = 2 * np.pi * np.arange(4096) / 4096


def harmonics(light: np.ndarray, count: int) -> np.ndarray:
    """m_1…m_count of light sampled at THETA, over its mean."""
    spectrum = np.fft.rfft(light).real / light.size
    return 2 * spectrum[1 : count + 1] / spectrum[0]


@pytest.mark.parametrize("central", [0.0, 0.35, 1.0])
def test_three_beams_interfere(central):
    light = np.abs(central + 2 * np.cos(THETA)) ** 2
    assert np.allclose(three_beam_orders(1.0, central), harmonics(light, 2), atol=1e-12)
    assert np.allclose(three_beam_orders(0.5, central, -0.4)[0], -0.2 * harmonics(light, 1)[0])


def test_out_of_focus_the_first_order_fades_as_the_beams_turn():
    optics = Optics(na=1.4, emission_nm=525, excitation_nm=488)
    # phase of the outer beams against the central one, from their wave vectors
    wave = 1.515 / 0.488
    outer = np.sqrt(wave**2 - (1 / 0.4) ** 2)
    for z in (0.1, 0.37):
        field = np.exp(2j * np.pi * wave * z) + 2 * np.cos(THETA) * np.exp(2j * np.pi * outer * z)
        first, second = harmonics(np.abs(field) ** 2, 2)
        expected = three_beam_orders(1.0, 1.0, axial_factor(optics, 0.4, z))
        assert np.allclose([first, second], expected, atol=1e-12)
    assert axial_factor(Optics(na=1.4, emission_nm=525), 0.4, 0.0) == 1.0
    with pytest.raises(UsageError, match="excitation"):
        axial_factor(Optics(na=1.4, emission_nm=525), 0.4, 0.1)


@pytest.mark.parametrize(("dose", "contrast"), [(0.3, 0.9), (1.5, 0.8), (4.0, 1.0)])
def test_harmonics_are_those_of_the_exponential(dose, contrast):
    light = 1 + contrast * np.cos(THETA)
    dark_lines = 1 - contrast * np.cos(THETA)
    for response, emission in (
        ("switching", np.exp(-dose * dark_lines)),
        ("saturation", 1 - np.exp(-dose * light)),
    ):
        orders = nonlinear_orders(contrast, dose, response)
        assert np.allclose(orders, harmonics(emission, len(orders)), atol=1e-12)
        assert abs(harmonics(emission, len(orders) + 1)[-1]) < 2e-3


def test_coherent_carriers_close_and_their_light_is_never_negative():
    made = hexagonal_directions(
        np.random.default_rng(0), phases=7, period_um=0.24, modulation=(1.0,), phase_jitter_rad=0.3
    )
    assert np.allclose(np.sum([d.frequency_per_um for d in made], axis=0), 0, atol=1e-12)
    total = np.sum([d.phase_rad for d in made], axis=0)
    assert np.allclose(np.exp(1j * total), 1.0)
    y, x = np.mgrid[0:2:200j, 0:2:200j]
    light = np.ones_like(y)
    for d in made:
        fy, fx = d.frequency_per_um
        light += d.modulation[0] * np.cos(2 * np.pi * (fy * y + fx * x) + d.phase_rad[3])
    assert light.min() > -1e-12
    assert light.min() < 0.01  # three beams have dark points
    incoherent = hexagonal_directions(
        np.random.default_rng(0), phases=7, period_um=0.24, modulation=(0.9,), light="incoherent"
    )
    assert [d.modulation for d in incoherent] == [(pytest.approx(0.3),)] * 3


@pytest.mark.parametrize(
    ("mode", "shape", "orders", "period"),
    [("slice3", (3, 5), 2, 0.42), ("nonlinear", (5, 5), 2, 0.21), ("hex", (1, 7), 1, 0.2425)],
)
def test_recordings_of_a_mode(mode, shape, orders, period):
    stack, truth = simulate(shape=(48, 52), fine=2, mode=mode)
    assert stack.data.shape == (1, 1, *shape, 1, 48, 52)
    assert truth.pattern.simultaneous == (mode == "hex")
    assert [len(d.modulation) for d in truth.pattern.directions] == [orders] * max(3, shape[0])
    assert truth.pattern.directions[0].period_um == pytest.approx(period, rel=1e-3)
    # all phases together light evenly (up to the harmonic that five phases let through)
    even = truth.expected_e.mean(axis=(0, 1))
    assert np.abs(even / truth.widefield_e - 1).max() < 0.03
    _, moved = simulate(shape=(48, 52), fine=2, mode=mode, drift_um=np.full((*shape, 2), 0.065))
    assert moved.pattern.drifting
    same = np.roll(truth.widefield_e, (1, 1), (0, 1))[8:-8, 8:-8]
    assert np.abs(moved.expected_e.mean(axis=(0, 1))[8:-8, 8:-8] / same - 1).max() < 0.03
    told = any("cannot separate" in note for note in stack.notes)
    assert told == (mode == "nonlinear")


def test_excitation_na_gives_the_period_of_each_mode():
    optics = Optics(na=1.49, emission_nm=525.0, excitation_nm=488.0, excitation_na=1.2)
    finest = 0.488 / 2.4
    for mode, ratio in (("slice3", 2.0), ("nonlinear", 1.0), ("hex", 2 / np.sqrt(3))):
        _, truth = simulate(shape=(40, 40), fine=2, mode=mode, optics=optics)
        assert truth.pattern.directions[0].period_um == pytest.approx(ratio * finest)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mode": "hex", "phases": 5}, "mode hex"),
        ({"mode": "hex", "directions": 3}, "mode hex"),
        ({"mode": "slice3", "phases": 3}, "mode slice3"),
        ({"mode": "nonlinear", "phases": 4}, "mode nonlinear"),
        ({"mode": "i5s"}, "opposing objectives"),
        ({"mode": "4-beam"}, "mirror"),
        ({"mode": "2-photon"}, "Unknown mode"),
    ],
)
def test_impossible_recordings_are_refused(given, told):
    with pytest.raises(UsageError, match=told):
        simulate(shape=(40, 40), **given)
    assert set(MODES) == {"2d", "tirf", "slice3", "nonlinear", "hex", "3d", "lls"}
