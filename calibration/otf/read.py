"""SIM recordings of beads from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.psf.settings import BeadSetup
from simrecon.errors import InputError, UsageError
from simrecon.io import read
from simrecon.model.stack import SimStack


@dataclass(frozen=True)
class BeadRecordings:
    """Recordings (A, P, Z, Y, X), counts, of one channel, with what they were made with."""

    frames: tuple[np.ndarray, ...]
    setup: BeadSetup
    notes: tuple[str, ...]


def read_recordings(
    sources: Sequence[str],
    *,
    mode: str,
    given: Mapping[str, Any],
    bead_um: float,
    channel: int | None = None,
) -> BeadRecordings:
    """Read recordings of beads, one per source, in any format that `simrecon` reads.

    Parameters
    ----------
    mode
        As of :func:`simrecon.read`.
    given
        What the files do not state, as keywords of :func:`simrecon.read`.
    channel
        Of files with several.

    Raises
    ------
    InputError, UsageError
        Several times or channels; recordings that differ in scale or optics.
    """
    stacks = [read(source, mode=mode, **given) for source in sources]  # type: ignore[arg-type]
    frames = [_frames(stack, channel, source)
              for stack, source in zip(stacks, sources, strict=True)]  # fmt: skip
    notes = tuple(dict.fromkeys(text for stack in stacks for text in stack.notes))
    return BeadRecordings(tuple(frames), _setup(stacks, channel or 0, bead_um), notes)


def _frames(stack: SimStack, channel: int | None, where: str) -> np.ndarray:
    times, channels = stack.data.shape[:2]
    if times > 1:
        raise InputError("A recording of beads is one time point.", got=f"{times} times",
                         expected="one; give --planes where planes were read as times",
                         where=where)  # fmt: skip
    if channels > 1 and channel is None:
        raise UsageError("Which channel holds the beads?", got=f"{channels} channels",
                         expected=f"--channel 0…{channels - 1}", where=where)  # fmt: skip
    if not 0 <= (channel or 0) < channels:
        raise UsageError("There is no such channel.", got=str(channel), where="--channel",
                         expected=f"0…{channels - 1}")  # fmt: skip
    return np.asarray(stack.data[0, channel or 0])


def _setup(stacks: Sequence[SimStack], channel: int, bead_um: float) -> BeadSetup:
    first = stacks[0]
    for stack in stacks[1:]:
        if abs(stack.pixel_um / first.pixel_um - 1.0) > 0.01 or stack.dz_um != first.dz_um:
            raise InputError("The recordings differ in pixel size or plane distance.",
                             expected=f"{first.pixel_um:g} and {first.dz_um} µm",
                             got=f"{stack.pixel_um:g} and {stack.dz_um} µm")  # fmt: skip
        if stack.optics != first.optics:
            raise InputError("The recordings differ in their optics: one OTF cannot hold both.",
                             expected=str(first.optics), got=str(stack.optics),
                             hint="measure them one by one")  # fmt: skip
    planes = int(first.data.shape[4])
    return BeadSetup(first.pixel_um, first.dz_um if planes > 1 else None, first.optics[channel],
                     bead_um)  # fmt: skip
