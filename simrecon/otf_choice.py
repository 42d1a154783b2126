"""Which of the given OTFs belongs to a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from simrecon.errors import UsageError
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack

T = TypeVar("T")


def per_channel(given: Sequence[T], channels: int) -> list[T]:
    """OTFs, or files of OTFs, spread over the channels: one for all, or one each.

    Raises
    ------
    UsageError
        For any other number.
    """
    if len(given) not in (1, channels):
        raise UsageError(
            "There must be one OTF, or one per channel.",
            expected=f"1 or {channels}", got=str(len(given)), where="--otf",
        )  # fmt: skip
    return list(given) * channels if len(given) == 1 else list(given)


def per_channel_and_direction(given: Sequence[T], channels: int, directions: int) -> list[list[T]]:
    """Files of OTFs by channel, each with one for all directions or one for each.

    Two files for two channels are one for each channel, not for each direction.

    Raises
    ------
    UsageError
        For any other number.
    """
    if directions > 1 and len(given) == channels * directions and len(given) != channels:
        return [list(given[c * directions : (c + 1) * directions]) for c in range(channels)]
    if len(given) not in (1, channels):
        raise UsageError(
            "There must be one OTF, one per channel, or one per channel and direction.",
            expected=f"1, {channels} or {channels * directions}",
            got=str(len(given)),
            where="--otf",
        )  # fmt: skip
    return [[one] for one in per_channel(given, channels)]


def of_channel(otf: AnyOTF | Sequence[AnyOTF], stack: SimStack, channel: int) -> AnyOTF:
    """The OTF of one channel, of one for all or of one per channel."""
    if not isinstance(otf, Sequence):
        return otf
    return per_channel(otf, len(stack.optics))[channel]
