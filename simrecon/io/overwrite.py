"""No output may take the place of a file that is being read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from simrecon.errors import UsageError


def check_overwrite(
    outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """Refuse, before anything is read, outputs that would replace an input.

    Parameters
    ----------
    outputs
        Every file that may be written, side files included.
    inputs
        Every file that is read: raw frames, OTF, pattern, camera, settings. Folders are allowed
        and protect themselves, not what lies in them. Missing inputs are left to their readers.

    Raises
    ------
    UsageError
        Naming the file. Two names of one file (links, relative paths, upper and lower case on a
        disk that ignores it) count as the same.
    """
    taken = list(inputs)
    for output in outputs:
        for source in taken:
            if _same(Path(output), Path(source)):
                raise UsageError(
                    "The output would replace an input.",
                    expected="an output name of which no file, side files included, is read here",
                    got=f"{output} is read as {source}",
                    where="-o",
                    hint="give another name or folder with -o",
                )


def _same(first: Path, second: Path) -> bool:
    if first.resolve() == second.resolve():
        return True
    try:
        return first.samefile(second)
    except OSError:  # one of them does not exist: they are different files
        return False
