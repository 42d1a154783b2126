"""Which other mode or order the frames of one plane speak for, where a fit is not ``ok``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.estimate.carriers import other_mode, three_carriers
from simrecon.frame_doubts import frame_doubt
from simrecon.grouping import core_order
from simrecon.model.mode import MODES
from simrecon.model.psf import DetectionOTF
from simrecon.model.stack import SimStack

MOST_FRAMES = 180
"""Frames of a movie in which an order is looked for: whole sets of 9, 12, 15 and 20."""


def mode_doubts(
    stack: SimStack,
    mode: str,
    otf: DetectionOTF,
    frames_e: np.ndarray,
    variance_e2: np.ndarray | None,
    *,
    failed: bool,
) -> list[str]:
    """What may be wrong with mode, numbers and order of the frames, in sentences.

    Parameters
    ----------
    stack
        As it was read.
    mode
        Mode of planes in which it was read.
    otf
        Of the detection.
    frames_e, variance_e2 : ndarray (A, P, Y, X)
        The acquisition whose fit is in doubt.
    failed
        Whether it failed: then order and numbers of the frames are doubted even where there are
        no repeats, which other frames of a direction may be.
    """
    told = repeats_doubt(stack, mode, otf, frames_e, variance_e2)
    told = told or other_mode(frames_e, stack.pixel_um, otf, variance_e2, mode)
    if told is None and failed:
        found = frame_doubt(stack, mode)
        told = found.text if found is not None and found.misread else None
    return [] if told is None else [told]


def repeats_doubt(
    stack: SimStack,
    mode: str,
    otf: DetectionOTF,
    frames_e: np.ndarray,
    variance_e2: np.ndarray | None,
) -> str | None:
    """A sentence where a stack of several acquisitions is read in wrong numbers or a wrong order.

    Parameters are those of :func:`mode_doubts`.
    """
    if stack.data.shape[0] * stack.data.shape[4] == 1:
        return None
    found = frame_doubt(_as_planes(stack), mode)
    if found is not None and found.misread:
        return found.text
    return _shared_frames(stack, mode, otf, frames_e, variance_e2)


def _as_planes(stack: SimStack) -> SimStack:
    """The stack with its repeats as planes, where it has no planes: in a row as in the file."""
    times, planes = int(stack.data.shape[0]), int(stack.data.shape[4])
    if planes > 1 or times == 1:
        return stack
    whole = max(1, min(times, MOST_FRAMES // (stack.directions * stack.phases)))
    data = np.moveaxis(np.asarray(stack.data[:whole])[:, :, :, :, 0], 0, 3)[None]
    return replace(stack, data=data, order=f"{core_order(stack.order)}Z")


def _shared_frames(
    stack: SimStack,
    mode: str,
    otf: DetectionOTF,
    frames_e: np.ndarray,
    variance_e2: np.ndarray | None,
) -> str | None:
    """Three carriers in the first seven frames of a sequence that is whole sets of seven."""
    facts = MODES["hex"]
    times, _, sets, phases, planes = stack.data.shape[:5]
    count = times * sets * phases * planes
    enough = sets * phases >= facts.phases and count % facts.phases == 0
    if mode == "hex" or (sets, phases) == (1, facts.phases) or not enough or planes > 1:
        return None

    def first(frames: np.ndarray) -> np.ndarray:
        slowest = frames if core_order(stack.order).startswith("P") else frames.swapaxes(0, 1)
        return slowest.reshape(-1, *frames.shape[2:])[None, : facts.phases]

    variance = None if variance_e2 is None else first(variance_e2)
    return three_carriers(first(frames_e), stack.pixel_um, otf, variance)
