"""Whole files or none: write beside the target, flush to disk, then rename."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from simrecon.errors import InputError

STAGING = ".part-"
"""How hidden files and folders begin in which outputs are made; messages leave them out."""


def _unwritable(target: Path, error: OSError) -> InputError:
    return InputError(
        "The output cannot be written.",
        got=f"{type(error).__name__}: {error.strerror or error}",
        where=str(Path(*(part for part in target.parts if not part.startswith(STAGING)))),
        hint="check that the folder exists, that you may write there and that the disk has room; "
        "or give another path with -o",
    )


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; rename it to `path` on success.

    The temporary name keeps the suffixes of `path`, so writers that look at them work. When the
    block raises, the temporary file is removed and an existing `path` is left as it was.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    InputError
        When the folder does not exist or the file cannot be written (exit code 3).
    """
    target = Path(path)
    if target.is_dir():
        raise InputError("The output is a folder.", expected="a file name", where=str(target))
    try:
        handle, name = tempfile.mkstemp(prefix=STAGING, suffix=f"-{target.name}", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        _finish(temporary, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work, a file that :func:`atomic_path` could not write.

    Raises
    ------
    InputError
        A folder stands in its place, its folder does not exist or cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError("The output is a folder.", expected="a file name", where=str(target))
    try:
        with tempfile.NamedTemporaryFile(prefix=STAGING, dir=target.parent):
            pass
    except OSError as error:
        raise _unwritable(target, error) from error


def _finish(temporary: Path, target: Path) -> None:
    """Flush `temporary` to disk, give it the usual permissions and rename it to `target`."""
    with open(temporary, "rb+") as stream:
        os.fsync(stream.fileno())
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    os.replace(temporary, target)


def _plain(value: Any) -> Any:
    """JSON form of NumPy scalars, arrays, paths, tuples and sets of values."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON cannot hold, by None."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return _finite(_plain(value))
    return value


def to_json(data: Any, indent: int | None = 2) -> str:
    """Strict JSON text: NumPy values become numbers and lists, NaN and infinities null."""
    return json.dumps(
        _finite(data), indent=indent, ensure_ascii=False, allow_nan=False, default=_plain
    )


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write `data` as UTF-8 JSON, atomically; see :func:`to_json`."""
    text = to_json(data) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InputError
        When the file is missing, is no JSON or holds something else than an object.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            "The file does not exist.", where=str(path), hint="check folder and spelling"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            "The file cannot be read as JSON.",
            expected="a whole JSON file in UTF-8, as the programs write it",
            got=f"{type(error).__name__}: {error}",
            where=str(path),
            hint="was another file meant, or was it cut short or edited? Make it again",
        ) from error
    if not isinstance(data, dict):
        raise InputError(
            "The file holds no JSON object.",
            expected="{…}",
            got=type(data).__name__,
            where=str(path),
        )
    return data
