"""The pattern geometry that all channels of a stack share, before any of them is reconstructed."""

from __future__ import annotations

from collections.abc import Sequence

from simrecon.config import Settings
from simrecon.errors import InputError, UsageError
from simrecon.estimate.sharing import share_geometry
from simrecon.given_pattern import given_to
from simrecon.model.pattern import PatternFit
from simrecon.model.stack import SimStack
from simrecon.preparation import Channel, find_pattern, pattern_acquisition


def shares_channels(settings: Settings, channels: int) -> bool:
    """Whether what a channel is told of its pattern comes from all channels, not from the user."""
    return settings.estimate.share_channels and channels > 1


def shared_patterns(
    stack: SimStack,
    settings: Settings,
    channels: Sequence[Channel],
    given: PatternFit | Sequence[PatternFit] | None,
    time: int = 0,
) -> list[PatternFit | None]:
    """What every channel is told of its pattern: `given`, or the geometry of all channels.

    `given` is one for all channels, or one per channel.

    Raises
    ------
    UsageError
        When a pattern is given and sharing is asked for as well, or not one per channel.
    InputError
        When an excitation wavelength is not known.
    QualityError
        When the channels' patterns do not scale with the wavelength.
    """
    if not shares_channels(settings, len(channels)):
        return [given_to(given, stack, channel.index) for channel in channels]
    if given is not None:
        raise UsageError(
            "A given pattern belongs to one wavelength; channels cannot share it.",
            expected="--pattern or share_channels, not both",
            where="estimate.share_channels",
        )
    wavelengths = []
    for channel in channels:
        nm = stack.optics[channel.index].excitation_nm
        if nm is None:
            raise InputError(
                "Channels share a geometry only with their excitation wavelengths.",
                expected="an excitation wavelength for every channel",
                got=f"none for channel {channel.index}",
                where="--excitation-nm",
            )
        wavelengths.append(nm)
    fits = []
    for channel in channels:
        data = pattern_acquisition(stack, settings, channel, time)
        fits.append(find_pattern(stack, settings, channel, data, None))
    return share_geometry(fits, wavelengths)
