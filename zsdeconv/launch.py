"""How this process was started: alone, or by torchrun with others.

Nothing else reads torchrun's environment variables. Imports no torch: commands ask before they
load it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from simrecon.errors import UsageError

TRAINING = ("sim", "image", "train", "volume")
"""Commands that train once: several processes can run them together, and --resume goes on."""
_NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_ADDRESS = ("MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that were started together.

    Attributes
    ----------
    rank, size : int
        Number of this one, from 0, and how many there are.
    local_rank, local_size : int
        The same among those of this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def together(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0


def launch(environment: Mapping[str, str] | None = None) -> Launch:
    """What torchrun's variables say; alone unless all six of them are there.

    Some clusters set a few of them for every program: that is no launch by torchrun.

    Raises
    ------
    UsageError
        All are there, and their numbers cannot be.
    """
    given = os.environ if environment is None else environment
    absent = any(key not in given for key in (*_NUMBERS, *_ADDRESS))
    if absent or given["WORLD_SIZE"] == "1":
        return Launch()
    try:
        rank, size, local_rank, local_size = (int(given[key]) for key in _NUMBERS)
    except ValueError:
        possible = False
    else:
        possible = 0 <= rank < size and 0 <= local_rank < local_size <= size
    if not possible:
        raise UsageError(
            "The environment variables of torchrun contradict each other.",
            expected="0 ≤ RANK < WORLD_SIZE, 0 ≤ LOCAL_RANK < LOCAL_WORLD_SIZE ≤ WORLD_SIZE",
            got=", ".join(f"{key}={given[key]}" for key in _NUMBERS),
            hint="start several processes with torchrun, or unset these variables for one",
        )
    return Launch(rank, size, local_rank, local_size)


def require_training(here: Launch, command: str) -> None:
    """Refuse commands that several processes cannot run together.

    Raises
    ------
    UsageError
    """
    if here.together and command not in TRAINING:
        raise UsageError(
            f"torchrun is for the commands that train: {', '.join(TRAINING)}.",
            got=command or "no command",
            where=f"torchrun, {here.size} processes",
            hint="run this without torchrun: it needs one process",
        )
