"""Probes find methods that remember, and pass those that look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from zsdeconv.pairs_image import image_measurement
from zsdeconv.probes import PLACES, erased_places, probe


@pytest.fixture(scope="module")
def spots():
    """Sixteen spots on an even background, and their noisy picture as a measurement."""
    rng = np.random.default_rng(1)
    objects = np.zeros((96, 96), np.float32)
    objects[12::24, 12::24] = 4000.0 * (1.0 + 0.2 * rng.random((4, 4)))
    objects = gaussian_filter(objects, 1.2) + 20.0
    y, x = np.mgrid[-7:8, -7:8]
    psf = np.exp(-(y**2 + x**2) / (2 * 1.3**2))
    image = gaussian_filter(objects, 1.3) + 4.0 * rng.standard_normal(objects.shape)
    measurement = image_measurement(image.astype(np.float32), 16.0, psf, 0.1)
    return objects.astype(np.float32), measurement


def test_places_are_on_structures_and_apart(spots) -> None:
    objects, measurement = spots
    masks = erased_places(measurement, objects)
    assert 4 <= len(masks) <= PLACES
    assert masks.sum(axis=0).max() <= 1.0
    peaks = [np.unravel_index(np.argmax(m), m.shape) for m in masks]
    assert all(min(abs(p % 24 - 12) for p in peak) <= 1 for peak in peaks)
    assert all(objects[peak] > 100.0 for peak in peaks)


def _look(frames: np.ndarray) -> np.ndarray:
    return gaussian_filter(frames[0], 1.0)


def test_memory_returns_everything(spots) -> None:
    objects, measurement = spots
    found = probe(measurement, objects, lambda frames: objects, _look, np.random.default_rng(2))
    assert found.places >= 4
    assert found.remembered == pytest.approx(1.0, abs=0.05)
    assert found.blank_share > 0.9


def test_half_a_memory_returns_half(spots) -> None:
    objects, measurement = spots

    def half(frames: np.ndarray) -> np.ndarray:
        return 0.5 * (objects + _look(frames))

    found = probe(measurement, objects, half, _look, np.random.default_rng(2))
    assert found.remembered == pytest.approx(0.5, abs=0.05)
    assert found.remembered_sd < 0.05


def test_a_method_that_looks_remembers_nothing(spots) -> None:
    objects, measurement = spots
    found = probe(measurement, objects, lambda frames: frames[0], _look, np.random.default_rng(2))
    assert abs(found.remembered) < 0.05
    assert found.remembered_sd < 0.05
    assert found.blank_share < 0.2


def test_an_even_field_has_nothing_to_erase(spots) -> None:
    _, measurement = spots
    even = np.full((96, 96), 20.0, np.float32)
    found = probe(measurement, even, lambda frames: frames[0], _look, np.random.default_rng(2))
    assert (found.places, found.remembered) == (0, 0.0)


def test_structure_that_is_not_shown_is_no_place(spots) -> None:
    objects, measurement = spots
    dark = replace(measurement, shown_psf=measurement.effective_psf)
    found = probe(dark, objects - 1e5, lambda frames: frames[0], _look, np.random.default_rng(2))
    assert (found.places, found.remembered) == (0, 0.0)
