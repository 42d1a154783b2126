"""Exception tree: every error says what was expected, what came, where, and what to do.

Each class carries the exit code that the programs return for it (architecture: exit codes
0 ok, 2 usage, 3 input or metadata, 4 quality gate, 5 requested device unusable, 1 unexpected).
"""

from __future__ import annotations

from typing import ClassVar


class SimReconError(Exception):
    """Base of all errors that this project raises on purpose.

    Parameters
    ----------
    message
        One sentence that names the problem.
    expected, got, where, hint
        What would have been right, what was found, the file or parameter it concerns, and the
        next step for the user. Each is optional and appears on its own line of ``str(error)``.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.expected = expected
        self.got = got
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        for label, text in (
            ("expected", self.expected),
            ("got", self.got),
            ("where", self.where),
            ("what to do", self.hint),
        ):
            if text is not None:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)


class UsageError(SimReconError, ValueError):
    """A setting or argument that cannot be meant (exit code 2)."""

    exit_code = 2


class InputError(SimReconError, ValueError):
    """A file or array that cannot be what was asked for (exit code 3)."""

    exit_code = 3


class MetadataError(InputError):
    """A needed fact (pixel size, wavelength, …) is neither in the file nor given (exit code 3)."""


class QualityError(SimReconError, RuntimeError):
    """A result that failed a quality gate, for example a failed pattern fit (exit code 4)."""

    exit_code = 4


class DeviceError(SimReconError, RuntimeError):
    """A device was asked for that cannot be used (exit code 5)."""

    exit_code = 5
