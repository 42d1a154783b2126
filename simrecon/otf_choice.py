"""Which of the given OTFs belongs to a channel."""

from __future__ import annotations

from collections.abc import Sequence

from simrecon.errors import UsageError
from simrecon.model.psf import AnyOTF
from simrecon.model.stack import SimStack


def of_channel(otf: AnyOTF | Sequence[AnyOTF], stack: SimStack, channel: int) -> AnyOTF:
    """The OTF of one channel, of one for all or of one per channel."""
    if not isinstance(otf, Sequence):
        return otf
    if len(otf) != len(stack.optics):
        raise UsageError(
            "There must be one OTF, or one per channel.",
            expected=f"1 or {len(stack.optics)}", got=str(len(otf)), where="--otf",
        )  # fmt: skip
    return otf[channel]
