"""One of several time points, channels or planes: what one network is trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simrecon.errors import UsageError
from simrecon.model.stack import SimStack

_SAID = {"time": "time point"}


def select_acquisition(
    stack: SimStack,
    *,
    time: int | None = None,
    channel: int | None = None,
    plane: int | None = None,
    volume: bool = False,
) -> SimStack:
    """The part of a stack with T = C = Z = 1, or with all planes of a volume.

    Parameters
    ----------
    time, channel, plane
        Which one, from 0. None: the only one.
    volume
        All planes belong together.

    Raises
    ------
    UsageError
        When there are several and none is named, or the named one does not exist; for a plane of
        a volume.
    """
    if volume and plane is not None:
        raise UsageError(
            "All planes of a volume are enhanced together.", expected="no --plane",
            got=str(plane), where="--plane",
        )  # fmt: skip
    shape = stack.data.shape
    t, c, z = (
        chosen_index(name, wanted, int(length))
        for name, wanted, length in (
            ("time", time, shape[0]), ("channel", channel, shape[1]),
            ("plane", plane, 1 if volume else shape[4]),
        )
    )  # fmt: skip
    planes = slice(None) if volume else slice(z, z + 1)
    data = np.asarray(stack.data[t : t + 1, c : c + 1, :, :, planes])
    return replace(stack, data=data, optics=(stack.optics[c],))


def chosen_index(name: str, wanted: int | None, length: int, where: str | None = None) -> int:
    """Which of `length` time points, channels or planes; the only one needs no name.

    Raises
    ------
    UsageError
        Several and none named, or no such one; `where` names the file.
    """
    if wanted is None and length > 1:
        raise UsageError(
            f"This works on one {_SAID.get(name, name)}; there are several.",
            expected=f"--{name} 0…{length - 1}",
            got=f"{length} of them and none named",
            where=where or f"--{name}",
            hint=f"add --{name} 0 (in Python: {name}=0)"
            + (
                "; 'zsdeconv sim --time all' takes all of them"
                if name == "time" and where is None
                else ""
            ),
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
