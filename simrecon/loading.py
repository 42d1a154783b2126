"""Files that a user names as a stack and its OTFs, whatever the mode."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.inspection import inspect as inspect_frames
from simrecon.io import read, read_otf, read_raw
from simrecon.io.otf_volume_files import read_volume_otf
from simrecon.model.axes import parse_order
from simrecon.model.frames import RawFrames
from simrecon.model.mode import MODES, VOLUME_MODES
from simrecon.model.optics import Optics
from simrecon.model.psf import AnyOTF, AnyVolumeOTF, DirectionalVolumeOTF, VolumeOTF
from simrecon.model.stack import SimStack
from simrecon.otf_choice import per_channel, per_channel_and_direction

_SEVERAL = ("emission_nm", "excitation_nm")


def with_given(raw: RawFrames, settings: Settings) -> RawFrames:
    """What the user knows about a file wins over what the file says."""
    given: dict[str, Any] = settings.reader_overrides()
    for name in _SEVERAL:
        value = given.get(name)
        if isinstance(value, (int, float)):
            given[name] = (float(value),)
    if given.get("order"):
        given["order"] = "".join(parse_order(given["order"]))
    known = {f.name for f in fields(RawFrames)} - {"camera"}
    return replace(raw, **{name: value for name, value in given.items() if name in known})


def load_stack(files: list[str], settings: Settings) -> SimStack:
    """Read raw frames; of a volume whose order nobody states, the one that the frames show.

    Few programs write the order of a 3-D stack into the file, and fifteen frames per plane leave
    little doubt: what the marks of the pattern decide is used, with a note.
    """
    given = settings.reader_overrides()
    mode = settings.reconstruction.mode
    note: tuple[str, ...] = ()
    if mode in VOLUME_MODES and settings.acquisition.order is None:
        given, note = _with_order(files, settings, given)
    stack = read(files, mode=mode, **given)
    return replace(stack, notes=(*stack.notes, *note))


def _with_order(
    files: list[str], settings: Settings, given: dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The given keys with the order that the frames show, where the file states none."""
    raw = with_given(read_raw(files), settings)
    if raw.order is not None or {"A", "P"} & {name for name, _ in raw.axes}:
        return given, ()
    usual = MODES[settings.reconstruction.mode]
    if raw.count % ((raw.angles or usual.directions) * (raw.phases or usual.phases)):
        return given, ()  # the reader says so, with the numbers of this mode
    found = inspect_frames(raw, settings.estimate.angles_rad, settings.reconstruction.mode)
    if not found.order_decided:
        return given, ()
    sizes = found.sizes
    shown = {"order": found.order, "angles": sizes["A"], "phases": sizes["P"]}
    note = (
        f"frame order {found.order} ({sizes['A']} direction(s), {sizes['P']} phases, {sizes['Z']} "
        f"planes): not stated, found from the pattern in the frames, of which it explains "
        f"{100 * found.orders[0].explained:.0f} %"
    )
    if raw.planes is None and dict(raw.axes).get("Z", 1) != sizes["Z"]:
        note += "; repeats are taken to be planes, not time points, as the file does not say"
    return {**shown, **given}, (note,)


def load_otfs(paths: list[Path] | None, stack: SimStack, settings: Settings) -> list[AnyOTF] | None:
    """OTF files as one OTF per channel, checked against the optics.

    Of a volume a file may hold a set of orders for each direction, or there may be a file for each.

    Raises
    ------
    UsageError
        For another number of files or of sets of orders.
    """
    if not paths:
        return None
    if settings.reconstruction.mode not in VOLUME_MODES:
        chosen = per_channel(paths, len(stack.optics))
        return [read_otf(p, o) for p, o in zip(chosen, stack.optics, strict=True)]
    directions = int(stack.data.shape[2])
    grouped = per_channel_and_direction(paths, len(stack.optics), directions)
    return [_volume_otf(own, o, stack) for own, o in zip(grouped, stack.optics, strict=True)]


def _volume_otf(paths: list[Path], optics: Optics, stack: SimStack) -> AnyVolumeOTF:
    """The OTFs of one channel, from one file or one for each direction."""
    sets: list[VolumeOTF] = []
    for path in paths:
        own = read_volume_otf(path, optics, pixel_um=stack.pixel_um, dz_um=stack.dz_um)
        if len(paths) > 1 and len(own) > 1:
            raise UsageError(
                "One of several OTF files holds OTFs of several directions.",
                expected="one file with all directions, or a file for each",
                got=f"{len(own)} sets of orders",
                where=str(path),
            )
        sets += own
    return sets[0] if len(sets) == 1 else DirectionalVolumeOTF(tuple(sets))
