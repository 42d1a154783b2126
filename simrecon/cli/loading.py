"""Files of a command line as a stack and its OTFs, whatever the mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from simrecon.cli.inspect import with_given
from simrecon.config import Settings
from simrecon.errors import UsageError
from simrecon.inspection import inspect as inspect_frames
from simrecon.io import read, read_otf, read_raw
from simrecon.io.otf_volume_files import read_volume_otf
from simrecon.model.mode import VOLUME_MODES
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack
from simrecon.otf_choice import per_channel


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
    found = inspect_frames(raw, settings.estimate.angles_rad)
    if not found.order_decided:
        return given, ()
    sizes = found.sizes
    shown = {"order": found.order, "angles": sizes["A"], "phases": sizes["P"]}
    note = (
        f"frame order {found.order} ({sizes['A']} directions, {sizes['P']} phases, {sizes['Z']} "
        f"planes): not stated, found from the pattern in the frames, of which it explains "
        f"{100 * found.orders[0].explained:.0f} %"
    )
    return {**shown, **given}, (note,)


def load_otfs(paths: list[Path] | None, stack: SimStack, settings: Settings) -> list[AnyOTF] | None:
    """OTF files as one OTF per channel, checked against the optics.

    Raises
    ------
    UsageError
        When there is neither one file nor one per channel.
    """
    if not paths:
        return None
    chosen = per_channel(paths, len(stack.optics))
    if settings.reconstruction.mode not in VOLUME_MODES:
        return [read_otf(p, o) for p, o in zip(chosen, stack.optics, strict=True)]
    found: list[AnyOTF] = []
    for path, optics in zip(chosen, stack.optics, strict=True):
        sets = read_volume_otf(path, optics, pixel_um=stack.pixel_um, dz_um=stack.dz_um)
        if len(sets) > 1:
            raise UsageError(
                "One OTF per direction is not used in this version.",
                expected="a file with one set of orders",
                got=f"{len(sets)} sets",
                where=str(path),
            )
        found.append(sets[0])
    return found
