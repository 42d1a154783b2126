"""Peaks of stacks, found without an OTF: those called strong are the pattern's."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from simrecon.estimate.direction_peaks import DirectionPeak, direction_peaks
from simrecon.inspection import inspect
from simrecon.model.stack import SimStack
from simrecon.physics.phantoms_volume import VolumeKind
from simrecon.physics.simulate_volume import VolumeTruth, simulate_volume

CELLS: tuple[tuple[VolumeKind, float], ...] = (
    ("mixed", 500.0),
    ("filaments", 200.0),
    ("tubes", 50.0),
    ("shells", 50.0),
)
cells = pytest.mark.parametrize(("kind", "peak_e"), CELLS)


@cache
def recording(kind: VolumeKind, peak_e: float) -> tuple[SimStack, VolumeTruth]:
    return simulate_volume(kind=kind, peak_e=peak_e, shape=(10, 96, 96), seed=7)


def right(peak: DirectionPeak, true_per_um: tuple[float, float]) -> bool:
    """Whether a peak lies within a sample of order 1 or 2 of the true pattern."""
    found = np.array([np.sin(peak.angle_rad), np.cos(peak.angle_rad)]) / peak.period_px
    true = 0.08 * np.array(true_per_um)
    return any(np.hypot(*(found - n * true)) * 96 < 1.0 for n in (1, -1, 2, -2))


@cells
def test_strong_peaks_are_right(kind: VolumeKind, peak_e: float) -> None:
    stack, truth = recording(kind, peak_e)
    for peak, true in zip(inspect(stack).peaks, truth.pattern.directions, strict=True):
        assert peak.grade != "strong" or right(peak, true.frequency_per_um)


def test_planes_together_find_what_one_plane_does_not() -> None:
    together, alone = 0, 0
    for kind, peak_e in CELLS:
        stack, truth = recording(kind, peak_e)
        frames = np.asarray(stack.data)[0, 0]
        optics = stack.optics[0]
        true = [d.frequency_per_um for d in truth.pattern.directions]
        several = direction_peaks(frames[:, :, 1::2], 0.08, optics.cutoff_per_um)
        middle = direction_peaks(frames[:, :, 5], 0.08)
        together += sum(map(right, several, true))
        alone += sum(map(right, middle, true))
    assert together >= alone + 3


def test_one_plane_is_the_same_with_its_axis() -> None:
    stack, _ = recording("mixed", 500.0)
    frames = np.asarray(stack.data)[0, 0][:, :, 5]
    assert direction_peaks(frames, 0.08, 5.3) == direction_peaks(frames[:, :, None], 0.08)
