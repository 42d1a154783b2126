"""From frames in file order to (T, C, A, P, Z, Y, X): a view, never a copy where avoidable."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simrecon.errors import InputError
from simrecon.model.axes import parse_order
from simrecon.model.frames import RawFrames
from simrecon.model.mode import MODES

DEFAULT_STEPS = (3, 3)
"""Directions and phases of 2-D and TIRF SIM when neither the file nor the user says."""


@dataclass(frozen=True)
class Layout:
    """How the frames of a file follow each other.

    Attributes
    ----------
    axes : tuple of (str, int)
        Split of the file's frames, slowest first; letters T, C, A, P, Z, each once.
    order : str
        Order of the acquisition axes for the record, letters fastest first.
    notes : tuple of str
    """

    axes: tuple[tuple[str, int], ...]
    order: str
    notes: tuple[str, ...]


def plan_layout(
    raw: RawFrames, angles: int | None, phases: int | None, order: str | None, where: str = ""
) -> Layout:
    """Decide how the frames split into time, channel, angle, phase and plane.

    Given values win over the file's own; without either 3 directions × 3 phases in order PA
    are assumed and noted. Channel and time axes that the file declares are believed when what
    they leave over is a whole number of acquisitions; otherwise all frames are one sequence.

    Raises
    ------
    InputError
        When the number of frames is no multiple of directions × phases.
    UsageError
        When `order` is no frame order.
    """
    notes: list[str] = []
    if {"A", "P"} <= {name for name, _ in raw.axes}:
        return _declared(raw, angles, phases, where)
    n_angles, n_phases = _steps(raw, angles, phases, notes)
    if order is None and raw.order is None:
        notes.append("Frame order not given: PA (phase fastest) assumed; inspect shows evidence.")
    letters = parse_order(order or raw.order or "PA")
    shot = n_angles * n_phases
    kept = _kept_axes(raw, letters, shot * (raw.planes or 1))
    rest = raw.count // math.prod(size for _, size in kept)
    if rest % shot:
        raise _wrong_count(raw.count, n_angles, n_phases, where)
    sizes, names = _section_sizes(raw, kept, letters, (n_angles, n_phases), rest // shot, where)
    section = tuple((name, sizes[name]) for name in reversed(names))
    if sizes.get("T", 1) > 1 and not {"T", "Z"} & set(letters) and raw.order is None:
        given = None not in (angles or raw.angles, phases or raw.phases, order)
        notes.append(_time_note(raw, sizes["T"], shot, given=given, where=where))
    axes = _insert(raw, kept, section)
    return Layout(axes, "".join(names), tuple(notes))


def _declared(raw: RawFrames, angles: int | None, phases: int | None, where: str) -> Layout:
    """Layout of a file that names its angle and phase axes itself."""
    sizes = dict(raw.axes)
    for name, given in (("A", angles), ("P", phases)):
        if given is not None and given != sizes[name]:
            raise InputError(
                f"The file declares another number along {name}.",
                expected=str(given), got=str(sizes[name]), where=where,
            )  # fmt: skip
    axes = tuple(("T" if name == "S" else name, size) for name, size in raw.axes)
    order = "".join(name for name, size in reversed(axes) if size > 1 or name in "AP")
    return Layout(axes, order, ())


def _steps(
    raw: RawFrames, angles: int | None, phases: int | None, notes: list[str]
) -> tuple[int, int]:
    """Directions and phases: given, else from the file, else the default with a note."""
    n_angles, n_phases = angles or raw.angles, phases or raw.phases
    if n_angles is None or n_phases is None:
        n_angles = n_angles or DEFAULT_STEPS[0]
        n_phases = n_phases or DEFAULT_STEPS[1]
        notes.append(f"{n_angles} directions × {n_phases} phases assumed (--angles, --phases).")
    return n_angles, n_phases


def _kept_axes(raw: RawFrames, letters: tuple[str, ...], shot: int) -> tuple[tuple[str, int], ...]:
    """Declared channel and time axes that can be believed."""
    kept: list[tuple[str, int]] = []
    rest = raw.count
    for name in "CT":
        size = dict(raw.axes).get(name, 1)
        declared_once = sum(1 for axis, _ in raw.axes if axis == name) == 1
        believed = declared_once and name not in letters and rest // size % shot == 0
        if believed and (size > 1):
            kept.append((name, size))
            rest //= size
    return tuple(kept)


def _section_sizes(
    raw: RawFrames,
    kept: tuple[tuple[str, int], ...],
    letters: tuple[str, ...],
    steps: tuple[int, int],
    blocks: int,
    where: str,
) -> tuple[dict[str, int], list[str]]:
    """Sizes of the axes of `letters`, and the letters themselves, with T added when it is left."""
    sizes, names = {"A": steps[0], "P": steps[1]}, [*letters]
    declared = {**dict(raw.axes), **({"C": raw.channels} if raw.channels else {})}
    for name in "CT":
        if name in letters:
            size = declared.get(name, 1)
            sizes[name] = size if blocks % size == 0 else 1
            blocks //= sizes[name]
    if "Z" in letters:
        sizes["Z"] = _planes(raw, letters, blocks, where)
        blocks //= sizes["Z"]
    if blocks > 1 and raw.planes is not None and "T" in letters and "T" not in declared:
        sizes["T"], blocks = blocks, 1
    if blocks > 1 and "T" in {*letters, *dict(kept)}:
        raise InputError(
            "The file has more frames per time point than one acquisition needs.",
            expected=f"{steps[0] * steps[1]} frames per time point and channel",
            got=f"{steps[0] * steps[1] * blocks}",
            where=where,
            hint="give --order with Z (for example PZA or PAZ) for a stack of planes",
        )
    if blocks > 1:
        names.append("T")
        sizes["T"] = blocks
    return sizes, names


def _planes(raw: RawFrames, letters: tuple[str, ...], blocks: int, where: str) -> int:
    """Number of planes among `blocks` acquisitions: given, declared, or all of them."""
    declared = dict(raw.axes)
    if raw.planes is not None:
        if blocks % raw.planes:
            raise InputError(
                "The number of frames does not fit the number of planes.",
                expected=f"a multiple of {raw.planes} acquisitions",
                got=f"{blocks} acquisitions",
                where=where,
                hint="check --planes",
            )
        return raw.planes
    if blocks > 1 and "T" in letters and "T" not in declared:
        raise InputError(
            "Planes and time points cannot be told apart.",
            expected="a file that declares its number of time points, --planes, or only one of Z "
            "and T in --order",
            got=f"{blocks} acquisitions",
            where=where,
        )
    planes = declared.get("Z", 1)
    return planes if planes > 1 and blocks % planes == 0 else blocks


def _insert(
    raw: RawFrames, kept: tuple[tuple[str, int], ...], section: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    """Kept axes where the file has them, `section` in place of all others together."""
    names = dict(kept)
    axes: list[tuple[str, int]] = []
    placed = False
    for name, size in _long_axes(raw):
        if name in names:
            axes.append((name, size))
        elif not placed:
            axes.extend(section)
            placed = True
    return tuple(axes) if placed else (*axes, *section)


def _long_axes(raw: RawFrames) -> list[tuple[str, int]]:
    """The file's leading axes of more than one entry."""
    return [(name, size) for name, size in raw.axes if size > 1]


