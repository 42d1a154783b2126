"""One simulated instrument, recorded again and again: other objects, other common phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.exposure import expose
from simrecon.physics.forward import Detector, expected_frames
from simrecon.physics.illumination import regular_directions
from simrecon.physics.phantoms import make_phantom
from simrecon.physics.simulate import DEFAULT_CAMERA, Truth, fine_field, simulate

PIXEL_UM, BACKGROUND_E = 0.065, 2.0
STEP_JITTER_RAD, STEP_REPEAT_RAD = np.deg2rad(6.0), np.deg2rad(1.0)


def instrument(period_um: float = 0.21) -> tuple[DirectionPattern, ...]:
    """Steps 6° rms from equal ones."""
    return regular_directions(
        np.random.default_rng(7), directions=3, phases=3, period_um=period_um,
        modulation=(0.8, 0.65, 0.5), first_angle_rad=0.25, phase_jitter_rad=STEP_JITTER_RAD,
    )  # fmt: skip


def recording(
    kind: str,
    size: int,
    peak_e: float,
    seed: int,
    *,
    directions: Sequence[DirectionPattern] | None = None,
    repeat_rad: float = STEP_REPEAT_RAD,
) -> tuple[SimStack, Truth, PatternFit]:
    """Frames, truth of the object, and the true pattern of this recording."""
    rng = np.random.default_rng([seed, size])
    field = fine_field((size, size), PIXEL_UM)
    density = make_phantom(kind, field.grid, rng)
    stack, truth = simulate(shape=(size, size), pixel_um=PIXEL_UM, fine_object=density,
                            peak_e=peak_e, background=BACKGROUND_E, seed=seed)  # fmt: skip
    lit = []
    for d in directions or instrument():
        phase = np.array(d.phase_rad) + rng.uniform(-np.pi, np.pi)
        phase = phase + repeat_rad * rng.normal(size=phase.size)
        lit.append(replace(d, phase_rad=tuple(phase)))
    expected = expected_frames(truth.fine_object, lit, Detector(truth.field, truth.otf))
    counts, _ = expose(expected + np.float32(BACKGROUND_E), DEFAULT_CAMERA, rng, bit_depth=16)
    pattern = replace(truth.pattern, directions=tuple(lit))
    return replace(stack, data=counts[None, None, :, :, None]), truth, pattern
