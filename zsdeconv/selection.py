"""One time point, channel and plane of a stack: what one network is trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.stack import SimStack


def select_acquisition(
    stack: SimStack,
    *,
    time: int | None = None,
    channel: int | None = None,
    plane: int | None = None,
) -> SimStack:
    """The part of a stack with T = C = Z = 1.

    Parameters
    ----------
    time, channel, plane
        Which one, from 0. None: the only one.

    Raises
    ------
    UsageError
        When there are several and none is named, or the named one does not exist.
    """
    shape = stack.data.shape
    t = _index("time", time, int(shape[0]))
    c = _index("channel", channel, int(shape[1]))
    z = _index("plane", plane, int(shape[4]))
    data = np.asarray(stack.data[t : t + 1, c : c + 1, :, :, z : z + 1])
    return replace(stack, data=data, optics=(stack.optics[c],))


def _index(name: str, wanted: int | None, length: int) -> int:
    if wanted is None and length > 1:
        raise UsageError(
            "Zero-shot training takes one time point, channel and plane.",
            expected=f"{name} 0…{length - 1}",
            got=f"{length} of them and none named",
            where=f"--{name}",
            hint=f"add --{name} 0 (in Python: {name}=0)",
        )
    index = 0 if wanted is None else wanted
    if not 0 <= index < length:
        raise UsageError(
            f"There is no such {name}.",
            expected=f"0…{length - 1}",
            got=str(wanted),
            where=f"--{name}",
        )
    return index