def _time_note(raw: RawFrames, times: int, shot: int, *, given: bool, where: str) -> str:
    """Sentence about time points that the file did not declare; an error when it denies them."""
    if raw.metadata.get("format") == "mrc" and ("T", 1) in raw.axes and not given:
        raise InputError(
            "The acquisition order is not known: the header names one time point, but there are "
            "more frames than one 2-D acquisition needs.",
            expected=f"{shot} frames, or --angles, --phases and --order",
            got=f"{raw.count} frames",
            where=where,
            hint="for a volume of 3D-SIM or a light sheet give --mode 3d or lls, which finds the "
            "order; for a stack of planes an order with Z, for example --angles 3 --phases 3 "
            "--order PZA; `simrecon inspect` shows what the data say",
        )
    return (
        f"Frames read as {times} time points of {shot}; if they are planes, give --order with Z "
        "(for example PZA)."
    )


def _wrong_count(count: int, angles: int, phases: int, where: str) -> InputError:
    shot = angles * phases
    missing = shot - count % shot
    if missing == 1:
        message, hint = "One frame is missing?", "look for the missing file or copy the file again"
    elif count % shot == 1 and count > shot:
        message, hint = "One frame too many?", "remove the extra frame (a preview or a sum?)"
    else:
        message, hint = "The number of frames does not fit the acquisition.", ""
    usual = [n for n, mode in MODES.items() if mode.directions * mode.phases == count]
    also = "if the acquisition was another, give --angles and --phases"
    if usual:
        also += f"; {count} frames are usual with --mode " + " or ".join(usual)
    return InputError(
        message,
        expected=f"a multiple of {angles} directions × {phases} phases = {shot} frames",
        got=f"{count} frames",
        where=where,
        hint=f"{hint}; {also}" if hint else also,
    )


def arrange(raw: RawFrames, layout: Layout) -> np.ndarray:
    """The frames as (T, C, A, P, Z, Y, X).

    A view of `raw.frames` whenever the file's axes need no merging; otherwise a copy.
    """
    axes = _long_axes(raw)
    frame_shape = raw.frames.shape[-2:]
    frames = raw.frames.reshape(*(size for _, size in axes), *frame_shape)
    names = [name for name, _ in layout.axes]
    own = {"A", "P"} <= {name for name, _ in raw.axes}
    kept = {name for name, size in axes if own or (name in "CT" and (name, size) in layout.axes)}
    others = [i for i, (name, _) in enumerate(axes) if name not in kept]
    if others:
        lead = [i for i in range(others[0]) if i not in others]
        tail = [i for i in range(others[0], len(axes)) if i not in others]
        frames = frames.transpose(*lead, *others, *tail, len(axes), len(axes) + 1)
    frames = frames.reshape(*(size for _, size in layout.axes), *frame_shape)
    for name in "TCAPZ":
        if name not in names:
            frames = frames[None]
            names.insert(0, name)
    return np.asanyarray(frames.transpose(*(names.index(name) for name in "TCAPZ"), 5, 6))
