"""Flat-field stacks sorted into levels of light."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.moments import Moments, measure
from simrecon.errors import InputError
from simrecon.io.frame_stream import count_frames, stream_frames
from simrecon.io.reader import expand_paths

Frames = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | np.ndarray
"""A stack: file, folder, glob, list of files, or an array (N, Y, X)."""
Tick = Callable[[], None]
Watch = Callable[[str, int], Tick | None]
"""Gives, for a stage and its number of frames, what is called after each frame."""

MIN_FRAMES = 10
"""Frames without which a variance is worth nothing (its error is then 47 %)."""
ONE_LEVEL_RANGE = 0.25
"""Light that varies by more than this within a stack makes it a varying-light stack."""
LEVEL_GAP = 0.05
"""Relative gap of the frame means between two levels of a varying-light stack."""
LEVEL_SPAN = 1.5
"""Brightest over dimmest frame of one level; a class of frames that spans more is a ramp."""
RAMP_FRAMES, RAMP_LEVELS = 25, 12


@dataclass(frozen=True, eq=False)
class FlatLevel:
    """Frames of about one level of light."""

    name: str
    moments: Moments
    stack: int
    """Index of the flat stack that it comes from."""


def unwatched(stage: str, total: int) -> None:
    """No progress."""


def frame_count(stacks: Sequence[Frames]) -> int:
    """Number of frames in stacks, from shapes and headers."""
    return sum(len(s) if isinstance(s, np.ndarray) else count_frames(s) for s in stacks)


def iterate(stack: Frames) -> Iterator[np.ndarray]:
    """Frames of a stack one by one."""
    if isinstance(stack, np.ndarray):
        return iter(stack)
    return stream_frames(stack)


def stack_files(stack: Frames) -> list[Path]:
    """Files of a stack; none for an array."""
    return [] if isinstance(stack, np.ndarray) else expand_paths(stack)


def _name(stack: Frames, number: int) -> str:
    files = stack_files(stack)
    if not files:
        return f"flat {number + 1}"
    return files[0].name if len(files) == 1 else f"{files[0].name} … {files[-1].name}"


def measure_levels(
    flats: Sequence[Frames], dark: Moments, watch: Watch = unwatched
) -> list[FlatLevel]:
    """Moments of each level of light, dimmest first.

    Each stack is one level, read once. A stack whose light varies by more than 25 % is read
    a second time and split; stacks of a few frames each are taken as one such stack.

    Raises
    ------
    InputError
        When a stack has too few frames, cannot be read, or differs in size from the dark stack.
    """
    shape = dark.mean.shape
    found: list[FlatLevel] = []
    tick = watch("flat frames", frame_count(flats))
    measured = [measure(_same_shape(iterate(f), shape), tick) for f in flats]
    if len(flats) > 1 and all(m.count < MIN_FRAMES for m in measured):
        return measure_levels([_joined(flats)], dark, watch)
    for number, (stack, moments) in enumerate(zip(flats, measured, strict=True)):
        name = _name(stack, number)
        if moments.count < MIN_FRAMES:
            raise too_few("flat", moments.count, name)
        light = np.array(moments.frame_means) - dark.mean.mean()
        if np.ptp(light) <= ONE_LEVEL_RANGE * abs(light.mean()):
            found.append(FlatLevel(name, moments, number))
        else:
            tick = watch("varying flat frames, second reading", moments.count)
            found += [FlatLevel(*part, number) for part in _split(stack, light, name, tick)]
    return sorted(found, key=lambda level: float(level.moments.mean.mean()))


def _joined(flats: Sequence[Frames]) -> Frames:
    """Short stacks as one."""
    if any(isinstance(f, np.ndarray) for f in flats):
        return np.stack([frame for stack in flats for frame in iterate(stack)])
    return [path for stack in flats for path in stack_files(stack)]


def too_few(kind: str, count: int, where: str) -> InputError:
    """The error for a stack that is too short."""
    return InputError(
        f"The {kind} stack has too few frames.",
        expected=f"at least {MIN_FRAMES} (some hundred for errors of a few per cent per pixel)",
        got=str(count),
        where=where,
        hint="quote a glob to make one stack of many files: --flat 'flat_*.tif'",
    )


def _same_shape(frames: Iterable[np.ndarray], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    for frame in frames:
        if frame.shape != shape:
            raise InputError(
                "Dark and flat frames differ in size.",
                expected=f"{shape}, as the dark frames",
                got=str(frame.shape),
                hint="use one camera window (ROI) and binning for all",
            )
        yield frame


def light_classes(light: np.ndarray) -> np.ndarray:
    """Level number of each frame from its light; −1 for frames of levels that are too short.

    Parameters
    ----------
    light : ndarray (N,)
        Frame means above the dark mean.

    Notes
    -----
    Steps of light are separated at their gaps; a ramp without gaps is cut into parts of equal
    numbers of frames.
    """
    order = np.argsort(light)
    ordered = light[order]
    gaps = np.diff(ordered) > LEVEL_GAP * np.maximum(ordered[1:], 1e-9)
    label = np.concatenate([[0], np.cumsum(gaps)])
    sizes = np.bincount(label)
    kept = sizes >= MIN_FRAMES
    last = np.cumsum(sizes) - 1
    narrow = ordered[last] <= LEVEL_SPAN * ordered[last - sizes + 1]
    if sizes[kept & narrow].sum() < 0.9 * light.size:
        parts = int(np.clip(light.size // RAMP_FRAMES, 1, RAMP_LEVELS))
        label = np.arange(light.size) * parts // light.size
        kept = np.bincount(label) >= MIN_FRAMES
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    classes = np.empty(light.size, dtype=int)
    classes[order] = number[label]
    return classes


def _split(
    stack: Frames, light: np.ndarray, name: str, tick: Tick | None
) -> list[tuple[str, Moments]]:
    """Second reading of a varying-light stack: one level per class of light."""
    classes = light_classes(light)
    if classes.max() < 0:
        raise too_few("varying-light flat", light.size, name)
    parts = [Moments() for _ in range(classes.max() + 1)]
    for number, frame in enumerate(iterate(stack)):
        if classes[number] >= 0:
            parts[classes[number]].add(frame)
        if tick is not None:
            tick()
    return [(f"{name} part {i}", part) for i, part in enumerate(parts, start=1)]
