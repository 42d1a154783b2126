"""One fault at a time: simulated frames, and what the reconstruction was told about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import shift as moved

from simrecon import pipeline
from simrecon.config import Settings
from simrecon.explanation import explanation
from simrecon.model.camera import Camera
from simrecon.model.pattern import DirectionPattern, PatternFit
from simrecon.model.stack import SimStack
from simrecon.physics.otf import theoretical_otf
from simrecon.physics.simulate import DEFAULT_OPTICS, fine_field, simulate
from simrecon.preparation import prepare_channel

SHAPE = (192, 192)


@dataclass(frozen=True)
class Case:
    """What :func:`simrecon.pipeline.reconstruct` is called with."""

    stack: SimStack
    settings: Settings
    pattern: PatternFit | None
    otf: Any = None


def each(pattern: PatternFit, change: Callable[[DirectionPattern], DirectionPattern]) -> PatternFit:
    return replace(pattern, directions=tuple(change(d) for d in pattern.directions), notes=())


def settings(**reconstruction: Any) -> Settings:
    return Settings.model_validate({"reconstruction": reconstruction, "estimate": {"drift": "off"}})


def _simulated(seed: int, kind: str = "mixed", **options: Any) -> tuple[SimStack, Any]:
    given = {"peak_e": 500.0, "background": 2.0, "phase_jitter_rad": 0.05, **options}
    return simulate(shape=SHAPE, kind=kind, seed=seed, **given)


def fault(name: str, seed: int, kind: str = "mixed") -> Case:
    """The named fault on the object `kind`; "none" is the same without one."""
    return _FAULTS[name](seed, kind)


def _none(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind)
    return Case(stack, settings(), truth.pattern)


def _changed(change: Callable[[DirectionPattern], DirectionPattern]) -> Callable[[int, str], Case]:
    def case(seed: int, kind: str) -> Case:
        stack, truth = _simulated(seed, kind)
        return Case(stack, settings(), each(truth.pattern, change))

    return case


def _modulation(factor: float) -> Callable[[int, str], Case]:
    return _changed(
        lambda d: replace(
            d, modulation=(min(d.modulation[0] * factor, 1.9),), modulation_sd=(0.01,)
        )
    )


def _one_frame(d: DirectionPattern) -> DirectionPattern:
    return replace(d, phase_rad=(d.phase_rad[0], d.phase_rad[1] + 1.0, *d.phase_rad[2:]))


def _turned_frequency(d: DirectionPattern) -> DirectionPattern:
    fy, fx = d.frequency_per_um
    turn = np.radians(0.6)
    return replace(d, frequency_per_um=(fy * np.cos(turn) + fx * np.sin(turn),
                                        fx * np.cos(turn) - fy * np.sin(turn)))  # fmt: skip


def _drift(seed: int, kind: str) -> Case:
    """The object moves by 0.9 px between directions."""
    _, truth = _simulated(seed, kind)
    field = fine_field(SHAPE, 0.065)
    counts = []
    for d in range(3):
        scene = moved(truth.fine_object, (0.9 * 4 * (d - 1), 0.5 * 4 * (d - 1)), order=1)
        one, _ = _simulated(seed, kind, fine_object=np.maximum(scene, 0), noise_seed=seed + d)
        counts.append(np.asarray(one.data)[:, :, d])
    assert field.camera.shape == SHAPE
    stack, _ = _simulated(seed, kind)
    return Case(replace(stack, data=np.stack(counts, axis=2)), settings(), truth.pattern)


def _low_light(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind, peak_e=6.0, background=2.0)
    return Case(stack, settings(), truth.pattern)


def _low_modulation(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind, modulation=(0.06, 0.06, 0.06), peak_e=100.0)
    return Case(stack, settings(), truth.pattern)


def _otf(na: float) -> Callable[[int, str], Case]:
    def case(seed: int, kind: str) -> Case:
        stack, truth = _simulated(seed, kind, optics=replace(DEFAULT_OPTICS, na=1.3),
                                  period_um=0.23)  # fmt: skip
        wrong = theoretical_otf(replace(DEFAULT_OPTICS, na=na), pixel_um=0.065)
        return Case(stack, settings(), truth.pattern, wrong)

    return case


def _weak_regularization(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind)
    return Case(stack, settings(regularization_factor=1e-4, apodization="none"), truth.pattern)


def _border(seed: int, kind: str) -> Case:
    """Bright points on the border."""
    field = fine_field(SHAPE, 0.065)
    _, truth = _simulated(seed, kind)
    scene = np.array(truth.fine_object) * 0.3
    start = field.margin * field.fine
    rng = np.random.default_rng(seed)
    for _ in range(120):
        along = start + int(rng.integers(0, SHAPE[0] * field.fine))
        edge = start + int(rng.choice([0, SHAPE[0] - 1])) * field.fine + int(rng.integers(-6, 7))
        y, x = (along, edge) if rng.random() < 0.5 else (edge, along)
        scene[y : y + 4, x : x + 4] += truth.fine_object.max() * 2
    stack, truth = _simulated(seed, kind, fine_object=scene)
    return Case(stack, settings(), truth.pattern)


def _bleaching(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind, bleaching=0.35)
    steady = each(truth.pattern, lambda d: replace(d, intensity=(1.0,) * len(d.intensity)))
    return Case(stack, settings(), steady)


def _saturation(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind, peak_e=2600.0, bit_depth=12)
    return Case(stack, settings(), truth.pattern)


def _haze(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind, haze=2.0)
    return Case(stack, settings(), truth.pattern)


def _order(seed: int, kind: str) -> Case:
    stack, truth = _simulated(seed, kind)
    swapped = np.swapaxes(np.asarray(stack.data), 2, 3)
    return Case(replace(stack, data=swapped), settings(), truth.pattern)


def _offset(offset: float) -> Callable[[int, str], Case]:
    def case(seed: int, kind: str) -> Case:
        stack, truth = _simulated(seed, kind, background=10.0)
        camera = Camera(stack.camera.gain, offset, stack.camera.read_noise_e)
        return Case(replace(stack, camera=camera), settings(), truth.pattern)

    return case


_FAULTS: dict[str, Callable[[int, str], Case]] = {
    "none": _none,
    "modulation too high": _modulation(2.0),
    "modulation too low": _modulation(0.5),
    "phases of a direction": _changed(
        lambda d: replace(d, phase_rad=tuple(p + 1.0 for p in d.phase_rad))
    ),
    "phase of one frame": _changed(_one_frame),
    "frequency": _changed(
        lambda d: replace(d, frequency_per_um=tuple(1.02 * f for f in d.frequency_per_um))
    ),
    "angle": _changed(_turned_frequency),
    "drift": _drift,
    "low light": _low_light,
    "low modulation": _low_modulation,
    "otf too wide": _otf(1.49),
    "otf too narrow": _otf(1.12),
    "regularisation too weak": _weak_regularization,
    "border": _border,
    "bleaching": _bleaching,
    "saturation": _saturation,
    "out of focus": _haze,
    "frame order": _order,
    "offset too high": _offset(145.0),
    "offset too low": _offset(0.0),
}
FAULTS = tuple(_FAULTS)


def causes(name: str, seed: int, kind: str = "mixed") -> tuple[list[str], bool]:
    """Causes named for a fault, strongest first, and whether all gates were passed."""
    case = fault(name, seed, kind)
    result = pipeline.reconstruct(case.stack, case.settings, otf=case.otf, pattern=case.pattern)
    if not result.passed:
        return [f["cause"] for f in result.qc["explanation"]], False
    channel = prepare_channel(case.stack, 0, case.settings, case.otf)
    found = explanation(
        case.stack, case.settings, [channel], result.patterns[0],
        (result.image, result.variance), result.qc["acquisitions"],
        "fitted" if case.pattern is None else "complete",
    )  # fmt: skip
    return [f["cause"] for f in found], True
